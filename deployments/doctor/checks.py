"""doctor: is everything there that the jobs rely on? One line a promise, and what to do where one is not kept.

    python -m deployments.doctor [--json] [--notify]

Needs no run of Prefect and no worker, so that it can say that these are gone. Without variables in a clone it looks at
what `make up` runs there: what is set for its processes is taken from them. Exit code, as monitoring systems know it:
0 all is well, 1 something should be looked at, 2 a promise is not kept.

--notify, from a timer, tells the channels of NOTIFY_URLS what the watchdog cannot tell, because it does not run then
or has no database to put it into: once when it begins and once when it is over. What was told stands in
DATA_DIR/doctor.json, or on another disk if that one is full. That a job fails or is silent is told by the watchdog.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil
from alembic.util import CommandError

from db import embedded, notifications
from db.engine import (
    DatabaseError,
    database_settings,
    database_url,
    engine,
    lock_engine,
    revisions,
    transaction,
)
from db.errors import JobError
from db.settings import SettingsError
from deployments import automations
from deployments.prefect_api import POOL, PrefectApi, server_in_use, state_of_make_up
from deployments.up import StartError
from tasks.notify.channels import ChannelError, Channels, channels, notify_settings, send
from tasks.notify.message import Line, Message, Section

Verdict = Literal["ok", "warning", "failed", "unknown"]
CODES: dict[Verdict, int] = {"ok": 0, "unknown": 0, "warning": 1, "failed": 2}  # unknown: for a reason that is told
LOOK_AGAIN = 20  # seconds until --notify believes what it sees: make up starts again what died
WAITING_MINUTES = 60  # a message that waits for longer is not on its way any more
LITTLE_SPACE, NO_SPACE = 1 << 30, 200 << 20  # bytes free below which is warned, below which it fails
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - what is used of it is ours alone
NO_OF_OURS = {"PATH", "HOME", "PWD", "SHLVL", "_", "TERM", "LANG", "SHELL", "USER", "LOGNAME"}


@dataclass(frozen=True)
class Finding:
    """What became of one promise."""

    promise: str  # its name
    verdict: Verdict
    text: str  # what was seen
    advice: str = ""  # what to do, unless it is kept
    told_here: bool = True  # by --notify; else by the watchdog, or by nobody


@dataclass
class Doctor:
    """One look at everything."""

    data_dir: Path

    def look(self) -> list[Finding]:
        """All promises, in the order in which they rest on each other."""
        found = [self.database()]
        reachable = found[0].verdict == "ok"
        found.append(self.migrations() if reachable else unknown("migrations", "the database does not answer"))
        server = server_in_use(self.data_dir)
        found.append(self.server(server))
        if server is None or found[-1].verdict != "ok":
            why = "the server does not answer"
            found += [unknown(name, why) for name in ("worker", "automations", "schedules", "jobs")]
        else:
            found += [asked("worker", self.worker, server), asked("automations", self.automations, server)]
            found += self.jobs(server)
        migrated = reachable and found[1].verdict == "ok"
        found += self.outbox() if migrated else [unknown("messages", "the database does not answer")]
        return [*found, self.channels(), self.disk()]

    # --- each promise

    def database(self) -> Finding:
        """It answers. An embedded one that does not run is not started for the asking."""
        start = "make up starts it"
        try:
            if database_url() is None and not embedded.is_running(self.data_dir):
                where = embedded.directory_of(self.data_dir)
                return Finding("database", "failed", f"the embedded database in {where} does not run", start)
            with transaction():
                pass
            url = engine().url
        except (DatabaseError, embedded.EmbeddedError) as error:
            return Finding("database", "failed", str(error), "start it, or correct DATABASE_URL or POSTGRES_*")
        return Finding("database", "ok", f"{url.database} at {url.host or url.query.get('host')} answers")

    def migrations(self) -> Finding:
        """The tables are those of this version."""
        try:
            now, newest = revisions()
        except (DatabaseError, CommandError) as error:
            return Finding("migrations", "failed", str(error), "see the database's log")
        if now != newest:
            text = f"the tables are at {now or 'nothing'}, this version needs {newest}"
            return Finding("migrations", "failed", text, "alembic upgrade head, or start make up again")
        return Finding("migrations", "ok", f"the tables are at {now}")

    def server(self, server: PrefectApi | None) -> Finding:
        """It is well."""
        if server is None:
            text = f"make up does not run for {self.data_dir}, and PREFECT_API_URL is not set"
            return Finding("server", "failed", text, "start make up, or set PREFECT_API_URL")
        log = f"start it; its log is {self.data_dir / 'logs' / 'server.log'} if make up runs it"
        try:
            well = server.healthy()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return Finding("server", "failed", f"{server.url} does not answer ({error})", log)
        return Finding(
            "server", "ok" if well else "failed", f"{server.url} {'is well' if well else 'is not well'}", log
        )

    def worker(self, server: PrefectApi) -> Finding:
        """One is alive for the pool, which takes work."""
        pool = server.work_pool()
        if pool is None:
            return Finding("worker", "failed", f"there is no work pool {POOL}", f"prefect work-pool create {POOL}")
        if pool["is_paused"]:
            return Finding("worker", "failed", f"the work pool {POOL} is paused", f"prefect work-pool resume {POOL}")
        online = [each["name"] for each in server.workers() if each["status"] == "ONLINE"]
        if not online:
            text = f"none has been heard of by {POOL} for over a minute: nothing will run"
            return Finding("worker", "failed", text, f"start make up, or prefect worker start --pool {POOL}")
        return Finding("worker", "ok", f"alive: {', '.join(sorted(online))}")

    def automations(self, server: PrefectApi) -> Finding:
        """A run that went silent is noticed."""
        if lacking := automations.missing(server):
            text = f"not on the server as they should be: {', '.join(lacking)}"
            return Finding("automations", "failed", text, "python -m deployments.automations")
        return Finding("automations", "ok", "a run whose heartbeat stops is marked as crashed")

    def jobs(self, server: PrefectApi) -> Iterator[Finding]:
        """Their runs are planned, and their last success is as young as their schedules promise."""
        from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - seconds, in vain without it

        from tasks.watch import steps  # noqa: PLC0415

        now = datetime.now(UTC)
        with temporary_settings({PREFECT_API_URL: server.url}):
            try:
                found = sorted(steps.jobs(), key=lambda job: job.deployment)
                if not any(job.name == steps.WATCHDOG for job in found):
                    text, advice = "the watchdog is not deployed: nothing comes back by itself", "prefect deploy --all"
                    yield Finding("schedules", "failed", text, advice)
                for job in found:
                    yield self.schedule(steps, job, now)
                    yield self.freshness(steps, job, now)
            except JobError as refusal:
                yield Finding("schedules", "failed", str(refusal), "see the server's log")

    def schedule(self, steps: Any, job: Any, now: datetime) -> Finding:
        """The server has planned the next run."""
        if not job.schedules:
            return Finding("schedules", "ok", f"{job.deployment} has none, it is started by hand")
        if job.paused:
            text = f"{job.deployment} is paused, or has no active schedule: it does not run"
            advice = (
                "switch it on in the UI when it is to run again, or prefect deployment schedule resume "
                f"{job.deployment} SCHEDULE; prefect deployment schedule ls {job.deployment} names it"
            )
            return Finding("schedules", "warning", text, advice, told_here=False)
        planned = steps.next_planned(job, now)
        if planned is None:
            text = f"{job.deployment} has an active schedule, but the server plans no run"
            return Finding("schedules", "failed", text, "see the server's log; restart the server")
        return Finding("schedules", "ok", f"{job.deployment} runs next at {when(planned)}")

    def freshness(self, steps: Any, job: Any, now: datetime) -> Finding:
        """The last success is no older than the schedule allows."""
        ours = job.name == steps.WATCHDOG  # nobody else can tell that it is silent
        name = "watchdog" if ours else "jobs"
        try:
            late = steps.silence(job, steps.runs_of(job, now), now)
        except DatabaseError:  # which knows what was done in the foreground
            return unknown(name, "the database does not answer")
        last = steps.last_success(job, now)
        text = f"{job.deployment}: last success {f'of {when(last)}' if last else 'none yet'}"
        if late is None:
            return Finding(name, "ok", text, told_here=ours)
        advice = f"its last runs say more: prefect flow-run ls --flow-name {job.name}"
        return Finding(name, "failed", f"{text}; one was due at {when(late[1])}", advice, told_here=ours)

    def outbox(self) -> Iterator[Finding]:
        """Messages reach people."""
        try:
            configured = channels()
        except SettingsError:
            configured = Channels()  # which `channels` says
        ours = [channel.id for channel in configured.usable]
        try:
            with transaction() as connection:
                waiting = notifications.pending(connection, ours, WAITING_MINUTES)
                # With an address mistyped, or none here, it cannot be told whose they are.
                lost = notifications.lost(connection, ours) if ours and not configured.problems else 0
        except DatabaseError as error:
            yield Finding("messages", "failed", str(error), "see the database's log", told_here=False)
            return
        if waiting:
            text = f"{waiting} have waited for over an hour, or were given up"
            advice = "last_error in the table notifications says why; NOTIFY_URLS says where to"
            yield Finding("messages", "warning", text, advice, told_here=False)
        if lost:
            text = f"{lost} wait for an address that did not take them and is not in NOTIFY_URLS any more"
            advice = (
                "python -m tasks.notify.redirect PLACE sends them to the one at that place of NOTIFY_URLS, such as the "
                "corrected one; with none instead of PLACE they are given up"
            )
            yield Finding("messages", "warning", text, advice, told_here=False)
        if not waiting and not lost:
            yield Finding("messages", "ok", "none is waiting")

    def channels(self) -> Finding:
        """There is somebody to tell."""
        try:
            configured = channels()
        except SettingsError as error:
            return Finding("channels", "failed", str(error), "correct it", told_here=False)
        if configured.problems:
            return Finding("channels", "failed", " ".join(configured.problems), "correct NOTIFY_URLS", told_here=False)
        if not configured.usable:
            advice = "set NOTIFY_URLS, such as mailtos://user:password@example.org"
            return Finding("channels", "warning", "none: nobody is told anything", advice, told_here=False)
        return Finding("channels", "ok", ", ".join(channel.name for channel in configured.usable))

    def disk(self) -> Finding:
        """There is room."""
        place = next(each for each in (self.data_dir, *self.data_dir.parents) if each.exists())
        free = shutil.disk_usage(place).free
        text = f"{free / (1 << 30):.1f} GB free for {self.data_dir}"
        verdict: Verdict = "failed" if free < NO_SPACE else "warning" if free < LITTLE_SPACE else "ok"
        return Finding("disk", verdict, text, "" if verdict == "ok" else "make room on that disk")


def unknown(promise: str, why: str) -> Finding:
    """A promise that cannot be looked at."""
    return Finding(promise, "unknown", f"cannot be seen while {why}")


def asked(promise: str, look: Callable[[PrefectApi], Finding], server: PrefectApi) -> Finding:
    """What the server says, also where that is not what it should."""
    try:
        return look(server)
    except (httpx.HTTPError, KeyError, ValueError) as error:
        return Finding(promise, "failed", f"the server did not answer as it should: {error}", "see its log")


def when(moment: datetime) -> str:
    """A time, for people."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


# --- what make up runs


def adopt(data_dir: Path) -> None:
    """Take what is not set here from the processes of `make up`: its database, its server, its channels."""
    state = state_of_make_up(data_dir) or {"children": {}}
    for child in state["children"].values():
        with contextlib.suppress(psutil.Error, OSError, KeyError):
            process = psutil.Process(child["pid"])
            if process.create_time() == child["create_time"]:
                for name, value in process.environ().items():
                    if name not in NO_OF_OURS:
                        os.environ.setdefault(name, value)
    if auth := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        os.environ.setdefault("PREFECT_API_AUTH_STRING", auth)
    os.environ.setdefault("PREFECT_HOME", str(data_dir / "prefect"))
    for cached in (database_settings, notify_settings, engine, lock_engine):
        cached.cache_clear()


# --- telling


class Memory:
    """What was told: promise -> since when, and which channels know; in DATA_DIR, or where there is room."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._elsewhere = elsewhere(data_dir)
        self.told: dict[str, dict[str, Any]] = {}
        newest = 0
        for place in (data_dir, *filter(is_ours_alone, self._elsewhere)):
            with contextlib.suppress(OSError, ValueError):
                written = (place / "doctor.json").stat().st_mtime_ns
                if written > newest:
                    self.told, newest = dict(json.loads((place / "doctor.json").read_text())), written

    def save(self) -> None:
        """Write it, whole or not at all."""
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            self._write(self._data_dir)
        except OSError:
            for place in self._elsewhere:
                with contextlib.suppress(OSError):
                    place.mkdir(mode=0o700, exist_ok=True)
                    if is_ours_alone(place):
                        return self._write(place)
            raise

    def _write(self, place: Path) -> None:
        new = place / "doctor.new"
        new.write_text(json.dumps(self.told, indent=1))
        new.replace(place / "doctor.json")


def elsewhere(data_dir: Path) -> list[Path]:
    """Directories for DATA_DIR on other disks. If there is only one and it is full, even tempfile finds no room."""
    name = f"embassy-jobs-{os.getuid()}-{hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:16]}"
    with contextlib.suppress(OSError):
        return [Path(tempfile.gettempdir(), name), SHARED_MEMORY / name]
    return [SHARED_MEMORY / name]


def is_ours_alone(place: Path) -> bool:
    """Whether nobody else can have put anything there, or a link in its place."""
    try:
        found = place.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def notify(findings: Sequence[Finding], memory: Memory, configured: Channels, now: datetime) -> list[str]:
    """Tell what began and what is over, each channel once; returns why a channel did not take it."""
    failed = [each for each in findings if each.verdict == "failed" and each.told_here]
    names = {each.promise for each in failed}
    for name in names:
        memory.told.setdefault(name, {"since": now.isoformat(timespec="seconds"), "channels": []})
    over = {each.promise for each in findings if each.verdict != "unknown"} & set(memory.told) - names
    problems = []
    for channel in configured.usable:
        knows = {name for name, told in memory.told.items() if channel.id in told["channels"]}
        news = [each for each in failed if each.promise not in knows]
        ended = {name: memory.told[name]["since"] for name in sorted(over & knows)}
        try:
            for told in filter(None, (alarm(news), all_clear(ended))):
                send(channel, told.title, told.plain(), told.markdown())
        except ChannelError as failure:
            problems.append(str(failure))
            continue
        for name in names - knows:
            memory.told[name]["channels"].append(channel.id)
        for name in ended:
            memory.told[name]["channels"].remove(channel.id)
    there = {channel.id for channel in configured.usable}
    for name in over:  # kept while a channel that knows of it has to hear that it is over
        if not there & set(memory.told[name]["channels"]):
            del memory.told[name]
    return problems


def alarm(news: Sequence[Finding]) -> Message | None:
    """What is not kept."""
    if not news:
        return None
    lines = tuple(Line(each.promise, f"{each.text}. What to do: {each.advice}") for each in news)
    return Message(
        f"embassy-jobs: {', '.join(dict.fromkeys(each.promise for each in news))} not as promised",
        "The jobs rely on this. You will be told when it is well again.",
        (Section("", lines),),
        "This shows everything:",
        "python -m deployments.doctor",
    )


def all_clear(ended: dict[str, str]) -> Message | None:
    """What is well again; promise -> since when it was not."""
    if not ended:
        return None
    lines = tuple(Line(name, f"had not been well since {since}") for name, since in ended.items())
    return Message(f"embassy-jobs: {', '.join(ended)} well again", "", (Section("", lines),))


# --- the command


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.doctor",
        description="Is everything there that the jobs rely on? Exit code 0: yes; 1: look at it; 2: no.",
    )
    parser.add_argument("--json", action="store_true", help="for a program")
    parser.add_argument("--notify", action="store_true", help="tell NOTIFY_URLS what begins and what is over, once")
    given = parser.parse_args(arguments)
    try:
        data_dir = database_settings().data_dir
        adopt(data_dir)
        doctor = Doctor(data_dir)
        findings = doctor.look()
        if given.notify:
            findings = _told(doctor, findings, time.sleep)
    except (DatabaseError, StartError) as error:
        findings = [Finding("settings", "failed", str(error), "correct it")]
    print(json.dumps([asdict(each) for each in findings], indent=1)) if given.json else _show(findings)
    return max(CODES[each.verdict] for each in findings)


def _told(doctor: Doctor, findings: list[Finding], wait: Callable[[float], None]) -> list[Finding]:
    memory = Memory(doctor.data_dir)
    if any(each.verdict == "failed" and each.told_here and each.promise not in memory.told for each in findings):
        wait(LOOK_AGAIN)
        findings = doctor.look()
    try:
        problems = notify(findings, memory, channels(), datetime.now(UTC))
        memory.save()
    except (SettingsError, OSError) as error:
        problems = [str(error)]
    return [*findings, *(Finding("telling", "failed", each, "correct NOTIFY_URLS or DATA_DIR") for each in problems)]


def _show(findings: Sequence[Finding]) -> None:
    marks: dict[Verdict, str] = {"ok": "ok", "warning": "WARNING", "failed": "FAILED", "unknown": "?"}
    for each in findings:
        print(f"{marks[each.verdict]:<8}{each.promise:<12} {each.text}")
        if each.verdict in {"warning", "failed"} and each.advice:
            print(f"{'':<20} → {each.advice}")


if __name__ == "__main__":
    sys.exit(main())
