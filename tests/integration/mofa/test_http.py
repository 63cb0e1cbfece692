"""A ministry on loopback that answers badly, and what the fetcher makes of it."""

import gzip
import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from support.loopback import Quiet, listening

from tasks.mofa.fetch_errors import FetchFailedError, FetchRefusedError
from tasks.mofa.http import Fetcher, NotModified, Validators, user_agent
from tasks.mofa.page import Page
from tasks.mofa.settings import FetchingSettings

OWN = "www.mofa.example"  # the source's host; the tests' server stands in for it
START = f"https://{OWN}/list"
MISSIONS = "".join(f"<tr><td>Embassy {n}</td><td>{n} Rue de la Paix</td></tr>" for n in range(40))
PAGE = f"<!doctype html><html><head><title>Embassies</title></head><body><table>{MISSIONS}</table></body></html>"
Answer = Callable[["Handler"], None]


class Handler(Quiet, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.server.ministry.asked.append((self.path, dict(self.headers), time.monotonic()))
        answer = self.server.ministry.routes.get(self.path, status(404))
        try:
            answer(self)
        except OSError:  # the client had enough
            self.close_connection = True


class Server(ThreadingHTTPServer):
    ministry: "Ministry"


@dataclass
class Ministry:
    url: str
    routes: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], float]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked if path != "/robots.txt"]

    def headers(self, path: str) -> list[dict[str, str]]:
        return [headers for asked, headers, _ in self.asked if asked == path]


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(to: Handler) -> None:
        to.send_response(code)
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        if code >= 200 and code not in {204, 304} and "Content_Length" not in headers:
            to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)

    return answer


def page(body: str | bytes = PAGE, **headers: str) -> Answer:
    body = body.encode() if isinstance(body, str) else body
    return status(200, body, **{"Content_Type": "text/html; charset=utf-8"} | headers)


def in_turn(*answers: Answer) -> Answer:
    left = list(answers)

    def answer(to: Handler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(to)

    return answer


def raw(*pieces: bytes, pause: float = 0) -> Answer:
    """Exactly these bytes, then the connection is closed."""

    def answer(to: Handler) -> None:
        to.close_connection = True
        for piece in pieces:
            to.wfile.write(piece)
            if pause and to.server.ministry.closing.wait(pause):
                return

    return answer


@pytest.fixture
def ministry() -> Iterator[Ministry]:
    server = Server(("127.0.0.1", 0), Handler)
    with listening(server) as host:
        server.ministry = Ministry(f"http://{host}")
        yield server.ministry
        server.ministry.closing.set()


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time, self.slept = 1000.0, list[float]()

    def __call__(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.time += seconds


def short(value: object) -> str:
    return str(value)[:30]


def settings(**given: object) -> FetchingSettings:
    return FetchingSettings(_env_file=None, **({"read_timeout": 2, "total_timeout": 5} | given))


def fetcher(ministry: Ministry, clock: Clock | None = None, **given: object) -> Fetcher:
    clock = clock or Clock()
    return Fetcher(settings(**given), {OWN}, ministry.url, clock=clock, sleep=clock.sleep)


def fetch(ministry: Ministry, answer: Answer | None = None, earlier: Validators | None = None, **given: object):
    if answer:
        ministry.routes["/list"] = answer
    with fetcher(ministry, **given) as client:
        return client.fetch(START, earlier)


# --- the page, and that it has not changed


def test_a_page_comes_with_its_text_digest_and_validators(ministry):
    got = fetch(ministry, page(ETag='"v1"', Last_Modified="Mon, 23 Nov 2026 03:00:00 GMT"))
    assert isinstance(got, Page)
    assert (got.url, got.final_url, got.status, got.text) == (START, START, 200, PAGE)
    assert got.sha256 == hashlib.sha256(PAGE.encode()).hexdigest()
    assert (got.etag, got.last_modified) == ('"v1"', "Mon, 23 Nov 2026 03:00:00 GMT")
    assert got.content_type == "text/html; charset=utf-8"
    assert abs((datetime.now(UTC) - got.fetched_at).total_seconds()) < 60


def test_an_unchanged_page_costs_one_conditional_request(ministry):
    earlier = Validators('"v1"', "Mon, 23 Nov 2026 03:00:00 GMT")
    got = fetch(ministry, status(304), earlier)
    assert isinstance(got, NotModified)
    assert (got.url, got.etag, got.last_modified) == (START, earlier.etag, earlier.last_modified)
    (headers,) = ministry.headers("/list")
    assert headers["If-None-Match"] == '"v1"'
    assert headers["If-Modified-Since"] == "Mon, 23 Nov 2026 03:00:00 GMT"


def test_nothing_changed_is_not_accepted_when_it_was_not_asked(ministry):
    with pytest.raises(FetchFailedError, match="304"):
        fetch(ministry, status(304))


def test_the_validators_of_a_page_are_not_asked_of_the_page_it_leads_to(ministry):
    ministry.routes["/new"] = lambda to: (status(304) if "If-None-Match" in to.headers else page())(to)
    got = fetch(ministry, status(301, Location="/new"), Validators('"v1"', None))
    assert isinstance(got, Page)
    assert got.final_url == f"https://{OWN}/new"


def test_a_page_that_changes_between_two_requests_is_seen_as_it_was_each_time(ministry):
    ministry.routes["/list"] = in_turn(page(), page(PAGE.replace("Embassy 7", "Consulate 7")))
    with fetcher(ministry) as client:
        first, second = client.fetch(START), client.fetch(START)
    assert isinstance(first, Page)
    assert isinstance(second, Page)
    assert "Embassy 7<" in first.text
    assert "Consulate 7<" in second.text
    assert first.sha256 != second.sha256


def test_the_user_agent_names_the_product_and_a_contact(ministry):
    fetch(ministry, page(), contact="ops@example.org")
    assert {headers["User-Agent"] for _, headers, _ in ministry.asked} == {user_agent("ops@example.org")}
    assert user_agent("ops@example.org").startswith("embassy-jobs/")
    assert user_agent("ops@example.org").endswith(" (+ops@example.org)")


def test_a_contact_that_could_forge_a_header_is_refused():
    with pytest.raises(ValueError, match="MOFA_CONTACT must be"):
        settings(contact="ops@example.org\r\nX-Evil: 1")


# --- status codes


@pytest.mark.parametrize("code", [408, 425, 429, 500, 501, 502, 503, 504, 520, 599])
def test_a_server_in_trouble_is_retried(ministry, code):
    with pytest.raises(FetchFailedError, match=f"{START} .*: the server answers {code}") as caught:
        fetch(ministry, status(code))
    assert caught.value.status == code


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 405, 406, 409, 410, 418, 421, 451, 499])
def test_a_page_that_is_forbidden_or_gone_is_final(ministry, code):
    with pytest.raises(FetchRefusedError, match=f"{START} .*: the server answers {code}") as caught:
        fetch(ministry, status(code))
    assert caught.value.status == code
    assert ministry.paths() == ["/list"]


@pytest.mark.parametrize("code", [201, 202, 203, 204, 205, 206, 207, 226, 300, 305, 306, 399])
def test_an_answer_that_is_not_simply_the_page_is_not_the_page(ministry, code):
    with pytest.raises(FetchFailedError, match=rf"answers {code}.*not the page"):
        fetch(ministry, status(code, PAGE.encode() if code not in {204, 205} else b"", Content_Type="text/html"))


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_that_does_not_say_where_failed(ministry, code):
    with pytest.raises(FetchFailedError, match="without saying where"):
        fetch(ministry, status(code))


# --- Retry-After


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_in_seconds_is_reported_and_kept(ministry, code):
    clock = Clock()
    ministry.routes["/list"] = in_turn(status(code, Retry_After="40"), page())
    with fetcher(ministry, clock) as client:
        with pytest.raises(FetchFailedError, match="try again in 40 seconds, as it asks") as caught:
            client.fetch(START)
        assert caught.value.retry_after == 40
        client.fetch(START)
    assert sum(clock.slept) == pytest.approx(40)


def test_retry_after_as_a_date_is_measured_on_the_servers_own_clock(ministry):
    late = datetime(2031, 5, 1, 12, 0, 0, tzinfo=UTC)  # the server's clock is wrong by years

    def answer(to: Handler) -> None:
        to.send_response_only(503)
        to.send_header("Date", format_datetime(late, usegmt=True))
        to.send_header("Retry-After", format_datetime(late.replace(minute=2), usegmt=True))
        to.send_header("Content-Length", "0")
        to.end_headers()

    with pytest.raises(FetchFailedError) as caught:
        fetch(ministry, answer)
    assert caught.value.retry_after == 120


@pytest.mark.parametrize("value", ["soon", "-5", "1e400", "99999999999999999999", "Foo, 99 Bar 2026", ""])
def test_a_retry_after_without_sense_is_as_none(ministry, value):
    with pytest.raises(FetchFailedError) as caught:
        fetch(ministry, status(503, Retry_After=value))
    assert caught.value.retry_after is None


def test_a_date_that_has_passed_means_now(ministry):
    with pytest.raises(FetchFailedError) as caught:
        fetch(ministry, status(503, Retry_After="Mon, 01 Jan 2001 00:00:00 GMT"))
    assert caught.value.retry_after == 0


def test_a_server_that_wants_a_day_is_not_asked_again_meanwhile(ministry):
    ministry.routes["/list"] = status(429, Retry_After="86400")
    with fetcher(ministry) as client:
        for _ in range(3):
            with pytest.raises(FetchFailedError) as caught:
                client.fetch(START)
            assert caught.value.retry_after == 86400
    assert ministry.paths() == ["/list"]


# --- robots.txt and the pace


def test_robots_txt_is_read_once_and_obeyed(ministry):
    ministry.routes["/robots.txt"] = status(200, b"User-agent: *\nDisallow: /closed\n", Content_Type="text/plain")
    ministry.routes["/list"] = ministry.routes["/closed/page"] = page()
    with fetcher(ministry) as client:
        client.fetch(START)
        with pytest.raises(FetchRefusedError, match=r"closed/page .*robots\.txt"):
            client.fetch(f"https://{OWN}/closed/page")
    assert [path for path, _, _ in ministry.asked] == ["/robots.txt", "/list"]


def test_rules_for_our_name_go_before_those_for_all(ministry):
    rules = b"User-agent: *\nDisallow: /\n\nUser-agent: Embassy-Jobs\nDisallow: /no\n"
    ministry.routes["/robots.txt"] = status(200, rules, Content_Type="text/plain")
    assert isinstance(fetch(ministry, page()), Page)


def test_a_redirect_into_what_robots_txt_closes_is_not_followed(ministry):
    ministry.routes["/robots.txt"] = status(200, b"User-agent: *\nDisallow: /closed\n", Content_Type="text/plain")
    ministry.routes["/closed"] = page()
    with pytest.raises(FetchRefusedError, match="excluded"):
        fetch(ministry, status(302, Location="/closed"))
    assert ministry.paths() == ["/list"]


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "application/octet-stream"])
def test_rules_are_distinguished_from_a_page_by_their_content_whatever_type_they_are_sent_as(ministry, kind):
    ministry.routes["/robots.txt"] = page(b"User-agent: *\nDisallow: /list\n", Content_Type=kind)
    with pytest.raises(FetchRefusedError, match="excluded"):
        fetch(ministry, page())
    ministry.routes["/robots.txt"] = page(
        b"\xef\xbb\xbf\n<html><pre>\nUser-agent: *\nDisallow: /\n</pre></html>", Content_Type=kind
    )
    assert isinstance(fetch(ministry, page()), Page)


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_without_a_robots_txt_everything_is_open(ministry, code):
    ministry.routes["/robots.txt"] = status(code)
    assert isinstance(fetch(ministry, page()), Page)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_nothing_is_fetched_while_robots_txt_cannot_be_read(ministry, code):
    ministry.routes["/robots.txt"] = status(code)
    with pytest.raises(FetchFailedError, match=r"robots\.txt .*: the server answers"):
        fetch(ministry, page())
    assert ministry.paths() == []


def test_a_huge_robots_txt_counts_up_to_its_limit(ministry):
    body = b"User-agent: *\nDisallow: /list\n" + b"# more\n" * 1_000_000
    ministry.routes["/robots.txt"] = status(200, body, Content_Type="text/plain")
    with pytest.raises(FetchRefusedError, match="excluded"):
        fetch(ministry, page())


@pytest.mark.parametrize("rules", [b"User-agent: *\nCrawl-delay: 7\n", b"User-agent: *\nRequest-rate: 1/7s\n"])
def test_the_crawl_delay_lies_between_all_requests(ministry, rules):
    clock = Clock()
    ministry.routes["/robots.txt"] = status(200, rules, Content_Type="text/plain")
    ministry.routes["/list"] = page()
    with fetcher(ministry, clock) as client, ThreadPoolExecutor(4) as pool:
        list(pool.map(client.fetch, [START] * 4))
    assert clock.slept == [7, 7, 7, 7]


def test_a_request_rate_of_nothing_is_as_none(ministry):
    ministry.routes["/robots.txt"] = status(200, b"User-agent: *\nRequest-rate: 0/10\n", Content_Type="text/plain")
    assert isinstance(fetch(ministry, page()), Page)


def test_a_crawl_delay_nobody_can_wait_for_is_refused(ministry):
    ministry.routes["/robots.txt"] = status(200, b"User-agent: *\nCrawl-delay: 86400\n", Content_Type="text/plain")
    with pytest.raises(FetchRefusedError, match=r"86400 seconds between requests.*MOFA_LONGEST_WAIT"):
        fetch(ministry, page())


def test_a_server_gets_few_requests_at_once_however_many_threads_ask(ministry):
    lock, state = threading.Lock(), {"now": 0, "most": 0}
    third = threading.Event()

    def busy(to: Handler) -> None:
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
            if state["now"] > 2:
                third.set()
        third.wait(0.2)  # time enough for one too many
        with lock:
            state["now"] -= 1
        page()(to)

    ministry.routes["/list"] = busy
    with fetcher(ministry, concurrency=2) as client, ThreadPoolExecutor(8) as pool:
        list(pool.map(client.fetch, [START] * 8))
    assert state["most"] == 2


# --- redirects


def test_a_redirect_within_the_source_is_followed_and_its_address_reported(ministry):
    ministry.routes["/new/list"] = page()
    for location in ("/new/list", f"https://{OWN}/new/list", f"http://{OWN}/new/list", f"{ministry.url}/new/list"):
        got = fetch(ministry, status(301, Location=location))
        assert isinstance(got, Page)
        assert (got.url, got.final_url) == (START, f"https://{OWN}/new/list")


@pytest.mark.parametrize(
    "location",
    [
        "https://login.example/",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:1/",
        "http://localhost/",
        "//evil.example/list",
        f"https://{OWN}:8443/list",
        f"https://{OWN}@evil.example/",
        "file:///etc/passwd",
        "ftp://www.mofa.example/",
    ],
)
def test_a_redirect_out_of_the_source_is_refused(ministry, location):
    with pytest.raises(FetchRefusedError, match="is not on a host of this source"):
        fetch(ministry, status(302, Location=location))


def test_endless_redirects_end(ministry):
    ministry.routes["/a"] = status(302, Location="/list")
    with pytest.raises(FetchRefusedError, match="more than 5 redirects"):
        fetch(ministry, status(302, Location="/a"))
    assert len(ministry.paths()) == 6


def test_a_page_of_another_host_is_never_asked(ministry):
    with fetcher(ministry) as client, pytest.raises(FetchRefusedError, match="is not on a host of this source"):
        client.fetch("https://elsewhere.example/list")
    assert ministry.asked == []


def test_a_name_that_leads_into_a_private_network_is_refused(ministry, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    host = ministry.url.removeprefix("http://").replace("127.0.0.1", "localhost")
    with Fetcher(settings(), {host}) as client, pytest.raises(FetchRefusedError, match="inside a private network"):
        client.fetch(f"http://{host}/list")
    assert ministry.asked == []


def test_a_name_that_leads_elsewhere_once_it_was_checked_is_refused(ministry, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def public_at_first(*_: object, **__: object):
        return [(None, None, 0, "", ("8.8.8.8", 80))]

    monkeypatch.setattr("tasks.mofa.http.anyio.getaddrinfo", public_at_first)
    host = ministry.url.removeprefix("http://")
    ministry.routes["/list"] = page()
    with (
        Fetcher(settings(), {host}) as client,
        pytest.raises(FetchRefusedError, match=r"127\.0\.0\.1, an address inside"),
    ):
        client.fetch(f"http://{host}/list")


@pytest.mark.parametrize("base_url", ["127.0.0.1:80", "ftp://x", "http://x/mirror", "http://", "http://[::"])
def test_a_base_url_that_is_no_scheme_and_host_is_refused(base_url):
    with pytest.raises(FetchRefusedError, match="base_url"):
        Fetcher(settings(), {OWN}, base_url)


# --- transfers that go wrong


def test_a_server_that_is_not_there_is_retried(ministry):
    gone = Fetcher(settings(), {OWN}, "http://127.0.0.1:9")
    with gone as client, pytest.raises(FetchFailedError, match="connection"):
        client.fetch(START)


def test_an_unknown_name_is_retried():
    with Fetcher(settings(), {"mofa.invalid"}) as client, pytest.raises(FetchFailedError):
        client.fetch("https://mofa.invalid/list")


def test_a_server_that_says_nothing_is_given_up(ministry):
    with pytest.raises(FetchFailedError, match="in time"):
        fetch(ministry, raw(b"", pause=20), read_timeout=0.3)


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n<html>"]
)
def test_a_slow_drip_of_headers_or_body_is_given_up(ministry, start):
    with pytest.raises(FetchFailedError, match="in time"):
        fetch(ministry, raw(start, *[b"x"] * 1000, pause=0.05), total_timeout=1)


def test_a_connection_closed_before_the_end_is_half_a_page(ministry):
    with pytest.raises(FetchFailedError, match="broke off"):
        fetch(ministry, raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n", PAGE.encode()))


def test_a_chunked_answer_without_its_last_chunk_is_half_a_page(ministry):
    with pytest.raises(FetchFailedError, match="broke off"):
        fetch(ministry, raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<html\r\n"))


def test_gzip_is_unpacked(ministry):
    got = fetch(ministry, page(gzip.compress(PAGE.encode()), Content_Encoding="gzip"))
    assert isinstance(got, Page)
    assert got.text == PAGE
    assert got.sha256 == hashlib.sha256(PAGE.encode()).hexdigest()
    two = gzip.compress(PAGE[:500].encode()) + gzip.compress(PAGE[500:].encode())
    assert fetch(ministry, page(two, Content_Encoding="gzip")).text == PAGE


def test_truncated_gzip_is_half_a_page(ministry):
    whole = gzip.compress(PAGE.encode())
    for length in (len(whole) - 1, len(whole) // 2, 5):
        with pytest.raises(FetchFailedError, match="before its end"):
            fetch(ministry, page(whole[:length], Content_Encoding="gzip"))


def test_broken_gzip_failed(ministry):
    with pytest.raises(FetchFailedError, match="broken gzip"):
        fetch(ministry, page(b"\x1f\x8b" + PAGE.encode(), Content_Encoding="gzip"))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("none", PAGE.encode()),
        ("utf-8", PAGE.encode()),
        ("binary", PAGE.encode()),
        ("identity", PAGE.encode()),
        ("gzip", PAGE.encode()),  # it is not packed at all
        ("deflate", zlib.compress(PAGE.encode())),
        ("deflate", zlib.compress(PAGE.encode(), wbits=-15)),
        ("gzip", gzip.compress(PAGE.encode(), mtime=0) + b"\0" * 16),
        ("gzip", gzip.compress(PAGE.encode(), mtime=0) + b"\n"),
        ("gzip, none", gzip.compress(PAGE.encode(), mtime=0)),
        ("gzip, gzip", gzip.compress(gzip.compress(PAGE.encode(), mtime=0), mtime=0)),
        ("X-GZip", gzip.compress(PAGE.encode(), mtime=0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_content_encoding_that_lies_is_read_as_browsers_read_it(ministry, encoding, body):
    got = fetch(ministry, page(body, Content_Encoding=encoding))
    assert isinstance(got, Page)
    assert got.text == PAGE


def test_gzip_that_arrives_byte_by_byte_is_unpacked(ministry):
    packed = gzip.compress(PAGE.encode()) + gzip.compress(b"<!-- the end -->") + b"\0" * 3
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n"
    got = fetch(ministry, raw(head, *[bytes([each]) for each in packed]))
    assert isinstance(got, Page)
    assert got.text == PAGE + "<!-- the end -->"


def test_a_packing_that_was_not_asked_for_failed(ministry):
    with pytest.raises(FetchFailedError, match="'br'"):
        fetch(ministry, page(b"\x0b\x02\x80hello\x03", Content_Encoding="br"))


def test_a_page_of_500_mb_is_refused_before_it_is_read(ministry):
    sent = []

    def huge(to: Handler) -> None:
        status(200, Content_Type="text/html", Content_Length=str(500 * 2**20))(to)
        for _ in range(500):
            to.wfile.write(b" " * 2**20)
            sent.append(1)

    with pytest.raises(FetchRefusedError, match=r"more than 20\.0 MB.*MOFA_MAX_BYTES"):
        fetch(ministry, huge)
    assert len(sent) < 50


def test_a_page_that_never_ends_is_refused_at_the_limit(ministry):
    def endless(to: Handler) -> None:
        to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>")
        while not to.server.ministry.closing.is_set():
            to.wfile.write(b"x" * 2**16)

    with pytest.raises(FetchRefusedError, match=r"more than 1\.0 MB"):
        fetch(ministry, endless, max_bytes=2**20)


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_gzip_bomb_is_refused_at_the_limit_of_unpacked_bytes(ministry, rounds):
    import tracemalloc

    bomb = gzip.compress(b"\0" * (200 * 2**20), 9)
    encoding = "gzip"
    if rounds == 2:
        bomb, encoding = gzip.compress(bomb, 9), "gzip, gzip"
    tracemalloc.start()
    with pytest.raises((FetchRefusedError, FetchFailedError)):
        fetch(ministry, page(bomb, Content_Encoding=encoding), max_bytes=5 * 2**20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * 2**20


def test_what_is_no_text_at_all_failed(ministry):
    with pytest.raises(FetchFailedError, match="charset"):
        fetch(ministry, page(bytes(range(256)) * 40, Content_Type="application/octet-stream"))


@pytest.mark.parametrize(
    ("headers", "body", "known"),
    [
        (b"", b"Mission;Phone\nA;1\n", False),
        (b"Content-Encoding: none\r\n", b"<p>without an end", False),
        (b"", b"<html><body>A</body></html>\n", True),
        (b"", b'{"missions": []}', True),
        (b"Content-Length: 18\r\n", b"Mission;Phone\nA;1\n", True),
        (b"Transfer-Encoding: chunked\r\n", b"12\r\nMission;Phone\nA;1\n\r\n0\r\n\r\n", True),
    ],
)
def test_an_end_that_nothing_proves_is_said(ministry, headers, body, known):
    got = fetch(
        ministry, raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" + headers + b"\r\n" + body)
    )
    assert (got.assumed is None) is known


@pytest.mark.parametrize("code", [201, 202, 203, 204, 206, 300])
def test_only_200_is_a_page(ministry, code):
    with pytest.raises(FetchFailedError, match=str(code)):
        fetch(ministry, status(code, b"" if code == 204 else PAGE.encode()))


# --- robots.txt elsewhere, proxies, mirrors


def test_no_proxy_is_asked_to_lead_inside(ministry, monkeypatch):
    for name in ("https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", ministry.url)
    for inside in ("10.0.0.1", "localhost"):
        with Fetcher(settings(), {inside}) as client, pytest.raises(FetchRefusedError, match="private network"):
            client.fetch(f"http://{inside}/list")
    assert ministry.asked == []


def test_robots_txt_that_redirects_to_another_host_is_followed(ministry):
    """RFC 9309, 2.3.1.2: also across hosts."""
    ministry.routes["/robots.txt"] = status(301, Location="https://elsewhere.example/rules.txt")
    ministry.routes["/rules.txt"] = status(200, b"User-agent: *\nDisallow: /list", Content_Type="text/plain")
    with pytest.raises(FetchRefusedError, match="excluded by robots"):
        fetch(ministry, page())


def test_robots_txt_that_redirects_endlessly_has_no_rules(ministry):
    ministry.routes["/robots.txt"] = status(302, Location="/robots.txt")
    assert isinstance(fetch(ministry, page()), Page)


def test_robots_txt_never_leads_into_a_private_network(ministry, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    host = ministry.url.removeprefix("http://")
    with Fetcher(settings(), {host}) as client, pytest.raises(FetchRefusedError, match="private network"):
        client.fetch(f"http://{host}/list")
    assert ministry.asked == []


@pytest.mark.parametrize(
    "agent", ["embassy-jobs/1.0", "Embassy-Jobs/0.1 (+x)", "embassy-jobs (bot)", "embassy-jobs", "EMBASSY-JOBS"]
)
def test_rules_for_our_product_count_whatever_version_they_name(ministry, agent):
    rules = f"User-agent: {agent}\nDisallow: /list\n\nUser-agent: *\nAllow: /"
    ministry.routes["/robots.txt"] = status(200, rules.encode(), Content_Type="text/plain")
    with pytest.raises(FetchRefusedError, match="excluded by robots"):
        fetch(ministry, page())


@pytest.mark.parametrize("agent", ["embassy-jobs-archiver", "embassy-jobsite"])
def test_rules_for_another_product_are_not_ours(ministry, agent):
    rules = f"User-agent: {agent}\nDisallow: /list\n\nUser-agent: *\nAllow: /"
    ministry.routes["/robots.txt"] = status(200, rules.encode(), Content_Type="text/plain")
    assert isinstance(fetch(ministry, page()), Page)


def failure_through(proxy: str, monkeypatch: pytest.MonkeyPatch, url: str = START) -> str:
    """The message about a request through this proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv(name, "" if name == "no_proxy" else proxy)
    with pytest.raises(FetchFailedError) as failed, Fetcher(settings(delay=0), {OWN}) as client:
        client.fetch(url)
    return str(failed.value)


def test_a_proxy_that_is_down_is_called_a_proxy_and_its_password_is_not_shown(monkeypatch):
    message = failure_through("http://user:s3cret@127.0.0.1:9", monkeypatch)
    assert "proxy 127.0.0.1:9 " in message
    assert "HTTPS_PROXY" in message
    assert "s3cret" not in message


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("code", [403, 407])
def test_a_proxy_that_refuses_is_called_a_proxy(ministry, monkeypatch, scheme, code):
    monkeypatch.setattr(Handler, "do_CONNECT", status(code), raising=False)
    for path in (f"http://{OWN}/list", f"http://{OWN}/robots.txt"):
        ministry.routes[path] = status(code)
    if (scheme, code) == ("http", 403):
        return  # nothing tells whether the proxy or the server refuses
    assert f"the proxy {ministry.url.removeprefix('http://')} does not work" in failure_through(
        ministry.url, monkeypatch, f"{scheme}://{OWN}/list"
    )


def test_a_socks_proxy_is_refused_with_what_to_do(monkeypatch):
    message = failure_through("socks5://127.0.0.1:9", monkeypatch)
    assert "proxy 127.0.0.1:9 " in message
    assert "HTTP proxy" in message


def test_an_error_names_the_mirror_that_was_asked(ministry):
    with pytest.raises(FetchRefusedError, match=rf"\(from the mirror {ministry.url}\): the server"):
        fetch(ministry, status(404))


# --- the cost


def test_one_connection_serves_many_pages_changed_or_not(ministry):
    ports = set()

    def answer(to: Handler) -> None:
        ports.add(to.client_address[1])
        (status(304) if "If-None-Match" in to.headers else page())(to)

    ministry.routes["/list"] = answer
    with fetcher(ministry) as client:
        for n in range(20):
            client.fetch(START, Validators('"v1"') if n % 3 else None)
    assert len(ports) == 1


def test_an_error_survives_the_way_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(FetchFailedError("gone", 503, 4.0)))  # noqa: S301 - our own
    assert (str(error), error.status, error.retry_after) == ("gone", 503, 4.0)


def test_the_ministry_of_these_tests_is_really_asked(ministry):
    ministry.routes["/list"] = page("<p>hello</p>")
    assert httpx.get(f"{ministry.url}/list", trust_env=False).text == "<p>hello</p>"
