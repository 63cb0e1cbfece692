"""The channels of NOTIFY_URLS, to which Apprise delivers messages.

A channel's URL is a secret: it contains a password or a token. This module gives out a channel's digest, which the
outbox stores, and its position in NOTIFY_URLS, by which an operator finds it. It never gives out the URL, nor Apprise's
own messages, which may quote it. A wrong URL does not affect the other channels.
"""

import hashlib
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from db.display import printable
from db.errors import TransientError
from db.settings import ProjectSettings
from tasks.notify.dialects import for_plugin


class ChannelError(TransientError):
    """A channel did not accept a message; the reason is one plain sentence without secrets."""


class NotifySettings(ProjectSettings):
    """Who gets notifications, and how long a channel may take."""

    other_names: ClassVar[Mapping[str, str]] = {"NOTIFY_URLS_FILE": "NOTIFY_FILE"}

    notify_urls: SecretStr | None = Field(
        None, description="Apprise URLs, separated by spaces or commas; empty: no notifications"
    )
    # three times this must be less than the lease of a message (db.notifications.LEASE_SECONDS)
    notify_timeout: float = Field(30, gt=0, le=90, description="Seconds that a channel may take for each answer")


@cache
def notify_settings() -> NotifySettings:
    """The settings, read once."""
    return NotifySettings.load()


@dataclass(frozen=True)
class Channel:
    """One URL of NOTIFY_URLS."""

    id: str  # a digest of the URL
    place: int  # its position in NOTIFY_URLS, from 1
    kind: str  # the scheme of the URL
    name: str  # for people: position and kind
    url: SecretStr = field(repr=False)


@dataclass(frozen=True)
class Channels:
    """The channels of NOTIFY_URLS that can be used, and a sentence about each URL that cannot."""

    usable: tuple[Channel, ...] = ()
    problems: tuple[str, ...] = ()


_KIND = re.compile(r"([a-zA-Z][a-zA-Z0-9]{1,20})://.")
_BETWEEN = re.compile(r"(?<=[^\s,;])[\s,;]+(?=[a-zA-Z][a-zA-Z0-9]{1,20}://)|\s+")  # two addresses: as Apprise, and ;
_TWO = re.compile(r"[^?]+://[^?]*://")  # a second address that nothing separates, not one in the query
_LOG = logging.getLogger("apprise")
_OVERALL = 3  # a whole delivery may take this many times the time for one answer


def channels(settings: NotifySettings | None = None) -> Channels:
    """The channels of NOTIFY_URLS in their order, each URL once."""
    secret = (settings or notify_settings()).notify_urls
    usable: dict[str, Channel] = {}
    problems: list[str] = []
    for place, url in enumerate(_addresses(secret.get_secret_value()) if secret else [], start=1):
        kind = _KIND.match(url)
        if not kind or _TWO.match(url) or url != printable(url) or _plugin(url) is None:
            problems.append(
                f"Address {place} of NOTIFY_URLS is not one that Apprise understands: "
                "see https://github.com/caronc/apprise/wiki for its form, write it without quotation marks and with "
                "%20 for a space in it, and separate addresses by spaces or commas",
            )
            continue
        scheme = kind.group(1).lower()
        name = f"Channel {place} of NOTIFY_URLS ({scheme})"
        channel = Channel(_digest(url), place, scheme, name, SecretStr(url))
        usable.setdefault(channel.id, channel)
    return Channels(tuple(usable.values()), tuple(problems))


def _addresses(setting: str) -> list[str]:
    """The addresses, which are separated by spaces, commas or semicolons; a comma inside an address is part of it."""
    return [each.rstrip(",;") or each for each in _BETWEEN.split(setting.strip()) if each]


def send(channel: Channel, title: str, plain: str, markdown: str, settings: NotifySettings | None = None) -> None:
    """Deliver one message; a message that is too long for the channel is cut before its last paragraph.

    `dialects` decides what the channel gets of `plain` and `markdown`. A channel that accepts the message but answers
    too late gets it again with the next attempt.

    Raises:
        ChannelError: the channel did not accept the message.
    """
    timeout = (settings or notify_settings()).notify_timeout
    outcome: list[str | None] = []
    # A thread, because Apprise limits each wait but not their sum.
    thread = threading.Thread(
        target=lambda: outcome.append(_deliver(channel, title, plain, markdown, timeout)), daemon=True
    )
    thread.start()
    thread.join(_OVERALL * timeout)
    reason = outcome[0] if outcome else f"it did not finish within {_OVERALL * timeout:g} seconds"
    if reason:
        raise ChannelError(f"{channel.name} did not accept the message: {reason}")


@cache  # of a few addresses, for each delivery
def _digest(url: str) -> str:
    """A slow digest, so that a short password cannot be found by trying with what is in the database."""
    return hashlib.scrypt(url.encode(), salt=b"embassy-jobs channel", n=2**14, r=8, p=1, dklen=16).hex()


def _plugin(url: str, timeout: float | None = None) -> Any:
    """Apprise's object for the URL; None if Apprise does not understand it."""
    import apprise  # noqa: PLC0415 - slow, and not needed without channels

    # Apprise's log may quote URLs, so it is not passed on; _reasons collects what matters.
    _LOG.propagate = False
    for client in ("urllib3", "httpx", "httpcore"):
        logging.getLogger(client).setLevel(logging.WARNING)  # their logs quote paths, which contain tokens
    _LOG.setLevel(logging.DEBUG)
    if not _LOG.handlers:
        _LOG.addHandler(logging.NullHandler())
    asset = apprise.AppriseAsset(
        async_mode=False, app_id="embassy-jobs", app_desc="Embassy jobs", pgp_autogen=False, pem_autogen=False
    )
    plugin = apprise.Apprise.instantiate(url, asset=asset)
    if plugin is not None and timeout is not None:
        if not re.search(r"[?&]rto=", url):  # with Apprise's 4 seconds a slow receiver gets messages twice
            plugin.socket_read_timeout = timeout
        if not re.search(r"[?&]cto=", url):
            plugin.socket_connect_timeout = timeout
    return plugin


def _deliver(channel: Channel, title: str, plain: str, markdown: str, timeout: float) -> str | None:
    """None if the message was delivered, else the reason, without secrets."""
    with _reasons() as reasons:
        try:
            plugin = _plugin(channel.url.get_secret_value(), timeout)
            if plugin is None:
                return "its address is no longer understood: check NOTIFY_URLS"
            if plugin.notify(**for_plugin(plugin, channel.kind, title, plain, markdown)):
                return None
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything, with the URL in its message
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
        return "it cannot be reached, or closed the connection"
    return "Apprise gives no reason"


class _Collector(logging.Handler):
    """Collects what Apprise logs in the thread of one delivery."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.thread = threading.get_ident()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()  # debug lines may quote the message itself, which can contain "error"
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
