"""Messages arrive at real receivers, and no address ever shows."""

import io
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from pydantic import SecretStr
from support.loopback import Quiet, listening

from tasks.notify.channels import Channel, ChannelError, NotifySettings, channels, send

SECRET = "hunter2hunter2"  # noqa: S105 - it opens nothing


def settings(*urls: str, timeout: float = 5) -> NotifySettings:
    return NotifySettings(_env_file=None, notify_urls=SecretStr(" \n".join(urls)), notify_timeout=timeout)


def one(url: str) -> Channel:
    found = channels(settings(url))
    assert found.problems == ()
    (channel,) = found.usable
    return channel


@pytest.fixture
def root_log() -> Iterator[io.StringIO]:
    """What an application that logs everything would log. (pytest's own log takes also what goes nowhere.)"""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize(
    "url", ["json://h/\ud800", "json://[", "json://h:x/", "json://h/\0", "schan://\x1b", "slack://a/b/["]
)
def test_an_address_that_cannot_exist_is_a_problem_and_no_exception(url: str) -> None:
    found = channels(settings(url))
    assert (len(found.usable), len(found.problems)) == (0, 1)


# --- a webhook


@dataclass
class Webhook:
    port: int
    got: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] | None = None
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            try:
                if hook.answer:
                    hook.answer(self)
                else:
                    self.send_response(200)
                    self.end_headers()
            except OSError:
                pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Webhook(server.server_port)
    with listening(server):
        yield hook
        hook.closing.set()


def answering(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(code, f"the token is {SECRET}")
        to.end_headers()
        to.wfile.write(SECRET.encode())

    return answer


# --- a mail server


@dataclass
class Mailbox:
    port: int = 0
    got: list[Message] = field(default_factory=list)
    reply: str = "250 OK"

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
        if self.reply.startswith("250"):
            self.got.append(message_from_bytes(envelope.content))
        return self.reply

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.port}/?from=jobs@example.org&to=ops@example.org&mode=insecure"

    def parts(self) -> dict[str, str]:
        return {
            part.get_content_type(): part.get_payload(decode=True).decode()  # type: ignore[union-attr]
            for part in self.got[-1].walk()
            if not part.is_multipart()
        }


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = Mailbox(port)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box
    controller.stop()


def test_a_webhook_gets_the_plain_form_once(webhook):
    send(one(webhook.url), "govuk: 1 closed", "- Nice 東京 <b>", "- **Nice**", settings())
    (got,) = webhook.got
    assert (got["title"], got["message"]) == ("govuk: 1 closed", "- Nice 東京 <b>")


def test_an_e_mail_shows_the_markdown_form_and_carries_text_beside_it(mailbox):
    send(one(mailbox.url), "govuk: 1 closed 東京", "- Nice", "**Closed (1)**\n\n- **Nice** «b» 東京", settings())
    (mail,) = mailbox.got
    assert mail["To"] == "ops@example.org"
    from email.header import decode_header, make_header

    assert str(make_header(decode_header(str(mail["Subject"])))) == "govuk: 1 closed 東京"
    parts = mailbox.parts()
    assert "<strong>Closed (1)</strong>" in parts["text/html"]
    assert "<strong>Nice</strong> «b» 東京" in parts["text/html"]
    assert "Nice" in parts["text/plain"]


def test_a_channel_that_fails_leaves_the_others_alone(webhook, mailbox):
    webhook.answer = answering(500)
    delivered = []
    for channel in channels(settings(webhook.url, mailbox.url)).usable:
        try:
            send(channel, "t", "p", "m", settings())
            delivered.append(channel.name)
        except ChannelError:
            pass
    assert delivered == ["Channel 2 of NOTIFY_URLS (mailto)"]
    assert len(mailbox.got) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 429, 500, 503])
def test_a_refusal_is_one_sentence_without_secrets(webhook, code, root_log, capfd):
    webhook.answer = answering(code)
    with pytest.raises(ChannelError) as caught:
        send(one(webhook.url), "title", f"the ministry answers 599 error=599 timed out {SECRET}", "m", settings())
    assert str(caught.value).startswith("Channel 1 of NOTIFY_URLS (json) ")
    assert str(caught.value).endswith(f" {code}")
    assert len(webhook.got) == 1  # trying again is not this module's business
    assert SECRET not in root_log.getvalue() + "".join(capfd.readouterr())


def test_a_receiver_that_does_not_exist_is_named():
    with pytest.raises(ChannelError, match="cannot be reached") as caught:
        send(one(f"json://user:{SECRET}@127.0.0.1:9/"), "t", "p", "m", settings())
    assert SECRET not in str(caught.value)


def test_a_receiver_that_says_nothing_is_given_up(webhook):
    webhook.answer = lambda _: webhook.closing.wait(20) and None
    with pytest.raises(ChannelError, match="in time"):
        send(one(webhook.url), "t", "p", "m", settings(timeout=0.5))


def test_a_receiver_that_answers_byte_by_byte_is_given_up(webhook):
    def drip(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Length", "1000")
        to.end_headers()
        while not webhook.closing.wait(0.1):
            to.wfile.write(b"x")
            to.wfile.flush()

    webhook.answer = drip
    with pytest.raises(ChannelError, match=r"did not finish within 1\.5 seconds"):
        send(one(webhook.url), "t", "p", "m", settings(timeout=0.5))


@pytest.mark.slow
def test_a_slow_receiver_receives_it_once(webhook):
    def slow(to: BaseHTTPRequestHandler) -> None:
        webhook.closing.wait(4.5)  # longer than Apprise waits by itself
        to.send_response(200)
        to.end_headers()

    webhook.answer = slow
    send(one(webhook.url), "t", "p", "m", settings(timeout=20))
    assert len(webhook.got) == 1


@pytest.mark.parametrize(
    ("reply", "reason"), [("452 4.2.2 mailbox full", "it answers 452"), ("550 5.7.1 no", "it answers 550")]
)
def test_a_mail_server_that_refuses_is_named(mailbox, reply, reason):
    mailbox.reply = reply
    with pytest.raises(ChannelError, match=rf"^Channel 1 of NOTIFY_URLS \(mailto\) .*: {reason}$"):
        send(one(mailbox.url), "t", "p", "m", settings())
    assert mailbox.got == []


def test_a_long_message_stays_one_message_with_its_links(webhook):
    body = "lead\n\n" + "\n".join(f"- line {n} " + "x" * 80 for n in range(2000)) + "\n\nRun: http://x.example/1"
    send(one(webhook.url), "t", body, "m", settings())
    (got,) = webhook.got
    assert len(got["message"]) <= 32768
    assert got["message"].startswith("lead\n\n- line 0 x")
    *_, last_line, shortened, link = got["message"].split("\n\n")
    assert last_line.endswith("x" * 80)
    assert shortened.startswith("… shortened")
    assert link == "Run: http://x.example/1"


# --- NOTIFY_URLS


def test_a_channel_is_its_digest_and_its_place_never_its_address(webhook):
    first, second = channels(settings(webhook.url, f"json://localhost/{SECRET}", webhook.url)).usable
    assert (first.name, second.name) == ("Channel 1 of NOTIFY_URLS (json)", "Channel 2 of NOTIFY_URLS (json)")
    assert first.id != second.id
    assert len(first.id) == 32
    assert channels(settings(webhook.url)).usable[0].id == first.id  # the same in another process, on another day
    assert SECRET not in repr(first) + str(first) + repr(settings(webhook.url))


@pytest.mark.parametrize(
    "wrong",
    [f"nosuch://{SECRET}", SECRET, f"{SECRET}://x", "json://", "mailto://", f"slack://{SECRET}", "http//x", ","],
)
def test_a_wrong_address_is_named_by_its_position_and_stops_no_other(webhook, wrong, root_log, capfd):
    found = channels(settings(wrong, webhook.url))
    assert [channel.name for channel in found.usable] == ["Channel 2 of NOTIFY_URLS (json)"]
    (problem,) = found.problems
    assert problem.startswith("Address 1 of NOTIFY_URLS")
    assert "Apprise" in problem
    assert SECRET not in problem + root_log.getvalue() + "".join(capfd.readouterr())


@pytest.mark.parametrize("value", ["", "  \n "])
def test_without_addresses_there_are_no_channels(value):
    assert channels(settings(value)) == channels(NotifySettings(_env_file=None, notify_urls=None))
    assert channels(settings(value)).usable == ()


FIRST, SECOND = (
    "json://u:p@127.0.0.1/a?to=x@x.example,y@y.example",
    "mailto://u:p@example.org?to=x@x.example,y@y.example",
)


@pytest.mark.parametrize("between", [" ", "\n", ",", ", ", " ,", " , ", ",,", ";", "; ", ",\n\t"])
@pytest.mark.parametrize("around", ["", ",", ", ", ";"])
def test_addresses_are_separated_by_blanks_commas_and_semicolons(between, around):
    found = channels(settings(f"{FIRST}{between}{SECOND}{around}"))
    assert found.problems == ()
    assert [channel.url.get_secret_value() for channel in found.usable] == [FIRST, SECOND]


@pytest.mark.parametrize(
    "both",
    [
        "json://127.0.0.1/a|json://127.0.0.1/b",
        "json://127.0.0.1/ajson://127.0.0.1/b",
        "json://127.0.0.1/a+json://127.0.0.1/b",
        '"json://127.0.0.1/a"',
        '"json://127.0.0.1/a","json://127.0.0.1/b"',
        "['json://127.0.0.1/a']",
        "NOTIFY_URLS=json://127.0.0.1/a",
    ],
)
def test_no_address_is_lost_in_another_one_without_a_problem(both):
    found = channels(settings(both))
    assert (len(found.usable), len(found.problems)) in {(0, 1), (1, 1)}


def test_an_address_in_a_query_is_no_second_address():
    assert channels(settings("json://127.0.0.1/a?+X-Link=https://x.example/b")).problems == ()
