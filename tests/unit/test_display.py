"""What people are shown: no secret of an address, and no character that commands a terminal or cannot be seen."""

import time
import unicodedata

import pytest

from db.display import is_address, printable, redacted, redacted_in
from db.errors import UserError
from tasks.commands import accept_command
from tasks.mofa.fetch_errors import FetchFailedError
from tasks.prefect_server import without_user

PATHS = (
    "/home/a@b/x?y=1.csv",
    "/srv/http/list;b=1.csv",
    "C:\\Users\\a@b\\x;y=1.csv",
    "/exports/2024-05-01T10:00:00/crm@work.xlsx",
    "partners [2024].csv",
    "/data/#1 100%25.csv",
)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        *((path, path) for path in PATHS),
        ("https://ada:s3cret@example.org:8443/a/b.xlsx", "https://example.org:8443/a/b.xlsx"),
        ("https://ada:s3@cret@example.org/b.xlsx#s3cret", "https://example.org/b.xlsx"),
        ("https://e.org/b.xlsx?id=7&X-Amz-Signature=s3cret&x", "https://e.org/b.xlsx?id=***&X-Amz-Signature=***&***"),
        ("https://e.org/b.xlsx?s3cret", "https://e.org/b.xlsx?***"),
        ("s3://key:s3cret@bucket/b.xlsx", "s3://bucket/b.xlsx"),
        ("http://[s3cret", "http://..."),
        ("https://ada:s3c/ret@e.org/b.xlsx", "https://e.org/b.xlsx"),
        ("https://ada:s3c#ret@e.org/b.xlsx", "https://e.org/b.xlsx"),
        ("https://ada:s3c?ret@e.org:80/b.xlsx", "https://e.org:80/b.xlsx"),
        ("https://e.org:8443/people/@ada/b.xlsx", "https://e.org:8443/people/@ada/b.xlsx"),
        ("http://[::1]:80/@ada.xlsx", "http://[::1]:80/@ada.xlsx"),
        ("webdav+https://ada:s3cret@e.org/b.xlsx", "webdav+https://e.org/b.xlsx"),
        ("simplecache::https://ada:s3cret@e.org/b.xlsx", "simplecache::https://e.org/b.xlsx"),
        ("zip://a.csv::http://ada:s3cret@e.org/b.zip", "zip://a.csv::http://e.org/b.zip"),
        ("https://e.org/b.xlsx;token=s3cret", "https://e.org/b.xlsx;token=***"),
        ("https://e.org/b.xlsx?a=1;token=s3cret", "https://e.org/b.xlsx?a=***;token=***"),
        ("https://e.org/b.xlsx%3Ftoken=s3cret", "https://e.org/b.xlsx%3Ftoken=***"),
        ("https://e.org/b?u=https://ada:s3cret@e.org", "https://e.org/b?u=***"),
        ("https://e.org/https://ada:s3cret@e.org", "https://e.org/..."),
        ("https://e.org/list/https://f.org/b.csv", "https://e.org/list/https://f.org/b.csv"),
        ("data:text/csv;base64,s3cret", "data:..."),
        ("postgresql://ada:s3cret@h/d?sslpassword=s3cret", "postgresql://h/d?sslpassword=***"),
        ("/data/ada/b\udcfc.csv", "/data/ada/b?.csv"),
        ("http://e.org/b\udcfc.csv", "http://e.org/b?.csv"),
    ],
)
def test_secrets_in_addresses_are_never_shown(address: str, shown: str) -> None:
    assert redacted(address) == shown


@pytest.mark.parametrize(
    "typed",
    [
        "http:/ada:s3cret@e.org/b",
        "/in/http:/ada:s3cret@e.org/b?sig=s3cret",
        "http:ada:s3cret@e.org/b",
        "https//ada:s3cret@e.org/b",
        "/in/https/ada:s3cret@e.org/b",
        "https:\\\\ada:s3cret@e.org\\b",
        "https ://ada:s3cret@e.org/b",
        "https: //ada:s3cret@e.org/b",
        "ht tp://ada:s3cret@e.org/b",
        "htps:/ada:s3cret@e.org/b",
        " https://ada:s3cret@e.org/b",
        "\u200bhttps://ada:s3cret@e.org/b",
        "\ufeffhttps://ada:s3cret@e.org/b",
        "HTTPS://ada:s3cret@e.org/b",
        "https:///ada:s3cret@e.org/b",
        "https%3A%2F%2Fada%3As3cret%40e.org%2Fb",
        "https://ada%3As3cret@e.org/b",
        "https://ada:s3cret",
        "https://ada@e.org:s3cret/b",
        "https://ada:p@ss/s3cret@e.org/b",
        "https://ada:1/s3cret@e.org/b",
        "https://ada:a b\ns3cret@e.org/b",
        "ada:s3cret@e.org/b",
        "//ada:s3cret@e.org/b",
        "ada:s3cret@https://e.org/b",
        '"https://ada:s3cret@e.org/b?t=s3cret"',
        "postgres:ada:s3cret@e.org/d",
    ],
)
def test_no_secret_is_shown_of_an_address_that_is_typed_wrong(typed: str) -> None:
    assert "s3cret" not in redacted(typed)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_no_address(path: str) -> None:
    assert not is_address(path)


def test_addresses_in_the_sentence_of_a_library_are_redacted() -> None:
    said = "Failed to reach 'http://ada:s3cret@e.org/api/' (twice), http://e.org/?t=s3cret"
    assert redacted_in(ValueError(said)) == "Failed to reach 'http://e.org/api/' (twice), http://e.org/?t=***"
    assert (
        redacted_in("Deployment 'import-crm-data: x' of data:text/csv,ann")
        == "Deployment 'import-crm-data: x' of data:..."
    )


@pytest.mark.parametrize("unit", ["a", ":", "http:", "http//", "u:p@", "::ab:/", ";a=", "%3b", "://", "@", "\u200c"])
@pytest.mark.parametrize("shorten", [redacted, redacted_in, printable])
def test_a_long_address_takes_linear_time(unit: str, shorten) -> None:
    began = time.process_time()
    shorten(unit * 100_000)  # in quadratic time a minute
    assert time.process_time() - began < 5


def test_nothing_that_is_shown_commands_a_terminal_or_is_invisible() -> None:
    hostile = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2060, 0x2070)]))
    shown = printable(f"a{hostile}\u200b\u200e\u200f\u061c\ufeff\u00ad\u3164\ue000\ud800\U000e0041b")
    assert shown.replace(" ", "") == "a?b"
    assert printable("li\r\nne\x1b]0;OWNED\x07") == "li  ne]0;OWNED"
    assert not [
        each for each in map(chr, range(0x3000)) if unicodedata.category(each) == "Cc" and printable(each) > " "
    ]


@pytest.mark.parametrize("text", ["می‌خواهم", "क्‍ष", "👩‍💻", "Zoë & Søn <x> [/b]", "100%(done)s {0}"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert printable(text) == text


def test_joiners_that_join_nothing_are_removed() -> None:
    assert printable("\u200da\u200cb\u200d") == "ab"


def test_the_sentence_of_every_error_is_one_harmless_line() -> None:
    assert str(UserError("a\x1b[2J\nb\u202e")) == "a[2J b"
    assert str(FetchFailedError("x\0y", 503)) == "xy"


def test_a_command_that_is_shown_is_quoted_and_has_no_password() -> None:
    shown = accept_command("a b", 1, "http://u;id:s3cret@127.0.0.1:80")
    assert shown == "python -m flows.mofa_monitoring 'a b' --base-url http://127.0.0.1:80 --accept 1"


def test_user_and_password_of_the_prefect_server_leave_its_address() -> None:
    assert without_user("http://ada:s3%40cret@h:42/api") == ("http://h:42/api", "ada:s3@cret")
    assert without_user("http://h:42/a@b") == ("http://h:42/a@b", None)
