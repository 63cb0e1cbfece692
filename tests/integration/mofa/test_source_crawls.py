"""Sources over HTTP on loopback: by a run of the flow, and by python -m tasks.mofa.try."""

from collections import Counter
from datetime import date

import pytest
from support.list_pages import LISTS, korea, korea_page
from support.list_server import serving
from support.record_fixtures import pages_of
from support.watch import Watch, forget

from tasks.counts import counted
from tasks.mofa import recording, sources, steps
from tasks.mofa.http import Fetcher
from tasks.mofa.page import Page
from tasks.mofa.request import Request
from tasks.mofa.settings import FetchingSettings
from tasks.mofa.try_source import main
from tasks.state_names import HELD

FORM = {"page": "2", "q": "a b&ü"}


@pytest.fixture
def fetcher():
    """Makes a fetcher for the pages of www.mofa.example that listen there."""
    made: list[Fetcher] = []

    def make(base_url: str) -> Fetcher:
        made.append(Fetcher(FetchingSettings(delay=0), {"www.mofa.example"}, base_url))
        return made[-1].__enter__()

    yield make
    for each in made:
        each.__exit__(None, None, None)


def test_a_form_is_sent_by_post_also_after_a_redirect_that_sets_a_cookie_which_is_kept(fetcher):
    first = Request.post("https://www.mofa.example/list?x=1", FORM)
    second = Request.post("https://www.mofa.example/list?x=1", {**FORM, "page": "3"})
    pages = [
        Page(each.address, f"<html>{each.form[0][1]}</html>", content_type="text/html") for each in (first, second)
    ]
    with serving(pages, wants_cookie=True) as server:
        asked = fetcher(server.url)
        answers = [asked.fetch(each.address) for each in (first, second)]
    assert [page.text for page in answers] == ["<html>2</html>", "<html>3</html>"]
    assert [page.url for page in answers] == [first.address, second.address]
    assert answers[0].final_url == "https://www.mofa.example/list?x=1"
    posts = [each for each in server.requested if each[1] != "/robots.txt"]
    assert posts == [("POST", "/list?x=1", False), ("POST", "/list?x=1", True), ("POST", "/list?x=1", True)]


def test_another_fetcher_has_no_cookie_of_the_first(fetcher):
    request = Request.post("https://www.mofa.example/list", FORM)
    with serving([Page(request.address, "<html>x</html>", content_type="text/html")], wants_cookie=True) as server:
        fetcher(server.url).fetch(request.address)
        fetcher(server.url).fetch(request.address)
    assert Counter(cookie for method, _, cookie in server.requested if method == "POST") == {False: 2, True: 2}


@pytest.mark.parametrize("name", [*LISTS, "demo"])
def test_a_trial_reads_every_shipped_source_over_http_and_finds_no_problem(name, capsys):
    fixture = recording.read(sources.fixture_directory(name))
    with serving(pages_of(name), wants_cookie=name == "korea") as server:
        assert main([name, "--base-url", server.url]) == 0
    shown = capsys.readouterr().out
    missions = {each["key"] for page in fixture.expected for each in page["missions"]}
    assert f"{counted(len(missions), 'mission')} on {counted(len(fixture.pages), 'page')}" in shown
    assert "no problem" in shown


def test_a_trial_names_all_problems_at_once_with_fill_rates_and_doubles(tmp_path, capsys):
    pages, _ = korea()
    text = (
        pages[0].text.replace("ruritania@mission.example", "nobody").replace("팩스번호 : </b> 700-1009", "x : </b> 1")
    )
    again = korea_page(
        2,
        [("콩고(D.R.)", "", "-", "-", "1", "A", "-", "1", "1"), ("콩고(D.R.)", "", "-", "-", "1", "B", "-", "1", "1")],
    )
    with serving([Page(pages[0].url, text, content_type="text/html"), again]) as server:
        assert main(["korea", "--base-url", server.url, "--record", str(tmp_path / "new")]) == 1
    shown = capsys.readouterr().out
    assert "3 problems" in shown
    assert "루리타니아: email: " in shown
    assert "아틀란티스: the label 'x :' is not known" in shown
    assert "콩고-d-r appears twice" in shown
    assert "address          filled on     4 (100%)" in shown
    fixture = recording.read(tmp_path / "new")
    assert (len(fixture.pages), fixture.origin, fixture.day <= date.today()) == (2, "described", True)
    assert recording.replay(sources.source("korea"), fixture) == []
    assert fixture.expected[0]["unreadable"][0]["row"] == "아틀란티스"


def test_a_trial_reads_a_saved_page_and_a_file_anywhere(tmp_path, capsys):
    (page, _), _ = korea()
    (tmp_path / "saved.html").write_text(page.text, encoding="euc-kr", errors="xmlcharrefreplace")
    copy = tmp_path / "copy.toml"
    copy.write_text((sources.fixture_directory("korea").parents[1] / "korea.toml").read_text())
    assert main([str(copy), "--page", str(tmp_path / "saved.html")]) == 0
    assert "5 missions on 1 page\n" in capsys.readouterr().out
    assert main([str(copy), "--page", str(tmp_path / "absent.html")]) == 1
    assert main(["mars"]) == 1
    assert "'mars'" in capsys.readouterr().err
    copy.write_text("title = 1")
    assert main([str(copy)]) == 1
    assert "copy.toml: title: " in capsys.readouterr().err


def test_a_trial_refuses_to_record_over_other_files(tmp_path, capsys):
    (tmp_path / "mine").write_text("x")
    with serving(pages_of("demo")) as server:
        assert main(["demo", "--base-url", server.url, "--record", str(tmp_path)]) == 1
    assert "has other files" in capsys.readouterr().err


def test_a_list_by_post_is_watched_from_a_held_first_set_to_its_changes(watch: Watch, capsys):
    pages, expected = korea()
    with serving(pages, wants_cookie=True) as server:
        watch.base_url = server.url
        held = watch("korea")
        assert held.name == HELD
        assert watch.applied("korea", accept=held.result()["held"]) == {}
        assert watch.missions("korea").keys() == {each.key for each in expected}
        assert watch.rows("SELECT DISTINCT url FROM page_snapshots ORDER BY url")[0]["url"] == pages[0].url
        assert watch.applied("korea") == {}

        later = pages[0].text.replace("700-3814~6", "700-3814/5/6").replace("가상로 1<", "가상로 99<")
        server.show([Page(pages[0].url, later, content_type="text/html"), pages[1]])
        tables = watch.tables()
        main(["korea", "--base-url", server.url])
        assert "1 changes against the database\n  changed: 아틀란티스 address:" in capsys.readouterr().out
        assert watch.tables() == tables
        assert watch.applied("korea") == {"changed": 1}
        assert watch.changes("korea")[0]["field"] == "address"

        odd = later.replace("ruritania@mission.example", "nobody").replace("가상로 99<", "가상로 100<")
        server.show([Page(pages[0].url, odd, content_type="text/html"), pages[1]])
        assert watch.applied("korea") == {"changed": 1}
        assert watch.missions("korea")["루리타니아"]["email"] == "ruritania@mission.example"


def test_a_run_without_a_source_monitors_that_of_the_setting(monkeypatch):
    monkeypatch.setenv("MOFA_SOURCE", "korea")
    forget()
    assert steps.subject({"source": ""}) == steps.subject({}) == "korea"
    assert steps.subject({"source": "govuk"}) == "govuk"
    monkeypatch.delenv("MOFA_SOURCE")
    forget()
    assert steps.subject({"source": ""}) == "japan"
