"""deployments/compose.yaml: what it names exists, nothing is open to the network, and no two containers share files.

The structure was checked with the schema of the Compose specification, which no package of ours has.
"""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.settings import get_current_settings
from support.project import ROOT

from deployments import reference

HERE = ROOT / "deployments"
COMPOSE: dict[str, Any] = yaml.safe_load((HERE / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
ONCE = {"prefect-migrate", "migrate"}  # services that end
KEYS = {
    *("image", "build", "command", "environment", "env_file", "secrets", "configs", "volumes", "networks", "ports"),
    *("depends_on", "healthcheck", "restart", "stop_grace_period", "init", "deploy", "mem_limit", "shm_size"),
    *("security_opt", "cap_drop"),
}
OF_SCRIPTS = {"BACKUPS_KEPT"}
OF_REDIS = {"PREFECT_REDIS_MESSAGING_HOST", "PREFECT_REDIS_MESSAGING_PORT", "PREFECT_REDIS_MESSAGING_DB"}
each_service = pytest.mark.parametrize("name", SERVICES)


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


@each_service
def test_what_a_service_names_is_declared(name: str) -> None:
    service = SERVICES[name]
    assert set(service) <= KEYS
    assert not service.get("build") or (HERE / service["build"]["context"] / "Dockerfile").is_file()
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    assert {config["source"] for config in service.get("configs", ())} <= set(COMPOSE["configs"])
    assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= set(COMPOSE["volumes"])
    for other, how in service.get("depends_on", {}).items():
        assert how["condition"] in {"service_healthy", "service_started", "service_completed_successfully"}
        assert (how["condition"] == "service_completed_successfully") == (other in ONCE)
        assert how["condition"] != "service_healthy" or "test" in SERVICES[other]["healthcheck"]
    for variable, value in service.get("environment", {}).items():
        if variable.endswith("_FILE"):
            assert value.removeprefix("/run/secrets/") in service["secrets"], variable


@each_service
def test_a_service_starts_again_and_stops_in_order(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert ":" in service["image"], "pinned"
    if name in OURS:
        assert service["init"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["image"] == f"${{JOB_IMAGE:-embassy-jobs:{version()}}}"


@pytest.mark.parametrize("name", OURS)
def test_the_variables_of_a_service_are_settings(name: str) -> None:
    ours = {variable for group in reference.settings().values() for variable in group}
    prefect = known_to_prefect()
    for variable in OURS[name]["environment"]:
        plain = variable.removesuffix("_FILE")
        assert plain in ours | prefect | OF_SCRIPTS | OF_REDIS, variable


def known_to_prefect() -> set[str]:
    """All names of Prefect's settings."""

    def names(settings: Any) -> set[str]:
        found = set()
        for field, described in type(settings).model_fields.items():
            value = getattr(settings, field)
            if hasattr(type(value), "model_fields"):
                found |= names(value)
            prefix = type(settings).model_config.get("env_prefix", "")
            aliases = getattr(described.validation_alias, "choices", ())
            found |= {f"{prefix}{field}".upper(), *(str(alias).upper() for alias in aliases)}
        return found

    return names(get_current_settings())


def test_the_servers_have_a_password_and_are_reached_from_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"proxy": ["127.0.0.1:${UI_PORT:-4200}:4200"]}
    for name in ("server", "services"):
        environment = SERVICES[name]["environment"]
        assert environment["PREFECT_SERVER_API_AUTH_STRING_FILE"]
        assert "*" not in environment["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"]
    assert COMPOSE["networks"]["prefect"] == {"internal": True}
    assert all("prefect" not in SERVICES[name]["networks"] for name in ("worker", "migrate", "doctor", "backup"))


def test_only_migrations_and_backup_are_the_owner_of_the_tables() -> None:
    owners = {name for name in OURS if "MIGRATION_DATABASE_URL_FILE" in SERVICES[name]["environment"]}
    assert owners == {"migrate", "backup"}
    assert {name for name in OURS if "migration_database_url" in SERVICES[name].get("secrets", ())} == owners
    owner = SERVICES["database"]["environment"]["POSTGRES_USER"]
    assert all(SERVICES[name]["environment"]["POSTGRES_USER"] != owner for name in ("worker", "doctor", "migrate"))


def test_no_two_services_share_files() -> None:
    used = [volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert sorted(used) == sorted(COMPOSE["volumes"])
    assert not SERVICES["worker"].get("volumes"), "workers are scaled"
    assert not [volume for service in SERVICES.values() for volume in service.get("volumes", ()) if volume[0] in "./~"]


def test_nothing_secret_is_in_the_file_and_the_script_writes_every_password_once(tmp_path: Path) -> None:
    text = (HERE / "compose.yaml").read_text()
    assert not re.search(r"://[^/\s]+:[^/\s]+@", text)
    (tmp_path / "compose").mkdir()
    script = shutil.copy(HERE / "compose" / "make-secrets.sh", tmp_path / "compose")
    for _ in range(2):
        subprocess.run(["sh", script], check=True, capture_output=True)
        written = {
            path.relative_to(tmp_path): path.read_text() for path in (tmp_path / "compose" / "secrets").iterdir()
        }
    assert {Path(secret["file"]) for secret in COMPOSE["secrets"].values()} == set(written)
    assert len(set(written.values())) == len(written)
    assert all(len(text.strip()) >= 32 for text in written.values())
    assert (tmp_path / "compose" / "secrets").stat().st_mode & 0o777 == 0o700
    before = dict(written)
    subprocess.run(["sh", script], check=True, capture_output=True)
    assert before == {
        path.relative_to(tmp_path): path.read_text() for path in (tmp_path / "compose" / "secrets").iterdir()
    }


def test_the_configuration_of_the_proxy_is_valid() -> None:
    haproxy = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")
    if haproxy is None:
        pytest.skip("haproxy is not installed")
    checked = subprocess.run(
        [haproxy, "-c", "-f", HERE / "compose" / "haproxy.cfg"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
