"""A run in the foreground on a machine with other users."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import flow
from prefect.settings import PREFECT_HOME
from support.make_up import environment
from support.project import ROOT
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


ASKS_ITS_OWN_SERVER = """
import sys
import httpx
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Completed
from flows.foreground import run_in_foreground

@flow
def job():
    with get_client(sync_client=True) as client:
        known = client.request("POST", "/flow_runs/filter", json={}).status_code
        stranger = httpx.post(f"{client.api_url}flow_runs/filter", json={}, trust_env=False).status_code
    return Completed(message=f"{known} {stranger}")

sys.exit(run_in_foreground(job, {}))
"""


@pytest.mark.slow
def test_the_server_of_one_run_answers_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(ASKS_ITS_OWN_SERVER)
    given = {"DATA_DIR": str(tmp_path / "var"), "DATABASE_URL": "postgresql://db.example/crm", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "job.py")],
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout.splitlines()) == (0, ["200 401"]), done.stderr
