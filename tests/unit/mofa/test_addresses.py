"""Where requests of the monitor may go, and what is said about where they may not."""

import httpx
import pytest

from tasks.mofa.addresses import Addresses
from tasks.mofa.fetch_errors import FetchFailedError, FetchRefusedError
from tasks.private_network import is_private_literal, is_valid, proxy_for

OWN = "www.mofa.example"
HERE = f"https://{OWN}/list"
NO_ADDRESSES = (
    *("http://[", "http://[::1", "http://", "http:///x", "http:/ada:s3cret@h", "https//ada:s3cret@h", "ftp://h"),
    *("http://h:99999", "http://h:0", "http://h:-1", "http://a b", "http://%00", "http://\0", "http://\ud800", "h:80"),
    *("http://ada:s3cret@h/mirror", "http://ada:s3cret@h?t=s3cret", "http://.", "http://" + "a" * 70_000, "\0", " "),
)


@pytest.mark.parametrize("base_url", NO_ADDRESSES, ids=lambda each: ascii(each)[:30])
def test_a_base_url_that_cannot_be_used_is_refused_without_its_password(base_url: str) -> None:
    with pytest.raises(FetchRefusedError) as refused:
        Addresses({OWN}, base_url)
    assert "s3cret" not in str(refused.value)
    assert str(refused.value).isprintable()


def test_the_password_of_a_mirror_is_not_shown() -> None:
    assert (
        Addresses({OWN}, "http://u;id:s3cret@127.0.0.1:80").shown(HERE) == f"{HERE} (from the mirror http://127.0.0.1)"
    )


@pytest.mark.parametrize("host", ["h:99999", "a b", "[", "\0", "\ud800", "a" * 300])
def test_an_address_that_cannot_exist_is_refused_even_if_its_host_is_named(host: str) -> None:
    with pytest.raises(FetchRefusedError):
        Addresses({host}, None).resolve(f"http://{host}/x")


@pytest.mark.parametrize(
    "location",
    ["http://[", "http://[::1", "http://h:99999/", "file:///etc/passwd", "//10.0.0.1/", "http://\0/", "\ud800", ""],
)
def test_a_redirect_that_leads_nowhere_is_a_sentence(location: str) -> None:
    addresses = Addresses({OWN}, None)
    with pytest.raises((FetchRefusedError, FetchFailedError)) as refused:
        addresses.resolve(addresses.redirected(HERE, 302, location))
    assert str(refused.value).isprintable()


def test_user_and_password_in_a_redirect_are_neither_sent_nor_shown() -> None:
    addresses = Addresses({OWN}, None)
    assert addresses.redirected(HERE, 302, f"http://ada:s3cret@{OWN}/new") == f"https://{OWN}/new"


@pytest.mark.parametrize(
    "address",
    ["http://h", "https://www.mofa.go.jp:8443/x", "http://127.0.0.1:80", "http://[::1]:80/", "http://bücher.example/",
     "http://a_b.example./", "http://127.1/"],
)  # fmt: skip
def test_ordinary_addresses_are_valid(address: str) -> None:
    assert is_valid(httpx.URL(address))


@pytest.mark.parametrize(
    ("host", "inside"),
    [("10.1.2.3", True), ("127.1", True), ("2130706433", True), ("0x7f.1", True), ("[::1]", True), ("::1", True),
     ("localhost", True), ("LOCALHOST.", True), ("::ffff:10.0.0.1", True), ("fe80::1%eth0", True),
     ("169.254.169.254", True), ("8.8.8.8", False), ("www.mofa.example", False), ("", False)],
)  # fmt: skip
def test_an_address_inside_is_recognised_without_a_name_server(host: str, inside: bool) -> None:
    assert is_private_literal(host) is inside


@pytest.mark.parametrize(
    "proxy", ["http://ada:s3cret@h:3128", "http:/ada:s3cret@h", "http://[::1", "ada:s3cret@h:3128"]
)
def test_a_proxy_is_named_without_its_password(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    assert "s3cret" not in str(proxy_for("https", OWN))
