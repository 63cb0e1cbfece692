"""Receivers of notifications on loopback: a webhook and a mailbox."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import loads
from typing import Any

from aiosmtpd.controller import Controller
from support.loopback import Quiet, listening

SECRET = "hunter2hunter2"  # noqa: S105 - it opens nothing


@dataclass
class Webhook:
    """Hears what is posted to it; `status` is its answer, which it keeps back while `answering` is not set."""

    port: int
    status: int = 200
    got: list[dict[str, Any]] = field(default_factory=list)
    received: threading.Event = field(default_factory=threading.Event)
    answering: threading.Event = field(default_factory=threading.Event)
    refused: set[str] = field(default_factory=set)  # titles that it never takes

    @property
    def url(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}"

    def in_order(self) -> list[str]:
        return [each["title"] for each in self.got]

    def titles(self) -> Counter[str]:
        return Counter(self.in_order())

    def reset(self) -> None:
        self.status = 200
        self.got.clear()
        self.received.clear()
        self.answering.set()
        self.refused.clear()


@dataclass
class Mailbox:
    """Hears mail; `reply` is what it answers."""

    port: int
    reply: str = "250 OK"
    subjects: list[str] = field(default_factory=list)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
        if self.reply.startswith("250"):
            self.subjects.append(str(message_from_bytes(envelope.content, policy=policy.default)["Subject"]))
        return self.reply

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.port}/?from=jobs@example.org&to=ops@example.org&mode=insecure"

    def titles(self) -> Counter[str]:
        return Counter(self.subjects)

    def reset(self) -> None:
        self.reply = "250 OK"
        self.subjects.clear()


@contextmanager
def a_webhook() -> Iterator[Webhook]:
    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.got.append(message)
            hook.received.set()
            hook.answering.wait(60)
            try:
                self.send_response(413 if message["title"] in hook.refused else hook.status)
                self.end_headers()
            except OSError:  # the sender is gone
                pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Webhook(server.server_port)
    hook.answering.set()
    with listening(server):
        yield hook
        hook.answering.set()


@contextmanager
def a_mailbox() -> Iterator[Mailbox]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = Mailbox(port)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
