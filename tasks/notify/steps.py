"""Reports to people: which messages go into the outbox, and the task that delivers them.

A message commits with the change that it reports; delivery is separate. Each channel gets its messages in order. A
failing channel delays no other, and the lease of a killed sender expires. That a job fails is reported once when the
incident starts and once when it is over, whether the job or the watchdog notices it.
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from prefect import get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from sqlalchemy import Connection

from db import incidents, notifications
from db.display import redacted
from db.engine import DatabaseError, transaction
from db.errors import JobError
from db.settings import SettingsError
from tasks.counts import counted
from tasks.notify import message
from tasks.notify.channels import ChannelError, channels, send
from tasks.step import run, step

# Called with each reason why people are not notified; a run in the foreground prints it.
listener: ContextVar[Callable[[str], None]] = ContextVar("listener", default=lambda _line: None)


@dataclass(frozen=True)
class Delivered:
    """What became of the messages that were due."""

    sent: int
    failed: int  # they are tried again later


def channel_ids() -> list[str]:
    """The channels of NOTIFY_URLS; warns of each address that cannot be used."""
    configured = channels()
    for problem in configured.problems:
        _warn(problem)
    return [channel.id for channel in configured.usable]


def _warn(sentence: str, **counts: int) -> None:
    """One line for the log and for a person at a terminal."""
    get_run_logger().warning(sentence, extra={"counts": counts})
    listener.get()(sentence)


def enqueue(connection: Connection, key: str, to: Sequence[str], what: message.Message) -> bool:
    """Put a message into the outbox of these channels, in the caller's transaction; returns whether it is new.

    Each channel gets the message of a key once.
    """
    body = {"plain": what.plain(), "markdown": what.markdown()}
    return notifications.enqueue(connection, key, to, what.title, body) > 0


def run_page() -> str | None:
    """The address of this run's page in the UI."""
    page: str | None = flow_run.ui_url
    return page and redacted(page)


@dataclass(frozen=True)
class Failure:
    """A failure of a job for a subject."""

    job: str
    subject: str  # a workbook, a source
    sentence: str
    run: Any = None  # the id of the flow run that failed
    page: str | None = None  # its page in the UI


def report_failure(
    connection: Connection, failure: Failure, to: Sequence[str] | None = None, event: str = "failing"
) -> bool:
    """Open an incident, or add to the open one, in the caller's transaction; returns whether a message was written.

    Each event of an incident is reported once.
    """
    incident = incidents.open_incident(connection, failure.job, failure.subject, failure.run)
    what = message.failure(
        f"{failure.job} {failure.subject}", failure.sentence, since=incident.began_at, run=failure.page
    )
    return enqueue(connection, f"episode:{incident.id}:{event}", channel_ids() if to is None else to, what)


def report_recovery(connection: Connection, job: str, subject: str, to: Sequence[str] | None = None) -> bool:
    """Close the open incident, if there is one, in the caller's transaction; returns whether a message was written."""
    incident = incidents.close_incident(connection, job, subject)
    if incident is None:
        return False
    what = message.recovery(f"{job} {subject}", since=incident.began_at, failures=incident.failures, run=run_page())
    return enqueue(connection, f"episode:{incident.id}:recovered", channel_ids() if to is None else to, what)


def try_to_report(report: Callable[[Connection], bool]) -> bool:
    """Call `report` in a transaction of its own and return what it returns; False if the database does not answer.

    Then the run continues, and doctor reports the database.
    """
    try:
        with transaction() as connection:
            return report(connection)
    except (DatabaseError, SettingsError) as error:
        _warn(f"nothing could be reported: {error}")
        return False


@step(
    task_run_name="deliver-notifications",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def deliver_outbox() -> Delivered:
    """Send the messages that are due to the channels of NOTIFY_URLS; a failing channel waits for the next delivery."""
    usable = {channel.id: channel for channel in channels().usable}
    suspect_channels: set[str] = set()
    sent = failed = 0
    while usable:
        with transaction() as connection:
            due = notifications.lease(connection, list(usable), suspect_channels)
        if due is None:
            break
        try:
            send(usable[due.channel], due.title, due.body["plain"], due.body["markdown"])
        except ChannelError as failure:
            failed += 1
            _record_failure(due, str(failure), usable, suspect_channels)
        else:
            sent += 1
            with transaction() as connection:
                notifications.mark_sent(connection, due)
    if failed:
        _warn(
            f"{counted(failed, 'message')} that a channel did not take: tried again by the next run or the watchdog",
            sent=sent,
            failed=failed,
        )
    return Delivered(sent, failed)


def _record_failure(
    due: notifications.LeasedMessage, why: str, usable: dict[str, Any], suspect_channels: set[str]
) -> None:
    """Record why a message was not sent; its channel becomes suspect, or is left out of this delivery."""
    _warn(f"{why} (attempt {due.attempts})")
    try_next = due.attempts >= notifications.ATTEMPTS_BEFORE_NEXT and due.channel not in suspect_channels
    with transaction() as connection:
        notifications.mark_failed(connection, due, why, delay_channel=not try_next)
    if try_next:
        suspect_channels.add(due.channel)
    else:
        del usable[due.channel]


def deliver() -> None:
    """Send the messages that are due; what cannot be sent waits for the next run and does not fail this one."""
    try:
        run(deliver_outbox)
    except JobError as refusal:
        _warn(f"no message could be delivered: {refusal}")
