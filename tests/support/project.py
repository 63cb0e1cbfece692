"""The checkout under test, and the files beside it."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Files of others that are not part of the repository: beside the checkout, or beside a directory above it. Tests that
# need them are skipped where they are missing.
_BESIDE = [parent / "shared" / "data" for parent in ROOT.parents]
SHARED = next((path for path in _BESIDE if path.is_dir()), _BESIDE[0])
PACKAGES = ("deployments", "flows", "tasks", "db")
MODULES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "versions" not in path.parts
)


def tracked() -> list[str]:
    """The files of the repository: those that git tracks, and new ones that it does not ignore."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
