"""The password of the Prefect server of make up, and the origins that may use its API."""

from pathlib import Path

import pytest

from deployments.up.access import access, has_own_password
from deployments.up.settings import StartError

AUTH, CLIENT_AUTH = "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"
ORIGINS = "PREFECT_SERVER_CORS_ALLOWED_ORIGINS"


def test_the_password_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    first, second = access(tmp_path, {}, 4200), access(tmp_path, {}, 4200)
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert first[AUTH] == first[CLIENT_AUTH] == second[AUTH] == file.read_text().strip()
    assert first[AUTH].startswith("admin:")
    assert len(first[AUTH]) > 30
    file.unlink()
    assert access(tmp_path, {}, 4200)[AUTH] != first[AUTH]


def test_a_file_that_others_can_read_is_closed_and_an_empty_one_is_filled(tmp_path: Path) -> None:
    file = tmp_path / "prefect-password"
    file.write_text("ann:chosen\n")
    file.chmod(0o644)
    assert access(tmp_path, {}, 4200)[AUTH] == "ann:chosen"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("")
    assert access(tmp_path, {}, 4200)[AUTH] == file.read_text().strip() != ""


def test_a_password_of_the_operator_is_used_and_not_stored(tmp_path: Path) -> None:
    given = {AUTH: "ann:a-secret", CLIENT_AUTH: "of:another-server"}
    settings = access(tmp_path, given, 4200)
    assert (settings[AUTH], settings[CLIENT_AUTH]) == ("ann:a-secret", "ann:a-secret")
    assert list(tmp_path.iterdir()) == []
    assert (has_own_password(given), has_own_password({})) == (False, True)


def test_only_the_pages_of_the_ui_may_use_the_api_unless_the_operator_says_otherwise(tmp_path: Path) -> None:
    assert access(tmp_path, {}, 4300)[ORIGINS] == "http://127.0.0.1:4300,http://localhost:4300"
    for name in (ORIGINS, "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"):
        assert ORIGINS not in access(tmp_path, {name: "https://prefect.example.org"}, 4300)


def test_a_password_that_cannot_be_kept_is_a_sentence_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "prefect-password").mkdir()
    with pytest.raises(StartError, match="prefect-password"):
        access(tmp_path, {}, 4200)
