"""A table as Markdown: how numbers, shares and missing values are shown, and that no text becomes markup.

Every report is shown as it is, and cells of workbooks and pages reach it. So no cell is written without being escaped.
"""

from collections.abc import Callable
from typing import Any

import pandas as pd


def markdown_table(table: pd.DataFrame, escape: Callable[[str], str]) -> str:
    """The headings of `table` and a line for each of its rows, as a Markdown table without the index.

    Args:
        table: integers are shown with thousands separators, floats as per cent (83.4 is "83 %"), missing values blank.
        escape: puts a text on one line and makes it harmless in Markdown and HTML, "|" included.
    """
    cells = table.astype(object).map(lambda value: _shown(value, escape))
    lines = [list(table.columns), ["---"] * table.shape[1], *cells.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(value: Any, escape: Callable[[str], str]) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, float):
        return f"{value:.0f} %"
    return f"{value:,}" if isinstance(value, int) else escape(str(value))
