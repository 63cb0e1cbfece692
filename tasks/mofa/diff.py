"""What changed at a ministry: the difference between the known missions and those that its pages show now.

A pure function of two sets and of the time, so that any history can be replayed. It decides what is reported, in which
order, and that a mission is not closed because it was missing once.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Literal

from tasks.mofa.comparison import comparable
from tasks.mofa.embassy import COMPARED, Embassy, differences

Status = Literal["open", "missing", "closed"]
Kind = Literal["added", "changed", "missing", "closed", "reopened", "renamed", "moved"]

CLOSED_AFTER = timedelta(hours=20)  # a later slot of a daily schedule, even on the day the clocks change
EVIDENCE = ("address", "phone", "email")  # one of them equal: a new key is the mission that vanished
_ACROSS_COUNTRIES = 2  # equal values that make a mission of one country one of another: the country was renamed
_TOO_COMMON = 20  # missions of one side that share a value: it is the ministry's, and says nothing about one of them
_COMPARED_LENGTH = 300  # characters of key and name: comparing takes the square of them
_ORDER: tuple[Kind, ...] = ("closed", "missing", "reopened", "added", "moved", "renamed", "changed")


@dataclass(frozen=True)
class Known:
    """A mission as the database has it."""

    embassy: Embassy
    status: Status = "open"
    missing_since: datetime | None = None  # of a missing one: the slot (or the start) of the run that missed it first


@dataclass(frozen=True)
class Change:
    """One thing that became different."""

    kind: Kind
    key: str  # the mission's key from now on
    name: str  # its name from now on, or the last one known
    field: str | None = None  # one of embassy.COMPARED, or "key"; None when the whole mission is meant
    old: str | None = None
    new: str | None = None
    was: str | None = None  # renamed, moved: the key until now

    @property
    def importance(self) -> tuple[int, int, str]:
        """What to sort by: the smallest is reported first."""
        place = COMPARED.index(self.field) if self.field in COMPARED else len(COMPARED)
        return (_ORDER.index(self.kind), place, self.key)


def diff(known: Mapping[str, Known], found: Mapping[str, Embassy], *, at: datetime) -> list[Change]:
    """What has to be reported and stored, most important first.

    Args:
        known: every mission of this source in the database, closed ones too, by key.
        found: the accepted set, by key.
        at: when the pages were read: the slot of this run, or, of a manual one, its start; with time zone.

    A mission renamed or moved also has a "changed" for each other field that differs. A mission that stays missing or
    closed is no change. A missing one is closed by any later run, CLOSED_AFTER after the first that missed it.
    """
    from tasks.mofa.tables import compared, differences_by_key  # noqa: PLC0415 - see there

    sets = compared({key: each.embassy for key, each in known.items()}, found)
    gone, new, kept = (sets[sets["_merge"] == side] for side in ("left_only", "right_only", "both"))
    still_open = {key: known[key].embassy for key in gone.index if known[key].status == "open"}
    unchanged = [each for key in kept.index for each in (known[key].embassy, found[key])]
    again = match_renamed(still_open, {key: found[key] for key in new.index}, unchanged)
    changes = [Change("reopened", key, found[key].name) for key in kept.index if known[key].status != "open"]
    for key, field in differences_by_key(kept):
        changes += _changed(known[key].embassy, found[key], [field])
    for key in new.index:
        now = found[key]
        changes += _rekeyed(still_open[again[key]], now) if key in again else [Change("added", key, now.name)]
    for key in gone.index.difference(list(again.values())):
        before = known[key]
        if before.status == "open":
            changes.append(Change("missing", key, before.embassy.name))
        elif before.status == "missing" and _waited(before, at):
            changes.append(Change("closed", key, before.embassy.name))
    return sorted(changes, key=lambda change: change.importance)


def _waited(known: Known, at: datetime) -> bool:
    if known.missing_since is None:
        raise ValueError(f"{known.embassy.key!r} is missing, but since when is not known: pass missing_since")
    return at - known.missing_since >= CLOSED_AFTER


def _changed(before: Embassy, now: Embassy, fields: Iterable[str]) -> list[Change]:
    return [
        Change("changed", now.key, now.name, field, getattr(before, field), getattr(now, field)) for field in fields
    ]


def _rekeyed(before: Embassy, now: Embassy) -> list[Change]:
    """A mission under a new key: moved when its address differs, else renamed; what else differs is changed."""
    fields = differences(before, now)
    kind: Kind
    if "address" in fields:
        kind, field = "moved", "address"
    else:
        kind, field = "renamed", next((each for each in ("name", "city", "country") if each in fields), "key")
    first = Change(kind, now.key, now.name, field, getattr(before, field), getattr(now, field), was=before.key)
    return [first, *_changed(before, now, [each for each in fields if each != field])]


def match_renamed(
    gone: Mapping[str, Embassy], new: Mapping[str, Embassy], kept: Iterable[Embassy] = ()
) -> dict[str, str]:
    """Which new key is which mission that is gone: new key -> old key, each at most once.

    They must agree in address, phone or e-mail; in two of them if their countries differ, since another country may
    move into the same house. A value that one of `kept` has too is no evidence. Where several would do (a trade office
    in the embassy's house), more agreement wins, then the likeness of key and name; what is still undecided stays
    unmatched, rather than guessed.
    """
    from tasks.mofa.tables import shared_values  # noqa: PLC0415 - see there

    by_score: defaultdict[tuple[int, float], list[tuple[str, str]]] = defaultdict(list)
    for old_key, new_key, agreed in shared_values(gone, new, EVIDENCE, _TOO_COMMON, kept).itertuples(index=False):
        if agreed < _enough(gone[old_key], new[new_key]):
            continue
        by_score[agreed, _likeness(gone[old_key], new[new_key])].append((old_key, new_key))
    matched: dict[str, str] = {}
    taken: set[str] = set()
    for score in sorted(by_score, reverse=True):
        free = [(old, fresh) for old, fresh in by_score[score] if old not in taken and fresh not in matched]
        olds, fresh_ones = Counter(old for old, _ in free), Counter(fresh for _, fresh in free)
        for old, fresh in free:
            if olds[old] == fresh_ones[fresh] == 1:
                matched[fresh] = old
                taken.add(old)
    return matched


def _enough(one: Embassy, other: Embassy) -> int:
    """How many values two missions must share to be the same one."""
    countries = {comparable("country", each.country) for each in (one, other)} - {""}
    return _ACROSS_COUNTRIES if len(countries) > 1 else 1


def _likeness(one: Embassy, other: Embassy) -> float:
    mine, theirs = (f"{each.key} {comparable('name', each.name)}"[:_COMPARED_LENGTH] for each in (one, other))
    return round(SequenceMatcher(a=mine, b=theirs, autojunk=False).ratio(), 3)
