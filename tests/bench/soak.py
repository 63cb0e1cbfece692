"""`make soak MINUTES=60`: make up alone, with a job every minute, while something is killed at random every 30 seconds.

Each minute a new workbook is dropped into a folder that a deployment imports each minute; a watchdog runs each minute.
Killed are runs, the worker, the server, the database, and make up itself, which is then started again, as systemd does.
At the end the results are counted: each workbook is imported once and completely, each incident is reported once at its
start and once at its end, and doctor finds no failure. The exit code is 0 if all of that is so. SEED repeats the random
choices.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).parents[1]))

from openpyxl import Workbook
from support.make_up import Started, environment, new_data_dir, processes_of, start
from support.project import ROOT
from support.receivers import Webhook, a_webhook

from deployments.processes import is_flow_run, marked_processes

KILL_SECONDS = 30
DROP_SECONDS = 60
ROWS = 200
PATIENCE = 600  # seconds after the last kill until everything must be done


@dataclass
class Soak:
    """One soak: make up, what was killed and what was dropped."""

    data_dir: Path
    webhook: Webhook
    randomness: random.Random
    up: Started
    dropped: int = 0
    killed: Counter[str] = field(default_factory=Counter)

    def start(self) -> None:
        self.up = begin(self.data_dir, self.webhook)

    # --- jobs

    def deploy(self) -> None:
        """Two deployments beside those of prefect.yaml, each due every minute."""
        for name, flow, parameters in (
            ("soak-import", "import_crm_data", {"workbook": str(self.data_dir / "drop" / "*.xlsx")}),
            ("soak-watchdog", "watchdog", {}),
        ):
            with self.up.api() as api:
                given = api.post("/flows/", json={"name": flow}).raise_for_status().json()
                body = {
                    "name": name,
                    "flow_id": given["id"],
                    "entrypoint": f"flows.{flow}.{flow}",
                    "pull_steps": [],
                    "parameters": parameters,
                    "work_pool_name": "crm-pool",
                    "schedules": [{"schedule": {"cron": "* * * * *", "timezone": "UTC"}, "active": True, "slug": name}],
                }
                api.post("/deployments/", json=body).raise_for_status()

    def drop(self) -> None:
        """A workbook nobody has seen, moved into the folder whole."""
        self.dropped += 1
        book = Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.append(["Company", "First Name", "Last Name", "Email"])
        for n in range(ROWS):
            sheet.append([f"Office {self.dropped}", f"Ann{n}", "Lee", f"a{n}.{self.dropped}@example.org"])
        book.save(self.data_dir / "new.xlsx")
        (self.data_dir / "new.xlsx").replace(self.data_dir / "drop" / f"{self.dropped:04}.xlsx")

    # --- killing

    def kill(self) -> None:
        """Something dies; runs most often, since they are what matters."""
        what, victims = self.randomness.choice([*[("run", self.runs)] * 3, *self.others()])
        died = 0
        for process in victims():
            with contextlib.suppress(psutil.Error):
                process.kill()
                died += 1
        if died:
            self.killed[what] += 1
            print(f"{time.strftime('%H:%M:%S')} killed: {what}", flush=True)
        if what == "make up and all" and died:
            self.up.process.wait(30)
            self.start()

    def others(self) -> list[tuple[str, Callable[[], list[psutil.Process]]]]:
        everything = lambda: [psutil.Process(self.up.process.pid), *processes_of(self.data_dir)]  # noqa: E731
        return [
            ("worker", lambda: self.child("worker")),
            ("server", lambda: self.child("server")),
            ("worker and run", lambda: [*self.child("worker"), *self.runs()]),
            ("database", lambda: [each for each in processes_of(self.data_dir) if named_postgres(each)]),
            ("make up and all", everything),
        ]

    def runs(self) -> list[psutil.Process]:
        return [each for each in marked_processes(str(self.data_dir)) if is_flow_run(each)]

    def child(self, name: str) -> list[psutil.Process]:
        with contextlib.suppress(OSError, ValueError, KeyError, psutil.Error):
            return [psutil.Process(self.up.state()["children"][name]["pid"])]
        return []

    # --- counting

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.up.state()["database_url"].replace("+psycopg", ""), connect_timeout=5) as connection:
            return connection.execute(statement).fetchall()

    def imported(self) -> dict[str, int]:
        found = self.query("""
            SELECT subject, count(*) FROM task_runs WHERE name = 'import_crm_data' AND status = 'completed'
            AND subject LIKE '%/drop/%' GROUP BY 1""")
        return {Path(subject).name: number for subject, number in found}

    def settled(self) -> bool:
        """Every workbook is in, and no incident is still open."""
        with contextlib.suppress(psycopg.Error, OSError, ValueError, KeyError):
            open_ = self.query("SELECT count(*) FROM episodes WHERE ended_at IS NULL")[0][0]
            waiting = self.query("SELECT count(*) FROM notifications WHERE status = 'pending'")[0][0]
            return len(self.imported()) == self.dropped and not open_ and not waiting
        return False

    def green(self) -> bool:
        done = subprocess.run(
            [sys.executable, "-m", "deployments.doctor", "--json"],
            cwd=ROOT,
            env=environment(DATA_DIR=str(self.data_dir)),
            capture_output=True,
            text=True,
            check=False,
        )
        bad = [each for each in json.loads(done.stdout or "[]") if each["verdict"] in {"failed", "unknown"}]
        if bad:
            print(f"{time.strftime('%H:%M:%S')} doctor: {'; '.join(each['text'] for each in bad)}", flush=True)
        return not bad and bool(done.stdout)

    def verdict(self) -> list[str]:
        """What is not as it should be."""
        wrong = []
        imported = self.imported()
        if len(imported) != self.dropped or set(imported.values()) - {1}:
            wrong.append(f"{self.dropped} workbooks dropped, imported: {imported}")
        contacts = self.query(
            "SELECT organization, count(*) FROM contacts WHERE organization LIKE 'Office %' GROUP BY 1"
        )
        if len(contacts) != self.dropped or {number for _, number in contacts} - {ROWS}:
            wrong.append(f"contacts: {contacts}")
        begun, ended = self.query("SELECT count(*), count(ended_at) FROM episodes")[0]
        endings = Counter(each["title"].rpartition(" ")[2] for each in self.webhook.got)
        reported = {kind: endings[kind] for kind in ("fails", "again")}
        sent = self.query("SELECT count(*) FROM notifications WHERE dedup_key LIKE 'episode:%' AND attempts > 1")[0][0]
        print(f"incidents: {begun} opened, {ended} closed; reported: {reported}; sent again after a kill: {sent}")
        failures_reported = begun <= reported["fails"] <= begun + sent
        recoveries_reported = ended <= reported["again"] <= ended + sent
        if begun != ended or not failures_reported or not recoveries_reported:
            wrong.append("incidents and their reports do not match")
        return wrong


def named_postgres(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.name() == "postgres"
    return False


def begin(data_dir: Path, webhook: Webhook) -> Started:
    """Start make up."""
    up = start(data_dir, NOTIFY_URLS=webhook.url, TASK_MISFIRE_GRACE="60")
    up.expect("ready", 300)
    return up


def wait(true: Callable[[], bool], seconds: float) -> float | None:
    """How many seconds it took to become true; None if it did not."""
    started = time.monotonic()
    while not true():
        if time.monotonic() - started > seconds:
            return None
        time.sleep(2)
    return time.monotonic() - started


def main(minutes: float, seed: int) -> int:
    """Soak; returns the exit code."""
    print(f"soak: {minutes:g} minutes, SEED={seed}", flush=True)
    with new_data_dir() as data_dir, a_webhook() as webhook:
        (data_dir / "drop").mkdir()
        soak = Soak(data_dir, webhook, random.Random(seed), begin(data_dir, webhook))
        soak.drop()
        wait(lambda: deployed(soak), 60)
        end = time.monotonic() + 60 * minutes
        next_kill, next_drop = time.monotonic() + KILL_SECONDS, time.monotonic() + DROP_SECONDS
        while time.monotonic() < end:
            if time.monotonic() > next_drop:
                soak.drop()
                next_drop += DROP_SECONDS
            if time.monotonic() > next_kill:
                soak.kill()
                next_kill = time.monotonic() + KILL_SECONDS
            if soak.up.process.poll() is not None:  # it gave up, as one does whose server dies too often
                print(soak.up.text()[-500:], flush=True)
                soak.killed["make up gave up"] += 1
                soak.start()
            time.sleep(0.5)
        green = wait(soak.green, PATIENCE)
        settled = wait(soak.settled, PATIENCE)
        wrong = soak.verdict()
        print(f"dropped {soak.dropped} workbooks; killed {sum(soak.killed.values())}: {dict(soak.killed)}")
        print(f"after the last kill: doctor green {duration(green)}, everything done {duration(settled)} later")
        wrong += ["doctor is not green a minute after"] if green is None or green > 60 else []
        wrong += ["not everything is done"] if settled is None else []
        for each in wrong:
            print(f"WRONG: {each}")
        soak.up.stop()
        if wrong and os.environ.get("KEEP"):
            print(f"kept: {data_dir}; press Enter")
            input()
    print("soak: nothing lost, nothing twice, every incident reported once" if not wrong else "soak: see above")
    return 1 if wrong else 0


def deployed(soak: Soak) -> bool:
    try:
        soak.deploy()
    except httpx.HTTPError:  # its database is busy
        return False
    return True


def duration(seconds: float | None) -> str:
    return "never" if seconds is None else f"after {seconds:.0f} s"


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(os.environ.get("SEED") or random.randrange(10**6))))
