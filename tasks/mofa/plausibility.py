"""Decides whether a candidate is plausible: it is applied, or held for a person to look at.

A redesign, a half-empty page or a maintenance notice must not close an embassy in anybody's database. Pure: the known
missions, the candidate and the thresholds go in, the reasons to hold it come out.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from tasks.mofa.diff import Known
from tasks.mofa.embassy import COMPARED, Embassy

if TYPE_CHECKING:
    import pandas as pd

# A yearly holiday table changes on most missions at once, and so does a new web address: neither is an anomaly.
WATCHED_FIELDS = tuple(field for field in COMPARED if field not in {"website", "opening_hours", "kind"})

OWN_VALUES = ("name", "address", "phone", "fax", "email", "website", "head_of_mission")  # that differ between missions
MANY = 10  # missions that cannot all have one value by chance
_MIN_UNREADABLE = 3  # missions that cannot be read; fewer never hold a set


class Thresholds(BaseModel):
    """When a set is held; each is a share from 0 to 1.

    Numbers of missions are divided to be compared with one: 57 / 100 is 0.57, but 0.57 * 100 is less than 57.
    """

    model_config = ConfigDict(frozen=True)

    found_again: float = Field(
        0.8,
        ge=0,
        le=1,
        description="Hold a set in which fewer of the open missions are found again: fourteen months of real changes "
        "at GOV.UK, a reorganisation among them, kept 80.75 %",
    )
    filled: float = Field(
        0.2, ge=0, le=1, description="Check the fill rate only of fields that at least this share of the missions fills"
    )
    emptied: float = Field(
        0.5, ge=0, le=1, description="Hold a set in which a watched field's share falls to this part of it or lower"
    )
    changed: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Hold a set in which one contact field changes on more than this share: in fourteen months at "
        "GOV.UK none changed on more than 25 %",
    )
    unreadable: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Hold a set in which more than this share of the missions, and at least three, cannot be read",
    )


def find_anomalies(
    known: Mapping[str, Known],
    candidate: Mapping[str, Embassy],
    *,
    highest: int,
    verified: bool,
    thresholds: Thresholds | None = None,
    unreadable: Sequence[str] = (),
    may_be_same: Collection[str] = (),
) -> list[str]:
    """Why this set must not be applied before a person has seen it: plain sentences with numbers; none: it may be.

    Args:
        known: every mission of the source in the database by key; empty: nothing was ever accepted.
        candidate: the set in question by key; missions that could not be read are as last known.
        highest: the highest number of missions in a set accepted in the last 30 days, so that a slow drain of 5 % a
            day is measured against where it began; 0: none was.
        verified: whether the parser that made the set is tested with a saved real page.
        thresholds: None for the defaults.
        unreadable: every mission that could not be read, with the reason.
        may_be_same: fields that may have one value on all missions.

    A mission counts as found again only under its own key: a set in which most keys changed at once is looked at by a
    person even when addresses and numbers would tell who is who.
    """
    limits = thresholds or Thresholds()
    before = {key: each.embassy for key, each in known.items() if each.status == "open"}
    if not candidate:
        return [f"The pages hold no mission at all, {len(before):,} are open."]
    reasons = _unreadable(unreadable, len(candidate), limits) + _no_addresses(before, candidate, limits)
    accepted = {*may_be_same, *_same_fields(before.values(), may_be_same)}
    reasons += same_on_all(candidate.values(), accepted)
    if not known:
        reason = (
            f"This is the first set ({len(candidate):,} missions) of a parser that has not been tested with a saved "
            "page of the ministry."
        )
        return reasons if verified else [reason, *reasons]
    from tasks.mofa.tables import compared  # noqa: PLC0415 - see there

    sets = compared(before, candidate)
    again = sets[sets["_merge"] == "both"]
    expected = max(highest, len(before))
    if expected and len(again) / expected < limits.found_again:
        reasons.append(
            f"Only {len(again):,} open missions are found again, {_percent(len(again), expected)} of {expected:,}, "
            f"the largest recent set; at least {limits.found_again:.0%} are expected."
        )
    if before:
        reasons += _emptied(sets, len(before), len(candidate), limits)
    reasons += _changed(again, limits)
    return reasons


def same_on_all(missions: Collection[Embassy], may_be_same: Collection[str] = ()) -> list[str]:
    """A sentence for each field that has one and the same value on all of many missions: its selector is wrong."""
    return [_same(field, count) for field, count in _same_fields(missions, may_be_same).items()]


def _same(field: str, count: int) -> str:
    return f"The field {field} is the same on all {count:,} missions that fill it."


def _same_fields(missions: Collection[Embassy], may_be_same: Collection[str]) -> dict[str, int]:
    """Field -> on how many missions it is filled."""
    found = {}
    for field in OWN_VALUES:
        values = [value for each in missions if (value := _own_value(each, field)) is not None]
        if field not in may_be_same and len(values) >= MANY and len(set(values)) == 1:
            found[field] = len(values)
    return found


def _own_value(mission: Embassy, field: str) -> object:
    """The value that should differ; of a name with its place: ten towns may have an "Honorary Consul" each."""
    return (mission.name, mission.city, mission.country) if field == "name" else getattr(mission, field)


def _unreadable(rows: Sequence[str], readable: int, limits: Thresholds) -> list[str]:
    """`readable`: missions of the set, some of which may be kept as last known."""
    whole = max(readable, len(rows))
    if len(rows) < _MIN_UNREADABLE or len(rows) / whole <= limits.unreadable:
        return []
    share = f"{_percent(len(rows), whole)} of {whole:,}"
    limit = f"at most {limits.unreadable:.0%} are accepted"
    return [f"{len(rows):,} missions cannot be read ({share}); {limit}. The first of them: {rows[0]}."]


def _no_addresses(before: Mapping[str, Embassy], candidate: Mapping[str, Embassy], limits: Thresholds) -> list[str]:
    """E-mails without @ on too many missions: they are hidden, or another column was read. Not if they were before."""
    found, known = (
        [each.email for each in missions.values() if each.email and "@" not in each.email]
        for missions in (candidate, before)
    )
    filled = sum(each.email is not None for each in candidate.values())
    if len(found) < _MIN_UNREADABLE or len(found) <= len(known) or len(found) / filled <= limits.unreadable:
        return []
    return [f"The e-mail has no @ on {len(found):,} of {filled:,} missions that fill it, for example {found[0]!r}."]


def _emptied(sets: "pd.DataFrame", before: int, after: int, limits: Thresholds) -> list[str]:
    """Fields that lost too many values; `before` and `after` are the numbers of missions."""
    filled = sets.notna().sum()
    reasons = []
    for field in COMPARED:
        old, new = int(filled[f"{field}_old"]), int(filled[f"{field}_new"])
        if old and old / before >= limits.filled and new * before / (old * after) <= limits.emptied:
            reasons.append(
                f"The field {field} is filled on {_percent(new, after)} of the missions "
                f"({new:,} of {after:,}), it was on {_percent(old, before)} ({old:,} of {before:,})."
            )
    return reasons


def _changed(again: "pd.DataFrame", limits: Thresholds) -> list[str]:
    """Contact fields that changed on too many, counted among the missions found again that fill them then or now.

    So that a column filled on a third of the rows cannot change wholesale unseen; a field filled on fewer than
    `filled` of them is not watched.
    """
    reasons = []
    for field in WATCHED_FIELDS:
        count = int(again[field].sum())
        filled = int(again[[f"{field}_old", f"{field}_new"]].notna().any(axis="columns").sum())
        if count and count / filled > limits.changed and filled / len(again) >= limits.filled:
            reasons.append(
                f"The field {field} changed on {count:,} of {filled:,} missions that fill it "
                f"({_percent(count, filled)}); at most {limits.changed:.0%} are accepted."
            )
    return reasons


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"
