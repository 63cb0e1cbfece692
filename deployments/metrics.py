"""What the database knows about the jobs, as Prometheus metrics.

    python -m deployments.metrics                     prints them
    python -m deployments.metrics --textfile PATH     writes them to a file, for the textfile collector of node_exporter
    python -m deployments.metrics --port PORT         serves them on 127.0.0.1; make up does that with METRICS_PORT

Exit code: 0, or 1 with one plain sentence if the database does not answer, the file cannot be written, or the port is
in use. Metrics are there in every case: without the database only `embassy_jobs_up 0`.
"""

import argparse
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest, start_http_server, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from db import embedded, job_runs, metrics
from db.display import printable, redacted
from db.embedded_location import EmbeddedError
from db.engine import DatabaseError, DatabaseUnavailableError, database_settings, database_url, transaction
from db.errors import JobError
from deployments.inherited_settings import inherit_settings
from tasks.json_log import use_log_format

PREFIX = "embassy_jobs_"
IMPORT, MONITOR = "import_crm_data", "mofa_monitoring"
SUCCESS = {"completed", "held"}  # outcomes of a run that has done its work
MAX_SUBJECTS = 200  # for which a job has time series: those that ran last
MAX_LABEL_LENGTH = 200  # of a label's value
CACHE_SECONDS = 5.0  # metrics that were read less than this ago are not read again
_MAIL = re.compile(r"[^\s/@]+@[^\s/@]+")


class JobMetrics(Collector):
    """The metrics, read from the database whenever they are asked for, but not more often than every 5 seconds."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.problem: str | None = None  # why the database did not answer the last time
        self._now = now
        self._reading = threading.Lock()  # one reader at a time, however many ask
        self._read: tuple[float, list[Metric]] | None = None

    def describe(self) -> Iterable[Metric]:
        """Nothing: otherwise the registry reads the database when this is registered."""
        return []

    def collect(self) -> Iterable[Metric]:
        """The metrics; only `up`, with the value 0, if the database does not answer."""
        with self._reading:
            if self._read is None or time.monotonic() - self._read[0] > CACHE_SECONDS:
                families = self._families()
                self._read = (time.monotonic(), families)
            return self._read[1]

    def _families(self) -> list[Metric]:
        began = time.monotonic()
        problem, families = None, list[Metric]()
        try:
            _expect_running_database()
            with transaction() as connection:
                metrics.begin_reading(connection)
                families = list(_read_families(connection, self._now()))
        except (JobError, EmbeddedError) as error:
            problem, families = str(error), []
        if problem and problem != self.problem:
            print(printable(problem), file=sys.stderr, flush=True)
        self.problem = problem
        up = _gauge("up", "Whether the database of the jobs answers.", [((), float(problem is None))])
        took = _gauge(
            "collection_duration_seconds", "How long it took to read these metrics.", [((), time.monotonic() - began)]
        )
        return [up, took, *families]


def _expect_running_database() -> None:
    """Raise DatabaseUnavailableError if the embedded database does not run: it is not started for metrics."""
    if database_url() is None and not embedded.is_running(database_settings().data_dir):
        raise DatabaseUnavailableError("the embedded database does not run: make up starts it")


# ---------------------------------------------------------------------- what is read


def _read_families(connection: Connection, now: float) -> Iterator[Metric]:
    yield from _runs(connection, now)
    yield from _units(connection)
    yield from _imports(connection)
    yield from _missions(connection)
    yield from _outbox(connection, now)
    yield from _incidents(connection)
    done = dict.fromkeys(job_runs.ACTIONS, 0) | metrics.actions(connection)
    yield _counter("watchdog_actions", "What the watchdog has done.", _by_one(done), ["action"])
    size = metrics.database_bytes(connection)
    yield _gauge("database_size_bytes", "The size of the database on disk.", [((), size)])


def _runs(connection: Connection, now: float) -> Iterator[Metric]:
    rows = metrics.last_runs(connection, MAX_SUBJECTS)
    keys = [((row["name"], label(row["subject"]), row["outcome"]), row) for row in rows]
    by_outcome = ["job", "subject", "outcome"]
    runs = [(key, row["runs"]) for key, row in keys]
    yield _counter("runs", "Runs of a job, by how they ended.", runs, by_outcome)
    ends = [(key, row["last_at"]) for key, row in keys]
    yield _gauge("last_run_timestamp_seconds", "When the last run ended so, in Unix time.", ends, by_outcome)
    seconds = [(key, row["last_seconds"]) for key, row in keys if row["last_seconds"] is not None]
    yield _gauge("last_run_duration_seconds", "How long that run worked.", seconds, by_outcome)
    success = [(key[:2], row["last_at"]) for key, row in keys if row["outcome"] in SUCCESS]
    by_subject = by_outcome[:2]
    yield _gauge("last_success_timestamp_seconds", "When a run last succeeded, in Unix time.", success, by_subject)
    ages = [(key, max(0.0, now - at)) for key, at in _merged(success, max)]
    yield _gauge("last_success_age_seconds", "How long ago that was when these metrics were read.", ages, by_subject)


def _units(connection: Connection) -> Iterator[Metric]:
    rows = metrics.units(connection)
    counts = [((row["name"], row["status"]), row["units"]) for row in rows]
    yield _gauge("units", "Units of work in task_runs, by status.", counts, ["job", "status"])
    attempts = [((row["name"],), row["attempts"]) for row in rows]
    yield _counter("attempts", "Attempts at these units of work.", attempts, ["job"])


def _imports(connection: Connection) -> Iterator[Metric]:
    rows = metrics.last_imports(connection, IMPORT, MAX_SUBJECTS)
    subjects = [(label(row["subject"]), row) for row in rows]
    verdicts = [((subject, name), row[name]) for subject, row in subjects for name in metrics.VERDICTS]
    yield _gauge(
        "last_import_rows", "Rows of the last import of a workbook, by verdict.", verdicts, ["subject", "verdict"]
    )
    contacts = metrics.contacts(connection)
    known: Samples = [] if contacts is None else [((), contacts)]
    yield _gauge("contacts", "Contacts that are stored, estimated by PostgreSQL.", known)


def _missions(connection: Connection) -> Iterator[Metric]:
    rows = metrics.missions(connection)
    missions = [((label(row["source"]), row["status"]), row["missions"]) for row in rows]
    yield _gauge("missions", "Missions of a source, by status.", missions, ["source", "status"])
    held = [((label(row["source"]),), row["since"]) for row in metrics.held_sets(connection, MONITOR)]
    yield _gauge("held_sets", "Sources with a set that waits for a person.", [((), len(held))])
    yield _gauge("held_set_timestamp_seconds", "Since when a set has been held, in Unix time.", held, ["source"])


def _outbox(connection: Connection, now: float) -> Iterator[Metric]:
    outbox = metrics.outbox(connection)
    yield _gauge("notifications", "Messages in the outbox, by status.", _by_one(outbox.messages), ["status"])
    age = 0.0 if outbox.oldest_waiting is None else max(0.0, now - outbox.oldest_waiting)
    yield _gauge("notifications_oldest_pending_age_seconds", "Age of the oldest message that waits.", [((), age)])
    tried = outbox.attempts
    yield _gauge("notifications_pending_attempts", "Attempts to send the messages that wait.", [((), tried)])


def _incidents(connection: Connection) -> Iterator[Metric]:
    opened = metrics.open_incidents(connection)
    yield _gauge("incidents_open", "Incidents that are not over.", _by_one(dict.fromkeys(_JOBS, 0) | opened), ["job"])
    rows = [((row["name"], label(row["subject"])), row) for row in metrics.incidents(connection, MAX_SUBJECTS)]
    since = [(key, row["began_at"]) for key, row in rows]
    both = ["job", "subject"]
    yield _gauge("incident_timestamp_seconds", "Since when an incident has been open, in Unix time.", since, both)
    failures = [(key, row["failures"]) for key, row in rows]
    yield _gauge("incident_failures", "Failed runs of an incident that is open.", failures, both)


# ---------------------------------------------------------------------- how it is written

_JOBS = (IMPORT, MONITOR)
Samples = Sequence[tuple[tuple[str, ...], float]]  # values of the labels -> value


def label(subject: str) -> str:
    """A subject as the value of a label: short, without secrets and e-mail addresses."""
    shown = _MAIL.sub("***", redacted(subject))
    return shown if len(shown) <= MAX_LABEL_LENGTH else f"{shown[: MAX_LABEL_LENGTH - 1]}…"


def _gauge(name: str, meaning: str, samples: Samples, labels: Sequence[str] = ()) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, meaning, labels=labels)
    for key, value in _merged(samples, max):
        family.add_metric(key, value)
    return family


def _counter(name: str, meaning: str, samples: Samples, labels: Sequence[str]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, meaning, labels=labels)
    for key, value in _merged(samples, lambda one, other: one + other):
        family.add_metric(key, value)
    return family


def _merged(samples: Samples, merge: Callable[[float, float], float]) -> list[tuple[tuple[str, ...], float]]:
    """The samples, each key once: two subjects may be one label, and a repeated key would make all metrics invalid."""
    merged: dict[tuple[str, ...], float] = {}
    for key, value in samples:
        merged[key] = merge(merged[key], float(value)) if key in merged else float(value)
    return list(merged.items())


def _by_one(counts: dict[str, int]) -> list[tuple[tuple[str, ...], float]]:
    return [((name,), number) for name, number in counts.items()]


# ---------------------------------------------------------------------- the command


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.metrics", description="The jobs as Prometheus metrics."
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--textfile", type=Path, metavar="PATH", help="write them to this file (….prom), all or nothing")
    how.add_argument("--port", type=int, metavar="PORT", help="serve them on 127.0.0.1 until stopped")
    given = parser.parse_args(arguments)
    if given.port is not None and not 1 <= given.port <= 65535:  # noqa: PLR2004 - the highest port
        parser.error(f"--port {given.port}: a port is a number from 1 to 65535")
    collector, registry = JobMetrics(), CollectorRegistry(auto_describe=False)
    registry.register(collector)
    try:
        inherit_settings(database_settings().data_dir)
    except DatabaseError as error:
        print(error, file=sys.stderr)
        return 1
    if given.port is not None:
        return _serve(registry, given.port)
    try:
        if given.textfile is not None:
            write_to_textfile(str(given.textfile), registry)
        else:
            print(generate_latest(registry).decode(), end="")
    except OSError as error:
        print(f"{error.filename or given.textfile} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return 1 if collector.problem else 0


def _serve(registry: CollectorRegistry, port: int) -> int:
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        print(f"port {port} cannot be used for metrics: {error.strerror}. Set another METRICS_PORT", file=sys.stderr)
        return 1
    use_log_format()
    stop: Any = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    server.shutdown()
    thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
