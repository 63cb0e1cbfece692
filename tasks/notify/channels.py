"""Where messages go: the addresses of NOTIFY_URLS, through Apprise.

An address is a secret (a password, a token). What leaves this module are a channel's digest, which the outbox stores,
and its place in NOTIFY_URLS, by which an operator finds it; never the address, and never Apprise's own words, which may
quote it. A wrong address stops no other channel.
"""

import hashlib
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import Field, SecretStr

from db.errors import TransientError
from db.settings import ProjectSettings


class ChannelError(TransientError):
    """A channel did not take a message; the message is one plain sentence without secrets. Trying again may help."""


class NotifySettings(ProjectSettings):
    """Who is told, and how long a channel may take."""

    notify_urls: SecretStr | None = Field(None, description="Apprise URLs, blank-separated; without, nobody is told")
    # three times it must fit into the lease of a message (db.notifications.LEASE_SECONDS)
    notify_timeout: float = Field(30, gt=0, le=90, description="Seconds a channel may take for each answer")


@cache
def notify_settings() -> NotifySettings:
    """The settings from the environment or .env, read once."""
    return NotifySettings.load()


@dataclass(frozen=True)
class Channel:
    """One address of NOTIFY_URLS."""

    id: str  # a digest of the address: the same as long as the address is the same
    place: int  # in NOTIFY_URLS, from 1
    name: str  # for people: its place and its kind
    url: SecretStr = field(repr=False)


@dataclass(frozen=True)
class Channels:
    """What NOTIFY_URLS says: the channels that can be used, and a sentence about each address that cannot."""

    usable: tuple[Channel, ...] = ()
    problems: tuple[str, ...] = ()


_KIND = re.compile(r"([a-zA-Z][a-zA-Z0-9]{1,20})://.")
_MARGIN = 300  # characters of a message kept free for its title, where a channel has none
_MARKUP = 1.5  # how much longer Markdown may become as HTML
_LOG = logging.getLogger("apprise")
_OVERALL = 3  # of the time for one answer, what a whole delivery may take


def channels(settings: NotifySettings | None = None) -> Channels:
    """The channels of NOTIFY_URLS in their order, each address once."""
    secret = (settings or notify_settings()).notify_urls
    usable: dict[str, Channel] = {}
    problems: list[str] = []
    for place, url in enumerate(secret.get_secret_value().split() if secret else [], start=1):
        kind = _KIND.match(url)
        if not kind or _plugin(url) is None:
            problems.append(
                f"Address {place} of NOTIFY_URLS is none that Apprise understands: "
                "see https://github.com/caronc/apprise/wiki for its form, and write %20 for a blank in it",
            )
            continue
        name = f"Channel {place} of NOTIFY_URLS ({kind.group(1).lower()})"
        channel = Channel(_digest(url), place, name, SecretStr(url))
        usable.setdefault(channel.id, channel)
    return Channels(tuple(usable.values()), tuple(problems))


def send(channel: Channel, title: str, plain: str, markdown: str, settings: NotifySettings | None = None) -> None:
    """Deliver one message, as one message: what is too long for the channel loses lines before its last paragraph.

    Channels that show HTML or Markdown get `markdown`, the others `plain`. Raises ChannelError. A channel that took
    the message but said so too late gets it again.
    """
    timeout = (settings or notify_settings()).notify_timeout
    outcome: list[str | None] = []
    # A thread, since Apprise bounds each wait but not their sum.
    thread = threading.Thread(
        target=lambda: outcome.append(_deliver(channel, title, plain, markdown, timeout)), daemon=True
    )
    thread.start()
    thread.join(_OVERALL * timeout)
    reason = outcome[0] if outcome else f"it did not finish within {_OVERALL * timeout:g} seconds"
    if reason:
        raise ChannelError(f"{channel.name} did not take the message: {reason}")


def fitted(body: str, most: int) -> str:
    """The body in at most `most` characters: whole lines from its start and its last paragraph (the links)."""
    if len(body) <= most:
        return body
    start, _, end = body.rpartition("\n\n")
    note = "… shortened: the rest stands on the run's page"
    room = most - len(end) - len(note) - 4
    if not start or room <= 0:
        return body[: most - 1] + "…"
    lines, length = [], 0
    for line in start.split("\n"):
        length += len(line) + 1
        if length > room:
            break
        lines.append(line)
    return "\n".join(lines).rstrip() + f"\n\n{note}\n\n{end}"


@cache  # of a few addresses, for each delivery
def _digest(url: str) -> str:
    """Slow on purpose: who can read the database must not find a short password by trying."""
    return hashlib.scrypt(url.encode(), salt=b"embassy-jobs channel", n=2**14, r=8, p=1, dklen=16).hex()


def _plugin(url: str, timeout: float | None = None) -> Any:
    """Apprise's object for the address, or None if it is not understood."""
    import apprise  # noqa: PLC0415 - takes a moment, and a project without channels does not need it

    # Its log may quote addresses, so it goes nowhere; what matters in it is collected by _reasons.
    _LOG.propagate = False
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # its debug log quotes paths, which hold tokens
    _LOG.setLevel(logging.DEBUG)
    if not _LOG.handlers:
        _LOG.addHandler(logging.NullHandler())
    asset = apprise.AppriseAsset(
        async_mode=False, app_id="embassy-jobs", app_desc="Embassy jobs", pgp_autogen=False, pem_autogen=False
    )
    plugin = apprise.Apprise.instantiate(url, asset=asset)
    if plugin is not None and timeout is not None:
        if not re.search(r"[?&]rto=", url):  # Apprise's 4 seconds make a slow receiver hear everything twice
            plugin.socket_read_timeout = timeout
        if not re.search(r"[?&]cto=", url):
            plugin.socket_connect_timeout = timeout
    return plugin


def _deliver(channel: Channel, title: str, plain: str, markdown: str, timeout: float) -> str | None:
    """None once delivered, else why not, without secrets."""
    import apprise  # noqa: PLC0415 - see _plugin

    with _reasons() as reasons:
        try:
            plugin = _plugin(channel.url.get_secret_value(), timeout)
            if plugin is None:
                return "its address is no longer understood: check NOTIFY_URLS"
            text = plugin.notify_format == apprise.NotifyFormat.TEXT
            most = max(plugin.body_maxlen - _MARGIN, plugin.body_maxlen // 2)
            body = fitted(plain, most) if text else fitted(markdown, int(most / _MARKUP))
            notifier = apprise.Apprise(asset=plugin.asset)
            notifier.add(plugin)
            form = apprise.NotifyFormat.TEXT if text else apprise.NotifyFormat.MARKDOWN
            if notifier.notify(body=body, title=title, body_format=form):
                return None
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises, its words may hold the address
            return f"{type(error).__name__} in Apprise: check its address in NOTIFY_URLS"
    return _why("\n".join(reasons))


def _why(log: str) -> str:
    if re.search(r"authenticat|credentials|\b535\b", log, re.IGNORECASE):
        return "it does not accept the user or password: check its address in NOTIFY_URLS"
    if status := re.search(r"error[=:]\s*(\d{3})\b|\((\d{3}), b", log):
        return f"it answers {status.group(1) or status.group(2)}"
    if re.search(r"timed? ?out", log, re.IGNORECASE):
        return "it does not answer in time"
    if re.search(r"connection|socket", log, re.IGNORECASE):
        return "it cannot be reached, or broke the connection off"
    return "Apprise gives no reason"


class _Collector(logging.Handler):
    """What Apprise logs in the thread of one delivery."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.thread = threading.get_ident()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()  # what it only debugs may be our own message, which can speak of errors too
        if record.thread == self.thread and (record.levelno >= logging.WARNING or text.startswith("Socket Exception")):
            self.lines.append(text)


@contextmanager
def _reasons() -> Iterator[list[str]]:
    collector = _Collector()
    _LOG.addHandler(collector)
    try:
        yield collector.lines
    finally:
        _LOG.removeHandler(collector)
