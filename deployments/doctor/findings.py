"""The result of a check."""

from dataclasses import dataclass
from typing import Literal

from db.display import printable

Verdict = Literal["ok", "warning", "failed", "unknown"]
EXIT_CODES: dict[Verdict, int] = {"ok": 0, "unknown": 0, "warning": 1, "failed": 2}  # the cause of "unknown" counts


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str  # its name
    verdict: Verdict
    text: str  # what was found
    advice: str = ""  # what to do, unless the check passes
    alert: bool = True  # whether --notify reports a failure; else the watchdog does, or nobody

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", printable(self.text))


def unknown(check: str, why: str) -> Finding:
    """The result of a check that cannot be made."""
    return Finding(check, "unknown", f"cannot be checked while {why}")
