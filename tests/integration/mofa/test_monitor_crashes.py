"""Killed at any moment, run again: missions, changes, proofs and messages are those of an undisturbed run.

Real processes watch a real server and are killed with SIGKILL where it hurts; what they tell goes to a webhook and a
mailbox. What is compared: everything but ids, the database's clock and how often pages were asked for.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.databases import Database, Tables, clone
from support.machines import refused, succeeded
from support.ministry import missions, status
from support.monitor import FIRST, SECOND, MonitorMachine, Servers, later, running_servers
from support.processes import Outcome, Stop
from support.receivers import SECRET
from support.waiting import until

pytestmark = [pytest.mark.timeout(300)]

TOLD = "testland: 1 missing, 1 added, 3 changed"  # the digest's title
DELIVERING = Stop("flows.mofa_monitoring:deliver")  # the set is committed, nothing was delivered


@pytest.fixture(scope="module")
def shared_servers() -> Iterator[Servers]:
    with running_servers() as servers:
        yield servers


@pytest.fixture(scope="module")
def watched(
    server_url: str, template: str, prefect_api: str, shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The name of a database that knows the ministry's first list, to be cloned."""
    shared_servers.reset(missions())
    directory = tmp_path_factory.mktemp("watched")
    with (
        clone(server_url, template) as database,
        MonitorMachine(database, prefect_api, directory, servers=shared_servers).running() as watcher,
    ):
        succeeded(watcher.run(FIRST))
        assert len(shared_servers.webhook.got) == len(shared_servers.mailbox.subjects) == 1
        yield database.name


@pytest.fixture(scope="module")
def undisturbed(
    server_url: str, watched: str, prefect_api: str, shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tables, float]:
    """The tables after nothing but one run at the second slot, and the seconds it took."""
    shared_servers.reset(later(missions()))
    directory = tmp_path_factory.mktemp("undisturbed")
    with (
        clone(server_url, watched) as database,
        MonitorMachine(database, prefect_api, directory, servers=shared_servers).running() as watcher,
    ):
        begun = time.monotonic()
        succeeded(watcher.run(SECOND))
        took = time.monotonic() - begun
        tables = database.tables_of_monitor()
    assert shared_servers.webhook.titles() == shared_servers.mailbox.titles() == Counter([TOLD])
    assert len(tables["changes"]) == 5
    assert {row["status"] for row in tables["messages"]} == {"sent"}
    return tables, took


@pytest.fixture
def servers(shared_servers: Servers, undisturbed: object) -> Servers:
    """The ministry shows its second list, no message was delivered."""
    shared_servers.reset(later(missions()))
    return shared_servers


@pytest.fixture
def watcher(
    server_url: str, watched: str, prefect_api: str, servers: Servers, tmp_path: Path
) -> Iterator[MonitorMachine]:
    with (
        clone(server_url, watched) as database,
        MonitorMachine(database, prefect_api, tmp_path, servers=servers).running() as watcher,
    ):
        yield watcher


def in_the_end(watcher: MonitorMachine, tables: Tables) -> None:
    """Run the slot again, once at once and once when every lease has ended: the end is the undisturbed one."""
    again = succeeded(watcher.run(SECOND))
    if any(row["status"] == "pending" for row in watcher.database.outbox()):
        watcher.database.expire_leases()
        again = succeeded(watcher.run(SECOND))
        assert "done before" in again.message
    assert watcher.database.tables_of_monitor() == tables


# ---------------------------------------------------------------------- killed at exact places


def test_killed_between_commit_and_delivery(watcher: MonitorMachine, undisturbed: tuple[Tables, float]) -> None:
    watcher.kill_at(DELIVERING, SECOND)
    assert watcher.database.query("SELECT 1 AS one FROM embassy_changes")
    assert not watcher.servers.webhook.got
    assert not watcher.servers.mailbox.subjects
    in_the_end(watcher, undisturbed[0])
    assert watcher.servers.webhook.titles() == watcher.servers.mailbox.titles() == Counter([TOLD])


@pytest.mark.slow
def test_killed_while_the_webhook_keeps_its_answer_back(
    watcher: MonitorMachine, undisturbed: tuple[Tables, float]
) -> None:
    """Nobody can know whether it took the message: it gets it again, the other one once."""
    watcher.servers.webhook.answering.clear()
    process = watcher.start(SECOND)
    assert watcher.servers.webhook.received.wait(60)
    process.kill()
    watcher.servers.webhook.answering.set()
    leased = [row for row in watcher.database.outbox() if row["status"] == "pending" and row["leased_until"]]
    assert len(leased) == 1
    succeeded(watcher.run(SECOND))
    assert watcher.servers.webhook.titles() == Counter([TOLD]), "the lease of the killed sender was not respected"
    assert watcher.servers.mailbox.titles() == Counter([TOLD])
    in_the_end(watcher, undisturbed[0])
    assert watcher.servers.webhook.titles() == Counter({TOLD: 2})
    assert watcher.servers.mailbox.titles() == Counter([TOLD])


SENT = {  # where it is killed -> what webhook and mailbox have received in the end
    Stop("db.embassies:newest_snapshots"): (1, 1),
    Stop("db.embassies:keep_page", 2, after=True): (1, 1),
    Stop("db.embassies:verify_pages", after=True): (1, 1),
    Stop("db.embassies:lock_source", after=True): (1, 1),
    Stop("db.embassies:record_changes", after=True): (1, 1),
    Stop("tasks.mofa.steps.commit:complete", after=True): (1, 1),
    Stop("tasks.mofa.steps:report_outcome"): (1, 1),
    Stop("db.notifications:lease", after=True): (1, 1),
    Stop("tasks.notify.steps:send"): (1, 1),
    Stop("tasks.notify.steps:send", after=True): (2, 1),
    Stop("db.notifications:mark_sent", after=True): (2, 1),
    Stop("tasks.notify.steps:send", 2, after=True): (1, 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("stop", SENT, ids=str)
def test_killed_anywhere_and_run_again(watcher: MonitorMachine, undisturbed: tuple[Tables, float], stop: Stop) -> None:
    watcher.kill_at(stop, SECOND)
    in_the_end(watcher, undisturbed[0])
    by_webhook, by_mail = SENT[stop]
    assert watcher.servers.webhook.titles() == Counter({TOLD: by_webhook})
    assert watcher.servers.mailbox.titles() == Counter({TOLD: by_mail})


@pytest.mark.slow
def test_killed_at_a_random_moment_and_run_again(
    watcher: MonitorMachine, undisturbed: tuple[Tables, float], seed_of_a_kill: int
) -> None:
    tables, took = undisturbed
    process = watcher.start(SECOND)
    time.sleep(random.Random(seed_of_a_kill).uniform(0, took))
    process.kill()
    in_the_end(watcher, tables)
    for receiver in (watcher.servers.webhook, watcher.servers.mailbox):
        assert set(receiver.titles()) == {TOLD}
    assert len(watcher.servers.webhook.got) + len(watcher.servers.mailbox.subjects) <= 3, "one message was in flight"


# ---------------------------------------------------------------------- several at once


@pytest.mark.slow
def test_8_processes_run_the_same_slot_at_the_same_instant(
    watcher: MonitorMachine, undisturbed: tuple[Tables, float]
) -> None:
    processes = [watcher.start(SECOND, Stop("tasks.mofa.steps:once")) for _ in range(8)]
    for process in processes:
        process.reach(120)
    for process in processes:
        process.release()
    outcomes = [process.outcome(180) for process in processes]
    worked = [each for each in outcomes if each.state == "COMPLETED" and "done before" not in each.message]
    assert len(worked) == 1
    for outcome in outcomes:
        if outcome.state == "COMPLETED":
            succeeded(outcome)
        else:
            assert "already running" in refused(outcome)
    in_the_end(watcher, undisturbed[0])
    assert watcher.servers.webhook.titles() == watcher.servers.mailbox.titles() == Counter([TOLD])


def cut(database: Database) -> None:
    """Terminate the connection that holds the lock of the running unit."""
    [holder] = database.lock_holders()
    database.query("SELECT pg_terminate_backend(%s)", holder)
    until(lambda: not database.lock_holders(), "the lock is free")


@pytest.mark.slow
def test_a_run_beside_another_and_one_that_was_overtaken_alarm_nobody(
    watcher: MonitorMachine, undisturbed: tuple[Tables, float]
) -> None:
    """Neither is a failure of the job: the other run does the work."""
    first = watcher.start(SECOND, Stop("db.embassies:lock_source"))
    first.reach()
    assert "already running" in refused(watcher.run(SECOND))
    cut(watcher.database)
    succeeded(watcher.run(SECOND))
    first.release()
    assert "another took over" in refused(first.outcome())
    assert watcher.database.tables_of_monitor() == undisturbed[0]
    assert watcher.servers.webhook.titles() == watcher.servers.mailbox.titles() == Counter([TOLD])


# ---------------------------------------------------------------------- who receives what


def days(number: int) -> Any:
    return FIRST + timedelta(days=number)


@pytest.mark.slow
def test_failures_are_reported_by_incident(watcher: MonitorMachine) -> None:
    """Once when it starts to fail, once when it recovers, and again the next time."""
    received: list[str] = []

    def run(day: int, end: Callable[[Outcome], object]) -> list[str]:
        end(watcher.run(days(day)))
        assert [each["title"] for each in watcher.servers.webhook.got] == watcher.servers.mailbox.subjects
        new = watcher.servers.mailbox.subjects[len(received) :]
        received.extend(new)
        return new

    watcher.servers.ministry.show(missions())
    gone = {"/region/2": status(404)}
    watcher.servers.ministry.answers.update(gone)
    [failing] = run(1, refused)
    assert "testland" in failing
    assert "fail" in failing
    assert run(2, refused) == []
    watcher.servers.ministry.answers.clear()
    [recovered] = run(4, succeeded)
    assert "testland" in recovered
    assert recovered != failing
    watcher.servers.ministry.answers.update(gone)
    assert run(6, refused) == [failing]
    watcher.servers.ministry.answers.clear()
    assert run(7, succeeded) == [recovered]


@pytest.mark.slow
def test_killed_before_its_failure_was_reported_the_next_failure_is_reported(watcher: MonitorMachine) -> None:
    watcher.servers.ministry.answers["/region/2"] = status(404)
    watcher.kill_at(Stop("tasks.mofa.steps:report_failure"), days(1))
    assert not watcher.servers.mailbox.subjects
    refused(watcher.run(days(2)))
    assert len(watcher.servers.mailbox.subjects) == len(watcher.servers.webhook.got) == 1


@pytest.mark.slow
def test_a_number_that_is_no_held_set_is_the_persons_mistake_and_alarms_nobody(watcher: MonitorMachine) -> None:
    assert "held set 7" in refused(watcher.run(None, accept=7))
    assert not watcher.servers.mailbox.subjects
    assert not watcher.servers.webhook.got


@pytest.mark.slow
def test_a_wrong_address_is_warned_of_without_showing_it(
    watcher: MonitorMachine, undisturbed: tuple[Tables, float]
) -> None:
    wrong = f"jsn://user:{SECRET}@127.0.0.1:{watcher.servers.webhook.port}/"
    watcher.environment["NOTIFY_URLS"] = f"{watcher.servers.webhook.url} {wrong} {watcher.servers.mailbox.url}"
    outcome = succeeded(watcher.run(SECOND))
    assert "Address 2 of NOTIFY_URLS" in outcome.log
    assert SECRET not in outcome.log
    assert watcher.database.tables_of_monitor() == undisturbed[0]
    assert SECRET not in str(watcher.database.outbox())


@pytest.mark.slow
def test_without_addresses_the_digest_is_in_the_log_and_is_no_backlog_later(watcher: MonitorMachine) -> None:
    before = watcher.database.outbox()
    watcher.environment["NOTIFY_URLS"] = ""
    assert TOLD in succeeded(watcher.run(SECOND)).log
    assert watcher.database.outbox() == before
    del watcher.environment["NOTIFY_URLS"]
    assert "done before" in succeeded(watcher.run(SECOND)).message
    succeeded(watcher.run(days(2)))
    assert all(TOLD not in subject for subject in watcher.servers.mailbox.subjects)
