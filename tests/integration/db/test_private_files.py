"""What belongs to one user of a machine is closed to the others, and what another user has prepared is not used."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.users import NOBODY, as_nobody, as_root_only

from db.private_files import (
    NotPrivateError,
    appended_private,
    lock_file,
    make_data_dir,
    make_private,
    read_private,
    write_private,
)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that all users can write to."""
    made = Path(tempfile.mkdtemp(prefix="shared-"))
    made.chmod(0o777)
    yield made
    shutil.rmtree(made)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def use(directory: Path) -> None:
    """Everything that is made in a DATA_DIR."""
    make_private(directory / "logs")
    write_private(directory / "up.json", "{}")
    with lock_file(directory, "up") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_whatever_the_umask_is_everything_is_closed_to_others(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        home = make_data_dir(tmp_path / "above" / "var")
        use(home)
    finally:
        os.umask(before)
    assert mode(home) == (0o711 if os.geteuid() == 0 and umask != 0o077 else 0o700)
    found = {str(each.relative_to(home)): mode(each) for each in home.rglob("*")}
    assert found == {"logs": 0o700, "locks": 0o700, "locks/up": 0o600, "up.json": 0o600}


def test_what_an_earlier_version_left_open_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "var"
    (home / "logs").mkdir(parents=True)
    (home / "prefect-password").write_text("ann:chosen")
    for each, permissions in ((home, 0o777), (home / "logs", 0o755), (home / "prefect-password", 0o644)):
        each.chmod(permissions)
    make_data_dir(home)
    use(home)
    assert read_private(home / "prefect-password") == "ann:chosen"
    assert (mode(home), mode(home / "logs"), mode(home / "prefect-password")) == (0o755, 0o700, 0o600)


@pytest.mark.parametrize("permissions", [0o1777, 0o1775, 0o1757])
def test_a_directory_that_is_shared_is_no_data_dir_and_stays_as_it_is(tmp_path: Path, permissions: int) -> None:
    tmp_path.chmod(permissions)
    with pytest.raises(NotPrivateError, match="other users can write"):
        make_data_dir(tmp_path)
    assert mode(tmp_path) == permissions


@as_root_only
def test_no_other_user_can_open_a_lock_or_read_a_file(shared: Path) -> None:
    home = make_data_dir(shared / "var")
    use(home)
    for file in ("locks/up", "up.json"):
        assert "Permission denied" in as_nobody(lambda file=file: (home / file).read_text())
    with lock_file(home, "up") as opened:
        assert "Permission denied" in as_nobody(lambda: lock_file(home, "up").__enter__())
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)


@as_root_only
def test_the_data_dir_of_another_user_is_refused(shared: Path) -> None:
    (shared / "theirs").mkdir()
    os.chown(shared / "theirs", 4711, 4711)
    (shared / "link").symlink_to(shared / "theirs")
    for name in ("theirs", "link"):
        assert "belongs to another user" in as_nobody(lambda name=name: make_data_dir(shared / name))
    as_nobody(lambda: (shared / "to-etc").symlink_to("/etc"))
    with pytest.raises(NotPrivateError, match="belongs to another user"):
        make_data_dir(shared / "to-etc")


PLANTED: dict[str, Callable[[Path, Path], None]] = {
    "symbolic link": lambda path, victim: path.symlink_to(victim),
    "file of another user": lambda path, _victim: path.write_text("user:known"),
    "directory of another user": lambda path, _victim: path.mkdir(mode=0o777),
}


@as_root_only
@pytest.mark.parametrize("planted", PLANTED)
def test_what_another_user_has_put_there_is_not_used(shared: Path, tmp_path: Path, planted: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    (victim / "kept").write_text("text")
    for name in ("logs", "locks", "up.json", "up.json.new", "up.log"):
        target = victim / "kept" if name.startswith("up") else victim
        as_nobody(lambda name=name, target=target: PLANTED[planted](shared / name, target))
    make_data_dir(shared)
    for name in ("logs", "locks"):
        with pytest.raises((NotPrivateError, NotADirectoryError)):
            make_private(shared / name)
    with pytest.raises((NotPrivateError, IsADirectoryError)):
        read_private(shared / "up.json")
    with pytest.raises((NotPrivateError, IsADirectoryError)), appended_private(shared / "up.log"):
        pass
    if "directory" not in planted:
        write_private(shared / "up.json", "ours")
        assert read_private(shared / "up.json") == "ours"
    assert (mode(victim), (victim / "kept").read_text()) == (0o755, "text")
    assert (victim.stat().st_uid, (victim / "kept").stat().st_uid) == (0, 0)


@as_root_only
def test_a_hard_link_to_a_file_of_root_is_neither_read_nor_given_away(shared: Path) -> None:
    secret = shared / "secret"
    secret.write_text("text")
    home = shared / "var"
    as_nobody(home.mkdir)
    (home / "prefect-password").hardlink_to(secret)  # where fs.protected_hardlinks is 0, any user can do this
    with pytest.raises(NotPrivateError):
        read_private(home / "prefect-password")
    write_private(home / "prefect-password", "other")
    assert (secret.read_text(), secret.stat().st_uid) == ("text", 0)


@as_root_only
def test_what_root_makes_in_the_data_dir_of_a_user_belongs_to_that_user(shared: Path) -> None:
    home = shared / "var"
    as_nobody(lambda: make_data_dir(home))
    use(make_data_dir(home))
    assert {each.lstat().st_uid for each in home.rglob("*")} == {NOBODY}
    assert as_nobody(lambda: use(make_data_dir(home))) == "None"
    assert mode(home) == 0o700
