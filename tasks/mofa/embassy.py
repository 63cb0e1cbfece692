"""What a mission is, and which mission it is.

Texts are stored as written, but for whitespace and invisible characters; comparison.py decides which differences count.
A mission is identified by its key, which such differences do not change. RULES_VERSION is the version of the key rule
and of the comparison; raising it re-baselines every source.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from db.display import printable
from tasks.mofa.comparison import DASHES, comparable, without_invisible

RULES_VERSION = 2

# Every field that is compared, most important first: the order of a report.
COMPARED = (
    "address",
    "phone",
    "email",
    "head_of_mission",
    "name",
    "fax",
    "website",
    "city",
    "country",
    "kind",
    "opening_hours",
)
_LINES = frozenset({"address", "phone", "fax", "email", "opening_hours"})  # may have several lines
_NOTHING = frozenset({"-", "--", "n/a", "na", "none", "null", "tbc", "нет", "なし"})  # how pages write a blank
_MAX_LENGTHS = {"opening_hours": 100_000, "address": 2_000, "phone": 4_000, "fax": 2_000, "email": 2_000}
_LONG = 1_000  # characters of any other field; more is a page that slipped
_BLANKS_AND_SIGNS = re.compile(r"[\W_]+")


class Embassy(BaseModel):
    """One mission as its ministry shows it. A blank is None, never an empty text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(min_length=1, max_length=500, description="Which mission it is within its source; see key_of")
    kind: str = Field(description="embassy, consulate, … in plain lower-case words; 'other' where the page says none")
    name: str = Field(description="As the ministry writes it")
    country: str | None = Field(None, description="Where it is, or, in a host country's list, whom it represents")
    city: str | None = None
    address: str | None = Field(None, description="Lines as written")
    phone: str | None = Field(None, description="A number a line, its label before it unless that is just 'telephone'")
    fax: str | None = None
    email: str | None = None
    website: str | None = None
    head_of_mission: str | None = None
    opening_hours: str | None = Field(None, description="Text without markup")
    extra: dict[str, str | tuple[str, ...]] = Field(
        default_factory=dict, description="What the page says beside; stored, not compared. Tuples are sets of values"
    )

    @field_validator(*COMPARED, mode="before")
    @classmethod
    def _tidy(cls, value: Any, info: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = tidy(value) if info.field_name in _LINES else " ".join(tidy(value).split())
        limit = _MAX_LENGTHS.get(info.field_name, _LONG)
        if len(text) > limit:
            raise ValueError(f"has {len(text):,} characters, at most {limit:,} fit: the page was misread")
        return None if is_blank(text) else text

    @field_validator("key")
    @classmethod
    def _storable(cls, key: str) -> str:
        if key != printable(key):
            raise ValueError("has characters that cannot be seen")
        return key

    @field_validator("extra")
    @classmethod
    def _tidy_extra(cls, extra: dict[str, str | tuple[str, ...]]) -> dict[str, str | tuple[str, ...]]:
        return {
            name: tidy(value) if isinstance(value, str) else tuple(tidy(each) for each in value)
            for name, value in extra.items()
        }


@dataclass(frozen=True)
class Unreadable:
    """A mission that the page shows but that could not be read: it is kept as last known, and reported."""

    row: str  # printable: by what a person finds it on the page: its name, or "row 12"
    reason: str
    key: str | None = None  # of the mission, if the row says enough for it

    def __post_init__(self) -> None:
        for name in ("row", "reason", "key"):
            value = getattr(self, name)
            object.__setattr__(self, name, value if value is None else printable(value))


Entry: TypeAlias = Embassy | Unreadable  # what a parser finds in one place of a page


def to_json(entry: Entry) -> dict[str, Any]:
    """How an entry is stored; of a mission its fields."""
    return {"unreadable": asdict(entry)} if isinstance(entry, Unreadable) else entry.model_dump(mode="json")


def from_json(stored: Mapping[str, Any]) -> Entry:
    """The entry that was stored."""
    return Unreadable(**stored["unreadable"]) if "unreadable" in stored else Embassy.model_validate(stored)


def tidy(text: str) -> str:
    """Text as written, but composed (NFC), one blank for many, without blank lines and invisible characters."""
    text = unicodedata.normalize("NFC", without_invisible(text)).replace("\0", "").encode("utf-8", "replace").decode()
    return "\n".join(line for each in text.splitlines() if (line := " ".join(each.split())))


def is_blank(text: str) -> bool:
    """Whether a page writes so that it has no value: nothing, "n/a", or signs alone."""
    return not re.search(r"\w", text) or " ".join(text.split()).casefold().translate(DASHES) in _NOTHING


def key_of(*parts: str) -> str:
    """The key made of these texts, outermost first ("Austria", "Embassy in Vienna") -> "austria/embassy-in-vienna".

    Case, blanks, dashes, punctuation and width do not matter; a note in brackets does ("Sapporo", "Sapporo (office in
    Hakodate)"). Raises ValueError when a part has neither letter nor digit, for then it names nobody.
    """
    return "/".join(_key_part(part) for part in parts)


def _key_part(text: str) -> str:
    plain = unicodedata.normalize("NFKC", without_invisible(text)).casefold().replace("’", "").replace("'", "")
    if part := _BLANKS_AND_SIGNS.sub("-", plain).strip("-"):
        return part
    raise ValueError(f"no mission can be known by {text!r}: it has neither a letter nor a digit")


def differences(old: Embassy, new: Embassy) -> list[str]:
    """The compared fields in which two records of one mission differ, most important first."""
    return [
        field
        for field in COMPARED
        if (before := getattr(old, field)) != (after := getattr(new, field))
        and comparable(field, before) != comparable(field, after)
    ]


def merge_by_key(records: Iterable[Embassy]) -> tuple[dict[str, Embassy], list[Unreadable]]:
    """Every mission once, by key, in order of the keys, and those whose records contradict each other.

    The same mission listed under several countries is one: sets in `extra` (the countries it serves) are united.
    Records of one key that differ otherwise are none: either the key does not distinguish two missions, or the ministry
    edited its pages while they were read.
    """
    found: dict[str, Embassy] = {}
    contradicting: dict[str, Unreadable] = {}
    alike: dict[str, list[Embassy]] = {}
    for record in records:
        first = found.setdefault(record.key, record)
        if first is record or record.key in contradicting:
            continue
        if unlike := differences(first, record):
            field = unlike[0]
            reason = (
                f"two records of {record.key!r} differ in {', '.join(unlike)} ({getattr(first, field)!r} and "
                f"{getattr(record, field)!r}): if it stays, the key of this source must distinguish them"
            )
            contradicting[record.key] = Unreadable(record.name, reason, record.key)
            continue
        alike.setdefault(record.key, [first]).append(record)
    for key, several in alike.items():
        found[key] = several[0].model_copy(update={"extra": _united([each.extra for each in several])})
    return {key: found[key] for key in sorted(found) if key not in contradicting}, [*contradicting.values()]


def _united(extras: Sequence[Mapping[str, str | tuple[str, ...]]]) -> dict[str, str | tuple[str, ...]]:
    """All values by name, the first one of each; of sets all values that are in sets."""
    united: dict[str, str | tuple[str, ...]] = {}
    sets: defaultdict[str, set[str]] = defaultdict(set)
    for extra in extras:
        for name, value in extra.items():
            united.setdefault(name, value)
            if isinstance(value, tuple):
                sets[name].update(value)
    for name, values in sets.items():
        if isinstance(united[name], tuple):
            united[name] = tuple(sorted(values))
    return united
