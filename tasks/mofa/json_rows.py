"""The missions of a JSON page, or of JSON in a script of an HTML page, before their fields are read."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jmespath

from tasks.mofa.page import Page, PageError, html, refusal
from tasks.mofa.source_file import FieldRule, SourceFile


@dataclass
class JsonRow:
    """An object, those around it, the outermost first, and the key that it has there."""

    objects: Sequence[Mapping[str, Any]]
    key: str | None = None

    def value(self, rule: FieldRule) -> str | None:  # noqa: D102 - see Row
        if rule.json_key:
            return self.key
        if rule.json_:
            return _as_text(_compiled(rule.json_).search(self.objects[-1]), rule.json_)
        for each in reversed(self.objects[:-1]):
            if (found := _compiled(rule.outer or "").search(each)) is not None:
                return _as_text(found, rule.outer or "")
        return None

    def problems(self) -> list[str]:  # noqa: D102 - see Row
        return []

    def text(self) -> str:  # noqa: D102 - see Row
        return "; ".join(str(each) for each in self.objects[-1].values() if isinstance(each, str) and each.strip())


_compiled = cache(jmespath.compile)


def search(expression: str, content: Any) -> Any:
    """What a JMESPath expression finds; None: nothing."""
    return _compiled(expression).search(content)


def _as_text(value: Any, expression: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = [_as_text(each, expression) for each in value]
        return "\n".join(each for each in texts if each)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{expression} is neither a text nor a number")  # noqa: TRY004 - of the mission
    return str(value)


def json_content(page: Page, file: SourceFile) -> Any:
    """The JSON of a page, or in a script of it. Raises PageError."""
    text = page.text
    if file.script:
        scripts = html(page).select(file.script)
        if len(scripts) != 1:
            raise PageError(page.url, f"{file.script!r} was expected once, found {len(scripts)}")
        text = scripts[0].get_text()
    start = 0
    if file.after:
        found = re.search(file.after, text)
        if found is None:
            raise PageError(page.url, f"JSON was expected after {file.after!r}, which is not on the page")
        start = found.end()
    text = text[start:].strip("\ufeff \t\r\n\0")
    try:
        content, end = json.JSONDecoder().raw_decode(text)
    except ValueError:
        raise PageError(page.url, refusal(page) or f"JSON was expected, found {text[:30]!r}") from None
    if text[end:].strip() and not file.after:
        raise PageError(page.url, "JSON was expected, more follows after its end")
    if content == {}:
        raise PageError(page.url, "the server answers with an empty JSON object: it failed, or the service is off")
    return content


def json_rows(page: Page, file: SourceFile) -> list[JsonRow]:
    """The objects that `missions.json` selects, one expression inside the other."""
    content = json_content(page, file)
    keys = _keys(content)
    found: list[list[Any]] = [[content]]
    for expression in file.missions.json_:
        inner: list[list[Any]] = []
        for outer in found:
            objects = _compiled(expression).search(outer[-1])
            objects = [objects] if isinstance(objects, dict) else objects or []
            if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
                raise PageError(page.url, f"{expression} was expected to be a list of objects")
            inner += [[*outer, each] for each in objects]
        found = inner
    return [JsonRow([each for each in row if isinstance(each, dict)], keys.get(id(row[-1]))) for row in found]


def _keys(content: Any) -> dict[int, str]:
    """The key of each object that is a value of another one, by its identity."""
    keys: dict[int, str] = {}
    rest = [content]
    while rest:
        each = rest.pop()
        if isinstance(each, dict):
            keys.update((id(value), key) for key, value in each.items() if isinstance(value, dict))
            rest += each.values()
        elif isinstance(each, list):
            rest += each
    return keys
