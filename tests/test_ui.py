"""What people see in the Prefect UI, in a real browser: Debian's Chromium, driven by Playwright.

SCREENSHOTS=docs python -m pytest tests/test_ui.py    writes the pictures of the README.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from test_up import Started, new_data_dir, start

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
        up = start(data_dir)
        up.expect("import      Completed")
        yield up
        up.stop()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        shown = browser.new_page(viewport={"width": 1280, "height": 900})
        shown.set_default_timeout(30_000)
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
    for step in ("fetch-workbook", "stage-rows-1-247", "judge-and-apply"):
        expect(page.get_by_text(step).first).to_be_attached()
    expect(page.get_by_text("247 rows: 236 inserted").first).to_be_visible()
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
