"""Cells that hold several e-mail addresses or telephone numbers."""

import re

from tasks.crm.rules.texts import clean_line

# A cell that matches it, as a regular expression for Arrow, may hold several values.
MAY_BE_SEVERAL = "[;,/|\n\r；，、]|:::"
_LINES = re.compile(r"[;|\n\r；]|\s:::\s")  # what separates values of any kind
AT_ENDS = " ;,|；，、"


def lines_of(text: str) -> list[str]:
    """The lines of a cell; a semicolon separates them like a line break."""
    lines = (clean_line(part) for part in _LINES.split(text))
    return [part for line in lines if line and (part := line.strip(AT_ENDS))]
