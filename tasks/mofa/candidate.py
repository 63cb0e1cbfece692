"""The candidate: the complete set of missions that one crawl has read, before it is applied or held."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from tasks.mofa.crawl import Crawl
from tasks.mofa.embassy import Embassy, Entry, Unreadable, merge_by_key, to_json
from tasks.mofa.reading import ENCODED_TWICE

UnreadableRows: TypeAlias = list[tuple[Unreadable, int]]  # missions that could not be read, each with its snapshot


@dataclass(frozen=True)
class Candidate:
    """A complete set."""

    missions: dict[str, Embassy]  # by key
    proof: dict[str, int]  # key -> snapshot
    unreadable: UnreadableRows
    verified: bool  # the parser has read saved real pages
    pages: int
    unchanged: int
    retried: int
    snapshots: dict[str, int]  # of every page, by its address, in the order of the crawl
    assumptions: list[str] = field(default_factory=list)  # what was guessed, a sentence each
    number: int | None = None  # of a held set that a person accepted
    read_at: datetime | None = None  # when that set was read

    def entries(self) -> list[tuple[dict[str, Any], int]]:
        """How a held set is stored: each entry with its snapshot."""
        missions = [(to_json(each), self.proof[key]) for key, each in self.missions.items()]
        return missions + [(to_json(each), snapshot) for each, snapshot in self.unreadable]


def candidate_of(crawl: Crawl) -> Candidate:
    """The set that a finished crawl has read."""
    found = [(entry, page.snapshot) for page in crawl.read.values() for entry in page.reading.entries]
    missions, proof, unreadable = merged(found)
    return Candidate(
        missions=missions,
        proof=proof,
        unreadable=unreadable,
        verified=crawl.verified,
        pages=len(crawl.read),
        unchanged=len(crawl.unchanged),
        retried=crawl.retried,
        snapshots={url: page.snapshot for url, page in crawl.read.items()},
        assumptions=[f"{url}: {page.assumed}" for url, page in crawl.read.items() if page.assumed]
        + _assumed_of(missions.values()),
    )


def _assumed_of(missions: Collection[Embassy]) -> list[str]:
    """What was guessed about missions, a sentence for each kind."""
    twice = [each.name for each in missions if ENCODED_TWICE in each.extra]
    strange = [f"{each.name}: {each.email}" for each in missions if each.email and "@" not in each.email]
    kinds = (
        ("have text that was encoded twice; it is read as it was meant", twice),
        ("have an e-mail without @, kept as it is written", strange),
    )
    return [f"{len(found):,} missions {what}. The first: {found[0]}" for what, found in kinds if found]


def merged(found: Iterable[tuple[Entry, int]]) -> tuple[dict[str, Embassy], dict[str, int], UnreadableRows]:
    """Missions by key, the snapshot that proves each of them, and what could not be read with its snapshot.

    A mission whose key is known is unreadable once, however many countries list it; rows without a key count each.
    """
    records: list[Embassy] = []
    proof: dict[str, int] = {}
    unreadable: UnreadableRows = []
    for entry, snapshot in found:
        if isinstance(entry, Unreadable):
            if entry.key is None or all(entry.key != each.key for each, _ in unreadable):
                unreadable.append((entry, snapshot))
        else:
            records.append(entry)
            proof.setdefault(entry.key, snapshot)
    missions, contradicting = merge_by_key(records)
    unreadable += [(each, proof.pop(each.key or "")) for each in contradicting]
    return missions, proof, unreadable
