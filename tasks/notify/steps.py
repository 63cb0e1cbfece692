"""The step that tells people: it empties the outbox.

What is to be told was committed with what happened; here it is only delivered. One failing channel stops no other, and
a sender that is killed frees what it was sending for the next one.
"""

from dataclasses import dataclass

from prefect import get_run_logger
from prefect.cache_policies import NO_CACHE

from db import notifications
from db.engine import DatabaseConflict, DatabaseError, DatabaseUnavailable, transaction
from tasks.notify.channels import ChannelFailed, channels, send
from tasks.settings import SettingsError
from tasks.step import Refused, run, step


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


@step(
    refusals=(DatabaseError, SettingsError),
    may_heal=(DatabaseUnavailable, DatabaseConflict),
    task_run_name="deliver-notifications",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def deliver_outbox() -> Delivered:
    """Send every message that is due to the channels that are configured now."""
    logger = get_run_logger()
    usable = {channel.id: channel for channel in channels().usable}
    sent = failed = 0
    while usable:
        with transaction() as connection:
            due = notifications.lease(connection, list(usable))
        if due is None:
            break
        try:
            send(usable[due.channel], due.title, due.body["plain"], due.body["markdown"])
        except ChannelFailed as failure:
            failed += 1
            logger.warning("%s (attempt %s)", failure, due.attempts)
            with transaction() as connection:
                notifications.mark_failed(connection, due, str(failure))
        else:
            sent += 1
            with transaction() as connection:
                notifications.mark_sent(connection, due)
    return Delivered(sent, failed)


def deliver() -> None:
    """Send what is due; what cannot be sent now waits for the next run and changes nothing about this one."""
    try:
        run(deliver_outbox)
    except Refused as refusal:
        get_run_logger().warning("nothing could be delivered: %s", refusal)
