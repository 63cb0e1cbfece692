"""The progress of a crawl, line by line: whoever shows it is a listener."""

from collections.abc import Callable
from contextvars import ContextVar

listener: ContextVar[Callable[[str], None]] = ContextVar("progress of a crawl", default=lambda _line: None)
