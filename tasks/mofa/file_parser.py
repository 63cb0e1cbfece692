"""Makes a Source of a source file: which addresses a page leads to, and which missions it has.

What is wrong with one mission makes that mission Unreadable, with everything that is wrong with it; what is wrong with
the page raises PageError. A selector that finds nothing where a value must be is one of the two, never a blank.
"""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from urllib.parse import urldefrag, urljoin, urlsplit

from pydantic import ValidationError

from tasks.mofa.embassy import COMPARED, Embassy, Unreadable, is_blank, key_of
from tasks.mofa.hidden_email import as_email
from tasks.mofa.html_rows import html_rows, sections_without
from tasks.mofa.json_rows import json_content, json_rows, search
from tasks.mofa.labels import normal
from tasks.mofa.page import Page, PageError, Route, Source, html
from tasks.mofa.plausibility import same_on_all
from tasks.mofa.request import Request
from tasks.mofa.rows import Row, count, numbers, table_rows
from tasks.mofa.source_file import MAX_PAGES, PAGE, FieldRule, Links, Pages, SourceFile

ENGINE_VERSION = 1  # raise it when the same page and the same file would give other records
_ABOUT = 80  # characters by which a mission is found on its page
_NUMBER = "\0"  # stands for the number of a page while a pattern is made


def source_of(name: str, file: SourceFile, *, verified: bool = False) -> Source:
    """The source that this file describes."""
    reads = file.model_dump(include={"format", "script", "after", "same", "pages", "links", "missions", "fields"})
    urls = [file.home, *file.start.url]
    return Source(
        name=name,
        title=file.title,
        home=file.home,
        hosts=frozenset([*(urlsplit(url).netloc.lower() for url in urls), *map(str.lower, file.hosts)]),
        parser_version=zlib.crc32(f"{ENGINE_VERSION} {reads}".encode()),
        routes=(Route(start=tuple(_starts(file)), verified=verified),),
        follow=lambda page: follow(file, page),
        parse=lambda page: parse(file, page),
        direction=file.direction,
        language=file.language,
        time_zone=file.time_zone,
        javascript=file.javascript,
        may_be_same=frozenset(file.same),
        thresholds=file.thresholds.model_dump(exclude_none=True),
    )


# ---------------------------------------------------------------------- requests


def _starts(file: SourceFile) -> list[str]:
    first = str(file.pages.first) if file.pages else ""
    return [_request(file, url, first).address for url in file.start.url]


def _request(file: SourceFile, url: str, number: str) -> Request:
    form = tuple((name, value.replace(PAGE, number)) for name, value in file.start.form.items())
    return Request(url.replace(PAGE, number), file.start.method, form)


def _number(file: SourceFile, page: Page) -> tuple[str, int] | None:
    """The url of the start that this page belongs to, and its number; None: it is another page."""
    for url in file.start.url:
        address = re.escape(_request(file, url, _NUMBER).address)
        for written in (_NUMBER, "%00"):
            address = address.replace(re.escape(written), r"(\d+)")
        if found := re.fullmatch(address, page.url):
            return url, int(found[1]) if found.re.groups else 0
    return None


def follow(file: SourceFile, page: Page) -> list[str]:
    """The addresses of further pages of a counted list, and those of the links that are followed."""
    start = _number(file, page)
    found: list[str] = []
    if start and file.pages:
        found += [_request(file, start[0], str(each)).address for each in _next(file, file.pages, page, start[1])]
    for rule in file.links:
        if re.search(rule.on, page.url) if rule.on else start:
            found += _links(file, rule, page)
    return list(dict.fromkeys(each for each in found if each != page.url))


def _next(file: SourceFile, pages: Pages, page: Page, number: int) -> list[int]:
    """The numbers of the pages that follow on this one."""
    if pages.last:
        last = max(numbers(page, pages.last, file), default=None)
        if last is None:
            raise PageError(page.url, "numbers of pages were expected (pages.last), found none")
    elif pages.total:
        total = numbers(page, pages.total, file)
        if len(total) != 1:
            raise PageError(page.url, f"one number of all missions was expected (pages.total), found {len(total)}")
        last = pages.first + (ceil(total[0] / (pages.per_page or pages.step)) - 1) * pages.step
    else:
        full = len(rows_of(file, page)) >= (pages.per_page or 1)
        last = number + pages.step if full else number
    if last > pages.first + MAX_PAGES * pages.step:
        raise PageError(page.url, f"the list has no end: page {last} would follow, at most {MAX_PAGES} are read")
    return list(range(number + pages.step, last + 1, pages.step))


def _links(file: SourceFile, rule: Links, page: Page) -> list[str]:
    if rule.css:
        written = [str(each[rule.attribute]) for each in html(page).select(rule.css) if each.has_attr(rule.attribute)]
    else:
        listed = search(rule.json_ or "", json_content(page, file))
        written = [str(each) for each in listed] if isinstance(listed, list) else []
    found: list[str] = []
    for link in written:
        try:
            url = urldefrag(urljoin(urldefrag(page.url).url, link.strip())).url
        except ValueError:  # it is no address, such as http://[, so it leads nowhere
            continue
        part = re.search(rule.pattern or "", url)
        if part is None:
            continue
        target = rule.to.format(part[0], *part.groups()) if rule.to else url
        if urlsplit(target).netloc.lower() not in _hosts(file):
            raise PageError(
                page.url, f"a link leads to {urlsplit(target).netloc!r}: add it to hosts, or narrow pattern"
            )
        found.append(target)
    if not found:
        raise PageError(
            page.url, f"links ({rule.css or rule.json_}, {rule.pattern or 'any'}) were expected, found none"
        )
    return found


def _hosts(file: SourceFile) -> set[str]:
    return {urlsplit(url).netloc.lower() for url in (file.home, *file.start.url)} | {*map(str.lower, file.hosts)}


# ---------------------------------------------------------------------- missions


def has_missions(file: SourceFile, page: Page) -> bool:
    """Whether the page has missions, by its address; otherwise it only leads to others."""
    if file.missions.on:
        return re.search(file.missions.on, page.url) is not None
    return not any(re.search(rule.on, page.url) if rule.on else _number(file, page) for rule in file.links)


def rows_of(file: SourceFile, page: Page) -> Sequence[Row]:
    """The missions of the page before their fields are read."""
    read: dict[str, Callable[[Page, SourceFile], Sequence[Row]]] = {
        "html": html_rows,
        "json": json_rows,
        "table": table_rows,
    }
    return read[file.format](page, file)


def parse(file: SourceFile, page: Page) -> list[Embassy | Unreadable]:
    """The missions of the page; none if it only leads to others. Raises PageError."""
    if not has_missions(file, page):
        return []
    rows, start = rows_of(file, page), _number(file, page)
    after_the_last = bool(file.pages and file.pages.per_page and start and start[1] > file.pages.first)
    if not rows and not file.missions.empty and not after_the_last:
        raise PageError(
            page.url, f"missions ({file.missions.css or file.missions.json_ or 'rows'}) were expected, found none"
        )
    if file.missions.within and (without := sections_without(page, file)):
        raise PageError(page.url, f"{file.missions.within!r}: {without} of them have no mission ({file.missions.css})")
    if file.missions.count and (expected := count(page, file.missions.count, file)) != len(rows):
        raise PageError(page.url, f"{expected} missions were expected (missions.count), found {len(rows)}")
    found = [_mission(file, page, row, number) for number, row in enumerate(rows, 1)]
    unreadable = [each for each in found if isinstance(each, Unreadable)]
    if len(unreadable) == len(found) > 1:
        raise PageError(
            page.url, f"none of {len(found)} missions can be read; {unreadable[0].row}: {unreadable[0].reason}"
        )
    readable = [each for each in found if isinstance(each, Embassy)]
    if problems := same_on_all(readable, file.same):
        raise PageError(page.url, " ".join(problems))
    return found


def _mission(file: SourceFile, page: Page, row: Row, number: int) -> Embassy | Unreadable:
    values, problems = _values(file, page, row)
    problems += row.problems()
    key = _key(file, values)
    named = (values.get(each) for each in ("name", *file.missions.key))
    name = next(filter(None, named), None) or row.text()[:_ABOUT] or f"mission {number}"
    if key is None and not problems:
        problems.append(
            f"no key can be made of {', '.join(file.missions.key)}: a value has neither a letter nor a digit"
        )
    if key is not None and not problems:
        known = {each: values.get(each) for each in COMPARED if each != "kind"}
        extra = {each: value for each, value in values.items() if each not in COMPARED and value}
        kind, word = _kind(file.fields["kind"], values.get("kind"))
        try:
            return Embassy.model_validate(
                {**known, "key": key, "kind": kind, "extra": {**extra, **({"kind": word} if word else {})}}
            )
        except ValidationError as error:
            problems = [
                f"{'.'.join(map(str, each['loc']))} {each['msg'].removeprefix('Value error, ')}"
                for each in error.errors(include_url=False, include_context=False)
            ]
    return Unreadable(row=name, reason="; ".join(problems), key=key)


def _values(file: SourceFile, page: Page, row: Row) -> tuple[dict[str, str | None], list[str]]:
    """The value of each field, and a sentence for each that cannot be read."""
    values: dict[str, str | None] = {}
    problems: list[str] = []
    for name, rule in sorted(file.fields.items(), key=lambda each: _depth(file, each[0])):
        try:
            values[name] = _value(name, rule, page, row, values)
        except ValueError as error:
            problems.append(f"{name}: {error}")
            continue
        if values[name] is None and not rule.optional and rule.from_ is None:
            problems.append(f"{name}: nothing was found ({_place(rule)})")
    return values, problems


def _depth(file: SourceFile, name: str) -> int:
    """How many fields must be read before this one."""
    depth = 0
    while (before := file.fields[name].from_) is not None:
        name, depth = before, depth + 1
    return depth


def _place(rule: FieldRule) -> str:
    places = (rule.css, rule.json_, rule.outer, rule.above, *rule.label, *rule.column)
    return next((each for each in places if each), "before the labels" if rule.before_labels else rule.pattern or "")


def _value(name: str, rule: FieldRule, page: Page, row: Row, values: Mapping[str, str | None]) -> str | None:
    """Raises ValueError, with the end of a sentence, when what is there does not fit."""
    text = _found(rule, page, row, values)
    for each in rule.otherwise:
        text = text or _found(each, page, row, values)
    more = [_found(each, page, row, values) for each in rule.also]
    text = "\n".join(each for each in (text, *more) if each) or None
    if text is None or name == "kind":
        return text
    return as_email(text) if name == "email" else _translated(rule, text)


def _found(rule: FieldRule, page: Page, row: Row, values: Mapping[str, str | None]) -> str | None:
    """What one rule finds in its place; None: nothing, or what a page writes for nothing."""
    if rule.constant is not None:
        text: str | None = rule.constant
    elif rule.from_ is not None:
        text = values.get(rule.from_)
    else:
        text = page.url if rule.address else row.value(rule)
    if text is not None and rule.remove:
        text = re.sub(rule.remove, "", text)
    if text is not None and not is_blank(text) and rule.pattern:
        text = _part(rule, text)
    if text is None or is_blank(text):
        return None
    if rule.separator:
        text = "\n".join(part.strip() for part in text.split(rule.separator))
    return "\n".join(f"{rule.prefix}{line}" for line in text.split("\n") if line.strip()) if rule.prefix else text


def _part(rule: FieldRule, text: str) -> str | None:
    found = re.search(rule.pattern or "", text, re.IGNORECASE)
    if found is None:
        if rule.optional:
            return None
        raise ValueError(f"the pattern {rule.pattern!r} does not fit")
    return next((each for each in found.groups() if each is not None), "") if found.re.groups else found[0]


def _translated(rule: FieldRule, text: str) -> str:
    """The value for the word of the page, if the rule has words; else the text."""
    if rule.one_of:
        words = {normal(word): value for word, value in rule.one_of.items()}
        text = words.get(normal(text), rule.default or text)
    elif rule.words:
        hits = (value for pattern, value in rule.words if re.search(pattern, text, re.IGNORECASE))
        text = next(hits, rule.default or text)
    return text


def _kind(rule: FieldRule, text: str | None) -> tuple[str, str | None]:
    """The kind, and the page's own word if it is not known: then the kind is 'other'."""
    if text is None or rule.constant is not None:
        return (text or rule.default or "other").casefold(), None
    if not rule.one_of and not rule.words:
        return text.casefold(), None
    if (kind := _translated(rule, text)) != text:
        return kind, None
    known = {*rule.one_of.values(), *(value for _, value in rule.words)}
    return (text, None) if text in known else ("other", None if rule.from_ else text)


def _key(file: SourceFile, values: Mapping[str, str | None]) -> str | None:
    parts = [value for name in file.missions.key if (value := values.get(name))]
    if len(parts) < sum(1 for name in file.missions.key if not file.fields[name].optional):
        return None
    try:
        return key_of(*parts) if parts else None
    except ValueError:
        return None
