"""A secret setting can be in a file, as Docker and Kubernetes give secrets, and is never shown."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr
from support.project import ROOT
from support.settings import forget_settings

from db.engine import database_url
from db.settings import LARGEST_SECRET, ProjectSettings, SettingsError, is_secret
from deployments import reference
from deployments.up.settings import UpSettings, environment_of_children
from tasks.crm.settings import ImportSettings
from tasks.notify.channels import NotifySettings, channels
from tasks.prefect_server import PrefectSecrets, known_auth_string

HIDDEN = "s3cr3t"


class Example(ProjectSettings):
    """One secret, and one setting that is none."""

    token: SecretStr | None = Field(None, description="a secret")
    size: int = Field(1, description="no secret")


@pytest.fixture(autouse=True)
def settings_of_this_test() -> Iterator[None]:
    forget_settings()
    yield
    forget_settings()


@pytest.fixture
def env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SETTINGS_FILE", str(tmp_path / "settings"))
    return tmp_path / "settings"


def token() -> str | None:
    found = Example.load().token
    return found.get_secret_value() if found else None


def wrong(read: Any = Example.load) -> str:
    with pytest.raises(SettingsError) as refused:
        read()
    sentence = str(refused.value)
    assert HIDDEN not in sentence
    assert "\n" not in sentence
    return sentence


# ---------------------------------------------------------------------- the content of the file


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"s3cr3t", "s3cr3t"),
        (b"s3cr3t\n", "s3cr3t"),
        (b"s3cr3t\r\n", "s3cr3t"),
        (b"s3cr3t\n\n", "s3cr3t\n"),
        (b"s3cr3t\r", "s3cr3t\r"),
        (b"\xef\xbb\xbfs3cr3t\n", "s3cr3t"),
        (b" s3cr3t ", " s3cr3t "),
        ("ключ\n".encode(), "ключ"),
        (b"$HOME ${HOME} # no comment", "$HOME ${HOME} # no comment"),
    ],
)
def test_the_value_is_the_content_without_the_newline_at_its_end(
    content: bytes, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_bytes(content)
    monkeypatch.setenv("TOKEN_FILE", str(tmp_path / "token"))
    assert token() == value
    assert HIDDEN not in repr(Example.load())


@pytest.mark.parametrize(
    "content", [b"", b"\n", b" \r\n", b"\xff\xfes\0", b"s3cr3t\0", b"s3cr3t" * LARGEST_SECRET, b"\xef\xbb\xbf"]
)
def test_a_file_without_a_usable_value_is_a_sentence(
    content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_bytes(content)
    monkeypatch.setenv("TOKEN_FILE", str(tmp_path / "token"))
    assert wrong().startswith("TOKEN_FILE names a file ")


def test_what_is_no_file_is_a_sentence_that_does_not_show_what_was_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("gone")
    for given in (
        HIDDEN,
        tmp_path / "gone",
        tmp_path,
        tmp_path / "pipe",
        tmp_path / "link",
        "/dev/zero",
        "~nobody-at-all",
    ):
        monkeypatch.setenv("TOKEN_FILE", str(given))
        assert wrong().startswith("TOKEN_FILE names a file that ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(HIDDEN)
    (tmp_path / "token").chmod(0)
    monkeypatch.setenv("TOKEN_FILE", str(tmp_path / "token"))
    assert "Permission denied" in wrong()


def test_a_secret_of_kubernetes_is_followed_and_read_anew_after_it_was_rotated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A volume has links into a directory with a date, and is changed by one rename of the link `..data`."""
    for version in ("first", "second"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "token").write_text(version)
    (tmp_path / "..data").symlink_to("..first")
    (tmp_path / "token").symlink_to("..data/token")
    monkeypatch.setenv("TOKEN_FILE", str(tmp_path / "token"))
    assert token() == "first"
    (tmp_path / "new").symlink_to("..second")
    (tmp_path / "new").rename(tmp_path / "..data")
    assert token() == "second"


# ---------------------------------------------------------------------- which one counts


def test_a_secret_and_its_file_are_not_both_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, env_file: Path
) -> None:
    (tmp_path / "token").write_text("of the file")
    monkeypatch.setenv("TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("TOKEN", HIDDEN)
    assert wrong().startswith("TOKEN and TOKEN_FILE are both set")
    monkeypatch.setenv("TOKEN", "")  # empty is not set
    assert token() == "of the file"
    monkeypatch.delenv("TOKEN_FILE")
    env_file.write_text(f"TOKEN={HIDDEN}\nTOKEN_FILE={tmp_path / 'token'}\n")
    assert wrong().startswith("TOKEN and TOKEN_FILE are both set")


def test_the_environment_takes_precedence_in_either_form(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, env_file: Path
) -> None:
    (tmp_path / "token").write_text("of the file")
    env_file.write_text(f"TOKEN_FILE={tmp_path / 'token'}\n")
    assert token() == "of the file"
    monkeypatch.setenv("TOKEN", "of the environment")
    assert token() == "of the environment"
    env_file.write_text("TOKEN=of .env\n")
    monkeypatch.delenv("TOKEN")
    assert token() == "of .env"
    monkeypatch.setenv("TOKEN_FILE", str(tmp_path / "token"))
    assert token() == "of the file"


def test_a_relative_path_starts_in_the_project_wherever_a_worker_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("of the file")
    monkeypatch.setenv("TOKEN_FILE", os.path.relpath(tmp_path / "token", ROOT))
    monkeypatch.chdir("/")
    assert token() == "of the file"


def test_a_file_for_what_is_no_secret_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "size").write_text("2")
    monkeypatch.setenv("SIZE_FILE", str(tmp_path / "size"))
    assert wrong().startswith("SIZE_FILE: SIZE is no secret")


def test_every_setting_that_may_hold_a_secret_says_so_on_the_page() -> None:
    secrets = {name for group in reference.settings().values() for name, field in group.items() if is_secret(field)}
    assert {
        *("DATABASE_URL", "POSTGRES_PASSWORD", "MIGRATION_DATABASE_URL", "DATABASE_READER_PASSWORD", "CRM_WORKBOOK"),
        *("NOTIFY_URLS", "PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_KEY"),
        *("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_SERVER_DATABASE_PASSWORD"),
        "PREFECT_REDIS_MESSAGING_PASSWORD",
    } == secrets
    page = (ROOT / "docs" / "settings.md").read_text()
    for name in secrets:
        [row] = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert f"`{name}_FILE`" in row


# ---------------------------------------------------------------------- the settings of this project


def test_the_database_is_found_by_a_file_with_its_address_or_its_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text("postgresql://ann:p%40ss@h/crm\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    url = database_url()
    assert url is not None
    assert (url.username, url.password, url.host, url.database) == ("ann", "p@ss", "h", "crm")
    forget_settings()
    monkeypatch.delenv("DATABASE_URL_FILE")
    (tmp_path / "password").write_text("p@ss:/word\n")
    for name, value in {"SERVER": "h", "USER": "ann", "PASSWORD_FILE": str(tmp_path / "password")}.items():
        monkeypatch.setenv(f"POSTGRES_{name}", value)
    url = database_url()
    assert url is not None
    assert (url.username, url.password, url.host) == ("ann", "p@ss:/word", "h")


@pytest.mark.parametrize("variable", ["NOTIFY_URLS_FILE", "NOTIFY_FILE"])
def test_the_addresses_of_notifications_are_lines_of_a_file(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "urls").write_bytes(b"json://a.example.org/x\r\n\r\njson://b.example.org/y,json://c.example.org\r\n")
    monkeypatch.setenv(variable, str(tmp_path / "urls"))
    found = channels(NotifySettings.load())
    assert ([channel.place for channel in found.usable], found.problems) == ([1, 2, 3], ())
    monkeypatch.setenv("NOTIFY_URLS", f"json://{HIDDEN}")
    assert wrong(NotifySettings.load).startswith(f"NOTIFY_URLS and {variable} are both set")


def test_the_address_of_the_workbook_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "workbook").write_text(f"https://ann:{HIDDEN}@files.example.org/x.xlsx\n")
    monkeypatch.setenv("CRM_WORKBOOK_FILE", str(tmp_path / "workbook"))
    for settings in (ImportSettings.load(), UpSettings.load()):
        assert settings.workbook == f"https://ann:{HIDDEN}@files.example.org/x.xlsx"
        assert HIDDEN not in repr(settings)


def test_the_children_of_make_up_read_files_themselves_and_get_nothing_of_the_owner(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "workbook").write_text("https://files.example.org/x.xlsx")
    monkeypatch.setenv("CRM_WORKBOOK_FILE", str(tmp_path / "workbook"))
    given = {
        "CRM_WORKBOOK_FILE": str(tmp_path / "workbook"),
        "DATABASE_URL_FILE": "secrets/url",
        "MIGRATION_DATABASE_URL": HIDDEN,
        "MIGRATION_DATABASE_URL_FILE": "secrets/owner",
        "DATABASE_READER_PASSWORD": HIDDEN,
        "SETTINGS_FILE": ".env.production",
    }
    env = environment_of_children(UpSettings.load(), tmp_path, "mark", None, given, embedded=False)
    assert env["DATABASE_URL_FILE"] == "secrets/url"
    assert env["CRM_WORKBOOK_FILE"] == str(tmp_path / "workbook")
    assert Path(env["SETTINGS_FILE"]).is_absolute()
    assert not {"DATABASE_URL", "CRM_WORKBOOK"} & env.keys()
    assert HIDDEN not in str(env)
    assert not any(name.startswith(("MIGRATION_", "DATABASE_READER")) for name in env)


# ---------------------------------------------------------------------- what Prefect reads itself


def test_the_password_of_the_prefect_server_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "auth").write_text("ann:p w\n")
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING_FILE", str(tmp_path / "auth"))
    assert (known_auth_string(), known_auth_string(ours=False)) == ("ann:p w", None)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "bob:x")
    assert known_auth_string() == "bob:x"
    assert PrefectSecrets.values() == {
        "PREFECT_API_AUTH_STRING": "bob:x",
        "PREFECT_SERVER_API_AUTH_STRING": "ann:p w",
    }
