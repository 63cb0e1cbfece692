"""Text and tables as Markdown, in which no text from a workbook or a page becomes markup.

Reports are shown in Prefect's UI, which renders Markdown and HTML: `escape`, which `unescape` reverses for a terminal,
where people copy headings. Messages go to channels with other dialects of Markdown, of which some do not decode HTML
entities: `escape_for_channels`.
"""

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from db.display import printable

if TYPE_CHECKING:
    import pandas as pd

CELL_LENGTH = 200  # characters that a cell of a table can show
_MARKUP = re.compile(r"([\\`*_\[\]|~])")
_ESCAPED = re.compile(r"\\([\\`*_\[\]|~])")

# Notifies somebody, or everybody, in a chat. The @ of an e-mail address does not.
_MENTION = re.compile(r"(?<![\w.+%-])@(?=\S)|@(?=(?:everyone|here|channel|all)\b)", re.IGNORECASE)
# Backslashes, which every dialect understands; look-alikes for what some pass through (HTML) or read as strikethrough.
_FOR_CHANNELS = str.maketrans({**{each: f"\\{each}" for each in "\\`*_[]"}, "<": "‹", ">": "›", "~": "～"})
_BLOCK = re.compile(r"^(\d*)([#+.)-])")  # a heading, or a list in the list


def escape(text: object) -> str:
    """The text on one line, cut to CELL_LENGTH, that stays text in Markdown, HTML and a cell of a table."""
    flat = " ".join(printable(text).split())
    flat = flat if len(flat) <= CELL_LENGTH else flat[: CELL_LENGTH - 1] + "…"
    return _MARKUP.sub(r"\\\1", html.escape(flat, quote=False))


def unescape(markdown: str) -> str:
    """Markdown for a terminal, with each text as it was before `escape`."""
    return html.unescape(_ESCAPED.sub(r"\1", markdown))


def markdown_table(rows: "pd.DataFrame", escape: Callable[[str], str] = escape) -> str:
    """A Markdown table without the index: the headings, and one line for each row.

    Args:
        rows: integers are shown with thousands separators, floats as per cent (83.4 is "83 %"), missing values blank.
        escape: escapes a text, "|" included, and puts it on one line.
    """
    cells = rows.astype(object).map(lambda value: _cell(value, escape))
    lines = [list(rows.columns), ["---"] * rows.shape[1], *cells.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any, escape: Callable[[str], str]) -> str:
    import pandas as pd  # noqa: PLC0415 - takes half a second, and most imports of this module need no table

    if pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:.0f} %"
    return f"{value:,}" if isinstance(value, int) else escape(str(value))


def escape_for_channels(text: str, max_length: int = 200) -> str:
    """`one_line` that stays text in every dialect of Markdown, also at the start of a line, paragraph or list item."""
    return _BLOCK.sub(r"\1\\\2", one_line(text, max_length).translate(_FOR_CHANNELS))


def one_line(text: str, max_length: int = 200) -> str:
    """The text on one line of at most `max_length` characters, without invisible characters and mentions."""
    flat = whole_line(text[: 20 * max_length])
    return flat if len(flat) <= max_length else flat[: max_length - 1] + "…"


def whole_line(text: str) -> str:
    """`one_line` of any length."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    flat = ", ".join(filter(None, (line.rstrip(",; ") for line in lines)))
    return _MENTION.sub("@\u200b", printable(flat))


def safe_link(url: str | None) -> str | None:
    """A web address in which no character can end a Markdown link; None if it is not a web address."""
    try:
        is_web = bool(url) and urlsplit(str(url)).scheme in {"http", "https"}
    except ValueError:
        is_web = False
    return quote(str(url), safe="/:?#@!$&'+,;=%~-._") if is_web else None
