"""What people see in the Prefect UI, in a real browser: Debian's Chromium, driven by Playwright.

SCREENSHOTS=docs python -m pytest tests/e2e/test_ui.py    writes the pictures of the docs.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from support.make_up import Started, environment, new_data_dir, start
from support.project import ROOT
from support.waiting import until

from tasks.notify.message import held_set

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
PICTURES = os.environ.get("SCREENSHOTS")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt install chromium"),
]


@pytest.fixture(scope="module")
def running(migrated_prefect: Path) -> Iterator[Started]:
    with new_data_dir(migrated_prefect) as data_dir:
        up = start(data_dir, TASK_TIMEZONE="UTC")
        up.expect("import      Completed", 180)
        yield up
        up.stop()


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        shown = browser.new_page(viewport={"width": 1280, "height": 900}, timezone_id="UTC", locale="en-US")
        shown.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        yield shown
        browser.close()


@pytest.fixture
def page(tab: Page) -> Iterator[Page]:
    yield tab
    tab.goto("about:blank")  # a page of the UI that stays open keeps half a processor busy


def test_a_person_signs_in_once_as_make_up_says(running: Started, page: Page) -> None:
    [(address, command)] = re.findall(
        r"^sign in .* at (\S+), with the password from: (.+)$", running.text(), re.MULTILINE
    )
    page.goto(address)
    password = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True).stdout.strip()
    page.locator("input[type=password]").fill(password)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/dashboard"))


def keep(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES, name))


def test_the_run_of_the_first_import_is_read_like_a_table_of_contents(running: Started, page: Page) -> None:
    address = re.findall(r"^import .*(http://\S+/flow-run/\S+)", running.text(), re.MULTILINE)[0]
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
    expect(page.get_by_text(re.compile(r"python -m tasks.crm.rejects \d rejects.xlsx"))).to_be_visible()
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


# ---------------------------------------------------------------------- the demo of the monitor


@pytest.fixture(scope="module")
def demo(running: Started) -> str:
    """What `make demo` prints."""
    running.expect("monitor     Completed", 180)
    env = environment(DATA_DIR=str(running.data_dir))
    done = subprocess.run(
        [sys.executable, "-m", "deployments.demo"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def report_of_day(day: int, demo: str, running: Started) -> str:
    """The address of the report of the demo's run of this day."""
    run = demo.partition(f"Day {day},")[2].partition("/flow-run/")[2].split()[0]
    with running.api() as api:
        artifacts = api.post("/artifacts/filter", json={}).raise_for_status().json()
    report = next(each for each in artifacts if each["key"] == "monitor-report" and each["flow_run_id"] == run)
    return f"{running.state()['ui_url']}/artifacts/artifact/{report['id']}"


def test_the_demo_prints_the_digest_of_each_day_and_the_address_of_its_run(running: Started, demo: str) -> None:
    assert "demo: 36 missions" in running.text()
    days = re.split(r"^Day \d, ", demo, flags=re.MULTILINE)[1:]
    assert [re.findall(r"^    demo: (.*)", day, re.MULTILINE) for day in days] == [
        ["36 missions, nothing changed"],
        ["1 missing, 2 changed"],
        [held_set("demo", 1, [], found=0, known=0).title.removeprefix("demo: ")],
        ["1 closed"],
    ]
    assert len({re.findall(r"/flow-run/(\S+)", day)[0] for day in days}) == len(days)
    with psycopg.connect(running.state()["database_url"].replace("+psycopg", "")) as connection:
        kinds = connection.execute("SELECT kind, count(*) FROM embassy_changes GROUP BY kind ORDER BY kind").fetchall()
        status = connection.execute("SELECT status, count(*) FROM embassies GROUP BY status ORDER BY status").fetchall()
    assert dict(kinds) == {"changed": 2, "closed": 1, "missing": 1}
    assert dict(status) == {"closed": 1, "open": 35}


def test_the_monitors_report_shows_what_changed_with_old_and_new(running: Started, page: Page, demo: str) -> None:
    page.set_viewport_size({"width": 1440, "height": 620})
    page.goto(report_of_day(2, demo, running))
    expect(page.get_by_text("demo: 35 missions, 1 missing, 2 changed").first).to_be_visible()
    for value in ("10 Harbour Road", "12 Opera Square", "Olga Galanis", "Yara Winther"):
        expect(page.get_by_text(value).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    keep(page, "monitor-report.png")


def test_a_held_set_shows_why_and_how_it_is_accepted(running: Started, page: Page, demo: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 620})
    page.goto(report_of_day(3, demo, running))
    expect(page.get_by_text("held set 1").first).to_be_visible()
    expect(page.get_by_text("python -m flows.mofa_monitoring demo").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    keep(page, "held-set.png")
