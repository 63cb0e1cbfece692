"""What robots.txt allows us, as RFC 9309 says."""

import re
from dataclasses import dataclass

from protego import Protego

PRODUCT = "embassy-jobs"  # what robots.txt may call us
MAX_BYTES = 512 * 1024  # RFC 9309, 2.5: at least 500 KiB must be read, the rest may be left
# RFC 9309, 2.2.1: a crawler is known by its product token; the version and the comment behind it do not count.
_VERSIONED = re.compile(rf"^([ \t]*user-agent[ \t]*:[ \t]*{PRODUCT})(?=[/ \t(;])[^\r\n]*", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Robots:
    """The rules of one server."""

    rules: Protego

    @classmethod
    def parse(cls, body: bytes) -> "Robots":
        """The rules in the body of robots.txt; an HTML page in its place has none, whatever type it is sent as."""
        text = body.decode("utf-8-sig", "replace")
        return cls(Protego.parse("" if text.lstrip().startswith("<") else _VERSIONED.sub(r"\1", text)))

    @property
    def delay(self) -> float:
        """Seconds between two requests that it asks for."""
        rate = self.rules.request_rate(PRODUCT)
        by_rate = rate.seconds / rate.requests if rate and rate.requests else 0
        return float(max(self.rules.crawl_delay(PRODUCT) or 0, by_rate))

    def allows(self, url: str) -> bool:
        """Whether we may request this address."""
        return bool(self.rules.can_fetch(url, PRODUCT))


NO_RULES = Robots(Protego.parse(""))
