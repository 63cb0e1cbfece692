"""`make bench`: what watching a ministry costs, as ratios of one run on one machine.

The ministry is made here: GOV.UK's older API with a page for each location, three missions on each, served by a process
of its own that takes some 20 ms for a page, as real servers do, with ETags. The floor is nothing but the conditional
requests for the same pages with httpx, as many at once as the monitor may (MOFA_CONCURRENCY); no delay between
requests on either side. Each run is a process of its own. What Prefect and the database add to a run, however small
the ministry, is shown beside it. Memory is the peak of the process that runs the flow.
"""

import argparse
import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from measuring import fresh, place  # noqa: E402

DATA = HERE.parents[2] / "shared" / "data" / "missions"
ANSWER = 0.020  # seconds the server takes for a page
OFFICES = 3  # on a page
PAGES = 300
SIZES = (10, 100, 1_000)


# ---------------------------------------------------------------------- the ministry


def office(location: int, number: int) -> dict[str, Any]:
    place = f"{number} Long Street\nTown {location}\nCountry {location}"
    hours = "".join(f"<li>Holiday {day} of location {location}</li>" for day in range(12))
    numbers = [{"label": "Telephone", "number": f"+44 {location:04} {number:06}"}]
    empty = dict.fromkeys(("fn", "street-address", "postal-code", "region"), "")
    return {
        "title": f"British Office {location}-{number}",
        "format": "World Office",
        "updated_at": "2016-04-08T10:00:00Z",
        "web_url": f"https://www.gov.uk/government/world/organisations/office-{location}/office/number-{number}",
        "details": {
            "email": f"office{number}.{location}@example.org",
            "description": "",
            "contact_form_url": "",
            "access_and_opening_times": f"<h2>Opening hours</h2><p>Monday to Friday, 9 to 17</p><ul>{hours}</ul>",
            "type": "Embassy",
        },
        "address": {
            "adr": {**empty, "locality": f"Town {location}", "country-name": f"Country {location}"},
            "label": {"value": place},
        },
        "contact_numbers": numbers,
        "services": [],
    }


def listing(results: list[Any]) -> bytes:
    around = {"current_page": 1, "pages": 1, "total": len(results), "page_size": len(results), "start_index": 1}
    return json.dumps({"results": results, **around}).encode()


def ministry(pages: int) -> dict[str, bytes]:
    """Its pages by path: the list of locations is one, each of the others a location."""
    locations = range(pages - 1)
    shown = {"/api/world-locations": listing([{"details": {"slug": f"location-{each}"}} for each in locations])}
    for each in locations:
        offices = {"main": office(each, 0), "other": [office(each, number) for number in range(1, OFFICES)]}
        organisation = {"title": f"Organisation {each}", "format": "Worldwide Organisation", "offices": offices}
        shown[f"/api/world-locations/location-{each}/organisations"] = listing([organisation])
    return shown


def serve(pages: int) -> None:
    """In a process of its own: says its address, then answers until it is stopped."""
    shown = {path: (body, f'"{hashlib.sha256(body).hexdigest()[:16]}"') for path, body in ministry(pages).items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            time.sleep(ANSWER)
            body, etag = shown.get(self.path, (b"", ""))
            status = 404 if not etag else 304 if self.headers.get("If-None-Match") == etag else 200
            head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
            if status != 304:
                head += f"Content-Length: {len(body)}\r\n"
            if etag:
                head += f"ETag: {etag}\r\n"
            self.wfile.write(head.encode() + b"\r\n" + (body if status == 200 else b""))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def served(pages: int) -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, __file__, "--serve", str(pages)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


# ---------------------------------------------------------------------- contenders, each in a process of its own


def bare(base_url: str) -> dict[str, float]:
    """Seconds that the conditional requests alone take."""
    from tasks.mofa.settings import fetching_settings

    with httpx.Client(trust_env=False) as client:
        listed = client.get(f"{base_url}/api/world-locations").json()["results"]
        paths = [f"/api/world-locations/{each['details']['slug']}/organisations" for each in listed]
        with ThreadPoolExecutor(fetching_settings().concurrency) as pool:
            etags = list(pool.map(lambda path: client.get(base_url + path).headers["ETag"], paths))

            def ask(path: str, etag: str) -> int:
                return client.get(base_url + path, headers={"If-None-Match": etag}).status_code

            begun = time.perf_counter()
            client.get(f"{base_url}/api/world-locations")
            answers = list(pool.map(ask, paths, etags))
            seconds = time.perf_counter() - begun
    assert set(answers) == {304}
    return {"seconds": seconds}


def watched(base_url: str) -> dict[str, float]:
    """Seconds of the crawl in one run of the flow, and of the whole run; its peak memory in MB."""
    from prefect import flow

    from flows.mofa_monitoring import watch
    from tasks.mofa import steps
    from tasks.mofa.http import Fetcher
    from tasks.mofa.page import Source
    from tasks.mofa.settings import fetching_settings
    from tasks.mofa.sources import source

    gather, crawls = steps.gather, []

    def open_fetcher(govuk: Source, mirror: str | None) -> Fetcher:
        made = Fetcher(fetching_settings(), govuk.hosts, mirror)
        made.mirrored = False  # a mirror is asked for whole pages
        return made

    def timed(*arguments: Any) -> Any:
        begun = time.perf_counter()
        found = gather(*arguments)
        crawls.append(time.perf_counter() - begun)
        return found

    @flow(name="mofa_monitoring")
    def monitor() -> Any:
        this_run = steps.this_run(source("govuk"), base_url)
        return watch("govuk", lambda: replace(this_run, open_fetcher=open_fetcher), None)

    vars(steps)["gather"] = timed
    begun = time.perf_counter()
    state: Any = monitor(return_state=True)
    whole = time.perf_counter() - begun
    assert state.is_completed(), state.message
    report = state.result()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": crawls[0], "whole": whole, "peak": peak, "unchanged": report["unchanged"]}


def apart(what: str, base_url: str, environment: dict[str, str]) -> dict[str, float]:
    """The contender in a process of its own."""
    command = [sys.executable, __file__, what, base_url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise SystemExit(f"{what} failed:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


# ---------------------------------------------------------------------- parsing


def japanese() -> str:
    """A made page of 40 missions: none was saved."""
    each = (
        "<h3>{n}大使館</h3><h4>Embassy of Land {n} in Japan</h4>"
        "<p>〒108-00{n} 東京都港区高輪{n}<br>電話:03-3447-{n}44</p>"
    )
    body = "".join(each.format(n=n) for n in range(10, 50))
    return f"<html><head><title>駐日外国公館リスト</title></head><body>{body}</body></html>"


def pages_of() -> dict[str, tuple[str, str, str]]:
    """Source -> address and text of a page, and what it is."""
    russia, govuk = DATA / "russia-mid/derived/2015-03-19.html", DATA / "govuk-fco-worldwide/2016-04-08"
    found = {"japan": ("https://www.mofa.go.jp/mofaj/link/emblist/europe.html", japanese(), "made")}
    if russia.exists():
        found["russia"] = ("https://www.mid.ru/bdomp/zu_r.nsf/straweb", russia.read_text(), "real")
    url = "https://www.gov.uk/api/world-locations/usa/organisations"
    if govuk.exists():
        found["govuk"] = (url, (govuk / "usa_organisations.json").read_text(), "real")
    else:
        found["govuk"] = (url, ministry(2)["/api/world-locations/location-0/organisations"].decode(), "made")
    return found


def milliseconds(work: Callable[[], object], rounds: int = 7) -> float:
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return 1000 * statistics.median(seconds)


def parsing() -> list[str]:
    from tasks.mofa.page import Page
    from tasks.mofa.reading import read_page
    from tasks.mofa.sources import source

    rows = []
    for name, (url, text, kind) in pages_of().items():
        missions = len(read_page(source(name), Page(url, text)).entries)
        parsed = milliseconds(lambda url=url, text=text, name=name: read_page(source(name), Page(url, text)))
        size = len(text.encode()) / 1024
        rows.append(f"| {name} ({kind}) | {size:,.0f} kB | {missions:,} | {parsed:.1f} |")
    return rows


# ---------------------------------------------------------------------- tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["bare", "watched"], help=argparse.SUPPRESS)
    parser.add_argument("base_url", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
    elif given.what:
        print(json.dumps({"bare": bare, "watched": watched}[given.what](given.base_url)))
    else:
        _measure(given.runs)


def _measure(runs: int) -> None:
    with ExitStack() as stack:
        _, url, environment = place(stack)
        environment |= {"PREFECT_LOGGING_TO_CONSOLE_LEVEL": "CRITICAL", "MOFA_DELAY": "0", "NOTIFY_URLS": ""}
        with served(PAGES) as ministry_url:
            here = fresh(url, environment)
            apart("watched", ministry_url, here)
            floors, again = [], []
            for n in range(runs):
                print(f"run {n + 1}: {PAGES} unchanged pages …", file=sys.stderr)
                floors.append(apart("bare", ministry_url, here)["seconds"])
                again.append(apart("watched", ministry_url, here))
        assert {each["unchanged"] for each in again} == {PAGES}
        memory = []
        for size in SIZES:
            print(f"memory: {size:,} pages …", file=sys.stderr)
            with served(size) as ministry_url:
                here = fresh(url, environment)
                memory.append((size, apart("watched", ministry_url, here), apart("watched", ministry_url, here)))
    floor = statistics.median(floors)
    crawl = statistics.median(each["seconds"] for each in again)
    fixed = statistics.median(each["whole"] - each["seconds"] for each in again)
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"\n| {PAGES} unchanged pages, {1000 * ANSWER:.0f} ms each at the server | of the floor |\n| --- | ---: |")
    print("| bare conditional requests (the floor) | 1.00 × |")
    print(f"| the crawl of mofa_monitoring | {crawl / floor:.2f} × |")
    print(f"| beside it, of a run however small: Prefect, judging, the report | {fixed / floor:.2f} × |")
    smallest = memory[0]
    print("\n| pages | peak memory, all new | all unchanged |\n| ---: | ---: | ---: |")
    for size, new, unchanged in memory:
        ratios = [each["peak"] / other["peak"] for each, other in zip((new, unchanged), smallest[1:], strict=True)]
        print(
            f"| {size:,} | {new['peak']:.0f} MB ({ratios[0]:.2f} ×) | {unchanged['peak']:.0f} MB ({ratios[1]:.2f} ×) |"
        )
    print("\n| source | page | missions | ms to parse |")
    print("| --- | ---: | ---: | ---: |")
    print("\n".join(parsing()))


if __name__ == "__main__":
    main()
