"""Three source files of a user, test-a to test-c, and their ministries on one server; runs of all of them."""

from datetime import datetime
from pathlib import Path
from typing import Any

from support.ministry import Ministry
from support.ministry import page as answer
from support.monitor import run_for_slot
from support.source_texts import HOME, TABLE, table

PATTERN = "test-*"
NAMES = ["test-a", "test-b", "test-c"]


def write_sources(directory: Path) -> Path:
    """The source files; returns their directory."""
    directory.mkdir(exist_ok=True)
    for name in NAMES:
        (directory / f"{name}.toml").write_text(TABLE.replace(HOME, f"https://www.mofa.example/{name}"))
    return directory


def show(ministry: Ministry, name: str, phone: str = "100", missions: int = 12) -> None:
    """The list of one ministry; `phone` is that of its first mission."""
    rows = [
        (f"{name} {n}", f"{n} Road", phone if n == 0 else f"20{n}", f"m{n}@{name}.example") for n in range(missions)
    ]
    ministry.answers[f"/{name}"] = answer(table(*rows).text)


def run_all(base_url: str, slot: datetime | None, pattern: str = PATTERN, *, return_state: bool = True) -> Any:
    """A run of the flow, for a slot as Prefect's scheduler makes it, or by hand."""
    assert return_state
    return run_for_slot(slot, source=pattern, base_url=base_url, accept=None)
