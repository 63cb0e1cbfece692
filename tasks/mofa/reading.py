"""What the parser of a source reads from a page."""

import re
from dataclasses import dataclass

from tasks.mofa.charset import decode_again, find_garbled
from tasks.mofa.embassy import COMPARED, Entry, Unreadable
from tasks.mofa.page import Page, PageError, Source, refusal

_NO_ADDRESS = re.compile("[\0-\x1f\x7f\ud800-\udfff]")
ENCODED_TWICE = "encoded_twice"  # in extra: the fields whose text is read as it was meant


@dataclass(frozen=True)
class Reading:
    """What the parser of a source read from a page."""

    links: list[str]  # absolute addresses to which it leads
    entries: list[Entry]


@dataclass(frozen=True)
class Attempt:
    """What came of reading a page."""

    found: Reading | None
    problem: str = ""  # why the page cannot be read, if it cannot
    refusal: str | None = None  # why it is no page of content, if nothing could be read from it

    def reading(self, page: Page) -> Reading:
        """What was read from the page. Raises PageError."""
        if self.found is None:
            raise PageError(page.url, self.problem)
        return self.found


def try_to_read(source: Source, page: Page) -> Attempt:
    """What the parser of the source reads from a page, or why it reads nothing."""
    try:
        reading = read_page(source, page)
    except PageError as error:
        return Attempt(None, error.problem, refusal(page))
    return Attempt(reading, refusal=None if reading.links or reading.entries else refusal(page))


def read_page(source: Source, page: Page) -> Reading:
    """What the parser of the source reads from a page; a record with garbled text is unreadable. Raises PageError."""
    try:
        links, entries = list(source.follow(page)), list(source.parse(page))
    except ValueError as error:  # such as a name that no key can be made of
        raise PageError(page.url, str(error)) from error
    except RecursionError as error:
        raise PageError(page.url, "its content is nested too deeply to be read") from error
    if strange := next(filter(_NO_ADDRESS.search, links), None):
        raise PageError(page.url, f"a link has characters that no address can have: {strange[:200]!r}")
    return Reading(links, [_readable(entry) for entry in entries])


def _readable(entry: Entry) -> Entry:
    """The entry with texts that were encoded twice as they were meant; Unreadable if a character of it is lost."""
    if isinstance(entry, Unreadable):
        return entry
    texts = {field: value for field in COMPARED if (value := getattr(entry, field))}
    for field, value in texts.items():
        if problem := find_garbled(decode_again(value)):
            return Unreadable(entry.name, f"{field} has {problem}", entry.key)
    meant = {field: text for field, value in texts.items() if (text := decode_again(value)) != value}
    if not meant:
        return entry
    return entry.model_copy(update={**meant, "extra": {**entry.extra, ENCODED_TWICE: tuple(sorted(meant))}})
