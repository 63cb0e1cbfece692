"""`make up` of two ordinary users on one machine: neither is in the way of the other, nor sees what the other has."""

import json
import os
import shutil
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from support.make_up import Started, where_it_is_noon
from support.project import ROOT
from support.users import TEMPORARY, User, as_root_only, new_user, python_of_all

from db.embedded_location import open_to_others

pytestmark = [pytest.mark.slow, as_root_only]
PACKAGES = Path(sysconfig.get_path("purelib"))
NOT_COPIED = shutil.ignore_patterns(".*", "var", "site", "build", "__pycache__", "tests", "docs")
NAMES = ("jobs", "Aufträge der Botschaft")


@dataclass
class Colleague:
    """A user with a clone of the project and a running `make up`."""

    user: User
    up: Started

    def readable(self, paths: list[Path]) -> list[str]:
        """Those of the paths that this user can read."""
        script = 'for path do test -r "$path" && echo "$path"; done; true'
        return self.user.run("sh", "-c", script, "sh", *map(str, paths)).stdout.splitlines()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def start_as(user: User, clone: Path, python: tuple[str, dict[str, str]], output: Path) -> Started:
    """`make up` as a person types it, with the default DATA_DIR and an open umask."""
    shutil.copytree(ROOT, clone, ignore=NOT_COPIED)
    for path in (clone, *clone.rglob("*")):
        os.chown(path, user.uid, user.gid)
    program, variables = python
    environment = variables | {
        "PATH": os.environ["PATH"],
        "HOME": str(user.home),
        "PYTHONPATH": f"{clone}:{PACKAGES}",
        "UI_PORT": free_port(),
        "TASK_TIMEZONE": where_it_is_noon(),
    }
    with output.open("wb") as file:
        process = subprocess.Popen(
            [program, "-m", "deployments.up"],
            cwd=clone,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            umask=0o022,
            **user.as_user,
        )
    return Started(process, clone / "var", output)


@pytest.fixture(scope="module")
def colleagues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Colleague]]:
    if not open_to_others(PACKAGES):
        pytest.skip("other users may not enter the environment of this checkout")
    found = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        directory.chmod(0o755)
        python = python_of_all(directory)
        for number, name in enumerate(NAMES):
            user = stack.enter_context(new_user(f"jobs-test-{os.getpid()}-{number}"))
            user.home.chmod(0o755)
            output = tmp_path_factory.mktemp("output") / "up.txt"
            found.append(Colleague(user, start_as(user, user.home / name, python, output)))
            stack.callback(found[-1].up.process.kill)
        for each in found:
            each.up.expect("import      Completed after", 240)
        yield found
        for each in found:
            assert each.up.stop() == 0, each.up.text()


def test_neither_can_read_what_the_other_has(colleagues: list[Colleague]) -> None:
    for one, other in (colleagues, reversed(colleagues)):
        theirs = [other.up.data_dir, *other.up.data_dir.rglob("*")]
        assert other.readable(theirs[:1]) == [str(other.up.data_dir)]
        assert one.readable(theirs) == []


def test_neither_can_use_the_prefect_server_of_the_other(colleagues: list[Colleague]) -> None:
    for one, other in (colleagues, reversed(colleagues)):
        url = other.up.state()["api_url"]
        for auth, status in ((None, 401), (one.up.auth_string(), 401), (other.up.auth_string(), 200)):
            basic = httpx.BasicAuth(*auth.split(":", 1)) if auth else None
            with httpx.Client(base_url=url, auth=basic, trust_env=False, timeout=30) as client:
                assert client.post("/flows/filter", json={}).status_code == status


def test_temporary_files_are_below_data_dir(colleagues: list[Colleague]) -> None:
    for each in colleagues:
        up = json.loads((each.up.data_dir / "up.json").read_text())
        for child in up["children"].values():
            environment = Path(f"/proc/{child['pid']}/environ").read_bytes().split(b"\0")
            assert b"TMPDIR=" + os.fsencode(each.up.data_dir / "tmp") in environment
        ours = [path for path in TEMPORARY.iterdir() if path.lstat().st_uid == each.user.uid]
        assert [path.name for path in ours if not path.name.startswith("embassy-jobs-")] == []
