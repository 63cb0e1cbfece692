"""The rules of the project: SQL, names, pins. test_docs.py checks that the docs say what is true."""

import ast
import os
import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from support.project import MODULES, ROOT, tracked


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [p for p in MODULES if not p.is_relative_to(ROOT / "db")], ids=name)
def test_only_db_contains_sql(path: Path) -> None:
    assert not {module for module in imports(path) if module in ("sqlalchemy.text", "psycopg", "sqlalchemy.select")}
    strings = [n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)]
    sql = re.compile(r"\b(SELECT .* FROM|INSERT INTO|DELETE FROM|UPDATE \w+ SET|CREATE TABLE)\b")
    assert not [text for text in strings if isinstance(text, str) and sql.search(text)]


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not [path for path in MODULES if path.stem in ("utils", "helpers", "common", "base", "misc")]


def test_every_dependency_has_its_reason_beside_it() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    listed = tomllib.loads(text)["project"]
    groups = tomllib.loads(text)["dependency-groups"]
    assert all("==" in peer for peer in groups["bench"]), "a figure of a peer is a figure of one version"
    for requirement in [
        *listed["dependencies"],
        *chain.from_iterable(listed["optional-dependencies"].values()),
        *chain.from_iterable(groups.values()),
    ]:
        line = next(line for line in text.splitlines() if line.startswith(f'    "{requirement}"'))
        assert "#" in line or requirement.startswith(("embassy-jobs", "ruff", "mypy", "pandas-stubs", "types-")), line
        assert re.search(r"[=<>]", requirement) or requirement.startswith("embassy-jobs"), (
            f"{requirement} is not pinned"
        )


def locked(file: str) -> dict[str, set[str]]:
    """The packages of a lock, each with its versions: of some there is one for each Python."""
    lock = (ROOT / file).read_text()
    assert "--hash=sha256:" in lock
    assert not re.search(r"https?://|index-url|find-links", lock)
    versions: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)\S*==([^\s;]+)", lock, re.MULTILINE):
        versions.setdefault(package.lower(), set()).add(version)
    return versions


def package_of(requirement: str) -> str:
    return re.split(r"[\[=<>~ ]", requirement)[0].lower()


def test_the_lock_holds_hashes_and_no_addresses() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*listed["dependencies"], *chain.from_iterable(listed["optional-dependencies"].values())]
    missing = {package_of(one) for one in needed} - locked("requirements.lock").keys() - {"embassy-jobs"}
    assert not missing, f"make lock: {missing} are not in requirements.lock"


def test_the_peers_of_the_bench_stay_out_of_the_product_and_run_on_its_versions() -> None:
    peers = {
        package_of(one): {one.partition("==")[2]}
        for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["bench"]
    }
    ours, theirs = locked("requirements.lock"), locked("requirements-bench.lock")
    assert not peers.keys() & ours.keys()
    assert peers.items() <= theirs.items(), "make lock"
    apart = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    assert not apart, f"make lock: of {apart} the bench has another version"


def test_what_builds_the_docs_stays_out_of_the_product_and_is_locked() -> None:
    needed = {
        package_of(one) for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["docs"]
    }
    ours, theirs = locked("requirements.lock"), locked("requirements-docs.lock")
    assert not needed & ours.keys()
    assert needed <= theirs.keys(), "make lock"
    apart = {name for name in ours.keys() & theirs.keys() if not ours[name] & theirs[name]}
    assert not apart, f"make lock: of {apart} the docs have another version"


def test_the_image_has_the_versions_of_the_product_and_no_tools_of_developers() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {package_of(one) for one in [*listed["project"]["dependencies"], *listed["dependency-groups"]["image"]]}
    ours, theirs = locked("requirements.lock"), locked("requirements-image.lock")
    assert needed <= theirs.keys(), "make lock"
    apart = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    assert not apart, f"make lock: of {apart} the image has another version"
    tools = {package_of(one) for one in listed["project"]["optional-dependencies"]["dev"]} - needed - {"pyyaml"}
    assert not tools & theirs.keys()


def test_no_absolute_path_of_a_machine_and_no_lock_of_another_tool_is_committed() -> None:
    for file in tracked():
        assert Path(file).name not in ("uv.lock", "pylock.toml", "poetry.lock")
        path = ROOT / file
        if path.suffix in (".py", ".md", ".toml", ".yaml", ".yml", "") and path.stat().st_size < 1_000_000:
            found = re.findall(r"(?<![\w.])/(?:home|root|work|Users)/[\w.-]+/\S*", path.read_text(errors="replace"))
            assert not found, f"{file}: {found}"
        assert path.stat().st_size < 1_500_000, file


@pytest.mark.parametrize(("doctor", "fails"), [(0, False), (1, False), (2, True)])
def test_make_doctor_fails_only_if_a_check_fails(doctor: int, fails: bool, tmp_path: Path) -> None:
    """A new user without NOTIFY_URLS has a warning, not an error of make."""
    (tmp_path / "python").write_text(f"#!/bin/sh\nexit {doctor}\n")
    (tmp_path / "python").chmod(0o755)
    command = ["make", "doctor", "STAMP=", f"PY={tmp_path / 'python'}"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of the make around it
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30)
    assert bool(done.returncode) == fails
    assert bool(done.stderr) == fails
