"""The metrics: what the database knows, as Prometheus reads it. A real database, real processes, real HTTP."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from support.databases import Database
from support.loopback import free_port
from support.make_up import environment
from support.metrics import Values, answer_of, parsed
from support.project import ROOT
from support.waiting import until

from db import embedded, job_runs
from db.engine import transaction
from deployments import metrics
from tasks.crm.steps import JOB as IMPORT
from tasks.mofa.steps.digest import JOB as MONITOR

NOW = 1_800_000_000.0


def collected(now: float = NOW) -> Values:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics.JobMetrics(lambda: now))
    return parsed(generate_latest(registry).decode())


def of(values: Values, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for (each, labels), value in values.items() if each == name}


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deployments.metrics", *arguments],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_metrics_know_the_jobs_by_their_names() -> None:
    assert (metrics.IMPORT, metrics.MONITOR) == (IMPORT, MONITOR)


def test_runs_are_counted_and_the_last_success_has_its_age(database: str) -> None:
    with transaction() as connection:
        job_runs.record_run(connection, "a_job", "a.xlsx", "failed", 1.5)
        job_runs.record_run(connection, "a_job", "a.xlsx", "completed", 2.5)
        job_runs.record_run(connection, "a_job", "a.xlsx", "completed", 3.5)
        job_runs.record_run(connection, "a_job", "a.xlsx", "missed", None)
        job_runs.record_run(connection, "watchdog", None, "completed", 1)
    Database(database).query("UPDATE job_runs SET last_at = to_timestamp(%s) WHERE outcome = 'completed'", NOW - 60)
    found = collected()
    assert found["up", ()] == 1
    assert of(found, "runs_total") == {
        ("a_job", "completed", "a.xlsx"): 2,
        ("a_job", "failed", "a.xlsx"): 1,
        ("a_job", "missed", "a.xlsx"): 1,
        ("watchdog", "completed", ""): 1,
    }
    assert found["last_run_duration_seconds", ("a_job", "completed", "a.xlsx")] == 3.5
    assert ("last_run_duration_seconds", ("a_job", "missed", "a.xlsx")) not in found
    assert found["last_success_timestamp_seconds", ("a_job", "a.xlsx")] == NOW - 60
    assert found["last_success_age_seconds", ("a_job", "a.xlsx")] == 60


def test_units_imports_and_missions_are_counted(database: str) -> None:
    seeded = Database(database)
    older, newer = ({"rows": n, "inserted": n - 1, "rejected": 1, "updated": 0} for n in (10, 20))
    for key, result, age in (("1", older, 2), ("2", newer, 1)):
        seeded.query(
            "INSERT INTO task_runs (name, idempotency_key, subject, status, attempts, result, updated_at)"
            " VALUES (%s, %s, 'a.xlsx', 'completed', 2, %s, now() - %s * interval '1 day')",
            IMPORT,
            key,
            json.dumps(result),
            age,
        )
    [run_id] = [
        row["id"]
        for row in seeded.query(
            "INSERT INTO task_runs (name, idempotency_key, subject, status) VALUES (%s, '3', 'japan', 'held')"
            " RETURNING id",
            MONITOR,
        )
    ]
    for key, status in (("a", "open"), ("b", "open"), ("c", "closed")):
        seeded.query(
            "INSERT INTO embassies (source, key, kind, name, status, first_seen, last_verified, last_changed)"
            " VALUES ('japan', %s, 'embassy', 'X', %s, now(), now(), now())",
            key,
            status,
        )
    seeded.query(
        "INSERT INTO embassy_candidates (source, task_run_id, why, version, records, created_at)"
        " VALUES ('japan', %s, '[]', '1', '[]', to_timestamp(1000))",
        run_id,
    )
    found = collected()
    assert of(found, "units") == {(IMPORT, "completed"): 2, (MONITOR, "held"): 1}
    assert found["attempts_total", (IMPORT,)] == 4
    assert of(found, "last_import_rows") == {
        ("a.xlsx", verdict): number
        for verdict, number in {"inserted": 19, "updated": 0, "unchanged": 0, "duplicate": 0, "rejected": 1}.items()
    }
    assert of(found, "missions") == {("japan", "open"): 2, ("japan", "closed"): 1}
    assert (found["held_sets", ()], found["held_set_timestamp_seconds", ("japan",)]) == (1, 1000)
    seeded.query("UPDATE embassy_candidates SET applied_at = now()")
    assert collected()["held_sets", ()] == 0


def test_the_outbox_incidents_and_actions_are_counted(database: str) -> None:
    seeded = Database(database)
    for key, status, written in (("1", "pending", NOW - 30), ("2", "pending", NOW - 90), ("3", "sent", NOW - 500)):
        seeded.query(
            "INSERT INTO notifications (dedup_key, channel, title, body, status, attempts, created_at)"
            " VALUES (%s, 'c', 't', '{}', %s, 3, to_timestamp(%s))",
            key,
            status,
            written,
        )
    seeded.query(
        "INSERT INTO episodes (name, subject, failures, began_at) VALUES (%s, 'japan', 4, to_timestamp(7))", MONITOR
    )
    for _ in range(2):
        with transaction() as connection:
            job_runs.record_actions(connection, {"runs_backfilled": 2})
    found = collected()
    assert of(found, "notifications") == {("pending",): 2, ("sent",): 1, ("failed",): 0}
    assert found["notifications_oldest_pending_age_seconds", ()] == 90
    assert found["notifications_pending_attempts", ()] == 6
    assert of(found, "incidents_open") == {(IMPORT,): 0, (MONITOR,): 1}
    assert found["incident_failures", (MONITOR, "japan")] == 4
    assert found["incident_timestamp_seconds", (MONITOR, "japan")] == 7
    assert of(found, "watchdog_actions_total") == {("imports_resumed",): 0, ("runs_backfilled",): 4}


def test_labels_have_no_secrets_and_are_bounded(database: str) -> None:
    address = "https://ann:pa55word@example.org/crm.xlsx?token=s3cret"
    with transaction() as connection:
        for subject in (address, address.replace("s3cret", "0ther"), "lists/ann@example.org.xlsx", "x" * 5000):
            job_runs.record_run(connection, "a_job", subject, "completed", 1)
        for number in range(metrics.MAX_SUBJECTS + 50):
            job_runs.record_run(connection, "another", f"{number}.xlsx", "completed", 1)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics.JobMetrics())
    text = generate_latest(registry).decode()
    runs = of(parsed(text), "runs_total")
    assert not re.search("pa55word|s3cret|0ther|ann", text)
    assert runs["a_job", "completed", "https://example.org/crm.xlsx?token=***"] == 2  # one label of two subjects
    assert sum(job == "another" for job, *_ in runs) == metrics.MAX_SUBJECTS
    assert max(len(subject) for *_, subject in runs) == metrics.MAX_LABEL_LENGTH


@pytest.mark.parametrize("locked", ["contacts", "import_staging", "page_snapshots"])
def test_large_tables_are_not_read(database: str, locked: str) -> None:
    with psycopg.connect(database) as other:
        other.execute(f"LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE")
        assert collected()["up", ()] == 1


def test_a_lock_does_not_delay_the_metrics_for_long(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.metrics.SECONDS", 0.2)
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE task_runs IN ACCESS EXCLUSIVE MODE")
        assert collected()["up", ()] == 0


def test_metrics_are_read_again_only_after_some_seconds(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = metrics.JobMetrics()
    assert collector.collect() is collector.collect()
    monkeypatch.setattr(metrics, "CACHE_SECONDS", -1)
    assert collector.collect() is not collector.collect()


def test_without_the_database_there_is_one_metric_and_one_sentence(tmp_path: Path) -> None:
    ended = run(DATA_DIR=str(tmp_path), DATABASE_URL="postgresql://crm:pa55word@127.0.0.1:1/crm")
    assert parsed(ended.stdout)["up", ()] == 0
    assert "runs_total" not in ended.stdout
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "pa55word" not in ended.stderr


def test_the_embedded_database_is_not_started_for_metrics(tmp_path: Path) -> None:
    data_dir = tmp_path / "var"
    ended = run(DATA_DIR=str(data_dir))
    started = embedded.is_running(data_dir)
    if started:
        embedded.stop(data_dir)
    assert not started
    assert (parsed(ended.stdout)["up", ()], ended.returncode) == (0, 1)


def test_the_metrics_are_up_again_with_the_database(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metrics, "CACHE_SECONDS", -1)
    collector = metrics.JobMetrics()

    def up() -> float:
        [family, *_] = collector.collect()
        return float(family.samples[0].value)

    assert up() == 1
    Database(database).query("ALTER TABLE job_runs RENAME TO gone")
    assert (up(), up()) == (0, 0)
    Database(database).query("ALTER TABLE gone RENAME TO job_runs")
    assert up() == 1
    assert len(capsys.readouterr().err.splitlines()) == 1  # the same problem is printed once


def test_the_textfile_is_replaced_as_a_whole(database: str, tmp_path: Path) -> None:
    file = tmp_path / "embassy_jobs.prom"
    file.write_text("old")
    reader = file.open()  # as node_exporter reads it meanwhile
    ended = run("--textfile", str(file), DATABASE_URL=database, DATA_DIR=str(tmp_path))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert parsed(file.read_text())["up", ()] == 1
    assert reader.read() == "old"
    reader.close()
    assert list(tmp_path.iterdir()) == [file]


def test_a_textfile_that_cannot_be_written_is_one_sentence(database: str, tmp_path: Path) -> None:
    ended = run("--textfile", str(tmp_path / "none" / "x.prom"), DATABASE_URL=database, DATA_DIR=str(tmp_path))
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)


@pytest.mark.slow
def test_the_metrics_are_served_on_loopback_only(database: str, tmp_path: Path) -> None:
    port = free_port()
    settings = environment(DATABASE_URL=database, DATA_DIR=str(tmp_path))
    command = [sys.executable, "-m", "deployments.metrics", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=settings) as serving:
        page = until(answer_of(port), "an answer")
        assert parsed(page)["up", ()] == 1
        listening = subprocess.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True).stdout
        [address] = {line.split()[1] for line in listening.splitlines() if f":{port:04X} " in line and " 0A " in line}
        assert address == f"0100007F:{port:04X}"
        ended = run("--port", str(port), DATABASE_URL=database, DATA_DIR=str(tmp_path))
        assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
        assert "METRICS_PORT" in ended.stderr
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(20) == 0
