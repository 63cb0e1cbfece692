"""What people are told, and in exactly which words.

Decides the order (a new address matters more than new opening hours), how much of it fits into one message, and that
nothing from a ministry's page can pose as ours: no value can break its line, become Markdown or HTML, call
everybody in a chat or turn the direction of the text. Values go in as they are and are made harmless here.
"""

import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from urllib.parse import quote, urlsplit

Kind = Literal["added", "changed", "missing", "closed", "reopened", "renamed", "moved"]

# Most important first; "changed" is told by field, in the order of _FIELDS.
_KINDS: dict[str, str] = {
    "closed": "Closed",
    "missing": "Missing (told as closed if a later run does not find it either)",
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
_MOST_LINES = 50  # of a digest; more is counted, and stands on the run's page
_LINES_OF_EACH = 3  # of every section at least, if it has them
_MOST_CHARACTERS = 160  # of a value; around the difference if it is longer
_CONTEXT = 30  # characters before a difference


@dataclass(frozen=True)
class News:
    """One change at one mission, with values as the page wrote them."""

    kind: Kind
    key: str  # which mission; only counted, never shown
    name: str
    country: str | None = None
    field: str | None = None  # which one changed
    old: str | None = None
    new: str | None = None
    page: str | None = None  # the address that proves it


@dataclass(frozen=True)
class Line:
    """One line of a message: a name, what is said of it, where it can be seen. Any of it may come from a page."""

    name: str = ""
    text: str = ""
    page: str | None = None


@dataclass(frozen=True)
class Section:
    """Lines of one importance."""

    heading: str
    lines: tuple[Line, ...]
    more: int = 0  # lines that did not fit


@dataclass(frozen=True)
class Message:
    """What is told, in the order in which it is read; `plain` and `markdown` are its two forms."""

    title: str  # one harmless line
    lead: str = ""  # a sentence or two
    sections: tuple[Section, ...] = ()
    advice: str = ""  # what to do
    command: str = ""  # with which command
    links: tuple[tuple[str, str], ...] = field(default=())  # name, address

    def plain(self) -> str:
        """The body as text. The last paragraph, if there are links, holds them."""
        parts = [one_line(self.lead, 2000)] if self.lead else []
        for section in self.sections:
            lines = [section.heading] if section.heading else []
            for line in section.lines:
                lines.append("- " + ": ".join(filter(None, [one_line(line.name), one_line(line.text, 1000)])))
                lines += [f"  {address}"] if (address := safe_address(line.page)) else []
            parts.append("\n".join(lines + _more(section)))
        if self.command:
            parts.append(f"{self.advice}\n    {self.command}")
        parts.append("\n".join(f"{name}: {address}" for name, url in self.links if (address := safe_address(url))))
        return "\n\n".join(filter(None, parts))

    def markdown(self) -> str:
        """The body as Markdown that e-mail, chats and the Prefect UI agree upon."""
        parts = [in_markdown(self.lead, 2000)] if self.lead else []
        for section in self.sections:
            if section.heading:
                parts.append(f"**{section.heading}**")
            lines = []
            for line in section.lines:
                name = f"**{in_markdown(line.name)}**" if line.name else ""
                link = f" ([page]({address}))" if (address := safe_address(line.page)) else ""
                lines.append("- " + ": ".join(filter(None, [name, in_markdown(line.text, 1000)])) + link)
            parts.append("\n".join(lines + _more(section)))
        if self.command:
            parts.append(f"{self.advice}\n\n```\n{self.command}\n```")
        links = [f"[{name}]({address})" for name, url in self.links if (address := safe_address(url))]
        return "\n\n".join(filter(None, [*parts, " · ".join(links)]))


def changes_digest(source: str, news: Sequence[News], *, missions: int, run: str | None = None) -> Message:
    """What changed in one run, most important first.

    Args:
        source: the source's name.
        news: at least one change.
        missions: open missions after the run.
        run: address of the run's page.
    """
    order = list(_KINDS)
    missions_by_kind: Counter[str] = Counter(kind for kind, _ in {(each.kind, each.key) for each in news})
    counts = ", ".join(f"{missions_by_kind[kind]:,} {kind}" for kind in order if kind in missions_by_kind)
    pages = {each.page for each in news}
    page = pages.pop() if len(pages) == 1 else None  # one for all: told once
    groups: dict[tuple[int, int, str], list[Line]] = {}
    names = list(_FIELDS)
    for each in news:
        heading, rank = _KINDS[each.kind], 0
        if each.kind == "changed":
            changed = each.field or "details"
            heading = _FIELDS.get(changed) or one_line(changed.replace("_", " ")).capitalize()
            rank = names.index(changed) if changed in _FIELDS else len(names)
        line = Line(_mission(each), _difference(each), None if page else each.page)
        groups.setdefault((order.index(each.kind), rank, heading), []).append(line)
    ordered = [(heading, lines) for (_, _, heading), lines in sorted(groups.items(), key=lambda group: group[0])]
    shares = _shares([len(lines) for _, lines in ordered])
    sections = [
        Section(f"{heading} ({len(lines):,})", tuple(lines[:share]), len(lines) - share)
        for (heading, lines), share in zip(ordered, shares, strict=True)
    ]
    lead = f"{_count(missions, 'mission')} on the list now."
    return Message(
        _title(f"{source}: {counts}"), lead, tuple(sections), links=_links(("The ministry's page", page), ("Run", run))
    )


def _shares(lengths: Sequence[int]) -> list[int]:
    """How many lines each section shows: a few of each, so that a storm of one kind hides no other, then in order."""
    shares = [min(length, _LINES_OF_EACH) for length in lengths]
    for i, length in enumerate(lengths):
        shares[i] += max(min(length - shares[i], _MOST_LINES - sum(shares)), 0)
    return shares


def baseline_summary(
    source: str, *, missions: int, filled: Mapping[str, int], pages: int, run: str | None = None
) -> Message:
    """The first accepted set of a source. `filled`: field -> missions that fill it."""
    ordered = sorted(filled, key=lambda each: (list(_FIELDS).index(each) if each in _FIELDS else len(_FIELDS), each))
    shares = {
        each: f"{filled[each]:,} of {missions:,} ({100 * filled[each] / (missions or 1):.0f} %)" for each in ordered
    }
    lines = tuple(Line(text=f"{_FIELDS.get(each, each)}: {share}") for each, share in shares.items())
    return Message(
        _title(f"{source}: {_count(missions, 'mission')} watched from now on"),
        f"This is the first set of this source, read from {_count(pages, 'page')}. What differs from it will be told.",
        (Section("Filled fields", lines),) if lines else (),
        links=_links(("Run", run)),
    )


def held_candidate(
    source: str,
    candidate: int,
    reasons: Sequence[str],
    *,
    found: int,
    known: int,
    base_url: str | None = None,
    run: str | None = None,
    since: datetime | None = None,
) -> Message:
    """A set that was not believed: why, and the command that applies it all the same.

    `since`, with time zone, makes it a reminder: nobody has looked at it for a day.
    """
    command = ["python", "-m", "flows.mofa_monitoring", source, *(["--base-url", base_url] if base_url else [])]
    return Message(
        _title(f"{source}: {f'still held, since {_when(since)}' if since else 'held for review, nothing was changed'}"),
        f"The ministry's pages show {_count(found, 'mission')}, {known:,} are known. This set was not believed:",
        (Section("", tuple(Line(text=reason) for reason in reasons)),),
        "If the ministry is right, this applies exactly that set:",
        one_line(shlex.join([*command, "--accept", str(candidate)]), 500),
        _links(("Run", run)),
    )


def failure(job: str, sentence: str, *, since: datetime, run: str | None = None) -> Message:
    """A job began to fail. It is told once; the next message is that it works again. `since` with time zone."""
    return Message(
        _title(f"{job} fails"),
        f"Since {_when(since)}. You will be told when it works again.",
        (Section("", (Line(text=sentence),)),),
        links=_links(("Run", run)),
    )


def recovery(job: str, *, since: datetime, failures: int, run: str | None = None) -> Message:
    """A job that had failed `failures` times since `since` works again."""
    return Message(
        _title(f"{job} works again"),
        f"It had failed {_count(failures, 'time')} since {_when(since)}.",
        links=_links(("Run", run)),
    )


def one_line(text: str, most: int = 200) -> str:
    """Text from anywhere on one line of at most `most` characters: no control characters, nothing invisible."""
    lines = (" ".join(line.split()) for line in text[: 20 * most].splitlines())
    flat = ", ".join(filter(None, (line.rstrip(",; ") if line else "" for line in lines)))
    flat = "".join(each for each in flat if unicodedata.category(each) not in _UNSEEN or each in _JOINERS)
    flat = _CALL.sub("@\u200b", flat)
    return flat if len(flat) <= most else flat[: most - 1] + "…"


_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, format (also those that turn the direction), not assigned
_JOINERS = "\u200c\u200d"  # needed by Persian and Indian scripts
_CALL = re.compile(r"@(?=(?:everyone|here|channel|all)\b)", re.IGNORECASE)  # would wake a whole chat
# Escaped as every dialect understands it; look-alikes for what some pass through (HTML) or misread (strikethrough).
_MARKDOWN = str.maketrans({**{each: f"\\{each}" for each in "\\`*_[]"}, "<": "‹", ">": "›", "~": "～"})
_BLOCK = re.compile(r"^(\d*)([#+.)-])")  # a heading, a list inside the list
# A title is put into Markdown or HTML as it is by some channels.
_TITLE = str.maketrans("<>[]`*", "‹›()'·")


def in_markdown(text: str, most: int = 200) -> str:
    """`one_line` that stays text in Markdown, also where a line, a paragraph or a list item begins."""
    return _BLOCK.sub(r"\1\\\2", one_line(text, most).translate(_MARKDOWN))


def safe_address(url: str | None) -> str | None:
    """A web address that cannot end its own link, or None if it is none."""
    try:
        is_web = bool(url) and urlsplit(str(url)).scheme in {"http", "https"}
    except ValueError:
        is_web = False
    return quote(str(url), safe="/:?#@!$&'+,;=%~-._") if is_web else None


def _title(text: str) -> str:
    return one_line(text, 150).translate(_TITLE)


def _mission(news: News) -> str:
    return f"{one_line(news.name)} ({one_line(news.country)})" if news.country else news.name


def _difference(news: News) -> str:
    """Old and new, of long values the part that differs."""
    if news.kind not in {"changed", "renamed", "moved"}:
        return ""
    old, new = one_line(news.old or "", 5000), one_line(news.new or "", 5000)
    start = 0
    if max(len(old), len(new)) > _MOST_CHARACTERS:
        same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        start = max(same - _CONTEXT, 0)
    return f"{_part(old, start)} → {_part(new, start)}"


def _part(value: str, start: int) -> str:
    shown = f"…{value[start:]}" if start else value
    return (shown if len(shown) <= _MOST_CHARACTERS else shown[: _MOST_CHARACTERS - 1] + "…") or "(blank)"


def _more(section: Section) -> list[str]:
    if not section.more:
        return []
    return [
        f"{'- … and ' if section.lines else '- '}{section.more:,} {'more ' if section.lines else ''}on the run's page"
    ]


def _links(*links: tuple[str, str | None]) -> tuple[tuple[str, str], ...]:
    return tuple((name, url) for name, url in links if url)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _when(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M %Z}"
