"""The texts of all messages.

Decides the order (a new address matters more than new opening hours) and how much fits into one message. Values from
workbooks and pages are escaped here, so that none can break its line, become Markdown or HTML, notify everybody in a
chat, or change the direction of the text.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from db.times import time_text
from tasks.commands import accept_command
from tasks.counts import counted
from tasks.markdown import escape_for_channels, one_line, safe_link, whole_line

Kind = Literal["added", "changed", "missing", "closed", "reopened", "renamed", "moved"]

# Most important first; "changed" has a section for each field, in the order of _FIELDS.
_KINDS: dict[str, str] = {
    "closed": "Closed",
    "missing": "Missing (reported as closed if a later run does not find it either)",
    "reopened": "Back on the list",
    "added": "New",
    "moved": "Moved",
    "renamed": "Renamed",
    "changed": "Changed",
}
_FIELDS = {
    "address": "Address",
    "phone": "Phone",
    "email": "E-mail",
    "head_of_mission": "Head of mission",
    "name": "Name",
    "fax": "Fax",
    "website": "Website",
    "city": "City",
    "country": "Country",
    "kind": "Kind",
    "opening_hours": "Opening hours",
}
_MAX_LINES = 50  # of a digest; the others are counted, and are on the run's page
_LINES_OF_EACH = 3  # of every section at least
_MAX_CHARACTERS = 160  # of a value; a longer one is cut around the difference
_CONTEXT = 30  # characters before a difference


@dataclass(frozen=True)
class News:
    """One change of one mission, with the values as they are on the page."""

    kind: Kind
    key: str  # of the mission; only counted, never shown
    name: str
    country: str | None = None
    field: str | None = None  # the one that changed
    old: str | None = None
    new: str | None = None
    page: str | None = None  # the address of the page that proves it


@dataclass(frozen=True)
class Line:
    """One line of a message: a name, a text about it, and the address of a page. All may come from a page."""

    name: str = ""
    text: str = ""
    page: str | None = None


@dataclass(frozen=True)
class Section:
    """Lines of the same importance."""

    heading: str
    lines: tuple[Line, ...]
    more: int = 0  # lines that do not fit


@dataclass(frozen=True)
class Message:
    """A message, in the order in which it is read; `plain` and `markdown` return its body in two forms."""

    title: str  # one escaped line
    lead: str = ""  # a sentence or two
    sections: tuple[Section, ...] = ()
    advice: str = ""  # what to do
    command: str = ""  # with which command
    links: tuple[tuple[str, str], ...] = field(default=())  # name, address

    def plain(self) -> str:
        """The body as text. If there are links, they are the last paragraph."""
        parts = [one_line(self.lead)] if self.lead else []
        for section in self.sections:
            lines = [section.heading] if section.heading else []
            for line in section.lines:
                lines.append("- " + ": ".join(filter(None, [one_line(line.name), one_line(line.text, 1000)])))
                lines += [f"  {address}"] if (address := safe_link(line.page)) else []
            parts.append("\n".join(lines + _more(section)))
        if self.command:
            parts.append(f"{self.advice}\n    {self.command}")
        parts.append("\n".join(f"{name}: {address}" for name, url in self.links if (address := safe_link(url))))
        return "\n\n".join(filter(None, parts))

    def markdown(self) -> str:
        """The body as Markdown that e-mail, chats and Prefect's UI show in the same way."""
        parts = [escape_for_channels(self.lead)] if self.lead else []
        for section in self.sections:
            if section.heading:
                parts.append(f"**{section.heading}**")
            lines = []
            for line in section.lines:
                name = f"**{escape_for_channels(line.name)}**" if line.name else ""
                link = f" ([page]({address}))" if (address := safe_link(line.page)) else ""
                lines.append("- " + ": ".join(filter(None, [name, escape_for_channels(line.text, 1000)])) + link)
            parts.append("\n".join(lines + _more(section)))
        if self.command:
            parts.append(f"{self.advice}\n\n```\n{self.command}\n```")
        links = [f"[{name}]({address})" for name, url in self.links if (address := safe_link(url))]
        return "\n\n".join(filter(None, [*parts, " · ".join(links)]))


def changes_digest(source: str, news: Sequence[News], *, missions: int, run: str | None = None) -> Message:
    """The changes of one run, most important first.

    Args:
        source: the source's name.
        news: at least one change.
        missions: number of open missions after the run.
        run: address of the run's page.
    """
    order = list(_KINDS)
    missions_by_kind: Counter[str] = Counter(kind for kind, _ in {(each.kind, each.key) for each in news})
    counts = ", ".join(f"{missions_by_kind[kind]:,} {kind}" for kind in order if kind in missions_by_kind)
    pages = {each.page for each in news}
    page = pages.pop() if len(pages) == 1 else None  # one for all changes: shown once
    groups: dict[tuple[tuple[int, ...], str], list[Line]] = {}
    names = list(_FIELDS)
    for each in news:
        heading, rank = _KINDS[each.kind], [order.index(each.kind)]
        if each.kind == "changed":
            changed = each.field or "details"
            heading = _FIELDS.get(changed) or one_line(changed.replace("_", " ")).capitalize()
            rank.append(names.index(changed) if changed in _FIELDS else len(names))
        line = Line(_mission(each), _difference(each), None if page else each.page)
        groups.setdefault((tuple(rank), heading), []).append(line)
    ordered = [(heading, lines) for (_, heading), lines in sorted(groups.items(), key=lambda group: group[0])]
    shares = _shares([len(lines) for _, lines in ordered])
    sections = [
        Section(f"{heading} ({len(lines):,})", tuple(lines[:share]), len(lines) - share)
        for (heading, lines), share in zip(ordered, shares, strict=True)
    ]
    lead = f"{counted(missions, 'mission')} on the list now."
    return Message(
        _title(f"{source}: {counts}"), lead, tuple(sections), links=_links(("The ministry's page", page), ("Run", run))
    )


def _shares(lengths: Sequence[int]) -> list[int]:
    """How many lines each section shows: a few of each section, so that none is hidden, then more in their order."""
    shares = [min(length, _LINES_OF_EACH) for length in lengths]
    for i, length in enumerate(lengths):
        shares[i] += max(min(length - shares[i], _MAX_LINES - sum(shares)), 0)
    return shares


def baseline_summary(
    source: str, *, missions: int, filled: Mapping[str, int], pages: int, run: str | None = None
) -> Message:
    """The first accepted set of a source. `filled`: field -> number of missions that have it."""
    ordered = sorted(filled, key=lambda each: (list(_FIELDS).index(each) if each in _FIELDS else len(_FIELDS), each))
    shares = {
        each: f"{filled[each]:,} of {missions:,} ({100 * filled[each] / max(missions, 1):.0f} %)" for each in ordered
    }
    lines = tuple(Line(text=f"{_FIELDS.get(each, each)}: {share}") for each, share in shares.items())
    return Message(
        _title(f"{source}: {counted(missions, 'mission')} watched from now on"),
        f"This is the first set of this source, read from {counted(pages, 'page')}. Later changes will be reported.",
        (Section("Filled fields", lines),) if lines else (),
        links=_links(("Run", run)),
    )


def held_set(
    source: str,
    number: int,
    reasons: Sequence[str],
    *,
    found: int,
    known: int,
    base_url: str | None = None,
    run: str | None = None,
    since: datetime | None = None,
) -> Message:
    """A set that is not plausible: the reasons, and the command that applies it.

    With `since`, a time with time zone, it is a reminder of a set that has been held since then.
    """
    return Message(
        _title(
            f"{source}: {f'still held, since {time_text(since)}' if since else 'held for review, nothing was changed'}"
        ),
        f"The ministry's pages show {counted(found, 'mission')}, {known:,} are known. This set is not plausible:",
        (Section("", tuple(Line(text=reason) for reason in reasons)),),
        "If the ministry is right, this applies exactly that set:",
        accept_command(source, number, base_url),
        _links(("Run", run)),
    )


def failure(job: str, sentence: str, *, since: datetime, run: str | None = None) -> Message:
    """A job has started to fail. The next message is that it works again. `since` has a time zone."""
    return Message(
        _title(f"{job} fails"),
        f"Since {time_text(since)}. A message will follow when it works again.",
        (Section("", (Line(text=sentence),)),),
        links=_links(("Run", run)),
    )


def recovery(job: str, *, since: datetime, failures: int, run: str | None = None) -> Message:
    """A job that failed `failures` times since `since` works again."""
    return Message(
        _title(f"{job} works again"),
        f"It had failed {counted(failures, 'time')} since {time_text(since)}.",
        links=_links(("Run", run)),
    )


# Some channels put a title into Markdown or HTML without escaping it.
_TITLE = str.maketrans("<>[]`*", "‹›()'∗")


def _title(text: str) -> str:
    return one_line(text, 150).translate(_TITLE)


def _mission(news: News) -> str:
    return f"{one_line(news.name)} ({one_line(news.country)})" if news.country else news.name


def _difference(news: News) -> str:
    """The old and the new value; of long values the part that differs."""
    if news.kind not in {"changed", "renamed", "moved"}:
        return ""
    old, new = whole_line(news.old or ""), whole_line(news.new or "")
    start = 0
    if max(len(old), len(new)) > _MAX_CHARACTERS:
        same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        start = max(same - _CONTEXT, 0)
    return f"{_part(old, start)} → {_part(new, start)}"


def _part(value: str, start: int) -> str:
    shown = f"…{value[start:]}" if start else value
    return (shown if len(shown) <= _MAX_CHARACTERS else shown[: _MAX_CHARACTERS - 1] + "…") or "(blank)"


def _more(section: Section) -> list[str]:
    if not section.more:
        return []
    return [
        f"{'- … and ' if section.lines else '- '}{section.more:,} {'more ' if section.lines else ''}on the run's page"
    ]


def _links(*links: tuple[str, str | None]) -> tuple[tuple[str, str], ...]:
    return tuple((name, url) for name, url in links if url)
