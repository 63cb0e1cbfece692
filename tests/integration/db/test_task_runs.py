"""`idempotent_once` on a real PostgreSQL, with other processes that hold, die and take over."""

# ruff: noqa: PT012 - what is raised must pass through the block of idempotent_once

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, make_url, select, text
from sqlalchemy.exc import DBAPIError
from support.settings import forget_settings

from db import embedded, task_run_status, task_runs
from db.engine import DatabaseError, engine, lock_engine
from db.schema import upgrade
from db.settings import ROOT
from db.task_runs import (
    AlreadyRunningError,
    Claim,
    KeyReusedError,
    RunCancelledError,
    SupersededError,
    check_owner,
    committed,
    complete,
    idempotent_once,
)

JOB = "my_job"
KEY = "my_job_v1"

# Says that it is in the block, then waits for a line.
HOLD = """
import sys
from db.task_runs import idempotent_once
with idempotent_once("my_job", "my_job_v1", subject="contacts.xlsx") as once:
    print(once.attempts, flush=True)
    sys.stdin.readline()
    once.result = "by the other process"
"""


@contextmanager
def other_process(code: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `code` against the database of the test."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def answer_of(process: subprocess.Popen[str]) -> str:
    """The next line that a process says; "" if it ended."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def row(key: str = KEY) -> dict[str, Any]:
    with engine().connect() as connection:
        found = connection.execute(text("SELECT * FROM task_runs WHERE idempotency_key = :key"), {"key": key})
        return dict(found.mappings().one())


def set_status(status: str) -> None:
    with engine().begin() as connection:
        connection.execute(text("UPDATE task_runs SET status = :status"), {"status": status})


def locks(database: str) -> int:
    """How many sessions hold a unit of this test's database."""
    with psycopg.connect(database) as connection:
        counted = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [task_runs.LOCK_CLASS],
        ).fetchone()
    assert counted is not None
    return int(counted[0])


def cut_the_lock(once: idempotent_once) -> None:
    """What a firewall, or an administrator, does to the connection that holds the lock; returns when it is gone."""
    assert once._lock is not None
    pid = once._lock.scalar(select(func.pg_backend_pid()))
    with engine().connect() as connection:  # the timeout makes the function wait until the backend has ended
        assert connection.scalar(select(func.pg_terminate_backend(pid, 5000)))


@contextmanager
def waiting_backend(database: str) -> Iterator[Callable[[], None]]:
    """Yields a function that returns once some session of the database waits for another's row."""
    with psycopg.connect(database, autocommit=True) as connection:

        def wait() -> None:
            for _ in range(1200):
                waits = connection.execute(
                    "SELECT 1 FROM pg_stat_activity, pg_sleep(0.05) WHERE datname = current_database()"
                    " AND wait_event_type = 'Lock'"
                ).fetchone()
                if waits:
                    return
            pytest.fail("nobody waits for a lock")

        yield wait


@pytest.fixture
def ledger(database: str) -> str:
    """A table for the work of a test; yields the database's URL."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE ledger (entry text)")
    return database


def entries() -> list[str]:
    with engine().connect() as connection:
        return list(connection.scalars(text("SELECT entry FROM ledger ORDER BY entry")))


def enter(connection: Any, entry: str) -> None:
    connection.execute(text("INSERT INTO ledger VALUES (:entry)"), {"entry": entry})


# ---------------------------------------------------------------------- done


def test_the_lines_of_the_documentation_work(database: str) -> None:
    worked = []

    def job() -> object:
        with idempotent_once("my_job", "my_job_v1") as once:
            if once.done:
                return once.result
            worked.append(once.attempts)
            once.result = {"rows": 3}
        return once.result

    assert [job(), job(), job()] == [{"rows": 3}] * 3
    assert worked == [1]


def test_a_completed_unit_is_done_with_the_first_result_and_holds_nothing(database: str) -> None:
    with idempotent_once(JOB, KEY, subject="a.xlsx", flow_run_id=(run := uuid.uuid4())) as first:
        assert not first.done
        assert locks(database) == 1
        first.result = ["first"]
    assert locks(database) == 0
    with idempotent_once(JOB, KEY) as second:
        assert (second.done, second.result, second.id, second.token) == (True, ["first"], first.id, first.token)
        assert locks(database) == 0
        second.result = "ignored"
    stored = row()
    assert (stored["status"], stored["result"], stored["attempts"]) == ("completed", ["first"], 1)
    assert (stored["subject"], stored["flow_run_id"], stored["last_error"]) == ("a.xlsx", run, None)


def test_another_job_with_the_same_key_is_another_unit(database: str) -> None:
    for name in ("one", "two"):
        with idempotent_once(name, KEY) as once:
            assert not once.done


@pytest.mark.parametrize("result", [None, 0, "", {"deep": [1, 2.5, None, "é"]}])
def test_any_json_is_a_result(database: str, result: Any) -> None:
    with idempotent_once(JOB, KEY) as once:
        once.result = result
    with idempotent_once(JOB, KEY) as again:
        assert again.done
        assert again.result == result


@pytest.mark.parametrize("result", [{1, 2}, object(), float("nan"), b"bytes"], ids=["set", "object", "nan", "bytes"])
def test_a_result_that_is_not_json_fails_the_unit_and_says_so(database: str, result: Any) -> None:
    with pytest.raises(TypeError, match=r"the result of unit .* is not JSON"), idempotent_once(JOB, KEY) as once:
        once.result = result
    assert row()["status"] == "failed"
    assert "is not JSON" in row()["last_error"]


def test_a_result_that_postgresql_refuses_fails_the_unit(database: str) -> None:
    with pytest.raises(DatabaseError, match="refused a statement"), idempotent_once(JOB, KEY) as once:
        once.result = "a\0b"
    assert row()["status"] == "failed"


# ---------------------------------------------------------------------- held elsewhere, taken over


def test_a_unit_held_by_another_process_is_refused_naming_the_holder(database: str) -> None:
    with other_process() as holder:
        assert answer_of(holder) == "1"
        with pytest.raises(AlreadyRunningError) as refused, idempotent_once(JOB, KEY):
            pytest.fail("two are in")
        message = str(refused.value)
        assert f":{holder.pid} my_job" in message
        assert "since" in message
        assert row()["attempts"] == 1
        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.wait(20) == 0
    with idempotent_once(JOB, KEY) as once:
        assert once.result == "by the other process"


def test_a_long_name_leaves_space_for_the_holder(database: str) -> None:
    with (
        idempotent_once("n" * 128, KEY),
        pytest.raises(AlreadyRunningError, match=f":{os.getpid()} n"),
        idempotent_once("n" * 128, KEY),
    ):
        pytest.fail("two are in")


def test_a_killed_holder_is_taken_over_at_once(database: str) -> None:
    with other_process() as holder:
        assert answer_of(holder) == "1"
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        with idempotent_once(JOB, KEY) as once:
            assert not once.done
            assert once.attempts == 2
    assert row()["status"] == "completed"


def test_a_failed_unit_is_taken_over_at_once_and_forgets_its_error(database: str) -> None:
    for attempt in range(1, 11):  # at once: the lock must be free when the block has ended
        with pytest.raises(ZeroDivisionError), idempotent_once(JOB, KEY) as once:
            assert once.attempts == attempt
            raise ZeroDivisionError("the first line\nthe second")
        assert (row()["status"], row()["last_error"]) == ("failed", "the first line")
    with idempotent_once(JOB, KEY) as once:
        token = once.token
    assert (row()["status"], row()["last_error"], row()["attempts"], row()["token"]) == ("completed", None, 11, token)


def test_the_lock_is_free_when_the_block_has_ended(database: str) -> None:
    """Closing its connection alone would free it a moment later."""
    with psycopg.connect(database, autocommit=True) as other:
        for number in range(30):
            with idempotent_once(JOB, f"{number}") as once:
                pass
            locked = other.execute("SELECT pg_try_advisory_lock(%s::int, %s::int)", [task_runs.LOCK_CLASS, once.id])
            assert locked.fetchone() == (True,), number


@pytest.mark.parametrize("words", ["", "\0", "bad \udcff.xlsx", "\0\n\nx"])
def test_any_words_of_an_error_can_be_recorded(database: str, words: str) -> None:
    with pytest.raises(ValueError), idempotent_once(JOB, KEY):
        raise ValueError(words)
    assert row()["status"] == "failed"
    assert row()["last_error"]


def test_a_cancelled_unit_is_resumed_only_when_asked_for(database: str) -> None:
    with pytest.raises(KeyboardInterrupt), idempotent_once(JOB, KEY):
        raise KeyboardInterrupt
    assert row()["status"] == "cancelled"
    with pytest.raises(RunCancelledError, match="was cancelled on"), idempotent_once(JOB, KEY):
        pytest.fail("resumed")
    assert locks(database) == 0
    with idempotent_once(JOB, KEY, resume_cancelled=True) as once:
        assert once.attempts == 2
    assert row()["status"] == "completed"


def test_a_stop_by_the_system_leaves_the_unit_to_the_next_run(database: str) -> None:
    class Terminated(BaseException):
        """As Prefect raises it on SIGTERM."""

    for stop in (Terminated("terminated"), SystemExit(1)):
        with pytest.raises(type(stop)), idempotent_once(JOB, KEY):
            raise stop
        assert row()["status"] == "processing"
    with idempotent_once(JOB, KEY) as once:
        assert once.attempts == 3


# Loads everything once, then becomes sixteen processes that connect, wait for each other, and start together.
SIXTEEN = """
import os, sys
from sqlalchemy import text
from db.engine import engine
from db.task_runs import AlreadyRunningError, idempotent_once

def work():
    engine().connect().close()
    os.write(ready, b".")
    os.read(start, 1)  # returns when the parent closes its end
    try:
        with idempotent_once("my_job", "my_job_v1") as once:
            if not once.done:
                with engine().begin() as connection:
                    once.check_owner(connection)
                    connection.execute(text("INSERT INTO ledger VALUES ('worked')"))
                    once.complete(connection)
        return "done" if once.done else "worked"
    except AlreadyRunningError:
        return "running"

(readied, ready), (start, starter) = os.pipe(), os.pipe()
for _ in range(16):
    if os.fork() == 0:
        os.close(starter)
        os.write(1, (work() + "\\n").encode())
        os._exit(0)
for _ in range(16):
    os.read(readied, 1)
os.close(starter)
for _ in range(16):
    os.wait()
"""


def test_of_sixteen_processes_exactly_one_does_the_work(ledger: str) -> None:
    with other_process(SIXTEEN) as processes:
        answers = processes.communicate(timeout=120)[0].split()
    assert len(answers) == 16
    assert answers.count("worked") == 1
    assert set(answers) <= {"worked", "running", "done"}
    assert entries() == ["worked"]
    assert (row()["status"], row()["attempts"]) == ("completed", 1)


# ---------------------------------------------------------------------- fenced


def test_a_holder_that_lost_its_lock_is_fenced_once_another_took_over(ledger: str) -> None:
    old = idempotent_once(JOB, KEY)
    with pytest.raises(SupersededError, match="another took over"), old:
        cut_the_lock(old)
        with idempotent_once(JOB, KEY) as new:
            assert new.attempts == 2
            for statement in (old.check_owner, old.complete):
                with pytest.raises(SupersededError), engine().begin() as connection:
                    enter(connection, "old")
                    statement(connection)
            with engine().begin() as connection:
                new.check_owner(connection)
                enter(connection, "new")
                new.result = "new"
                new.complete(connection)
    assert entries() == ["new"]
    assert (row()["status"], row()["result"], row()["attempts"]) == ("completed", "new", 2)


def test_the_error_of_a_superseded_holder_does_not_touch_its_successors_row(database: str) -> None:
    old = idempotent_once(JOB, KEY)
    with pytest.raises(ZeroDivisionError), old:
        cut_the_lock(old)
        with idempotent_once(JOB, KEY) as new:
            new.result = "new"
        raise ZeroDivisionError
    assert (row()["status"], row()["result"]) == ("completed", "new")


def test_a_holder_that_lost_its_lock_completes_if_nobody_took_over(database: str) -> None:
    with idempotent_once(JOB, KEY) as once:
        cut_the_lock(once)
        once.result = "mine"
    assert (row()["status"], row()["result"], row()["attempts"]) == ("completed", "mine", 1)


def test_a_unit_that_nobody_holds_is_failed_once_another_of_its_subject_was_done_and_its_last_holder_is_fenced(
    database: str,
) -> None:
    def overtaken() -> bool:
        with engine().begin() as connection:
            return task_run_status.fail_overtaken(connection, old.id)

    def done(subject: str) -> None:
        with idempotent_once(JOB, f"of {subject}", subject=subject):
            pass

    done("a.xlsx")
    old = idempotent_once(JOB, KEY, subject="a.xlsx")
    with pytest.raises(SupersededError), old:
        cut_the_lock(old)
        done("b.xlsx")
        assert not overtaken(), "one was done before it, and one of another subject"
        with idempotent_once(JOB, "newer", subject="a.xlsx"):
            pass
        assert overtaken()
        assert not overtaken(), "once"
        with engine().begin() as connection:
            old.check_owner(connection)
    assert (row()["status"], row()["last_error"]) == ("failed", "another version was done since")


def test_a_unit_that_somebody_holds_is_not_failed_by_another_of_its_subject(database: str) -> None:
    with idempotent_once(JOB, KEY, subject="a.xlsx") as held:
        with idempotent_once(JOB, "newer", subject="a.xlsx"):
            pass
        with engine().begin() as connection:
            assert not task_run_status.fail_overtaken(connection, held.id)


def test_a_takeover_waits_for_a_commit_under_way_and_finds_the_unit_done(ledger: str) -> None:
    """The old holder lost its lock, but its transaction has begun: it is the one that counts."""
    found: list[idempotent_once] = []

    def take_over() -> None:
        with idempotent_once(JOB, KEY) as new:
            found.append(new)

    old = idempotent_once(JOB, KEY)
    successor = threading.Thread(target=take_over)
    with old, waiting_backend(ledger) as until_somebody_waits:
        with engine().begin() as connection:
            old.check_owner(connection)
            cut_the_lock(old)
            successor.start()
            until_somebody_waits()
            enter(connection, "old")
            old.result = "old"
            old.complete(connection)
        successor.join(20)
    assert not successor.is_alive()
    assert (found[0].done, found[0].result) == (True, "old")
    assert entries() == ["old"]
    assert (row()["status"], row()["attempts"]) == ("completed", 1)


def test_a_takeover_waits_for_a_transaction_that_rolls_back_and_then_works(ledger: str) -> None:
    attempts: list[int] = []

    def take_over() -> None:
        with idempotent_once(JOB, KEY) as new:
            attempts.append(new.attempts)

    old = idempotent_once(JOB, KEY)
    successor = threading.Thread(target=take_over)
    with pytest.raises(SupersededError), old, waiting_backend(ledger) as until_somebody_waits:
        with engine().connect() as connection:
            old.check_owner(connection)
            cut_the_lock(old)
            successor.start()
            until_somebody_waits()
            connection.rollback()
        successor.join(20)
    assert attempts == [2]


# ---------------------------------------------------------------------- completed with the work


def test_the_work_and_its_completion_commit_together(ledger: str) -> None:
    with pytest.raises(ZeroDivisionError), idempotent_once(JOB, KEY) as once:
        once.result = "kept"
        with engine().begin() as connection:
            once.check_owner(connection)
            enter(connection, "work")
            once.complete(connection)
        raise ZeroDivisionError  # such as Prefect's bookkeeping: too late to undo anything
    assert (entries(), row()["status"], row()["result"]) == (["work"], "completed", "kept")


def test_a_unit_completed_with_its_work_ends_its_block_as_any_other(ledger: str) -> None:
    with idempotent_once(JOB, KEY) as once:
        once.result = "kept"
        with engine().begin() as connection:
            once.complete(connection)
    assert (row()["status"], row()["result"]) == ("completed", "kept")


def test_the_work_and_its_completion_roll_back_together(ledger: str) -> None:
    with pytest.raises(ZeroDivisionError), idempotent_once(JOB, KEY) as once, engine().begin() as connection:
        enter(connection, "work")
        once.complete(connection)
        raise ZeroDivisionError
    assert (entries(), row()["status"]) == ([], "failed")


def test_a_commit_whose_answer_was_lost_is_recognised(ledger: str) -> None:
    with idempotent_once(JOB, KEY) as once:
        with engine().connect() as connection:
            assert committed(connection, once.claim) is None
        with pytest.raises(DBAPIError), engine().connect() as connection:
            complete(connection, once.claim, "arrived")
            connection.commit()
            # The answer is lost: what the worker sees is a broken connection.
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        with engine().connect() as connection:
            known = committed(connection, once.claim)
            assert known is not None
            assert known["result"] == "arrived"
            assert committed(connection, Claim(once.id, 2, once.token)) is None
            assert committed(connection, Claim(once.id + 1, 1, once.token)) is None
    assert row()["result"] == "arrived"


def test_a_unit_whose_row_is_gone_is_superseded(database: str) -> None:
    with pytest.raises(SupersededError), idempotent_once(JOB, KEY):
        with engine().begin() as connection:
            connection.execute(text("DELETE FROM task_runs"))
        with engine().begin() as connection, pytest.raises(SupersededError):
            check_owner(connection, Claim(1, 1, uuid.uuid4()))


# ---------------------------------------------------------------------- keys


def test_a_key_used_for_other_bytes_is_refused_naming_what_used_it(database: str) -> None:
    with idempotent_once(JOB, KEY, subject="first.xlsx", fingerprint="aa"):
        pass
    for fingerprint, done in (("aa", True), (None, True)):
        with idempotent_once(JOB, KEY, fingerprint=fingerprint) as once:
            assert once.done is done
    with pytest.raises(KeyReusedError, match=r"first\.xlsx"), idempotent_once(JOB, KEY, fingerprint="bb"):
        pytest.fail("reused")


def test_a_key_held_for_other_bytes_is_refused_naming_them_too(database: str) -> None:
    with other_process(HOLD.replace("subject=", "fingerprint='aa', subject=")) as holder:
        assert answer_of(holder) == "1"
        with pytest.raises(KeyReusedError, match=r"contacts\.xlsx"), idempotent_once(JOB, KEY, fingerprint="bb"):
            pytest.fail("reused")


def test_a_key_whose_first_user_came_to_nothing_may_be_used_for_a_repaired_input(database: str) -> None:
    with pytest.raises(RuntimeError), idempotent_once(JOB, KEY, subject="first.xlsx", fingerprint="aa") as first:
        raise RuntimeError("too many rejects")
    with idempotent_once(JOB, KEY, subject="repaired.xlsx", fingerprint="bb") as second:
        assert (second.done, second.attempts) == (False, 2)
        assert second.token != first.token, "what was cached for the other input must not be met"
    with pytest.raises(KeyReusedError, match=r"repaired\.xlsx"), idempotent_once(JOB, KEY, fingerprint="aa"):
        pytest.fail("reused")


def test_a_subject_may_be_any_file_name(database: str) -> None:
    with idempotent_once(JOB, KEY, subject="bad \udcff.xlsx"):
        assert row()["subject"] == "bad ?.xlsx"


@pytest.mark.parametrize("wrong", ["", "x" * 256, "a\0b", "a\udcffb"], ids=["empty", "long", "nul", "surrogate"])
def test_a_key_that_cannot_be_stored_is_refused_before_anything_happens(database: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"the idempotency key .* give 1 to 255"):
        idempotent_once(JOB, wrong)
    with pytest.raises(ValueError, match=r"the name .* give 1 to 128"):
        idempotent_once(wrong[:129], KEY)


def test_names_and_keys_may_be_as_long_as_the_columns_and_in_any_language(database: str) -> None:
    for name, key in (("n" * 128, "k" * 255), ("外" * 128, "é😀%:'\"" * 42)):
        with idempotent_once(name, key):
            pass
        with idempotent_once(name, key) as once:
            assert once.done


# ---------------------------------------------------------------------- async


async def test_async_with_gives_the_same_guarantees(database: str) -> None:
    async with idempotent_once(JOB, KEY) as once:
        assert once.attempts == 1
        with pytest.raises(AlreadyRunningError):
            async with idempotent_once(JOB, KEY):
                pytest.fail("two are in")
        raised = False
        once.result = "first"
    async with idempotent_once(JOB, KEY) as again:
        assert again.result == "first"
    with pytest.raises(ZeroDivisionError):
        async with idempotent_once(JOB, "other"):
            raised = True
            raise ZeroDivisionError
    assert raised
    assert row("other")["status"] == "failed"
    assert locks(database) == 0


async def test_a_cancelled_async_unit_is_left_to_the_next_run(database: str) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with idempotent_once(JOB, KEY):
            inside.set()
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await asyncio.wait_for(inside.wait(), 20)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert row()["status"] == "processing", "a time-out is cancelled too: whoever comes next takes over"
    assert locks(database) == 0


@pytest.mark.parametrize("times", [1, 2])
async def test_cancellation_while_entering_leaks_no_lock(database: str, times: int) -> None:
    """The insert waits for another's transaction, the task is cancelled meanwhile, then the insert goes on."""
    entering: list[idempotent_once] = []

    async def work() -> None:
        entering.append(idempotent_once(JOB, KEY))
        async with entering[0]:
            pytest.fail("entered after it was cancelled")

    with waiting_backend(database) as until_somebody_waits, psycopg.connect(database) as blocking:
        blocking.execute("INSERT INTO task_runs (name, idempotency_key) VALUES (%s, %s)", [JOB, KEY])
        working = asyncio.create_task(work())
        await asyncio.to_thread(until_somebody_waits)
        for _ in range(times):
            working.cancel()
            await asyncio.sleep(0)
        blocking.rollback()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(working, 60)
    entered = entering[0]
    for _ in range(1200):  # the thread that was entering ends by itself
        if entered._entered and entered._lock is None:
            break
        await asyncio.sleep(0.05)
    assert locks(database) == 0
    with idempotent_once(JOB, KEY) as once:
        assert not once.done


# ---------------------------------------------------------------------- the lock's connection


def test_the_locks_connection_never_idles_out_and_notices_its_death(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        name = make_url(database).database
        for setting in ("idle_session_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(f"ALTER DATABASE \"{name}\" SET {setting} = '1s'")
    with idempotent_once(JOB, KEY) as once:
        assert once._lock is not None
        shown = {
            name: once._lock.scalar(text(f"SHOW {name}"))
            for name in ("idle_session_timeout", "idle_in_transaction_session_timeout")
        }
        assert set(shown.values()) == {"0"}
        assert not once._lock.connection.dbapi_connection.info.transaction_status  # idle: no transaction is open
        asked = once._lock.connection.dbapi_connection.info.get_parameters()
        assert (asked["keepalives_idle"], asked["keepalives_count"]) == ("30", "3")
        assert lock_engine().pool is not engine().pool


def test_options_of_the_url_also_hold_for_the_locks_connection(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE SCHEMA apart")
        connection.execute("CREATE TABLE apart.task_runs (LIKE public.task_runs INCLUDING ALL)")
    separator = "&" if "?" in database else "?"
    monkeypatch.setenv("DATABASE_URL", f"{database}{separator}options=-csearch_path%3Dapart")
    forget_settings()
    with idempotent_once(JOB, KEY) as once:
        once.result = "apart"
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT result FROM apart.task_runs").fetchone() == ("apart",)
        assert connection.execute("SELECT count(*) FROM public.task_runs").fetchone() == (0,)


@pytest.mark.slow
@pytest.mark.parametrize("taken_over", [False, True])
def test_a_restart_of_the_database_while_the_lock_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken_over: bool
) -> None:
    for directory in (tmp_path, *list(tmp_path.parents)[:3]):  # pytest closes them; the server is another user's
        if os.geteuid() == 0 and directory != Path(tempfile.gettempdir()):
            directory.chmod(0o755)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    forget_settings()
    try:
        upgrade()
        once = idempotent_once(JOB, KEY)
        once.__enter__()
        engine().connect().close()  # the pool holds a connection that will be dead
        embedded.stop(tmp_path / "var")
        embedded.start(tmp_path / "var")
        if taken_over:
            with idempotent_once(JOB, KEY) as successor:
                assert successor.attempts == 2
                successor.result = "theirs"
        once.result = "ours"
        if taken_over:
            with pytest.raises(SupersededError):
                once.__exit__(None, None, None)
        else:
            once.__exit__(None, None, None)
        assert (row()["status"], row()["result"]) == ("completed", "theirs" if taken_over else "ours")
    finally:
        forget_settings()
        embedded.stop(tmp_path / "var")
