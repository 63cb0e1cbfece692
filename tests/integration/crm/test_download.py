"""Workbooks fetched from directories, over real sockets and from S3, and why one cannot be."""

import errno
import gzip
import hashlib
import os
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from support.cells import rows_of, text_file
from support.loopback import Quiet, listening

from db.errors import JobError
from tasks.crm import download
from tasks.crm.download import WorkbookUnreachableError, addresses, fetch, fetching_settings
from tasks.crm.http_copy import END_UNKNOWN
from tasks.crm.readers.workbook import WorkbookError


@pytest.fixture(autouse=True)
def _settings_read_anew() -> Iterator[None]:
    fetching_settings.cache_clear()
    yield
    fetching_settings.cache_clear()


def test_a_glob_is_its_files_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.xlsx", "a.xlsx", "~$a.xlsx", "c.csv", "[x].csv"):
        (tmp_path / name).touch()
    (tmp_path / "d.xlsx").mkdir()
    assert addresses(f"{tmp_path}/*.xlsx") == [f"{tmp_path}/a.xlsx", f"{tmp_path}/b.xlsx"]
    assert addresses(f"{tmp_path}/[x].csv") == [f"{tmp_path}/[x].csv"]
    assert addresses("https://example.org/a*?b=[c]") == ["https://example.org/a*?b=[c]"]
    with pytest.raises(WorkbookError, match=r"/\*\.ods"):
        addresses(f"{tmp_path}/*.ods")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert addresses("~/c.csv") == addresses("c.csv") == [f"{tmp_path}/c.csv"]
    assert addresses("~/nowhere.csv") == [f"{tmp_path}/nowhere.csv"]


def test_the_digest_is_of_the_bytes_kept(tmp_path: Path) -> None:
    source = text_file(tmp_path / "book.csv", b"a,b\n" * 500_000)
    copy = fetch(str(source), tmp_path / "copies")
    source.write_bytes(b"changed")
    assert copy.path.parent == tmp_path / "copies"
    assert (copy.name, copy.size, copy.address) == ("book.csv", 2_000_000, str(source))
    assert copy.sha256 == hashlib.sha256(copy.path.read_bytes()).hexdigest()
    assert copy.path.read_bytes() == b"a,b\n" * 500_000


def test_a_file_still_being_written_is_worth_another_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = text_file(tmp_path / "book.csv", b"a,b\n" * 1000)
    write = download.HashingWriter.write

    def write_and_grow(writer: download.HashingWriter, piece: bytes) -> int:
        with source.open("ab") as file:
            file.write(b"more\n")
        monkeypatch.setattr(download.HashingWriter, "write", write)
        return write(writer, piece)

    monkeypatch.setattr(download.HashingWriter, "write", write_and_grow)
    kind, sentence = refused(str(source), tmp_path / "copies")
    assert (kind, f"{source} is being written" in sentence) == (WorkbookUnreachableError, True)
    assert fetch(str(source), tmp_path / "copies").size == 4005


def test_a_file_that_is_still_written_is_read_when_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_SETTLE_SECONDS", "0.5")
    source, lines = tmp_path / "export.csv", ["Name,Mail\n", *[f"Name{n},n{n}@x.example\n" for n in range(10)]]

    def export() -> None:
        with source.open("w") as file:
            for line in lines:
                file.write(line[:5])
                file.flush()
                done.wait(0.1)
                file.write(line[5:])

    done = threading.Event()
    writer = threading.Thread(target=export)
    source.write_text("")
    writer.start()
    copy = fetch(str(source), tmp_path / "copies")
    writer.join()
    assert copy.path.read_text() == "".join(lines)


def test_a_file_that_is_written_without_end_is_worth_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBOOK_SETTLE_SECONDS", "0.2")
    monkeypatch.setattr(download, "_MAX_UNCHANGED_WAIT", 0.5)
    source, done = text_file(tmp_path / "log.csv", "a,b\n"), threading.Event()

    def append() -> None:
        while not done.wait(0.02):
            with source.open("a") as file:
                file.write("1,2\n")

    writer = threading.Thread(target=append)
    writer.start()
    kind, sentence = refused(str(source), tmp_path / "copies")
    done.set()
    writer.join()
    assert (kind, f"{source} is being written" in sentence) == (WorkbookUnreachableError, True)


def test_a_file_from_a_machine_whose_clock_is_ahead_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_SETTLE_SECONDS", "0.1")
    source = text_file(tmp_path / "book.csv", "a,b\n")
    os.utime(source, (time.time() + 3600, time.time() + 3600))
    assert fetch(str(source), tmp_path / "copies").size == 4


def refused(address: str, into: Path) -> tuple[type[Exception], str]:
    with pytest.raises(JobError) as caught:
        fetch(address, into)
    assert not list(into.glob("workbook-*"))
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in shown
    assert "\n" not in str(caught.value)
    return type(caught.value), str(caught.value)


def test_what_is_no_file_is_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = tmp_path / "copies"
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("WORKBOOK_MAX_BYTES", str(2**20))
    text_file(tmp_path / "large.csv", b"x" * (2**20 + 1))
    for address, value in (
        (f"{tmp_path}/no.xlsx", f"no file {tmp_path}/no.xlsx"),
        (str(tmp_path), "folder"),
        (f"{tmp_path}/pipe", "not a file"),
        (f"{tmp_path}/large.csv", "1 MB"),
        ("ftp://ada:s3cret@example.org/a.xlsx", "ftp://example.org/a.xlsx"),
    ):
        kind, sentence = refused(address, into)
        assert (kind, value in sentence) == (WorkbookError, True), sentence
    assert "/dev/null/x: Not a directory" in _refused_into(f"{tmp_path}/large.csv")


def _refused_into(address: str) -> str:
    with pytest.raises(JobError) as caught:
        fetch(address, Path("/dev/null/x"))
    return str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        *("http://[", "http://[::1", "http://", "http:///x", "http:/ada:s3cret@h/x", "https//ada:s3cret@h/x"),
        *("http://127.0.0.1:99999/x", "http://127.0.0.1:0/x", "http://h:-1/x", "http://a b/x", "http://%00/x"),
        *("http://127.0.0.1:1/\0", "http://127.0.0.1:1/\ud800", "http://\ud800/x", "http://127.0.0.1:1/a\r\nX: y"),
        *("http://" + "a" * 70_000, "http://" + "a." * 200 + "x", "http://xn--\x80/x", "http://."),
        *("s3://", "s3:///x", "s3://[::1/x", "s3://b/\0", "s3://b/\ud800", "file:///etc/passwd", "data:,x"),
        *("\0", "\0*.csv", "~\0/x", "a\ud800.csv", "x" * 5000, "x/" * 5000, "x/" * 5000 + "*", "/dev/zero"),
    ],
    ids=lambda address: ascii(address)[:30],
)
def test_what_can_be_no_workbook_is_refused_at_once(address: str, tmp_path: Path) -> None:
    """Another attempt would not help."""
    with pytest.raises(WorkbookError) as refused:
        [fetch(each, tmp_path / "copies") for each in addresses(address)]
    assert "s3cret" not in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_loop_of_links_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("a.csv")
    assert refused(f"{tmp_path}/a.csv", tmp_path / "copies")[0] is WorkbookError


def test_a_file_called_like_an_address_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text_file(tmp_path / "http:list.csv", "a,b\n")
    assert fetch(*addresses("http:list.csv"), tmp_path / "copies").name == "http:list.csv"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    text_file(tmp_path / "book.csv", "a,b").chmod(0)
    kind, sentence = refused(f"{tmp_path}/book.csv", tmp_path / "copies")
    assert (kind, "permissions" in sentence) == (WorkbookError, True), sentence


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    source = text_file(tmp_path / "book.csv", b"a,b\n" * 300_000)
    code = (
        "import resource, signal, sys; from pathlib import Path; from tasks.crm.download import fetch\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "try: fetch(sys.argv[1], Path(sys.argv[2]))\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, source, tmp_path / "copies"],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    [sentence] = done.stdout.splitlines()
    assert all(each in sentence for each in (str(source), str(tmp_path / "copies"), os.strerror(errno.EFBIG)))
    assert not list((tmp_path / "copies").iterdir())


CONTENT = b"Name,Mail\nAda,a@b.c\n" * 1000


class Loopback(Quiet, BaseHTTPRequestHandler):
    """Answers by the path's first part; below /bucket/ it is a small S3."""

    released = threading.Event()
    versions = 0

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:  # noqa: C901, PLR0911 - a table of answers
        path, _, query = self.path.partition("?")
        if path.startswith("/bucket/"):
            return self.s3(path)
        if path.startswith("/bucket"):
            return self.answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        if path.startswith("/status/"):
            return self.answer(int(path.split("/")[2]))
        if path.startswith("/token/"):
            allowed = query == "token=s3cret" or self.headers.get("Authorization") == "Basic YWRhOnMzY3JldA=="
            return self.answer(200 if allowed else 403, CONTENT)
        if path.startswith("/chunked/"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT)
            return None
        if path.startswith("/short/"):
            self.answer(200, CONTENT[:99], Content_Length=str(len(CONTENT)))
            return None
        if path.startswith("/silent/"):
            self.released.wait(30)
            return None
        if path.startswith("/packed/"):
            packed = gzip.compress(CONTENT[:5000]) + gzip.compress(CONTENT[5000:])
            packed = packed[: len(packed) - 20] if "half" in path else packed
            return self.answer(200, packed, Content_Encoding="gzip")
        if path.startswith("/part/"):
            return self.answer(206, CONTENT[:99], Content_Range=f"bytes 0-98/{len(CONTENT)}")
        if path.startswith("/to/"):
            return self.answer(302, Location=unquote(path.removeprefix("/to/")))
        if path.startswith("/loop/"):
            return self.answer(302, Location=path)
        if path.startswith("/moved/"):
            return self.answer(302, Location="/files/b%C3%BCcher.csv")
        return self.answer(200, CONTENT) if path.startswith("/files/") else self.answer(404)

    def do_HEAD(self) -> None:
        if self.path.startswith("/bucket/"):
            self.s3(self.path)
        else:
            self.answer(405)  # as presigned addresses do: only GET is signed

    def s3(self, path: str) -> None:
        if "denied" in path:
            return self.answer(403, b"<Error><Code>AccessDenied</Code><Message>s3cret</Message></Error>")
        if "book.csv" not in path:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        common = {"ETag": '"v1"', "Last_Modified": "Mon, 02 Nov 2026 10:00:00 GMT", "Accept_Ranges": "bytes"}
        if "changing" in path and self.command == "GET":
            return self.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        if "replaced" in path:  # it ignores If-Match
            type(self).versions += 1
            common["ETag"] = f'"v{self.versions}"'
        requested = self.headers.get("Range")
        if not requested:
            return self.answer(200, CONTENT, **common)
        first, _, last = requested.removeprefix("bytes=").partition("-")
        if "short" in path:
            piece = CONTENT[:99] if first == "0" else b""
            return self.answer(206, piece, Content_Range=f"bytes 0-98/{len(CONTENT)}", **common)
        piece = CONTENT[int(first) : int(last or len(CONTENT)) + 1]
        end = int(first) + len(piece) - 1
        return self.answer(206, piece, Content_Range=f"bytes {first}-{end}/{len(CONTENT)}", **common)


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Loopback)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    Loopback.released.clear()
    with listening(server) as host:
        yield host
        Loopback.released.set()


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with serving() as host:
        yield host


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/files/b%C3%BCcher.csv", "bücher.csv"),
        ("/chunked/book.csv", "book.csv"),
        ("/moved/book.csv", "book.csv"),
        ("/packed/book.csv", "book.csv"),
        ("/token/book.csv?token=s3cret", "book.csv"),
        ("/files/..%2F..%2Fetc%2Fpasswd.csv", "passwd.csv"),
        ("/files/a%0Ab%1b%5B31m%E2%80%AE.csv", "a b[31m.csv"),
        ("/files/a.csv;token=s3cret", "a.csv;token=***"),
    ],
)
def test_a_workbook_comes_over_http(host: str, tmp_path: Path, path: str, name: str) -> None:
    copy = fetch(f"http://{host}{path}", tmp_path)
    assert copy.path.parent == tmp_path
    assert copy.path.read_bytes() == CONTENT
    assert (copy.name, copy.sha256) == (name, hashlib.sha256(CONTENT).hexdigest())
    assert "s3cret" not in repr(copy)
    assert rows_of(copy.path)[1] == (2, ["Ada", "a@b.c"])


def test_an_answer_without_a_length_is_read_and_said_to_be_unproven(host: str, tmp_path: Path) -> None:
    assert fetch(f"http://{host}/chunked/book.csv", tmp_path).assumptions == (END_UNKNOWN,)
    assert fetch(f"http://{host}/files/book.csv", tmp_path).assumptions == ()


def test_no_redirect_leads_from_a_public_address_into_a_private_network(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = f"http://127.0.0.2:{host.rpartition(':')[2]}/files/b.csv"
    address = f"http://{host}/to/{quote(inside, safe='')}"
    monkeypatch.setattr("tasks.crm.http_copy.is_private", lambda ip: ip != "127.0.0.1")
    kind, sentence = refused(address, tmp_path)
    assert (kind, "127.0.0.2" in sentence) == (WorkbookError, True), sentence


def test_no_redirect_leads_inside_through_a_proxy(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's server is the proxy. It would look up names itself, but these are numbers."""
    for name in ("https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://{host}")
    for inside in ("10.0.0.1", "127.1", "2130706433", "localhost", "[::1]"):
        monkeypatch.setattr(Loopback, "do_GET", lambda self, to=inside: self.answer(302, Location=f"http://{to}/b.csv"))
        kind, sentence = refused("http://public.example/b.csv", tmp_path)
        assert (kind, "inside a private network" in sentence) == (WorkbookError, True), sentence


def test_a_proxy_that_cannot_be_used_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for proxy in ("socks5://ada:s3cret@127.0.0.1:9", "s3cret://h", "http://h:s3cret"):
        monkeypatch.setenv("ALL_PROXY", proxy)
        assert refused("http://public.example/b.csv", tmp_path)[0] is WorkbookError


def test_user_and_password_in_an_address_are_sent_and_not_shown(host: str, tmp_path: Path) -> None:
    copy = fetch(f"http://ada:s3cret@{host}/token/book.csv", tmp_path)
    assert copy.address == f"http://{host}/token/book.csv"


@pytest.mark.parametrize(
    ("path", "kind", "value"),
    [
        ("/nowhere.csv?token=s3cret", WorkbookError, "/nowhere.csv?token=*** does not exist (404)"),
        ("/token/book.csv?token=not-s3cret", WorkbookError, "(403)"),
        ("/status/410/b?x=s3cret", WorkbookError, "answers 410"),
        ("/part/book.csv", WorkbookError, "answers 206"),
        ("/status/300/b", WorkbookError, "answers 300"),
        ("/status/204/b", WorkbookError, "answers 204"),
        ("/packed/half.csv", WorkbookUnreachableError, "interrupted after"),
        ("/loop/b.csv", WorkbookError, "10 redirects"),
        ("/to/ftp%3A%2F%2Fexample.org%2Fb.csv", WorkbookError, "not a valid address, or leads"),
        ("/status/503/b", WorkbookUnreachableError, "answers 503"),
        ("/status/429/b", WorkbookUnreachableError, "answers 429"),
        ("/short/book.csv?k=s3cret", WorkbookUnreachableError, "interrupted after"),
        ("/silent/book.csv?k=s3cret", WorkbookUnreachableError, "in time"),
        ("/to/http%3A%2F%2F%5B", WorkbookError, "not a valid address, or leads"),
        ("/to/http%3A%2F%2Fh%3A99999%2Fx", WorkbookError, "not a valid address, or leads"),
    ],
)
def test_http_failures_have_plain_messages(
    host: str, tmp_path: Path, path: str, kind: type, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "silent" in path:
        monkeypatch.setenv("WORKBOOK_READ_TIMEOUT", "0.5")
    found, sentence = refused(f"http://{host}{path}", tmp_path)
    assert (found, value in sentence) == (kind, True), sentence


def test_too_much_over_http_is_cut_off(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBOOK_MAX_BYTES", "10000")
    assert "WORKBOOK_MAX_BYTES" in refused(f"http://{host}/chunked/book.csv", tmp_path)[1]


def test_a_server_that_is_not_there_is_worth_another_try(tmp_path: Path) -> None:
    with serving() as host:
        pass
    kind, sentence = refused(f"http://ada:s3cret@{host}/b.csv", tmp_path)
    assert (kind, f"http://{host}/b.csv: " in sentence) == (WorkbookUnreachableError, True), sentence
    assert "connection" in sentence


def test_wrong_tls_is_final(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, sentence = refused(f"https://{host}/files/b.csv?k=s3cret", tmp_path)
    assert (kind, "TLS" in sentence) == (WorkbookError, True), sentence
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2",
         "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with serving(context) as self_signed:
        kind, sentence = refused(f"https://{self_signed}/files/b.csv?k=s3cret", tmp_path)
        assert (kind, "SSL_CERT_FILE" in sentence) == (WorkbookError, True), sentence
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        assert fetch(f"https://{self_signed}/files/b.csv", tmp_path / "copies").size == len(CONTENT)
        plain = quote(f"http://{host}/files/b.csv", safe="")
        kind, sentence = refused(f"https://{self_signed}/to/{plain}", tmp_path / "refused")
    assert (kind, "from https to http" in sentence) == (WorkbookError, True), sentence


@pytest.fixture
def s3(host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("s3")
def test_a_workbook_comes_from_s3(tmp_path: Path) -> None:
    copy = fetch("s3://bucket/in/book.csv", tmp_path)
    assert copy.path.read_bytes() == CONTENT
    assert (copy.name, copy.address) == ("book.csv", "s3://bucket/in/book.csv")


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("address", "kind", "value"),
    [
        ("s3://bucket/no.csv", WorkbookError, "bucket and key"),
        ("s3://bucket/denied.csv", WorkbookError, "AWS_ACCESS_KEY_ID"),
        ("s3://bucket/changing/book.csv", WorkbookUnreachableError, "try again"),
        ("s3://bucket/replaced/book.csv", WorkbookUnreachableError, "is being replaced"),
        ("s3://bucket/short/book.csv", WorkbookUnreachableError, "was cut off"),
        ("s3://a:s3cret@bucket/book.csv", WorkbookError, "s3://bucket/book.csv"),
    ],
)
def test_s3_failures_have_plain_messages(tmp_path: Path, address: str, kind: type, value: str) -> None:
    found, sentence = refused(address, tmp_path)
    assert (found, value in sentence) == (kind, True), sentence


@pytest.mark.usefixtures("s3")
def test_s3_without_keys_is_reported_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    kind, sentence = refused("s3://bucket/book.csv", tmp_path)
    assert (kind, "AWS_ACCESS_KEY_ID" in sentence) == (WorkbookError, True), sentence


def test_s3_without_its_extra_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    kind, sentence = refused("s3://bucket/book.csv", tmp_path)
    assert (kind, '"embassy-jobs[s3]"' in sentence) == (WorkbookError, True), sentence
