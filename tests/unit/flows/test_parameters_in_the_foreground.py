"""What a run in the foreground says on a terminal: plain sentences, and names as they are."""

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar, copy_context
from pathlib import Path

import pytest

from db.engine import database_settings
from flows.foreground import bar, run_in_foreground
from flows.import_crm_data import import_crm_data, main
from tasks.crm.progress import Progress
from tasks.prefect_server import server_in_use, server_settings

NAMES = ["partners [2024].csv", "sub [/b].csv", "a[bold]b.csv", "[link=evil]x.csv", "100%(done)s.csv", "{0}{x}.csv"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_markup_of_the_progress_bar(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, terminal = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        listener: ContextVar = ContextVar("listener", default=None)
        with bar(listener, lambda progress: progress.workbook):
            listener.get()(Progress(name, 1, 2, 0, 1.0))
    assert name in "".join(_written(mine))


def _written(terminal: int) -> Iterator[str]:
    with suppress(OSError):  # all is read
        while piece := os.read(terminal, 100_000):
            yield piece.decode()
    os.close(terminal)


@pytest.mark.parametrize("workbook", ["/in/a\udcfc.csv", "http://ada:s3cret@h/\udcfc.csv"])
def test_a_name_that_is_no_text_is_a_sentence(workbook: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_in_foreground(import_crm_data, {"workbook": workbook, "columns": None}) == 1
    said = capsys.readouterr().err
    assert (said.count("\n"), "UTF-8" in said, "s3cret" in said) == (1, True, False)


@pytest.mark.parametrize("url", ["http://[", "http://[::1", "http:/ada:s3cret@h/api", "http://ada:s3cret@h:99999", "h"])
def test_a_wrong_address_of_the_prefect_server_is_a_sentence(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", url)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@127.0.0.1:1/d")
    for cached in (server_settings, database_settings):
        cached.cache_clear()
    assert run_in_foreground(import_crm_data, {}) == 1
    said = capsys.readouterr().err
    assert said.startswith("PREFECT_API_URL: ")
    assert "s3cret" not in said
    monkeypatch.undo()
    for cached in (server_settings, database_settings):
        cached.cache_clear()


def test_the_password_of_the_prefect_server_is_sent_and_not_part_of_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://ada:s3cret@h:42/api/")
    server_settings.cache_clear()
    server = server_in_use(tmp_path)
    server_settings.cache_clear()
    assert server is not None
    assert (server.api_url, server.auth_string) == ("http://h:42/api", "ada:s3cret")


@pytest.mark.parametrize(
    ("typed", "parameter"),
    [
        ("https://ada:s3cret@h/x.csv", None),
        ("http:/ada:s3cret@h/x.csv", None),
        ("https://h/x.csv?sig=s3cret", None),
        ("https://h/x.csv", "https://h/x.csv"),
        ("/in/a@b;c?d.csv", "/in/a@b;c?d.csv"),
        (None, None),
    ],
)
def test_an_address_with_a_secret_is_no_parameter_that_prefect_shows(
    typed: str | None, parameter: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {}
    monkeypatch.setenv("CRM_WORKBOOK", "before")
    monkeypatch.setattr(
        "flows.import_crm_data.run_in_foreground", lambda _flow, parameters, **_: given.update(parameters) or 0
    )
    copy_context().run(main, [typed] if typed else [])
    assert given["workbook"] == parameter
    assert os.environ["CRM_WORKBOOK"] == (typed if typed and parameter is None else "before")
