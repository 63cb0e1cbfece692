"""Serves recorded pages on loopback by the addresses of their requests, as a ministry does that asks for a cookie."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from support.loopback import Quiet, listening

from tasks.mofa.page import Page
from tasks.mofa.request import Request

COOKIE = "TMOSHCooKie=abc"


class ListServer(ThreadingHTTPServer):
    """Pages by method, path with query, and form."""

    daemon_threads = True

    def __init__(self, pages: Iterable[Page], *, wants_cookie: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wants_cookie = wants_cookie
        self.requested: list[tuple[str, str, bool]] = []  # method, path, whether the cookie was sent
        self.broken: set[str] = set()  # paths that answer 503
        self.show(pages)

    def show(self, pages: Iterable[Page]) -> None:
        """From now on these pages and no others."""
        self.pages = {_key(Request.of(page.url)): page for page in pages}

    @property
    def url(self) -> str:
        """What a run names as base_url."""
        return f"http://127.0.0.1:{self.server_port}"


def _key(request: Request) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    parts = urlsplit(request.url)
    return request.method, parts.path + (f"?{parts.query}" if parts.query else ""), request.form


class _Handler(Quiet, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ListServer

    def do_GET(self) -> None:
        self._answer("GET", ())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self._answer("POST", tuple(parse_qsl(body, keep_blank_values=True)))

    def _answer(self, method: str, form: tuple[tuple[str, str], ...]) -> None:
        cookie = COOKIE in self.headers.get("Cookie", "")
        self.server.requested.append((method, self.path, cookie))
        page = self.server.pages.get((method, self.path, form))
        if self.server.wants_cookie and not cookie and self.path != "/robots.txt":
            self._send(307, b"", Location=self.path, Set_Cookie=f"{COOKIE}; path=/")
        elif self.path in self.server.broken:
            self._send(503, b"")
        elif page is None:
            self._send(404, b"")
        else:
            self._send(200, page.text.encode(), Content_Type=page.content_type)

    def _send(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(pages: Iterable[Page], *, wants_cookie: bool = False) -> Iterator[ListServer]:
    """The server, until the end of the block."""
    server = ListServer(pages, wants_cookie=wants_cookie)
    with listening(server):
        yield server
