"""What a page of a ministry is, when it is not one, and what a source has to say about its pages.

Strict on purpose: a maintenance notice, a login form or a new layout raises PageError, so that nothing is ever read
as "this ministry has no missions".
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PageElement
from pydantic import BaseModel, ValidationError

from db.errors import JobError
from tasks.mofa.embassy import RULES_VERSION, Embassy, Unreadable

Model = TypeVar("Model", bound=BaseModel)

_OK = 200
_SHORT = 2_000  # characters of text: a login form, not a list with a login box somewhere
_AROUND = "\ufeff \t\r\n\0"  # what can stand around the content of a page
_SHOWN = 120  # characters of a title in an error
_BLOCKS = frozenset({"br", "p", "li", "tr", "div", "h1", "h2", "h3", "h4", "h5", "h6", "dt", "dd", "table", "ul", "ol"})
_BLANKS = re.compile(r"\s+")
_UNSEEN = frozenset({"script", "style", "template"})
# Titles and first headings of pages that stand in for the real one, in the languages of the sources that ship.
_REFUSALS = re.compile(
    r"captcha|just a moment|attention required|not a robot|are you human|access (?:is )?denied|request rejected|"
    r"forbidden|maintenance|temporarily unavailable|service unavailable|bad gateway|gateway time-?out|"
    r"(?:page|file|404) not found|internal server error|\b(?:log|sign) ?in\b|"
    r"メンテナンス|アクセス制限|アクセスが集中|ログイン|ページが見つかりません|"
    r"техническ\w+ работ|профилактическ|доступ (?:запрещ|ограничен|закрыт)|страница не найдена|временно недоступ|"
    r"점검|접근이 제한|로그인",
    re.IGNORECASE,
)


class PageError(JobError):
    """A page is not what its parser knows: the message names the page, and what was expected."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"{url}: {problem}")
        self.url = url
        self.problem = problem


@dataclass(frozen=True)
class Page:
    """One answer of a ministry's server, decoded."""

    url: str  # as the source asked for it
    text: str
    status: int = _OK
    content_type: str = ""

    @property
    def path(self) -> str:
        """The address without scheme, host and query."""
        return urlsplit(self.url).path


@dataclass(frozen=True)
class Route:
    """One way to the missions of a ministry."""

    start: tuple[str, ...]  # addresses (Request.address); when one answers 404, the source's next route is tried
    proven: bool = False  # whether the parser of this route has read saved real pages: FACTS, tests/test_sources.py


@dataclass(frozen=True)
class Source:
    """A ministry: where to start, which links to follow, how to read a page.

    A crawl asks for the `start` of the first route, then for everything that `follow` returns for a page, each address
    once, then hands each page to `parse`; embassy.one_each puts the records together. Addresses are always those of the
    ministry itself, also where a mirror is asked in its place.
    """

    name: str  # what people type
    title: str  # what people read
    home: str  # the page for people
    hosts: frozenset[str]  # where redirects may lead
    parser_version: int  # raise it whenever the same page would give other records
    routes: tuple[Route, ...]
    follow: Callable[[Page], list[str]]  # absolute addresses; [] for a page that leads nowhere
    parse: Callable[[Page], Sequence[Embassy | Unreadable]]  # [] for a page that only leads on; raises PageError
    direction: Literal["abroad", "host"] = "abroad"  # host: missions of other countries in this one
    language: str = "en"  # of its pages: what is asked for
    time_zone: str = "UTC"  # of the ministry
    javascript: bool = False  # its pages are made by JavaScript: a browser reads them
    may_be_same: frozenset[str] = frozenset()  # fields that may have one value on all missions
    thresholds: Mapping[str, float] = field(default_factory=dict)  # of its own, in place of the settings'

    @property
    def version(self) -> str:
        """Another one: the records stored must be made again from the snapshots before anything is compared."""
        return f"{RULES_VERSION}.{self.parser_version}"


def refusal(page: Page) -> str | None:
    """Why this answer is no page of content, though it may have come with status 200; None: it may be one."""
    return _looked_at(page)[0]


def _looked_at(page: Page) -> tuple[str | None, BeautifulSoup | None]:
    """Why it is no page of content, and its tree if it is HTML: made once, since that is most of the work."""
    if page.status != _OK:
        return f"the server answered {page.status}, a page (200) was expected", None
    text = page.text.strip(_AROUND)
    if not text:
        return "the page is empty", None
    if not text.startswith("<"):
        return None, None
    if "<html" in text[:5_000].lower() and "</html>" not in text[-5_000:].lower():
        return "the page ends before its end (</html>): it was cut short", None
    tree = BeautifulSoup(page.text, "lxml")
    return _stand_in(tree), tree


def _stand_in(tree: BeautifulSoup) -> str | None:
    for tag in tree.select("title, h1"):
        if _REFUSALS.search(seen := " ".join(tag.get_text(" ").split())):
            return f"the page is titled {seen[:_SHOWN]!r}: a notice stands in for the content"
    if tree.select_one("input[type=password]") and len(tree.get_text(" ", strip=True)) < _SHORT:
        return "the page asks for a password: a login stands in for the content"
    return None


def html(page: Page) -> BeautifulSoup:
    """The page's tree. Raises PageError when something stands in for the content or it is no HTML."""
    problem, tree = _looked_at(page)
    if problem:
        raise PageError(page.url, problem)
    if tree is None:
        raise PageError(page.url, f"an HTML page was expected, it begins with {page.text[:30]!r}")
    return tree


def parsed(page: Page, model: type[Model]) -> Model:
    """The page's JSON as `model`. Raises PageError when something stands in for it or it has another shape."""
    if problem := refusal(page):
        raise PageError(page.url, problem)
    try:
        content: Any = json.loads(page.text.strip(_AROUND))
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


def record(page: Page, about: str, **fields: Any) -> Embassy:
    """An Embassy; raises PageError, naming the mission, when a field does not fit."""
    try:
        return Embassy(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise PageError(page.url, f"{about!r}: {'.'.join(map(str, first['loc']))} {first['msg']}") from None
