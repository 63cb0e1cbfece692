"""The Dockerfile: its instructions, and its steps as plain commands in an empty directory, with what they make running.

There is no container engine on a machine of the tests. What only an engine does is not tested: users, layers, networks.
"""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from support.databases import clone
from support.dockerfile import Image, health_check, instructions, last
from support.loopback import free_port
from support.project import ROOT, tracked
from support.waiting import until
from support.worker_machines import Api

from deployments.processes import end_processes

DOCKERFILE = instructions((ROOT / "Dockerfile").read_text())
SOURCES = {
    source
    for each in DOCKERFILE
    if each.keyword == "COPY" and not each.arguments.startswith("--from=")
    for source in each.arguments.split()[:-1]
}
TEMPLATES = """
import asyncio, json, sys, uuid
import yaml
from kubernetes_asyncio import client
from pathlib import Path
from types import SimpleNamespace
from prefect.client.schemas.objects import FlowRun
from prefect_docker.worker import DockerWorkerJobConfiguration
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration
from deployments.work_pool import template
from deployments.work_pool_settings import WorkPoolSettings

async def made(kind, configuration):
    job = await configuration.from_template_and_values(template(WorkPoolSettings(work_pool_type=kind)), {})
    job.prepare_for_flow_run(FlowRun(flow_id=uuid.uuid4(), name="adept-fox"))
    return job.model_dump(mode="json")

def unknown(value, model, place):  # keys that no model of the client has; it ignores them itself
    if model.startswith("list["):
        return [each for item in value for each in unknown(item, model[5:-1], place)]
    kind = getattr(client.models, model, None)
    if kind is None:
        return []
    names = {name: attribute for attribute, name in kind.attribute_map.items()}
    types = kind.openapi_types
    return [f"{place}.{name}" for name in value if name not in names] + [
        each
        for name in value.keys() & names.keys()
        for each in unknown(value[name], types[names[name]], f"{place}.{name}")
    ]

def checked(manifest):  # raises ValueError if something is missing or has a value that is not allowed
    model = "V1" + manifest["kind"]
    client.ApiClient().deserialize(SimpleNamespace(data=json.dumps(manifest)), model)
    return unknown(manifest, model, manifest["kind"])

async def all():
    manifests = [each for path in sys.argv[1:] for each in yaml.safe_load_all(Path(path).read_text())]
    return {
        "unknown": [each for manifest in manifests for each in checked(manifest)],
        "docker": await made("docker", DockerWorkerJobConfiguration),
        "kubernetes": await made("kubernetes", KubernetesWorkerJobConfiguration),
    }

print(json.dumps(asyncio.run(all())))
"""


def test_the_image_has_a_user_who_is_not_root_a_health_check_and_the_locked_packages() -> None:
    assert last(DOCKERFILE, "USER").arguments == "10001:10001"
    assert "deployments.doctor" in health_check(DOCKERFILE)[-1]
    [install] = [each.arguments for each in DOCKERFILE if ".lock" in each.arguments and each.keyword == "RUN"]
    assert "--require-hashes" in install
    assert len({each.arguments.split()[0] for each in DOCKERFILE if each.keyword == "FROM"}) == 1
    assert not re.search(r"https?://|index-url|(?i:password|secret)=", (ROOT / "Dockerfile").read_text())


def test_only_what_is_copied_reaches_the_engine_and_nothing_secret() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == SOURCES
    assert "deployments/compose/secrets" in lines
    assert not [file for file in tracked() if file.startswith("deployments/compose/secrets/")]
    for source in SOURCES:
        assert (ROOT / source).exists(), source


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    root = tmp_path_factory.mktemp("image")
    context, image = root / "context", Image(root / "root", root / "context")
    for name in tracked():
        if name in SOURCES or name.partition("/")[0] in SOURCES:
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            (context / name).write_bytes((ROOT / name).read_bytes())
    image.build(DOCKERFILE)
    return image


@contextmanager
def container(image: Image, *command: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """A container that runs the command, until the end of the block."""
    words = [*last(DOCKERFILE, "ENTRYPOINT").words(), *(command or last(DOCKERFILE, "CMD").words())]
    log = image.root / f"{command[1] if command else 'worker'}.log"
    how = image.how(**settings)
    with log.open("w") as output, subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, **how) as process:
        try:
            yield process
        finally:
            children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            end_processes(children, lambda: 0.0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_everything_that_the_image_is_for_runs_in_it(
    image: Image, server_url: str, migrated_prefect: Path, tmp_path: Path
) -> None:
    """Server, migrations, deployments, worker, an import and doctor, with a password from a file."""
    port, auth = free_port(), tmp_path / "auth"
    auth.write_text("admin:a password\n")
    prefect = image.place("/data/prefect")
    prefect.mkdir()
    (prefect / "prefect.db").write_bytes(migrated_prefect.read_bytes())
    before = files(image)
    with clone(server_url, "template1") as database, ExitStack() as containers:
        server = {"PREFECT_SERVER_API_AUTH_STRING_FILE": str(auth)}
        client = {
            "DATABASE_URL": database.url,
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_API_AUTH_STRING_FILE": str(auth),
        }
        containers.enter_context(container(image, "prefect", "server", "start", "--port", str(port), **server))
        api = Api(client["PREFECT_API_URL"], "admin:a password")
        until(api.answers, "the server answers", 120)

        def run(*command: str) -> subprocess.CompletedProcess[str]:
            return image.run(*last(DOCKERFILE, "ENTRYPOINT").words(), *command, **client)

        def healthy() -> bool:
            check = health_check(DOCKERFILE)
            return image.run(*last(DOCKERFILE, "ENTRYPOINT").words(), *check, **client).returncode == 0

        assert not healthy(), "there are neither tables nor a worker"
        for module in ("deployments.migrate", "deployments.deploy"):
            done = run("python", "-m", module)
            assert done.returncode == 0, done.stdout + done.stderr
        containers.enter_context(container(image, **client))
        until(healthy, "a worker is online", 120)

        workbook = image.place("/app/deployments/sample/crm_sample.xlsx")
        state = api.ended(api.run("import_crm_data/import-crm-data", workbook=str(workbook)))
        assert state.type == "COMPLETED", state
        [count] = database.query("SELECT count(*) AS contacts FROM contacts")
        assert count["contacts"] > 0
    assert files(image) == before, "the root filesystem may be read-only"


@pytest.mark.slow
def test_the_job_templates_and_manifests_are_those_that_docker_and_kubernetes_take(image: Image) -> None:
    manifests = [path for path in (ROOT / "deployments" / "kubernetes").glob("*.yaml") if "values" not in path.name]
    done = image.run("python", "-c", TEMPLATES, *map(str, manifests), PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.returncode == 0, done.stderr
    jobs = json.loads(done.stdout)
    assert jobs["unknown"] == []
    tag = jobs["docker"]["image"]
    assert tag.startswith("embassy-jobs:")
    assert jobs["docker"]["command"] == "prefect flow-run execute"
    assert jobs["docker"]["env"]["DATABASE_URL_FILE"] == "/run/secrets/database_url"
    manifest = jobs["kubernetes"]["job_manifest"]
    [run] = manifest["spec"]["template"]["spec"]["containers"]
    assert run["image"] == tag
    assert run["args"] == ["prefect", "flow-run", "execute"]
    assert run["securityContext"]["readOnlyRootFilesystem"] is True
    assert manifest["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == 10001
    assert {"name": "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR", "value": "crash"} in run["env"]


def files(image: Image) -> set[str]:
    """What is in the image outside of the directories for data."""
    return {
        str(path)
        for place in ("/app", "/opt")
        for path in image.place(place).rglob("*")
        if "__pycache__" not in path.parts
    }
