"""Secrets in files, for programs of Prefect and for doctor, and secrets in Prefect itself."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker
from support.project import ROOT
from support.waiting import until

from deployments.doctor.__main__ import inherit_settings


def with_secrets(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | settings
    return subprocess.run(
        [sys.executable, "-m", "deployments.with_secrets", *command],
        cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_program_of_prefect_gets_its_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "auth").write_text("ann:p w\n")
    file = {"PREFECT_API_AUTH_STRING_FILE": str(tmp_path / "auth")}
    printing = "import os, sys; print({n: v for n, v in os.environ.items() if 'AUTH' in n}, sys.argv[1:]); sys.exit(3)"
    ended = with_secrets("python", "-c", printing, "--an option", **file)
    assert (ended.returncode, ended.stdout) == (3, "{'PREFECT_API_AUTH_STRING': 'ann:p w'} ['--an option']\n")
    for arguments, settings, code in (
        ((), file, 2),
        (("no-such-program",), file, 127),
        (("python", "-V"), {"PREFECT_API_AUTH_STRING_FILE": str(tmp_path / "gone")}, 1),
    ):
        ended = with_secrets(*arguments, **settings)
        assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (code, "", 1), ended.stderr


def test_doctor_takes_from_make_up_no_second_form_of_what_it_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child = subprocess.Popen(
        ["sleep", "60"], env={"DATABASE_URL": "postgresql://u@h/of-make-up", "NOTIFY_URLS_FILE": "/of-make-up"}
    )
    try:
        until(lambda: psutil.Process(child.pid).environ(), "its environment can be read")  # empty for a moment
        described = {"pid": child.pid, "create_time": psutil.Process(child.pid).create_time()}
        monkeypatch.setattr(
            "deployments.inherited_settings.state_of_make_up", lambda _: {"children": {"worker": described}}
        )
        environment = {**os.environ, "DATABASE_URL_FILE": "/mine"}
        monkeypatch.setattr(os, "environ", environment)
        inherit_settings(tmp_path)
        assert "DATABASE_URL" not in environment
        assert (environment["DATABASE_URL_FILE"], environment["NOTIFY_URLS_FILE"]) == ("/mine", "/of-make-up")
    finally:
        child.kill()
        child.wait()


@pytest.mark.usefixtures("prefect_server")
async def test_a_worker_resolves_a_secret_of_prefect_in_the_environment_of_its_work_pool() -> None:
    await Secret(value="json://h/s3cr3t").asave("crm-notify-urls", overwrite=True)  # type: ignore[call-arg]
    template = ProcessWorker.get_default_base_job_template()
    template["variables"]["properties"]["env"]["default"] = {
        "NOTIFY_URLS": "{{ prefect.blocks.secret.crm-notify-urls }}"
    }
    async with get_client() as client:
        resolved = await ProcessJobConfiguration.from_template_and_values(template, {}, client=client)
    assert resolved.env["NOTIFY_URLS"] == "json://h/s3cr3t"
