"""Telling people: what goes into the outbox, by episode, and the step that empties it.

What is to be told commits with what happened; delivering is apart. A channel hears it in its order, one failing channel
stops no other, and a sender that is killed frees what it was sending for the next one. That a job fails is told when it
begins to and when it works again, whoever noticed: the job itself, or the watchdog.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from prefect import get_run_logger
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from sqlalchemy import Connection

from db import episodes, notifications
from db.engine import DatabaseError, transaction
from db.errors import JobError
from db.settings import SettingsError
from tasks.notify import message
from tasks.notify.channels import ChannelError, channels, send
from tasks.step import run, step


@dataclass(frozen=True)
class Delivered:
    """What became of the messages that were due."""

    sent: int
    failed: int  # they are tried again later


def channel_ids() -> list[str]:
    """Who is to be told; warns of addresses that cannot be used."""
    configured = channels()
    for problem in configured.problems:
        get_run_logger().warning(problem)
    return [channel.id for channel in configured.usable]


def enqueue(connection: Connection, key: str, to: Sequence[str], told: message.Message) -> bool:
    """Put a message into the outbox of these channels, once for each key, in the caller's transaction."""
    body = {"plain": told.plain(), "markdown": told.markdown()}
    return notifications.enqueue(connection, key, to, told.title, body) > 0


def run_page() -> str | None:
    """The address of this run's page in the UI."""
    page: str | None = flow_run.ui_url
    return page


@dataclass(frozen=True)
class Failure:
    """That a job does not work for a subject, as it is told."""

    job: str
    subject: str  # a workbook, a source
    sentence: str
    run: Any = None  # the id of the flow run that failed
    page: str | None = None  # its page in the UI


def failing(connection: Connection, failure: Failure, to: Sequence[str] | None = None, event: str = "failing") -> bool:
    """In the caller's transaction, the episode of a failure; whether this event of it is new and is to be told."""
    episode = episodes.begin(connection, failure.job, failure.subject, failure.run)
    since = episode.began_at.astimezone(UTC)
    told = message.failure(f"{failure.job} {failure.subject}", failure.sentence, since=since, run=failure.page)
    return enqueue(connection, f"episode:{episode.id}:{event}", channel_ids() if to is None else to, told)


def working(connection: Connection, job: str, subject: str, to: Sequence[str] | None = None) -> bool:
    """In the caller's transaction, the end of an episode, if one is open; whether it is to be told."""
    episode = episodes.end(connection, job, subject)
    if episode is None:
        return False
    since = episode.began_at.astimezone(UTC)
    told = message.recovery(f"{job} {subject}", since=since, failures=episode.failures, run=run_page())
    return enqueue(connection, f"episode:{episode.id}:recovered", channel_ids() if to is None else to, told)


def tell_people(what: Callable[[Connection], bool]) -> bool:
    """Do it in a transaction of its own; whether something is to be told.

    If even the database is away the run goes on, and doctor tells.
    """
    try:
        with transaction() as connection:
            return what(connection)
    except (DatabaseError, SettingsError) as error:
        get_run_logger().warning("nobody could be told: %s", error)
        return False


@step(
    task_run_name="deliver-notifications",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def deliver_outbox() -> Delivered:
    """Send what waits to the channels that are configured now; one that fails is left until the next delivery."""
    logger = get_run_logger()
    usable = {channel.id: channel for channel in channels().usable}
    doubtful: set[str] = set()
    sent = failed = 0
    while usable:
        with transaction() as connection:
            due = notifications.lease(connection, list(usable), doubtful)
        if due is None:
            break
        try:
            send(usable[due.channel], due.title, due.body["plain"], due.body["markdown"])
        except ChannelError as failure:
            failed += 1
            logger.warning("%s (attempt %s)", failure, due.attempts)
            try_next = due.attempts >= notifications.ATTEMPTS_IN_FRONT and due.channel not in doubtful
            with transaction() as connection:
                notifications.mark_failed(connection, due, str(failure), others_wait=not try_next)
            if try_next:
                doubtful.add(due.channel)
            else:
                del usable[due.channel]
        else:
            sent += 1
            with transaction() as connection:
                notifications.mark_sent(connection, due)
    return Delivered(sent, failed)


def deliver() -> None:
    """Send what is due; what cannot be sent now waits for the next run and changes nothing about this one."""
    try:
        run(deliver_outbox)
    except JobError as refusal:
        get_run_logger().warning("nothing could be delivered: %s", refusal)
