"""Missions that a page shows but that could not be read: which known ones they may be, and what is new of them.

A known mission that may be behind an unreadable row is kept as last known: it is neither missing nor closed.
"""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from tasks.mofa.comparison import comparable
from tasks.mofa.diff import Known
from tasks.mofa.embassy import Embassy, Unreadable


class UnreadableMission(BaseModel):
    """An unreadable row, as a report stores it."""

    model_config = ConfigDict(frozen=True)

    row: str  # by what a person finds it on the page
    reason: str
    page: str  # address
    key: str | None = None  # of the mission, if the row says enough for it
    keys: tuple[str, ...] = ()  # known missions that it may be, kept as last known
    new: bool = True  # it was readable before, or not there, or unreadable for another reason

    def same_row(self, other: "UnreadableMission") -> bool:
        """Whether both are the same row of the same page."""
        return (self.key, self.page, self.row if self.key is None else "") == (
            other.key,
            other.page,
            other.row if other.key is None else "",
        )


def locate(
    unreadable: Sequence[tuple[Unreadable, str]],
    known: Mapping[str, Known],
    found: Mapping[str, Embassy],
    last_page: Mapping[str, str],
    before: Sequence[UnreadableMission] = (),
) -> list[UnreadableMission]:
    """Each unreadable row with the known missions that it may be.

    Args:
        unreadable: rows, and the address of the page of each.
        known: every mission of the source in the database by key.
        found: the missions that could be read, by key.
        last_page: key of a known mission -> URL of the page that listed it last.
        before: what was unreadable in the set applied last.

    A row without a key is the mission that it matched last time; else the absent mission with its name; else any absent
    mission of its page, because which one cannot be known.
    """
    absent = {key: each.embassy for key, each in known.items() if each.status != "closed" and key not in found}
    rows = [UnreadableMission(row=each.row, reason=each.reason, page=page, key=each.key) for each, page in unreadable]
    earlier = [next((old for old in before if old.same_row(row)), None) for row in rows]
    keys = [_certain(row, old, absent) for row, old in zip(rows, earlier, strict=True)]
    free = absent.keys() - {key for each in keys for key in each}
    found_rows = []
    for row, old, certain in zip(rows, earlier, keys, strict=True):
        unknown = row.key is None and old is None and not certain
        possible = sorted(key for key in free if last_page.get(key) == row.page) if unknown else certain
        new = old is None or old.reason != row.reason
        found_rows.append(row.model_copy(update={"keys": tuple(possible), "new": new}))
    return found_rows


def _certain(row: UnreadableMission, old: UnreadableMission | None, absent: Mapping[str, Embassy]) -> list[str]:
    if row.key is not None:
        return [row.key] if row.key in absent else []
    if old is not None:
        return [key for key in old.keys if key in absent]
    name = comparable("name", row.row)
    named = [key for key, each in absent.items() if comparable("name", each.name) == name]
    return named if len(named) == 1 else []
