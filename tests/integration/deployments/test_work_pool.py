"""The work pool of each type is made once, brought up to date, and used by every deployment."""

import json
import os
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.project import ROOT

from deployments.prefect_api import PrefectApi
from deployments.work_pool import TEMPLATES, WorkPoolError, make_or_change, template
from deployments.work_pool_settings import WorkPoolSettings, work_pool_settings


@pytest.fixture
def server(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrefectApi]:
    """The server of the tests, with a pool of another name in each test."""
    monkeypatch.setenv("WORK_POOL", f"pool-{uuid.uuid4().hex[:8]}")
    work_pool_settings.cache_clear()
    server = PrefectApi(prefect_api, ours=True)
    yield server
    httpx.delete(f"{prefect_api}/work_pools/{server.pool}")
    work_pool_settings.cache_clear()


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_a_pool_that_starts_containers_has_our_template_with_the_image(kind: str, server: PrefectApi) -> None:
    first = WorkPoolSettings(work_pool_type=kind)
    assert [make_or_change(server, first) for _ in range(2)] == ["created", "unchanged"]
    pool = server.work_pool()
    assert pool is not None
    assert (pool["type"], pool["base_job_template"]) == (kind, template(first))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert pool["base_job_template"]["variables"]["properties"]["image"]["default"] == f"embassy-jobs:{version}"

    other = WorkPoolSettings(work_pool_type=kind, job_image="registry.example.org/jobs:2")
    assert [make_or_change(server, other) for _ in range(2)] == ["changed", "unchanged"]
    pool = server.work_pool()
    assert pool is not None
    assert pool["base_job_template"]["variables"]["properties"]["image"]["default"] == "registry.example.org/jobs:2"


def test_a_pool_of_another_type_is_not_taken_for_ours(server: PrefectApi) -> None:
    assert make_or_change(server, WorkPoolSettings()) == "created"
    with pytest.raises(WorkPoolError, match="process"):
        make_or_change(server, WorkPoolSettings(work_pool_type="docker"))


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_every_variable_of_a_template_is_used_and_declared(kind: str) -> None:
    made = json.loads((TEMPLATES / f"{kind}.json").read_text())
    used = json.dumps(made["job_configuration"])
    declared = set(made["variables"]["properties"])
    assert {name for name in declared if f"{{{{ {name} }}}}" in used} == declared
    assert used.count("{{") == sum(used.count(f"{{{{ {name} }}}}") for name in declared)


def test_without_a_setting_prefect_itself_deploys_into_the_same_pool() -> None:
    given = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["prefect"]["deployments"]
    assert given == {"default_work_pool_name": WorkPoolSettings().work_pool}


@pytest.mark.slow
def test_everything_is_deployed_into_the_pool_and_again_changes_nothing(
    server: PrefectApi, database: str, tmp_path: Path
) -> None:
    settings = {
        "PREFECT_API_URL": server.url,
        "PREFECT_HOME": str(tmp_path),
        "WORK_POOL": server.pool,
        "WORK_POOL_TYPE": "kubernetes",
        "TASK_TIMEZONE": "Asia/Tokyo",
    }
    deployed = []
    for _ in range(2):
        command = [sys.executable, "-m", "deployments.deploy"]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | settings, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        found = httpx.post(
            f"{server.url}/deployments/filter", json={"work_pools": {"name": {"any_": [server.pool]}}}
        ).json()
        deployed.append(sorted((each["id"], each["name"]) for each in found))
        assert {each["work_pool_name"] for each in found} == {server.pool}
        assert {schedule["schedule"]["timezone"] for each in found for schedule in each["schedules"]} == {"Asia/Tokyo"}
    for id_, _name in deployed[0]:
        httpx.delete(f"{server.url}/deployments/{id_}")
    assert deployed[0] == deployed[1]
    assert {name for _id, name in deployed[0]} >= {"import-crm-data", "mofa-monitoring", "watchdog"}
