"""deployments/kubernetes/: names, images and settings agree, no run is root, and nothing secret is in a file.

test_image.py checks the structure of the manifests, with the models of Kubernetes' own client. The values were checked
with the schemas of Prefect's charts, and both charts rendered with them.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import yaml
from support.project import ROOT

from deployments import reference
from deployments.work_pool import TEMPLATES

HERE = ROOT / "deployments" / "kubernetes"
FILES = {path.name: list(yaml.safe_load_all(path.read_text())) for path in HERE.glob("*.yaml")}
VALUES = {name: FILES.pop(name)[0] for name in ("server-values.yaml", "worker-values.yaml")}
MANIFESTS: list[dict[str, Any]] = [each for file in FILES.values() for each in file]
PODS = [
    each["spec"].get("jobTemplate", each)["spec"]["template"]["spec"]
    for each in MANIFESTS
    if each["kind"] in ("Job", "CronJob")
]
TEMPLATE = json.loads((TEMPLATES / "kubernetes.json").read_text())
RUN = TEMPLATE["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
SECRETS = {each["metadata"]["name"]: set(each["stringData"]) for each in FILES["secrets.example.yaml"]}


def found(value: Any, key: str) -> Iterator[Any]:
    """All values of a key, however deep."""
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        if name == key:
            yield inner
        yield from found(inner, key)


def test_everything_runs_in_the_image_of_this_version() -> None:
    images = {container["image"] for pod in PODS for container in pod["containers"]}
    images |= {
        f"{image['repository']}:{image['prefectTag']}" for values in VALUES.values() for image in found(values, "image")
    }
    assert images == {f"embassy-jobs:{VERSION}"}


def test_every_secret_that_is_named_is_in_the_example_and_no_file_has_its_value() -> None:
    for reference_ in [*found(PODS, "secretKeyRef")]:
        assert reference_["key"] in SECRETS[reference_["name"]]
    named = {each["name"] for each in found(PODS, "secretRef")} | {*found(list(VALUES.values()), "existingSecret")}
    assert named <= SECRETS.keys()
    assert TEMPLATE["variables"]["properties"]["secret"]["default"] in SECRETS
    values = [value for each in FILES["secrets.example.yaml"] for value in each["stringData"].values()]
    assert all(re.search(r"<[a-z ]+>", value) for value in values)
    for auth in found(list(VALUES.values()), "basicAuth"):
        assert auth["enabled"] is True
        assert "authString" not in auth


def test_the_config_map_and_the_secret_have_settings() -> None:
    known = {variable for group in reference.settings().values() for variable in group}
    [config] = FILES["config.yaml"]
    assert set(config["data"]) <= known
    assert SECRETS["embassy-jobs"] | SECRETS["embassy-jobs-owner"] <= known
    assert config["data"]["WORK_POOL_TYPE"] == VALUES["worker-values.yaml"]["worker"]["config"]["type"]
    assert config["metadata"]["name"] == TEMPLATE["variables"]["properties"]["config_map"]["default"]


def test_only_migrations_backup_and_restore_are_the_owner_of_the_tables() -> None:
    owners = {
        container["name"]
        for pod in [*PODS, RUN]
        for container in pod["containers"]
        if "embassy-jobs-owner" in {each["name"] for each in found(container, "secretRef")}
    }
    assert owners == {"migrate", "backup", "restore"}
    assert "MIGRATION_DATABASE_URL" in SECRETS["embassy-jobs-owner"] - SECRETS["embassy-jobs"]


def test_names_agree() -> None:
    assert {each["metadata"]["namespace"] for each in MANIFESTS} == {"embassy-jobs"}
    assert TEMPLATE["variables"]["properties"]["namespace"]["default"] == "embassy-jobs"
    worker = VALUES["worker-values.yaml"]["worker"]
    assert worker["config"]["workPool"] == "crm-pool"
    addresses = {each["value"] for pod in PODS for each in found(pod, "env") for each in each if "value" in each}
    assert addresses == {worker["selfHostedServerApiConfig"]["apiUrl"]}


def test_no_container_is_root_or_writes_outside_of_its_volumes() -> None:
    for pod in [*PODS, RUN]:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["automountServiceAccountToken"] is False
        assert {volume["name"] for volume in pod["volumes"]} == {
            mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]
        }
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert {"/tmp", "/data"} <= {mount["mountPath"] for mount in container["volumeMounts"]}  # noqa: S108
            assert container["resources"]["limits"]["memory"]
    for key in ("podSecurityContext", "containerSecurityContext", "securityContext"):
        assert all(each["runAsUser"] == 10001 for each in found(list(VALUES.values()), key))


def test_the_parts_that_need_their_files_again_have_a_claim() -> None:
    claims = {each["metadata"]["name"] for each in MANIFESTS if each["kind"] == "PersistentVolumeClaim"}
    assert {each["claimName"] for each in found(PODS, "persistentVolumeClaim")} == claims
