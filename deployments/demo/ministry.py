"""The ministry of the demo: a small website on loopback whose pages differ from day to day.

Norvania is an invented country; its missions are in `missions.csv`. The pages are read by the source
`tasks/mofa/sources/demo.toml`.
"""

import csv
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MISSIONS = Path(__file__).with_name("missions.csv")

SOURCE = "demo"  # its name among the sources
FIRST_DAY = "demo-first-day"  # tag of the run that `make up` starts
DAYS = (1, 2, 3, 4)
BROKEN_DAY = 3

Mission = dict[str, str]  # column of the file -> its text

# What the ministry changes on a day: (country, city) -> column -> the new text; None: the mission is gone.
_CHANGES: Mapping[tuple[str, str], Mapping[str, str] | None] = {
    ("Austria", "Vienna"): {"address": "12 Opera Square"},
    ("Japan", "Tokyo"): {"head": "Yara Winther"},
    ("France", "Lyon"): None,
}


def missions(day: int) -> list[Mission]:
    """The missions that the website shows on this day, 1 to 4.

    Day 1 is the file. On day 2 one mission has a new address, one a new head, one is gone. On day 3 the site is broken:
    most of each region is missing. Day 4 is as day 2.
    """
    with MISSIONS.open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    if day == 1:
        return listed
    found: list[Mission] = []
    for mission in listed:
        change = _CHANGES.get((mission["country"], mission["city"]), {})
        if change is not None:
            found.append({**mission, **change})
    if day == BROKEN_DAY:
        regions = {mission["region"] for mission in found}
        return [next(mission for mission in found if mission["region"] == region) for region in sorted(regions)]
    return found


def pages(day: int) -> dict[str, str]:
    """The website on this day: path -> HTML. The index links to a page for each region."""
    regions: dict[str, list[Mission]] = {}
    for mission in missions(day):
        regions.setdefault(mission["region"], []).append(mission)
    paths = {region: f"/missions/{region.lower().replace(' ', '-')}" for region in regions}
    links = "".join(f'<li><a class="region" href="{path}">{escape(region)}</a></li>' for region, path in paths.items())
    index = _page("Missions abroad", f"<ul>{links}</ul>")
    return {"/missions": index} | {paths[region]: _page(region, _table(listed)) for region, listed in regions.items()}


def _table(listed: list[Mission]) -> str:
    columns = {"country": "Country", "city": "City", "address": "Address", "phone": "Telephone", "email": "E-mail"}
    columns["head"] = "Head of mission"
    names = {"embassy": "Embassy of Norvania in", "consulate general": "Consulate General of Norvania in"}
    heads = "".join(f"<th>{name}</th>" for name in ("Mission", *columns.values()))
    rows = "".join(
        f'<tr class="mission"><td>{names[each["kind"]]} {escape(each["city"])}</td>'
        + "".join(f"<td>{escape(each[column])}</td>" for column in columns)
        + "</tr>"
        for each in listed
    )
    return f'<table class="missions"><tr>{heads}</tr>{rows}</table>'


def _page(title: str, content: str) -> str:
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} - Norvania</title></head>'
        f"<body><h1>{escape(title)}</h1>{content}<p>Ministry of Foreign Affairs of Norvania</p></body></html>"
    )


class DemoMinistry(ThreadingHTTPServer):
    """The website on a free port of 127.0.0.1. `day` is the day that it shows; it may be changed at any time."""

    daemon_threads = True

    def __init__(self, day: int = 1) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.day = day

    @property
    def url(self) -> str:
        """The address that stands in the parameter `base_url` of a run."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: DemoMinistry

    def do_GET(self) -> None:
        page = pages(self.server.day).get(self.path)
        body = (page or "not found").encode()
        self.send_response(200 if page else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Requests are not logged."""


@contextmanager
def serving(day: int = 1) -> Iterator[DemoMinistry]:
    """The website, in a thread of this process until the end of the block."""
    ministry = DemoMinistry(day)
    thread = threading.Thread(target=ministry.serve_forever, name="demo-ministry", daemon=True)
    thread.start()
    try:
        yield ministry
    finally:
        ministry.shutdown()
        ministry.server_close()
        thread.join()
