"""The directory of an import's private copy, which holds personal data, outlives nobody who uses it."""

import os
from pathlib import Path

import pytest
from support.users import as_root_only

from db.errors import UserError
from tasks.crm.private_directory import PREFIX, private_directory


def test_what_a_killed_import_left_is_removed_by_the_next_and_what_is_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / f"{PREFIX}left"
    left.mkdir()
    (left / "rows-1-2.copy").write_text("personal data")
    os.utime(left, (0, 0))
    made = tmp_path / f"{PREFIX}made-a-moment-ago"  # and not locked yet
    made.mkdir()
    with private_directory() as one, private_directory() as other:
        assert not left.exists()
        assert Path(one).is_dir()
        assert Path(other).is_dir()
    assert list(tmp_path.iterdir()) == [made]


@as_root_only
def test_what_belongs_to_another_user_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    theirs, victim = tmp_path / f"{PREFIX}theirs", tmp_path / "victim"
    for directory in (theirs, victim):
        directory.mkdir()
        (directory / "kept").write_text("text")
        os.utime(directory, (0, 0))
    os.chown(theirs, 4711, 4711)
    (tmp_path / f"{PREFIX}link").symlink_to(victim)
    with private_directory():
        pass
    assert [(each / "kept").exists() for each in (theirs, victim)] == [True, True]


def test_a_directory_that_cannot_be_made_is_an_error_that_names_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"\(No such file or directory\): set TMPDIR"), private_directory():
        pass
