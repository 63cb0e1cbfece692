"""What a page of a ministry and a source are, and strict helpers for parsers.

Strict on purpose: a maintenance notice, a login form or a new layout raises PageError, so that nothing is ever read
as "this ministry has no missions".
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PageElement
from pydantic import BaseModel, ValidationError

from db.errors import JobError
from tasks.mofa.embassy import RULES_VERSION, Embassy, Entry, Unreadable
from tasks.mofa.error_page import detect_error_page
from tasks.mofa.hidden_email import may_hide, reveal

Model = TypeVar("Model", bound=BaseModel)

_OK = 200
_AROUND = "\ufeff \t\r\n\0"  # what can be around the content of a page
_SHOWN = 120  # characters of a page in an error
_BLOCKS = frozenset({"br", "p", "li", "tr", "div", "h1", "h2", "h3", "h4", "h5", "h6", "dt", "dd", "table", "ul", "ol"})
_BLANKS = re.compile(r"\s+")
_UNSEEN = frozenset({"script", "style", "template"})


class PageError(JobError):
    """A page is not what its parser knows: the message names the page, and what was expected."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"{url}: {problem}")
        self.url = url
        self.problem = problem


@dataclass(frozen=True)
class Page:
    """One answer of a ministry's server, decoded; what a parser and the snapshot need of it."""

    url: str  # the ministry's own address, as the source requested it, whatever mirror was asked
    text: str
    status: int = _OK
    content_type: str = ""
    final_url: str = ""  # the ministry's own address after redirects; "": the same
    sha256: str = ""  # of the body's bytes, unpacked
    etag: str | None = None
    last_modified: str | None = None
    fetched_at: datetime | None = None  # UTC
    assumed: str | None = None  # what is a guess, such as the charset, and why: the end of a sentence

    @property
    def path(self) -> str:
        """The address without scheme, host and query."""
        return urlsplit(self.url).path

    @cached_property
    def content(self) -> str:
        """The text without byte order mark and whitespace around it."""
        return self.text.strip(_AROUND)

    @cached_property
    def tree(self) -> BeautifulSoup:
        """The parsed HTML with hidden e-mail addresses shown, made once. It is shared: parsers must not change it."""
        made = BeautifulSoup(self.text, "lxml")
        if may_hide(self.text):
            reveal(made)
        return made

    @property
    def is_cut_short(self) -> bool:
        """Whether it is HTML that begins with <html> and does not end with </html>."""
        return "<html" in self.content[:5_000].lower() and "</html" not in self.content[-5_000:].lower()


@dataclass(frozen=True)
class Route:
    """One way to the missions of a ministry."""

    start: tuple[str, ...]  # addresses (Request.address); when one answers 404, the source's next route is tried
    verified: bool = False  # whether its parser has read a saved real page, or one in the layout of it


@dataclass(frozen=True)
class Source:
    """A ministry: where to start, which links to follow, how to read a page.

    A crawl requests the `start` of the first route, then everything that `follow` returns for a page, each address
    once, and gives each page to `parse`; embassy.merge_by_key puts the missions together. Addresses are always those of
    the ministry itself, also if a mirror is asked.
    """

    name: str  # what people type
    title: str  # what people read
    home: str  # the page for people
    hosts: frozenset[str]  # where redirects may lead
    parser_version: int  # raise it whenever the same page would give other records
    routes: tuple[Route, ...]
    follow: Callable[[Page], list[str]]  # absolute addresses; [] for a page that leads nowhere
    parse: Callable[[Page], Sequence[Entry]]  # [] for a page that only leads on; raises PageError
    direction: Literal["abroad", "host"] = "abroad"  # host: missions of other countries in this one
    language: str = "en"  # of its pages: what is asked for
    time_zone: str = "UTC"  # of the ministry
    javascript: bool = False  # its pages are made by JavaScript: a browser reads them
    origin: str = ""  # its file or its module, by which another process finds it; "": it was made in code
    may_be_same: frozenset[str] = frozenset()  # fields that may have one value on all missions
    thresholds: Mapping[str, float] = field(default_factory=dict, hash=False)  # of its own, in place of the settings'

    @property
    def version(self) -> str:
        """Another one: the records stored must be made again from the snapshots before anything is compared."""
        return f"{RULES_VERSION}.{self.parser_version}"


def refusal(page: Page) -> str | None:
    """Why this answer, which its parser cannot read, is no page of content; None: nothing says so."""
    if page.status != _OK:
        return f"the server answered {page.status}, a page (200) was expected"
    if not page.content:
        return "the page is empty"
    if not page.content.startswith("<") or (page.content.startswith("<?xml") and "<html" not in page.content[:5_000]):
        return None  # JSON and the like
    if found := detect_error_page(page.tree):
        return f"instead of the page the server sends {found}"
    return "the page ends before its end (</html>): it was cut short" if page.is_cut_short else None


def html(page: Page) -> BeautifulSoup:
    """The page's tree. Raises PageError when it is no HTML."""
    _require_content(page)
    if not page.content.startswith("<"):
        raise PageError(page.url, f"an HTML page was expected, it begins with {page.text[:30]!r}")
    return page.tree


def _require_content(page: Page) -> None:
    if page.status != _OK or not page.content:
        raise PageError(page.url, refusal(page) or "the page is empty")


def parsed(page: Page, model: type[Model]) -> Model:
    """The page's JSON as `model`. Raises PageError when it is none or has another shape."""
    _require_content(page)
    try:
        content: Any = json.loads(page.content)
    except ValueError:
        raise PageError(page.url, f"JSON was expected, the page begins with {page.text[:30]!r}") from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        more = f" ({error.error_count() - 1} more like it)" if error.error_count() > 1 else ""
        raise PageError(page.url, f"{where}: {first['msg']}, found {str(first['input'])[:80]!r}{more}") from None


def some(page: Page, node: Tag, selector: str, *, at_least: int = 1) -> list[Tag]:
    """All that `selector` finds below `node`. Raises PageError when that is fewer than `at_least`."""
    found = node.select(selector)
    if len(found) < at_least:
        raise PageError(page.url, f"{selector!r} was expected at least {at_least} times, found {len(found)}")
    return found


def one(page: Page, node: Tag, selector: str) -> Tag:
    """The one that `selector` finds below `node`. Raises PageError when it finds none or several."""
    found = node.select(selector)
    if len(found) != 1:
        about = " ".join(node.get_text(" ").split())[:_SHOWN]
        raise PageError(page.url, f"{selector!r} was expected once in {about!r}, found {len(found)}")
    return found[0]


def lines(node: Tag) -> str:
    """The text that a reader sees, a line for each block and each <br>; blanks of the source are one blank."""
    pieces: list[str] = []
    rest: list[PageElement | str] = [node]  # no recursion: a hostile page nests deeper than the stack
    while rest:
        each = rest.pop()
        if isinstance(each, Tag):
            if each.name not in _UNSEEN:
                apart = "\n" if each.name in _BLOCKS else " " if each.name in {"td", "th"} else ""
                rest += [apart, *reversed(each.contents), apart]
        elif type(each) is NavigableString:  # its subclasses are comments and the like
            pieces.append(_BLANKS.sub(" ", each))
        elif type(each) is str:
            pieces.append(each)
    return "\n".join(line for text in "".join(pieces).split("\n") if (line := " ".join(text.split())))


def record(page: Page, about: str, **fields: Any) -> Entry:  # noqa: ARG001 - the page is a part of every helper
    """An Embassy; an Unreadable entry named `about` when a field does not fit."""
    try:
        return Embassy(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))} {first['msg'].removeprefix('Value error, ')}"
        key = fields.get("key")
        return Unreadable(about, reason, key if isinstance(key, str) and key else None)


def missions(page: Page, nodes: Sequence[Tag], read: Callable[[Tag], Entry]) -> list[Entry]:
    """What `read` makes of each of the nodes; a node that it cannot read is an Unreadable entry.

    Raises PageError when none of several nodes can be read: the page has another layout.
    """
    found = [_mission(node, number, read) for number, node in enumerate(nodes, 1)]
    unreadable = [each for each in found if isinstance(each, Unreadable)]
    if len(found) == len(unreadable) > 1:
        first = unreadable[0]
        raise PageError(page.url, f"none of {len(found)} missions can be read; {first.row}: {first.reason}")
    return found


def _mission(node: Tag, number: int, read: Callable[[Tag], Entry]) -> Entry:
    try:
        return read(node)
    except (PageError, ValueError) as error:
        about = " ".join(lines(node).split())[:_SHOWN] or f"row {number}"
        return Unreadable(about, error.problem if isinstance(error, PageError) else str(error))
