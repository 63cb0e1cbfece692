"""A fixture: pages of a source as they were on a day, with the links and missions that its parser must read of them.

It is the proof of a source. It is a directory: fixture.json and a file for each page. `python -m tasks.mofa.try SOURCE
--record DIRECTORY` makes one of real pages (origin "saved"). The fixtures that ship have invented values in the layout
of a real page ("saved"), or in the layout as others describe it ("described").
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from db.errors import UserError
from tasks.mofa.embassy import Embassy, Unreadable
from tasks.mofa.page import Page, PageError, Source, refusal
from tasks.mofa.reading import read_page

_INDEX = "fixture.json"
_ENDINGS = {"{": "json", "[": "json", "<": "html"}


class FixtureError(UserError, ValueError):
    """A fixture cannot be read; the message names the file."""


@dataclass(frozen=True)
class PageResult:
    """What the parser of a source makes of a page."""

    page: Page
    links: Sequence[str] = ()
    missions: Sequence[Embassy] = ()
    unreadable: Sequence[Unreadable] = ()
    problem: str | None = None  # why the page as a whole cannot be read

    def as_json(self) -> dict[str, Any]:
        """As fixture.json has it, without the page."""
        return {
            "links": list(self.links),
            "missions": [
                each.model_dump(mode="json", exclude_none=True, exclude_defaults=True) for each in self.missions
            ],
            "unreadable": [asdict(each) for each in self.unreadable],
            **({"problem": self.problem} if self.problem else {}),
        }


@dataclass(frozen=True)
class Fixture:
    """Recorded pages with what must be read of them."""

    day: date  # when the pages, or the page whose layout they have, were seen
    origin: Literal["saved", "described"]
    pages: Sequence[Page]
    expected: Sequence[Mapping[str, Any]] = field(default=())  # of each page


def result_of(source: Source, page: Page) -> PageResult:
    """Links and missions of a page; a page that cannot be read has its problem."""
    try:
        read = read_page(source, page)
    except PageError as error:
        return PageResult(page, problem=refusal(page) or error.problem)
    missions = [each for each in read.entries if isinstance(each, Embassy)]
    return PageResult(page, read.links, missions, [each for each in read.entries if isinstance(each, Unreadable)])


def require_place(directory: Path) -> None:
    """Raise FixtureError if a fixture cannot be written there without touching other files."""
    if directory.exists() and not (directory / _INDEX).exists() and any(directory.iterdir()):
        raise FixtureError(f"{directory} has other files: name an empty or a new directory")


def write(directory: Path, results: Iterable[PageResult], day: date, origin: str = "saved") -> int:
    """Write a fixture, in place of the one that is there; returns the number of pages. Raises FixtureError."""
    require_place(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("page-*"):
        old.unlink()
    pages = []
    for number, result in enumerate(results, 1):
        text = result.page.text
        file = f"page-{number:03}.{_ENDINGS.get(text.lstrip()[:1], 'txt')}"
        (directory / file).write_text(text, encoding="utf-8", newline="")
        about = {"url": result.page.url, "file": file, "content_type": result.page.content_type}
        pages.append({**about, **result.as_json()})
    content = {"day": day.isoformat(), "origin": origin, "pages": pages}
    (directory / _INDEX).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return len(pages)


def read(directory: Path) -> Fixture | None:
    """The fixture in this directory; None: there is none. Raises FixtureError."""
    if not (directory / _INDEX).is_file():
        return None
    try:
        content = json.loads((directory / _INDEX).read_text(encoding="utf-8"))
        pages = [
            Page(each["url"], _text(directory / each["file"]), content_type=each["content_type"])
            for each in content["pages"]
        ]
        about = ("url", "file", "content_type")
        expected = [{name: each[name] for name in each if name not in about} for each in content["pages"]]
        return Fixture(date.fromisoformat(content["day"]), content["origin"], pages, expected)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FixtureError(f"the fixture {directory} cannot be read ({error}): record it again") from None


def head(directory: Path) -> tuple[date, str] | None:
    """Day and origin of a fixture, without its pages; None: there is none that can be read."""
    try:
        content = json.loads((directory / _INDEX).read_text(encoding="utf-8"))
        return date.fromisoformat(content["day"]), str(content["origin"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _text(file: Path) -> str:
    return file.read_bytes().decode("utf-8")  # not read_text, which changes the ends of lines


def replay(source: Source, fixture: Fixture) -> list[str]:
    """A sentence for each page of which the source reads something else than recorded; none: the source is verified."""
    problems = []
    for page, expected in zip(fixture.pages, fixture.expected, strict=True):
        found = result_of(source, page).as_json()
        if found != expected:
            problems.append(f"{page.url}: {_difference(found, expected)}")
    return problems


def _difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    if "problem" in found:
        return f"cannot be read: {found['problem']}"
    for name in ("links", "missions", "unreadable"):
        if len(found[name]) != len(expected.get(name, ())):
            return f"{len(expected.get(name, ()))} {name} were recorded, {len(found[name])} are read"
        for now, before in zip(found[name], expected.get(name, ()), strict=True):
            if now != before:
                about = before.get("key") if isinstance(before, Mapping) else before
                fields = (
                    [each for each in before if now.get(each) != before[each]] if isinstance(before, Mapping) else []
                )
                return f"{about} is different from the recording" + (f" ({', '.join(fields)})" if fields else "")
    return "is different from the recording"
