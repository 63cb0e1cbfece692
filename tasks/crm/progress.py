"""The progress of an import, and who shows it: the bar on a terminal, the log, the run's page.

Pure: those who show it register as listeners, and the time is an argument.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from tasks.crm.worker_protocol import Interface


@dataclass(frozen=True)
class Progress:
    """Rows staged so far."""

    workbook: str
    done: int  # rows
    total: int | None  # rows the sheet has at most; None if the format does not state it
    rejected: int
    seconds: float  # since the reading began

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds until all rows are staged, at this rate."""
        return max(self.total - self.done, 0) / self.rate if self.total and self.rate else None

    def __str__(self) -> str:
        of = f" of {self.total:,}" if self.total else ""
        left = f", {self.left:.0f} s left" if self.left is not None else ""
        return f"{self.done:,}{of} rows staged, {self.rejected:,} rejected, {self.rate:,.0f} rows/s{left}"


# Whether messages name the options of the command line or the parameters of the UI.
interface: ContextVar[Interface] = ContextVar("interface", default="ui")

Listener = Callable[[Progress], None]
listener: ContextVar[Listener | None] = ContextVar("listener", default=None)  # set by a run in the foreground
