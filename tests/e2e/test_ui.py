"""What people see in the Prefect UI, in a real browser: Debian's Chromium, driven by Playwright.

SCREENSHOTS=docs python -m pytest tests/e2e/test_ui.py    writes the pictures of the docs.
"""

import contextlib
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from support.make_up import Started, new_data_dir, start
from support.waiting import until

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
PICTURES = os.environ.get("SCREENSHOTS")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt install chromium"),
]


@pytest.fixture(scope="module")
def running() -> Iterator[Started]:
    with new_data_dir() as data_dir:
        up = start(data_dir, TASK_TIMEZONE="UTC")
        up.expect("import      Completed", 180)
        yield up
        up.stop()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        shown = browser.new_page(viewport={"width": 1280, "height": 900}, timezone_id="UTC", locale="en-US")
        shown.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        yield shown
        browser.close()


def keep(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES, name))


def test_the_run_of_the_first_import_is_read_like_a_table_of_contents(running: Started, page: Page) -> None:
    address = re.findall(r"http://\S+/flow-run/\S+", running.text())[-1]
    page.goto(address)
    expect(page.get_by_text("import-crm_sample.xlsx").first).to_be_visible()
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    for step in ("fetch-workbook", "stage-rows-4-250", "evaluate-and-commit"):
        expect(page.get_by_text(step).first).to_be_attached()
    expect(page.get_by_text("247 rows: 237 inserted").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    keep(page, "import-run.png")


def test_the_report_says_what_became_of_rows_and_columns(running: Started, page: Page) -> None:
    with running.api() as api:
        artifacts = api.post("/artifacts/filter", json={}).raise_for_status().json()
    report = next(each for each in artifacts if each["key"] == "import-report")
    page.set_viewport_size({"width": 1280, "height": 1250})
    page.goto(f"{running.state()['ui_url']}/artifacts/artifact/{report['id']}")
    expect(page.get_by_role("heading", name="Rejected rows")).to_be_visible()
    expect(page.get_by_text("python -m tasks.crm.rejects 1 rejects.xlsx")).to_be_visible()
    page.wait_for_load_state("networkidle")
    keep(page, "import-report.png")


def test_a_deployment_shows_its_schedule_and_its_next_runs(running: Started, page: Page) -> None:
    with running.api() as api:
        found = api.get("/deployments/name/mofa_monitoring/mofa-monitoring").raise_for_status().json()["id"]
    page.set_viewport_size({"width": 1280, "height": 620})
    page.goto(f"{running.state()['ui_url']}/deployments/deployment/{found}?tab=Upcoming")
    expect(page.get_by_text("daily", exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"Scheduled for .* 03:00:00 AM")).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    keep(page, "deployment.png")


def test_a_missed_run_says_how_late_it_was(running: Started, page: Page) -> None:
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    due = {"type": "SCHEDULED", "state_details": {"scheduled_time": hour_ago}}
    run = ended(running, "mofa_monitoring/mofa-monitoring", {"state": due, "tags": ["auto-scheduled"]}, "CANCELLED")
    with running.api() as api:  # the page of a run that is over asks for its log once
        of_run = {"logs": {"flow_run_id": {"any_": [run]}}}
        until(lambda: "TASK_MISFIRE_GRACE" in api.post("/logs/filter", json=of_run).text, "the log arrives")
    page.set_viewport_size({"width": 1280, "height": 700})
    page.goto(f"{running.state()['ui_url']}/runs/flow-run/{run}")
    expect(page.get_by_text("Missed", exact=True).first).to_be_visible()
    expect(page.get_by_text("more than TASK_MISFIRE_GRACE (300 s) allows").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    keep(page, "missed-run.png")


def ended(running: Started, deployment: str, body: dict[str, Any], how: str = "COMPLETED") -> str:
    """Start a run over the API and wait until it ended in this way; returns its id."""
    body = {"idempotency_key": str(uuid.uuid4()), **body}
    with running.api() as api:
        found = api.get(f"/deployments/name/{deployment}").raise_for_status().json()["id"]

        def created() -> str | None:
            with contextlib.suppress(httpx.TimeoutException):  # the key makes one run of it
                answer = api.post(f"/deployments/{found}/create_flow_run", json=body)
                return str(answer.json()["id"]) if answer.is_success else None
            return None

        run: str = until(created, "the run is created")

        def is_over() -> bool:
            state = api.get(f"/flow_runs/{run}").raise_for_status().json()["state"]
            assert state["type"] in {how, "SCHEDULED", "PENDING", "RUNNING"}, state["message"]
            return bool(state["type"] == how)

        until(is_over, "the run ends", 90)
    return run


# ---------------------------------------------------------------------- the monitor

# Missions as mid.ru lists them, of countries that are nowhere.
LABELS = ("Адрес", "Телефон", "E-mail")
BEFORE = {
    f"Страна {letter}": [f"Улица Морская, {n}", f"+7 495 000 00 {n:02}", f"embassy{n}@example.org"]
    for n, letter in enumerate("АБВГДЕЖЗИК", 1)
}
AFTER = {
    **{name: values for name, values in BEFORE.items() if name != "Страна К"},
    "Страна Б": ["Улица Садовая, 2", *BEFORE["Страна Б"][1:]],
    "Страна В": [BEFORE["Страна В"][0], "+7 495 111 11 11", BEFORE["Страна В"][2]],
    "Страна Л": ["Улица Новая, 1", "+7 495 222 22 22", "new@example.org"],
}


def listed(missions: dict[str, list[str]]) -> bytes:
    blocks = []
    for country, values in missions.items():
        rows = "".join(
            f"<tr><td>{label}:</td><td>{value}</td></tr>" for label, value in zip(LABELS, values, strict=True)
        )
        head = "<tr><td colspan=2><h3>Посольство</h3></td></tr>"
        contacts = f"<div class=contacts><table>{head}{rows}</table></div>"
        blocks.append(f"<div class=countrycontact><div class=country>{country}</div>{contacts}</div>")
    return f"<html><head><meta charset=utf-8></head><body>{''.join(blocks)}</body></html>".encode()


@pytest.fixture
def ministry() -> Iterator[ThreadingHTTPServer]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.endswith("/straweb")
            body = listed(self.server.missions) if found else b""  # type: ignore[attr-defined]
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def watched(running: Started, ministry: ThreadingHTTPServer, missions: dict[str, list[str]]) -> str:
    """Run the monitor's deployment on these missions; returns the run's id."""
    ministry.missions = missions  # type: ignore[attr-defined]
    parameters = {"source": "russia", "base_url": f"http://127.0.0.1:{ministry.server_address[1]}"}
    return ended(running, "mofa_monitoring/mofa-monitoring", {"parameters": parameters})


def test_the_monitors_report_shows_what_changed_with_old_and_new(
    running: Started, page: Page, ministry: ThreadingHTTPServer
) -> None:
    watched(running, ministry, BEFORE)
    run = watched(running, ministry, AFTER)
    with running.api() as api:
        artifacts = api.post("/artifacts/filter", json={}).raise_for_status().json()
    report = next(each for each in artifacts if each["key"] == "monitor-report" and each["flow_run_id"] == run)
    page.set_viewport_size({"width": 1280, "height": 620})
    page.goto(f"{running.state()['ui_url']}/artifacts/artifact/{report['id']}")
    expect(page.get_by_text("russia: 10 missions, 1 missing, 1 added, 2 changed").first).to_be_visible()
    for value in ("Улица Морская, 2", "Улица Садовая, 2", "+7 495 111 11 11"):
        expect(page.get_by_text(value).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    keep(page, "monitor-report.png")


def test_a_set_that_was_not_believed_says_why_and_how_it_is_accepted(
    running: Started, page: Page, ministry: ThreadingHTTPServer
) -> None:
    watched(running, ministry, AFTER)
    run = watched(running, ministry, dict(list(AFTER.items())[:4]))
    with running.api() as api:
        assert api.get(f"/flow_runs/{run}").raise_for_status().json()["state"]["name"] == "Held"
        artifacts = api.post("/artifacts/filter", json={}).raise_for_status().json()
    report = next(each for each in artifacts if each["key"] == "monitor-report" and each["flow_run_id"] == run)
    page.set_viewport_size({"width": 1280, "height": 520})
    page.goto(f"{running.state()['ui_url']}/artifacts/artifact/{report['id']}")
    expect(page.get_by_text("python -m flows.mofa_monitoring russia").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    keep(page, "held-set.png")
