"""The lock on DATA_DIR, and the directories that the children of make up get."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.up.settings import StartError, UpSettings, environment_of_children
from deployments.up.start import Up
from deployments.up.state import State, locked_data_dir
from deployments.up.stopping import Signals


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A DATA_DIR in which somebody holds the locks of earlier versions, which everybody could open."""
    files = [(tmp_path / name).open("w") for name in ("up.lock", "postgres.lock")]
    for file in files:
        fcntl.flock(file, fcntl.LOCK_EX)
    yield tmp_path
    for file in files:
        file.close()


def test_a_lock_that_everybody_could_open_stops_nobody(held: Path) -> None:
    with locked_data_dir(held), pytest.raises(StartError, match="already runs"), locked_data_dir(held):
        pass
    with locked_data_dir(held):
        pass


def test_a_living_make_up_of_an_earlier_version_is_left_alone(tmp_path: Path) -> None:
    State(tmp_path).save()  # of this process, which holds no lock
    with pytest.raises(StartError, match=f"pid {os.getpid()}"), locked_data_dir(tmp_path):
        pass
    State(tmp_path).remove()
    with locked_data_dir(tmp_path):
        pass


def temporary_directory(data_dir: Path, **given: str) -> str:
    return environment_of_children(UpSettings(), data_dir, "mark", "postgresql:///crm", given, embedded=True)["TMPDIR"]


def test_the_children_keep_temporary_files_where_no_other_user_can_write(tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", tmp_path / "own"
    for directory, mode in ((shared, 0o1777), (own, 0o755)):
        directory.mkdir()
        directory.chmod(mode)
    for given in ({}, {"TMPDIR": ""}, {"TMPDIR": str(shared)}, {"TMPDIR": str(tmp_path / "gone")}):
        assert temporary_directory(tmp_path, **given) == str(tmp_path / "tmp")
    assert temporary_directory(tmp_path, TMPDIR=str(own)) == str(own)


def test_temporary_files_that_a_killed_make_up_left_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "tmp" / "runner_storage" / "one"
    left.mkdir(parents=True)
    (tmp_path / "tmp" / "link").symlink_to(tempfile.gettempdir())
    Up(UpSettings(), tmp_path, Signals()).make_directories()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {"prefect": 0o700, "tmp": 0o700}
    assert Path(tempfile.gettempdir()).is_dir()
