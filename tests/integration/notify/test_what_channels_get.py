"""What arrives at each kind of channel of one message: the payload, as a server on loopback receives it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.google_chat import NotifyGoogleChat
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram
from apprise.plugins.zulip import NotifyZulip
from pydantic import SecretStr
from support.receivers import a_mailbox

from tasks.notify.channels import NotifySettings, channels, send
from tasks.notify.message import Line, Message, News, Section, changes_digest

RUN = "http://127.0.0.1:4200/runs/flow-run/1"
PAGE = "https://x.example/a_b?c=1&d=2"
VALUE = "[+44 20](http://evil.example) <!channel> <@U1> @everyone *b* `c` a_b@x.example & ~"
AS_IT_IS = VALUE.replace("@everyone", "@\u200beveryone").replace("<@U1>", "<@\u200bU1>")
HARMLESS = "［+44 20］(http://evil.example) ‹!channel› ‹@\u200bU1› @\u200beveryone ∗b∗ 'c' a_b@x.example & ～"
IN_MARKDOWN = (
    f"1 mission on the list now.\n\n**Phone (1)**\n\n- **Embassy**: 1 → {HARMLESS}\n\n"
    f"[The ministry's page]({PAGE}) · [Run]({RUN})"
)
IN_SLACK = (
    f"1 mission on the list now.\n\n*Phone (1)*\n\n- *Embassy*: 1 → {HARMLESS}\n\n"
    f"<{PAGE}|The ministry's page> · <{RUN}|Run>"
).replace("&", "&amp;")
AS_TEXT = (
    f"1 mission on the list now.\n\nPhone (1)\n\n- Embassy: 1 → {HARMLESS}\n\nThe ministry's page: {PAGE} · Run: {RUN}"
)
TITLE = "govuk: 1 changed"
DIGEST = changes_digest(
    "govuk", [News("changed", "k", "Embassy", None, "phone", "1", VALUE, PAGE)], missions=1, run=RUN
)


@dataclass
class Server:
    port: int
    got: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            there.got.append(self.rfile.read(int(self.headers["Content-Length"])))
            answer = b'{"ok": true, "result": {}}' if "bot" in self.path else b"ok"
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = Server(httpd.server_port)
    for plugin, name in (
        (NotifySlack, "webhook_url"),
        (NotifyGoogleChat, "notify_url"),
        (NotifyDiscord, "notify_url"),
        (NotifyZulip, "notify_url"),
    ):
        monkeypatch.setattr(plugin, name, there.url)
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"{there.url}/bot")
    thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield there
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def deliver(url: str, message: Message = DIGEST) -> None:
    settings = NotifySettings(_env_file=None, notify_urls=SecretStr(url))
    (channel,) = channels(settings).usable
    send(channel, message.title, message.plain(), message.markdown(), settings)


def received(server: Server, *path: str | int) -> Any:
    """What is at `path` of the one payload, JSON or a form."""
    (body,) = server.got
    found: Any = json.loads(body) if body.startswith(b"{") else parse_qs(body.decode())
    for step in path:
        found = found[step]
    return found


SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#e"
DISCORD = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js/"
ZULIP = f"zulip://bot@org/{'a1' * 16}/stream"


@pytest.mark.parametrize(
    ("url", "path", "text"),
    [
        (SLACK, ("attachments", 0, "text"), IN_SLACK),
        (f"{SLACK}?blocks=yes", ("attachments", 0, "blocks", 1, "text", "text"), IN_SLACK),
        (f"{SLACK}?format=text", ("attachments", 0, "text"), AS_TEXT),
        ("gchat://AAA/BBB/CCC", ("text",), f"*{TITLE}*\n\n{IN_SLACK}"),
        (DISCORD, ("content",), f"{TITLE}\r\n{AS_TEXT}"),
        (f"{DISCORD}?format=markdown", ("embeds", 0, "description"), IN_MARKDOWN),
        (ZULIP, ("content", 0), AS_TEXT),
        ("mmost://127.0.0.1:{port}/abcdefghijklmnopqrstuvwxyz", ("text",), f"{TITLE}\r\n{AS_TEXT}"),
        ("rocket://abc/def@127.0.0.1:{port}/#r", ("text",), f"**{TITLE}**\n\n{IN_MARKDOWN}"),
        ("matrix://user:token@127.0.0.1:{port}?mode=matrix", ("text",), f"{TITLE}\r\n{AS_TEXT}"),
        ("nctalk://user:pass@127.0.0.1:{port}/room", ("message",), f"{TITLE}\r\n{AS_TEXT}"),
        ("ntfy://127.0.0.1:{port}/topic", ("message",), AS_TEXT),
        ("ntfy://127.0.0.1:{port}/topic?format=markdown", ("message",), IN_MARKDOWN),
        ("gotify://127.0.0.1:{port}/abcdefghijklmno", ("message",), AS_TEXT),
        ("json://127.0.0.1:{port}/", ("message",), DIGEST.plain()),
        ("form://127.0.0.1:{port}/", ("message", 0), DIGEST.plain()),
    ],
)
def test_each_channel_gets_what_it_can_show_and_no_markup_of_a_page(server, url, path, text):
    deliver(url.replace("{port}", str(server.port)))
    assert received(server, *path) == text


def test_a_program_gets_each_value_as_it_is(server):
    deliver(f"json://127.0.0.1:{server.port}/")
    assert f"- Embassy: 1 → {AS_IT_IS}\n" in received(server, "message")


@pytest.mark.parametrize("form", ["", "?format=markdown", "?format=text"])
def test_telegram_gets_html_in_which_only_the_message_has_tags(server, form):
    deliver(f"tgram://123456789:abcdefg_hijklmnop/12315544/{form}")
    assert received(server, "parse_mode") == "HTML"
    text = received(server, "text")
    assert not set(text.replace("<b>", "").replace("</b>", "").partition("<a")[0]) & set("<>")
    assert text.count("<a ") == (0 if "text" in form else 2)
    assert "a_b@x.example" in text


@pytest.mark.parametrize("form", ["", "?format=markdown", "?format=markdown&ping=<@42>"])
def test_discord_mentions_only_who_is_in_the_address(server, form):
    deliver(DISCORD + form)
    mentioned = received(server).get("allow_mentions", {"users": []})["users"]
    assert mentioned == (["42"] if "42" in form else [])
    assert "@x" not in received(server).get("content", "").replace("a_b@x.example", "")


@pytest.mark.parametrize("form", ["", "&format=text"])
def test_the_text_of_an_e_mail_has_every_address(form):
    with a_mailbox() as mailbox:
        got: list[Any] = []
        mailbox.handle_DATA = _keeping(got)  # type: ignore[method-assign]
        each = changes_digest(
            "s", [News("closed", str(n), f"Embassy {n}", page=f"{PAGE}&n={n}") for n in range(3)], missions=1, run=RUN
        )
        deliver(mailbox.url + form, each)
    text = got[0].get_body(("plain",)).get_content()
    assert [line.strip() for line in text.splitlines() if "http" in line] == [
        f"{PAGE}&n=0",
        f"{PAGE}&n=1",
        f"{PAGE}&n=2",
        f"Run: {RUN}",
    ]


def test_an_e_mail_without_html_shows_each_value_as_it_is():
    with a_mailbox() as mailbox:
        got: list[Any] = []
        mailbox.handle_DATA = _keeping(got)  # type: ignore[method-assign]
        deliver(f"{mailbox.url}&format=text")
    assert got[0].get_content().splitlines() == DIGEST.plain().splitlines()


def _keeping(got: list[Any]) -> Any:
    async def handle(_server: object, _session: object, envelope: Any) -> str:
        got.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    return handle


@pytest.mark.parametrize(
    ("url", "path", "max_length"),
    [
        (SLACK, ("attachments", 0, "text"), 35_000),
        (f"{SLACK}?blocks=yes", ("attachments", 0, "blocks", 1, "text", "text"), 3000),
        ("gchat://AAA/BBB/CCC", ("text",), 4000),
        (DISCORD, ("content",), 2000),
        (ZULIP, ("content", 0), 10_000),
        ("rocket://abc/def@127.0.0.1:{port}/#r", ("text",), 1000),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", ("text",), 4096),
        ("json://127.0.0.1:{port}/", ("message",), 32_768),
    ],
)
def test_a_long_message_is_cut_to_what_the_channel_takes_with_its_links(server, url, path, max_length):
    section = Section("Closed (2)", tuple(Line(f"Embassy <{n}> & *co*", "x " * 90, PAGE) for n in range(300)))
    long = Message("t" * 150, "lead", (section,), links=(("Run", RUN),))
    deliver(url.replace("{port}", str(server.port)), long)
    text = received(server, *path)
    assert 0.75 * max_length < len(text) <= max_length
    assert "Embassy ‹1›" in text.replace("<1>", "‹1›")
    assert "shortened" in text
    assert RUN in text[-200:]


def test_a_title_is_cut_to_what_the_channel_takes(server):
    deliver(ZULIP, Message("t" * 150, "lead"))
    assert received(server, "subject", 0) == "t" * 59 + "…"
