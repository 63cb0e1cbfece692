"""A run in the foreground on a machine with other users."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import flow
from prefect.settings import PREFECT_HOME
from support.settings import forget_settings

from flows.foreground import _prefect, run_in_foreground


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    own = {"DATA_DIR": str(tmp_path / "var"), "DATABASE_URL": "postgresql://db.example/crm"}
    without = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    monkeypatch.setattr(os, "environ", without | own | {"PREFECT_LOGGING_LEVEL": "INFO"})
    forget_settings()
    yield tmp_path / "var"
    forget_settings()


def test_what_it_keeps_is_closed_to_other_users(data_dir: Path) -> None:
    before = os.umask(0o022)
    try:
        with _prefect():
            home = PREFECT_HOME.value()
    finally:
        os.umask(before)
    assert home == data_dir / "prefect"
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_data_dir_that_others_can_write_to_is_refused_in_one_sentence(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @flow
    def job() -> None:
        """Not reached."""

    data_dir.mkdir()
    data_dir.chmod(0o1777)
    assert run_in_foreground(job, {}) == 1
    [sentence] = capsys.readouterr().err.splitlines()
    assert f"DATA_DIR={data_dir}" in sentence
    assert list(data_dir.iterdir()) == []
