"""A ministry on loopback that can answer as badly as real ones, three small sources to watch it with, and a webhook.

What the server answers is decided by the test: pages with ETag and 304, or any Answer in their place.
"""

import gzip
import hashlib
import html
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml
from bs4 import Tag
from support.loopback import Quiet, listening

from tasks.mofa.embassy import Entry, key_of
from tasks.mofa.page import Page, PageError, Route, Source, one, record, some
from tasks.mofa.page import html as tree_of

HOST = "https://www.mofa.example"
REGIONS = 4
COLUMNS = ("key", "name", "country", "address", "phone", "email", "opening_hours")
Rows = dict[str, dict[str, str]]


# --- the server


class Handler(Quiet, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        ministry = self.server.ministry
        ministry.asked.append(self.path)
        answer = ministry.answers.get(self.path)
        try:
            if answer is not None:
                answer(self)
            elif (body := ministry.pages.get(self.path)) is None:
                status(404)(self)
            elif self.headers.get("If-None-Match") == (tag := etag(body, ministry.saved)) and ministry.etags:
                ministry.unchanged += 1
                status(304, ETag=tag)(self)
            else:
                page(body, **({"ETag": tag} if ministry.etags else {}))(self)
        except OSError:  # the client had enough
            self.close_connection = True

    def do_POST(self) -> None:
        self.server.ministry.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        status(200)(self)


class Server(ThreadingHTTPServer):
    ministry: "Ministry"


Answer = Callable[[Handler], None]


@dataclass
class Ministry:
    """What it shows, what it was asked, and what its webhook received."""

    url: str
    pages: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)  # in place of the page
    etags: bool = True
    saved: int = 0  # how often its pages were saved again as they are, which changes their ETag
    asked: list[str] = field(default_factory=list)
    unchanged: int = 0  # requests answered with 304
    messages: list[dict[str, Any]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def show(self, rows: Rows) -> None:
        """The whole list, as testland has it."""
        self.pages.update(testland_pages(rows))

    def titles(self) -> list[str]:
        return [each["title"] for each in self.messages]


def etag(body: bytes, saved: int = 0) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:16]}-{saved}"'


@contextmanager
def running_ministry() -> Iterator[Ministry]:
    """A ministry that listens until the end of the block."""
    server = Server(("127.0.0.1", 0), Handler)
    with listening(server) as host:
        server.ministry = Ministry(f"http://{host}")
        yield server.ministry
        server.ministry.closing.set()


# --- answers


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(to: Handler) -> None:
        to.send_response(code)
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        if code not in {204, 304}:
            to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)

    return answer


def page(body: str | bytes, **headers: str) -> Answer:
    body = body.encode() if isinstance(body, str) else body
    kind = "text/html; charset=utf-8" if body.lstrip().startswith(b"<") else "application/json"
    return status(200, body, **{"Content_Type": kind} | headers)


def titled(title: str, text: str) -> Answer:
    """An excuse that comes with status 200."""
    return page(f"<!doctype html><html><head><title>{title}</title></head><body><p>{text}</p></body></html>")


def drip(to: Handler) -> None:
    """A byte now and then, for ever."""
    to.close_connection = True
    to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n")
    while not to.server.ministry.closing.wait(0.02):
        to.wfile.write(b" ")


def endless(to: Handler) -> None:
    """500 MB and more, in pieces whose number nobody tells."""
    to.close_connection = True
    to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(500):
        to.wfile.write(b"100000\r\n" + b" " * 2**20 + b"\r\n")


def half_gzip(body: bytes) -> Answer:
    packed = gzip.compress(body)
    return status(200, packed[: len(packed) // 2], Content_Type="text/html", Content_Encoding="gzip")


def hangs_up(to: Handler) -> None:
    to.close_connection = True


def breaks_off(body: bytes) -> Answer:
    def answer(to: Handler) -> None:
        to.close_connection = True
        to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body))
        to.wfile.write(body[: len(body) // 2])

    return answer


# --- testland: a list of regions, a table of missions in each


def missions(count: int = 40) -> Rows:
    """As many missions, none like the other."""
    return {
        f"m{n}": {
            "name": f"Embassy {n} 大使館",
            "country": f"Country {n}",
            "address": f"{n} Rue de la Paix, 港区{n}",
            "phone": f"+33 1 {n:06}",
            "email": f"mission{n}@mofa.example",
            "opening_hours": "9-17",
        }
        for n in range(count)
    }


def region_page(number: int, rows: Rows) -> bytes:
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape({'key': key, **row}[column])}</td>" for column in COLUMNS) + "</tr>"
        for key, row in rows.items()
    )
    heading = "".join(f"<th>{column}</th>" for column in COLUMNS)
    return (
        f"<!doctype html><html><head><title>Missions, region {number}</title></head><body>"
        f"<table id=missions><tr>{heading}</tr>{lines}</table></body></html>"
    ).encode()


def testland_pages(rows: Rows) -> dict[str, bytes]:
    links = "".join(f"<li><a href='/region/{number}'>Region {number}</a></li>" for number in range(REGIONS))
    head = "<head><title>Missions abroad</title></head>"
    pages = {"/list": f"<!doctype html><html>{head}<body><ul id=regions>{links}</ul></body></html>".encode()}
    for number in range(REGIONS):
        here = {key: row for key, row in rows.items() if int(key.strip("mx")) % REGIONS == number}
        pages[f"/region/{number}"] = region_page(number, here)
    return pages


def _follow(shown: Page) -> list[str]:
    if shown.path != "/list":
        return []
    return [f"{HOST}{link['href']}" for link in some(shown, tree_of(shown), "#regions a")]


def _parse(shown: Page) -> list[Entry]:
    if shown.path == "/list":
        return []
    _, *rows = some(shown, one(shown, tree_of(shown), "table#missions"), "tr")
    return [_mission(shown, row) for row in rows]


def _mission(shown: Page, row: Tag) -> Entry:
    cells = [cell.get_text() for cell in row.select("td")]
    if len(cells) != len(COLUMNS):
        raise PageError(shown.url, f"{len(COLUMNS)} cells were expected, found {len(cells)}")
    return record(shown, cells[1], kind="embassy", **dict(zip(COLUMNS, cells, strict=True)))


def a_ministry(
    version: int = 1,
    *,
    verified: bool = True,
    parse: Callable[[Page], list[Entry]] = _parse,
) -> Source:
    return _source("testland", "/list", version, verified, _follow, parse)


def _source(
    name: str, start: str, version: int, verified: bool, follow: Callable[[Page], list[str]], parse: Any
) -> Source:
    return Source(
        name=name,
        title=name,
        home=HOST,
        hosts=frozenset({"www.mofa.example"}),
        parser_version=version,
        routes=(Route(start=(f"{HOST}{start}",), verified=verified),),
        follow=follow,
        parse=parse,
    )


# --- two real lists that no source of ours reads


def _uk_list(shown: Page) -> list[Entry]:
    try:
        countries = yaml.safe_load(shown.text)
    except yaml.YAMLError as error:
        raise PageError(shown.url, f"YAML was expected: {str(error).splitlines()[0]}") from None
    found = []
    for (country, place, number), row in uk_rows(countries).items():
        parts = [country, *filter(None, [place]), *([str(number)] if number > 1 else [])]
        found.append(
            record(
                shown,
                f"{country}, {place}",
                key=key_of(*parts),
                kind="other",
                name=" ".join(filter(None, [row.get("designation"), place, country])),
                country=country,
                opening_hours=row.get("office_hours"),
                **{name: row.get(name) for name in ("address", "phone", "fax", "email", "website")},
            )
        )
    return found


def uk_rows(countries: Mapping[str, Iterable[dict[str, Any]] | None]) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The list's rows by country, place and, where several share both, number."""
    rows = {}
    for country, offices in countries.items():
        seen: Counter[str] = Counter()
        for row in offices or []:  # 14 has an empty key, with a comment that says why
            place = str(row.get("location_name") or row.get("designation") or "")
            seen[place] += 1
            rows[country, place, seen[place]] = row
    return rows


def _us_list(shown: Page) -> list[Entry]:
    return [
        record(shown, row["name"], key=key_of(row["name"]), kind="embassy", name=row["name"], website=row["website"])
        for row in json.loads(shown.text)["domains"]
    ]


UK_LIST = _source("uk", "/embassies.yml", 1, True, lambda _: [], _uk_list)
US_LIST = _source("us", "/current.json", 1, True, lambda _: [], _us_list)
