"""Every compiled regular expression of tasks/ takes linear time, or little time for the longest text that it gets."""

import importlib
import pkgutil
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

import tasks

_MODULES = [found.name for found in pkgutil.walk_packages(tasks.__path__, "tasks.") if found.name != "tasks.mofa.try"]
# Modules whose expressions get texts of at most so many characters.
_LONGEST = {
    "tasks.crm.rules.": 1_000,  # clean_line
    "tasks.crm.non_records": 1_000,
    "tasks.crm.cell_kind": 100,
    "tasks.crm.readers.number_formats": 255,
    "tasks.crm.headings.": 800,
    "tasks.mofa.error_page": 900,
    "tasks.mofa.comparison": 4_000,
    "tasks.mofa.numbers": 4_000,
    "tasks.notify.": 1_000,  # messages and addresses of our own
}
_ATOMS = [
    *(
        "a",
        "1",
        " ",
        "a ",
        "1 ",
        "-",
        "a-",
        "1-",
        ".",
        "a.",
        "@",
        "a@",
        "a@b.",
        '"',
        '""',
        "'",
        "\\",
        "[",
        "[]",
        "(",
        "/",
    ),
    *(
        "//",
        ":",
        "1:",
        "<",
        "<a ",
        "<f>",
        "</f> ",
        "<c ",
        "<c r='A1' ",
        "<meta ",
        "<?xml ",
        "техническ ",
        "access is ",
        "=",
    ),
    *(
        "of ",
        "\n",
        "\t",
        ",",
        "T",
        "T,",
        "電話 ",
        "〒",
        "x:",
        'ref="A1:A1"',
        "&",
        ";",
        "_",
        "0",
        "0#",
        "%",
        "é",
        "1jan ",
    ),
    *(
        "sep=",
        "\x00",
        "log ",
        "<script",
        "<input type ",
        "@media",
        "@media{",
        "{",
        "{}",
        "; ",
        "= ",
        "date 1",
        "display ",
    ),
]
_LONG = 8_000
_STOPPED = 60.0  # stands for a text that took too long
_SECONDS = 0.02  # a text of _LONG characters in linear time takes a tenth of it


class _TooSlowError(Exception):
    pass


def _too_slow(*_: object) -> None:
    raise _TooSlowError


def _patterns(value: Any, name: str) -> Iterator[tuple[str, re.Pattern[Any]]]:
    if isinstance(value, re.Pattern):
        yield name, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _patterns(each, f"{name}[{key}]")
    elif isinstance(value, tuple):
        for key, each in enumerate(value):
            yield from _patterns(each, f"{name}[{key}]")


def _uses(source: str, name: str) -> set[str]:
    """How the module uses an expression; `search`, the slowest way, if that cannot be seen."""
    return set(re.findall(rf"\b{name}\.(search|match|fullmatch|finditer|findall|sub|split)\(", source))


def _signs_of(pattern: re.Pattern[Any]) -> list[str]:
    """The signs in the expression: a text that it may match can begin with one of them."""
    source = pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    return sorted({sign for sign in source if sign.isascii() and not sign.isalnum() and sign not in "\\?*+|{}^"})


def _seconds(pattern: re.Pattern[Any], uses: set[str], text: str) -> float:
    subject: Any = text.encode() if isinstance(pattern.pattern, bytes) else text
    signal.setitimer(signal.ITIMER_VIRTUAL, 2)
    begin = time.process_time()
    try:
        for use in uses:
            if use in {"search", "match", "fullmatch"}:
                getattr(pattern, use)(subject)
            else:
                sum(1 for _ in pattern.finditer(subject))
    except _TooSlowError:
        return _STOPPED
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return time.process_time() - begin


def _is_slow(pattern: re.Pattern[Any], uses: set[str], shape: tuple[str, str, str], longest: int) -> bool:
    before, atom, after = shape

    def seconds(characters: int) -> float:
        text = before + atom * (characters // len(atom)) + after
        return min(_seconds(pattern, uses, text) for _ in range(2))

    if _seconds(pattern, uses, before + atom * (longest // len(atom)) + after) < _SECONDS:
        return False
    long = seconds(longest)
    if long == _STOPPED:
        return True
    return long > _SECONDS and (
        longest < _LONG or (long > 3 * seconds(longest // 2) and seconds(2 * longest) > 3 * long)
    )


@pytest.mark.slow
@pytest.mark.parametrize("module", _MODULES)
def test_no_regular_expression_takes_more_than_linear_time(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__spec__
    source = getattr(loaded.__spec__.loader, "get_source")(module)  # noqa: B009 - a loader of files has it
    longest = next((limit for prefix, limit in _LONGEST.items() if module.startswith(prefix)), _LONG)
    handler = signal.signal(signal.SIGVTALRM, _too_slow)
    slow = {}
    try:
        for variable, value in vars(loaded).items():
            for name, pattern in _patterns(value, variable):
                uses = _uses(source, variable) or {"fullmatch"}
                before = ["", "a@", "1", *_signs_of(pattern)]
                shapes = [(x, y, z) for y in _ATOMS for x in before for z in ("", "!", "\x00x")]
                shape = next((each for each in shapes if _is_slow(pattern, uses, each, longest)), None)
                slow |= {name: shape} if shape else {}
    finally:
        signal.signal(signal.SIGVTALRM, handler)
    assert slow == {}
