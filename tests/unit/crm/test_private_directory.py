"""The directory of an import's private copy, which holds personal data, outlives nobody who uses it."""

import os
from pathlib import Path

import pytest

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


def test_a_directory_that_cannot_be_made_is_an_error_that_names_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"\(No such file or directory\): set TMPDIR"), private_directory():
        pass
