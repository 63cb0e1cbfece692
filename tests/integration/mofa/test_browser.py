"""Pages that are made by JavaScript, in the system's Chromium, with the politeness of any other page."""

import shutil
from pathlib import Path

import pytest
from support.list_server import ListServer, serving

from tasks.mofa import browser, sources
from tasks.mofa.browser import BrowserFetcher, fetcher_for
from tasks.mofa.fetch_errors import FetchFailedError, FetchRefusedError
from tasks.mofa.page import Page, Source
from tasks.mofa.settings import FetchingSettings
from tasks.mofa.try_source import main

pytestmark = [
    pytest.mark.skipif(not shutil.which("chromium"), reason="no Chromium: apt install chromium"),
    pytest.mark.timeout(120),
]

HOME = "https://www.mofa.example"
FILE = """
title = "Example"
home = "https://www.mofa.example/list"
direction = "abroad"
language = "fr"
time_zone = "Europe/Paris"
javascript = true
[start]
url = "https://www.mofa.example/list"
[missions]
css = "li.mission"
key = ["name"]
[fields]
name = "b"
phone = "i"
kind = { constant = "embassy" }
"""
SCRIPT = """
fetch('/data.json').then(answer => answer.json()).then(rows => rows.forEach(row => {
  const item = document.createElement('li'); item.className = 'mission';
  item.innerHTML = `<b>${row.name}</b><i>${row.phone}</i><u>${navigator.language}</u>`;
  document.querySelector('ul').append(item);
}));
new Image().src = '/pixel.png';
fetch('https://tracker.example/x').catch(() => 0);
fetch('/gone.json').catch(() => 0);
"""
DATA = '[{"name": "A", "phone": "100"}, {"name": "B", "phone": "200"}]'


def pages(**more: str) -> list[Page]:
    texts = {
        "/list": ("<!DOCTYPE html><html><ul></ul><script src='/app.js'></script></html>", "text/html"),
        "/app.js": (SCRIPT, "text/javascript"),
        "/data.json": (DATA, "application/json"),
    }
    made = [Page(f"{HOME}{path}", text, content_type=kind) for path, (text, kind) in texts.items()]
    return [*made, *(Page(f"{HOME}/{path}", text, content_type="text/plain") for path, text in more.items())]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "scripted.toml").write_text(FILE)
    return sources.of_file(tmp_path / "scripted.toml")


def fetched(source: Source, server: ListServer, **settings: float) -> Page:
    limits = FetchingSettings(delay=0, read_timeout=5, total_timeout=30).model_copy(update=settings)
    with fetcher_for(source, limits, server.url) as fetcher:
        assert isinstance(fetcher, BrowserFetcher)
        return fetcher.fetch(source.home)


def test_missions_that_a_script_adds_are_read_and_nothing_else_is_requested(source: Source) -> None:
    with serving(pages()) as server:
        page = fetched(source, server)
    assert [(each.name, each.phone) for each in source.parse(page)] == [("A", "100"), ("B", "200")]
    assert "<u>fr</u>" in page.text
    assert (page.url, page.etag, len(page.sha256)) == (source.home, None, 64)
    asked = {path for _, path, _ in server.requested}
    assert asked == {"/robots.txt", "/list", "/app.js", "/data.json", "/gone.json"}


@pytest.mark.slow
def test_a_long_path_of_temporary_files_stops_no_browser(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / ("x" * 100)
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    with serving(pages()) as server:
        assert len(source.parse(fetched(source, server))) == 2


@pytest.mark.slow
def test_what_robots_txt_excludes_is_not_requested_by_the_browser_either(source: Source) -> None:
    with serving(pages(**{"robots.txt": "User-agent: *\nDisallow: /data.json"})) as server:
        page = fetched(source, server)
        assert "/data.json" not in {path for _, path, _ in server.requested}
        server.show(pages(**{"robots.txt": "User-agent: *\nDisallow: /list"}))
        with pytest.raises(FetchRefusedError, match=r"robots\.txt"):
            fetched(source, server)
    assert "<b>A</b>" not in page.text


@pytest.mark.slow
def test_data_that_cannot_be_had_and_a_page_too_large_are_failures(source: Source) -> None:
    with serving([page for page in pages() if "data" not in page.url]) as server:
        server.broken.add("/data.json")
        with pytest.raises(FetchFailedError, match=r"/data\.json.*503"):
            fetched(source, server)
    large = [
        Page(each.url, each.text.replace('"100"', f'"{"1" * 9_000}"'), content_type=each.content_type)
        for each in pages()
    ]
    with serving(large) as server, pytest.raises(FetchRefusedError, match="raise MOFA_MAX_BYTES"):
        fetched(source, server, max_bytes=9_100)
    with serving([]) as server, pytest.raises(FetchRefusedError, match="404"):
        fetched(source, server)


def test_a_trial_reads_a_page_that_is_made_by_javascript(source: Source, tmp_path: Path, capsys) -> None:
    with serving(pages()) as server:
        assert main([str(tmp_path / "scripted.toml"), "--base-url", server.url]) == 0
    assert "2 missions on 1 page\n" in capsys.readouterr().out


def test_without_chromium_the_sentence_says_what_to_install(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "_PROGRAMS", ("no-such-browser",))
    with pytest.raises(FetchRefusedError, match="apt install chromium"), fetcher_for(source, FetchingSettings(), None):
        pass
