"""The outbox and the step that empties it, with a real database, a real webhook and a real mailbox."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.logging import disable_run_logger
from prefect.states import Completed
from support.commands import use_server_of_tests
from support.databases import Database
from support.receivers import SECRET, Mailbox, Webhook, a_mailbox, a_webhook
from support.settings import forget_settings

from db import notifications
from db.engine import DatabaseError, transaction
from deployments.doctor.checks import Setup, check_outbox
from flows.foreground import run_in_foreground
from tasks.notify import redirect, steps
from tasks.notify.channels import notify_settings

HOUR = 3600


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with a_webhook() as webhook:
        yield webhook


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with a_mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def outbox(database: str) -> Database:
    return Database(database)


SetChannels = Callable[..., None]


@pytest.fixture
def set_channels(monkeypatch: pytest.MonkeyPatch, outbox: Database) -> Iterator[SetChannels]:
    """Sets NOTIFY_URLS."""

    def use(*urls: str, timeout: float = 5) -> None:
        monkeypatch.setenv("NOTIFY_URLS", " ".join(urls))
        monkeypatch.setenv("NOTIFY_TIMEOUT", str(timeout))
        notify_settings.cache_clear()

    use()
    yield use
    notify_settings.cache_clear()
    forget_settings()


def enqueue(key: str, title: str | None = None) -> int:
    """What a job does when it has something to tell."""
    with disable_run_logger(), transaction() as connection:
        body = {"plain": f"about {key}", "markdown": f"about **{key}**"}
        return notifications.enqueue(connection, key, steps.channel_ids(), title or key, body)


def deliver() -> tuple[int, int]:
    """(sent, failed) of one sender."""
    with disable_run_logger():
        delivered: Any = steps.deliver_outbox.fn()
    assert isinstance(delivered, steps.Delivered), delivered
    return delivered.sent, delivered.failed


def passes(outbox: Database, seconds: int) -> None:
    """Time passes for what waits."""
    outbox.query(
        "UPDATE notifications SET (leased_until, created_at) = (leased_until - each, created_at - each)"
        " FROM make_interval(secs => %s) AS each",
        seconds,
    )


@contextmanager
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    lines: list[str] = []
    logger = logging.Logger("a run's")  # noqa: LOG001 - nobody else may get it
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    with monkeypatch.context() as patch:
        patch.setattr(steps, "get_run_logger", lambda: logger)
        yield lines


# ---------------------------------------------------------------------- what is stored


def test_a_message_is_stored_once_for_each_channel_however_often_it_is_enqueued(set_channels, outbox, webhook, mailbox):
    set_channels(webhook.url, mailbox.url)
    assert [enqueue("a"), enqueue("a"), enqueue("b")] == [2, 0, 2]
    assert deliver() == (4, 0)
    assert enqueue("a") == 0, "nor is it sent again"
    assert deliver() == (0, 0)
    assert webhook.titles() == mailbox.titles() == Counter({"a": 1, "b": 1})


def test_a_message_is_stored_only_if_its_change_is(set_channels, outbox, webhook):
    set_channels(webhook.url)

    def applies_and_fails() -> None:
        with disable_run_logger(), transaction() as connection:
            notifications.enqueue(connection, "a", steps.channel_ids(), "a", {"plain": "a", "markdown": "a"})
            connection.exec_driver_sql("SELECT 1 / 0")

    with pytest.raises(DatabaseError, match="division by zero"):
        applies_and_fails()
    assert outbox.outbox() == []
    assert deliver() == (0, 0)


def test_no_address_is_stored_in_the_database(set_channels, outbox, webhook):
    set_channels(webhook.url)
    webhook.status = 500
    enqueue("a")
    deliver()
    [row] = outbox.outbox()
    assert row["last_error"].endswith("it answers 500")
    assert SECRET not in str(row)
    assert "127.0.0.1" not in str(row)


def test_without_addresses_nothing_is_stored_and_a_channel_added_later_gets_no_backlog(set_channels, outbox, webhook):
    assert enqueue("a") == 0
    assert outbox.outbox() == []
    assert deliver() == (0, 0)
    set_channels(webhook.url)
    assert deliver() == (0, 0)
    enqueue("b")
    deliver()
    assert webhook.titles() == Counter(["b"])


def test_a_second_channel_added_later_gets_no_backlog(set_channels, webhook, mailbox):
    set_channels(webhook.url)
    enqueue("a")
    deliver()
    set_channels(webhook.url, mailbox.url)
    deliver()
    assert mailbox.subjects == []


def test_rows_of_a_removed_channel_stay_and_harm_nothing_and_go_out_if_it_returns(
    set_channels, outbox, webhook, mailbox
):
    set_channels(webhook.url, mailbox.url)
    enqueue("a")
    set_channels(mailbox.url)
    assert deliver() == (1, 0)
    enqueue("b")
    assert deliver() == (1, 0)
    assert [(row["title"], row["status"]) for row in outbox.outbox()] == [
        ("a", "pending"),
        ("a", "sent"),
        ("b", "sent"),
    ]
    assert webhook.got == []
    outbox.query("UPDATE notifications SET created_at = created_at - interval '2 hours'")
    with disable_run_logger(), transaction() as connection:
        assert notifications.count_undelivered(connection, steps.channel_ids(), 60) == 0, "nobody expects it any more"
    set_channels(webhook.url, mailbox.url)
    with disable_run_logger(), transaction() as connection:
        assert notifications.count_undelivered(connection, steps.channel_ids(), 60) == 1
    assert deliver() == (1, 0)
    assert webhook.titles() == Counter(["a"])
    assert mailbox.titles() == Counter(["a", "b"])


def messages_of_doctor() -> list[tuple[str, str]]:
    return [(found.verdict, found.text.partition(" ")[0]) for found in check_outbox(Setup(Path(), None))]


@pytest.fixture
def lost(set_channels, outbox, webhook, mailbox) -> None:
    """The address of a channel that refused the first of two messages for its password was corrected."""
    set_channels(webhook.url, mailbox.url)
    webhook.status = 401
    enqueue("a")
    assert deliver() == (1, 1)
    enqueue("b")
    set_channels(mailbox.url, webhook.url.replace(f"user:{SECRET}@", "user:corrected@"))
    webhook.status = 200
    webhook.got.clear()
    enqueue("b")
    assert deliver() == (2, 0)
    assert webhook.in_order() == ["b"]
    assert messages_of_doctor() == [("warning", "2")]


def test_what_a_channel_did_not_accept_goes_to_its_corrected_address_by_a_command(lost, outbox, webhook, mailbox):
    assert redirect.main(["2"]) == 0
    assert deliver() == (1, 0)
    assert webhook.in_order() == ["b", "a"]
    assert mailbox.titles() == Counter(["a", "b"])
    assert messages_of_doctor() == [("ok", "none")]


@pytest.mark.slow
@pytest.mark.parametrize("to", ["1", "none"])
def test_what_is_discarded_or_was_sent_already_fails_for_good(lost, outbox, webhook, mailbox, to):
    assert redirect.main([to]) == 0
    assert deliver() == (0, 0)
    assert mailbox.titles() == Counter(["a", "b"])
    assert messages_of_doctor() == [("ok", "none")]


def test_what_waits_for_two_removed_channels_is_sent_once_to_the_third(set_channels, outbox, webhook, mailbox):
    set_channels(webhook.url, webhook.url.replace(SECRET, "another"))
    webhook.status = 401
    enqueue("a")
    assert deliver() == (0, 2)
    set_channels(mailbox.url)
    assert messages_of_doctor() == [("warning", "2")]
    assert redirect.main(["1"]) == 0
    assert deliver() == (1, 0)
    assert mailbox.titles() == Counter(["a"])
    assert messages_of_doctor() == [("ok", "none")]


@pytest.mark.parametrize(("urls", "place"), [((), "1"), (("jsn://x/",), "1"), (("json://x/",), "2")])
def test_nothing_is_discarded_or_moved_if_the_removed_channels_are_not_known(lost, set_channels, outbox, urls, place):
    set_channels(*urls)
    before = outbox.outbox()
    assert redirect.main([place]) > 0
    assert outbox.outbox() == before


def test_a_person_at_a_terminal_reads_why_nobody_was_notified(set_channels, webhook):
    lines: list[str] = []
    set_channels(f"jsn://user:{SECRET}@127.0.0.1/", webhook.url)
    webhook.status = 503
    token = steps.listener.set(lines.append)
    enqueue("a")
    enqueue("b")
    deliver()
    steps.listener.reset(token)
    assert [line.partition(":")[0] for line in lines] == [
        "Address 1 of NOTIFY_URLS is not one that Apprise understands",
        "Address 1 of NOTIFY_URLS is not one that Apprise understands",
        "Channel 2 of NOTIFY_URLS (json) did not accept the message",
        "1 message that a channel did not take",
    ]
    assert SECRET not in "".join(lines)


def test_a_run_in_the_foreground_prints_each_reason_once_and_is_done(
    set_channels, webhook, prefect_server, monkeypatch, capsys
):
    @flow
    def job() -> Any:
        with transaction() as connection:
            for key in ("a", "b"):
                notifications.enqueue(connection, key, steps.channel_ids(), key, {"plain": "x", "markdown": "x"})
        steps.deliver()
        return Completed(message="done")

    set_channels("jsn://x/", webhook.url)
    webhook.status = 503
    use_server_of_tests(monkeypatch)
    assert run_in_foreground(job, {}) == 0
    errors = capsys.readouterr().err
    assert errors.count("Address 1 of NOTIFY_URLS") == 1
    assert errors.count("Channel 2 of NOTIFY_URLS (json) did not accept the message: it answers 503") == 1


def test_an_address_that_cannot_be_used_is_warned_of_without_showing_it(set_channels, outbox, webhook, monkeypatch):
    set_channels(f"jsn://user:{SECRET}@127.0.0.1/", webhook.url)
    with logged(monkeypatch) as lines:
        assert len(steps.channel_ids()) == 1
    [warning] = lines
    assert warning.startswith("Address 1 of NOTIFY_URLS ")
    assert SECRET not in warning
    assert enqueue("a") == 1
    assert deliver() == (1, 0)


# ---------------------------------------------------------------------- leases


def test_a_leased_message_is_left_alone_until_its_lease_ends(set_channels, outbox, webhook):
    """As after SIGKILL: leased, and nobody there to send it."""
    set_channels(webhook.url)
    enqueue("a")
    with disable_run_logger(), transaction() as connection:
        due = notifications.lease(connection, steps.channel_ids())
    assert due is not None
    assert (due.title, due.attempts) == ("a", 1)
    assert deliver() == (0, 0)
    passes(outbox, notifications.LEASE_SECONDS - 5)
    assert deliver() == (0, 0)
    passes(outbox, 10)
    assert deliver() == (1, 0)
    assert webhook.titles() == Counter(["a"])
    assert outbox.outbox()[0]["attempts"] == 2


def test_a_lease_is_longer_than_any_delivery_may_take():
    from tasks.notify import channels

    field = channels.NotifySettings.model_fields["notify_timeout"]
    [longest] = [each.le for each in field.metadata if hasattr(each, "le")]
    assert channels._OVERALL * longest < notifications.LEASE_SECONDS


def test_senders_at_once_send_each_message_once(set_channels, outbox, webhook, mailbox):
    set_channels(webhook.url, mailbox.url)
    keys = [f"message {n}" for n in range(12)]
    for key in keys:
        enqueue(key)
    with ThreadPoolExecutor(4) as pool:
        sent = [future.result() for future in [pool.submit(deliver) for _ in range(4)]]
    assert sum(each[0] for each in sent) == 24
    assert all(each[0] < 24 for each in sent), "they did not work at once"
    assert webhook.titles() == mailbox.titles() == Counter(keys)
    assert {row["attempts"] for row in outbox.outbox()} == {1}


def test_a_sender_does_not_wait_for_the_row_that_another_is_taking(set_channels, webhook):
    set_channels(webhook.url)
    enqueue("a")
    enqueue("b")
    with disable_run_logger(), transaction() as first:
        one = notifications.lease(first, steps.channel_ids())
        with transaction() as second:
            other = notifications.lease(second, steps.channel_ids())
    assert one is not None
    assert other is not None
    assert (one.title, other.title) == ("a", "b")


# ---------------------------------------------------------------------- channels that fail


@pytest.mark.parametrize("failing", ["webhook", "mailbox"])
def test_a_channel_that_fails_for_an_hour_gets_all_later_and_the_working_one_each_once(
    set_channels, outbox, webhook, mailbox, failing
):
    set_channels(webhook.url, mailbox.url)
    broken, working = (webhook, mailbox) if failing == "webhook" else (mailbox, webhook)
    webhook.status, mailbox.reply = (503, mailbox.reply) if failing == "webhook" else (200, "451 try again later")
    passed, waits, keys = 0, [], []
    while passed < HOUR:
        keys.append(f"digest {len(keys)}")
        enqueue(keys[-1])
        sent, failed = deliver()
        assert sent == 1, "the working channel was held up"
        assert failed >= 1
        assert deliver() == (0, 0), "it was asked again at once"
        oldest = next(row for row in outbox.outbox() if row["status"] == "pending")
        [left] = outbox.query(
            "SELECT extract(epoch FROM leased_until - now())::int AS s FROM notifications WHERE id = %s", oldest["id"]
        )
        waits.append(left["s"])
        passes(outbox, left["s"] + 1)
        passed += left["s"] + 1
    assert waits == sorted(waits)
    assert waits[-1] > 10 * waits[0], "the waits do not grow"
    assert len(waits) < 12, "asked more than a dozen times in an hour"
    assert working.titles() == Counter(keys)
    webhook.status, mailbox.reply = 200, "250 OK"
    webhook.got.clear() if failing == "webhook" else None
    passes(outbox, 86_400)
    assert deliver() == (len(keys), 0)
    assert broken.titles() == working.titles() == Counter(keys)
    assert (webhook.in_order() if failing == "webhook" else mailbox.subjects) == keys
    assert {(row["status"], row["last_error"]) for row in outbox.outbox()} == {("sent", None)}


def test_nothing_overtakes_what_a_channel_did_not_accept_while_it_was_away(set_channels, outbox, webhook):
    set_channels(webhook.url)
    webhook.status = 503
    enqueue("fails")
    assert deliver() == (0, 1)
    enqueue("held for review")
    for _ in range(2 * notifications.ATTEMPTS_BEFORE_NEXT):
        passes(outbox, 86_400)
        assert deliver()[0] == 0
    assert deliver() == (0, 0), "both wait"
    webhook.status = 200
    webhook.got.clear()
    enqueue("works again")
    assert deliver() == (3, 0)
    assert webhook.in_order() == ["fails", "held for review", "works again"]


def test_a_channel_that_is_away_is_asked_twice_at_most_whatever_waits_for_it(set_channels, outbox, webhook):
    set_channels(webhook.url)
    webhook.status = 503
    keys = [f"digest {n}" for n in range(10)]
    for key in keys:
        enqueue(key)
    for attempts in range(1, 12):
        assert deliver() == (0, 1 if attempts < notifications.ATTEMPTS_BEFORE_NEXT else 2)
        assert deliver() == (0, 0), "it was asked again at once"
        passes(outbox, 86_400)
    webhook.status = 200
    webhook.got.clear()
    assert deliver() == (10, 0)
    assert webhook.in_order() == keys


def test_messages_that_a_channel_never_accepts_come_after_the_others(set_channels, outbox, webhook):
    set_channels(webhook.url)
    webhook.refused = {"too long", "too odd"}
    for key in ("too long", "too odd", "a", "b"):
        enqueue(key)
    quarters = 0
    while "b" not in webhook.in_order():
        deliver()
        passes(outbox, HOUR // 4)
        quarters += 1
        assert quarters < 20, "they hold up the others"
    assert [title for title in webhook.in_order() if title not in webhook.refused] == ["a", "b"]
    enqueue("c")
    assert deliver()[0] == 1, "a new one has to wait for nothing any more"
    assert [row["title"] for row in outbox.outbox() if row["status"] == "pending"] == ["too long", "too odd"]


@pytest.mark.slow
def test_a_channel_that_never_works_again_is_given_up_and_the_others_still_receive(
    set_channels, outbox, webhook, mailbox
):
    set_channels(webhook.url, mailbox.url)
    webhook.status = 500
    enqueue("a")
    passes(outbox, 31 * 86_400)
    outbox.query("UPDATE notifications SET attempts = %s", notifications.MAX_ATTEMPTS - 1)
    assert deliver() == (1, 1)
    passes(outbox, 10 * 86_400)
    assert deliver() == (0, 0)
    assert [row["status"] for row in outbox.outbox()] == ["failed", "sent"]
    webhook.status = 200
    enqueue("b")
    assert deliver() == (2, 0)


def test_a_sender_that_was_too_slow_does_not_undo_that_another_delivered(set_channels, outbox, webhook):
    set_channels(webhook.url)
    enqueue("a")
    with disable_run_logger(), transaction() as connection:
        slow = notifications.lease(connection, steps.channel_ids())
    assert slow is not None
    passes(outbox, notifications.LEASE_SECONDS + 1)
    deliver()
    with transaction() as connection:
        notifications.mark_failed(connection, slow, "it did not finish in time")
    [row] = outbox.outbox()
    assert (row["status"], row["last_error"]) == ("sent", None)


@pytest.mark.slow
def test_a_message_that_was_accepted_too_late_is_sent_again_and_no_other_is(set_channels, outbox, webhook, mailbox):
    set_channels(webhook.url, mailbox.url, timeout=0.5)
    webhook.answering.clear()
    enqueue("a")
    assert deliver() == (1, 1)
    webhook.answering.set()
    passes(outbox, 86_400)
    assert deliver() == (1, 0)
    assert webhook.titles() == Counter({"a": 2})
    assert mailbox.titles() == Counter({"a": 1})
