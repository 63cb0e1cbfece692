"""What a cell can hold, whichever format it was read from."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCell:
    """A cell that shows an error, or whose formula was never calculated: never to be taken for a blank one."""

    text: str  # as Excel shows it ("#REF!"), or NOT_CALCULATED


NOT_CALCULATED = "formula without a stored value"

# None is a blank cell; "" never appears. Numbers are float (94523.0), as calamine gives them: only the field rules that
# need text pay for turning them into it. Numbers whose format makes text of them (see number_formats.py) and cells of
# a .csv are str.
Cell = str | int | float | bool | dt.datetime | dt.date | dt.time | dt.timedelta | ErrorCell | None
Row = tuple[int, list[Cell]]  # the row's number as Excel shows it, its cells from column A on
Merge = tuple[int, int, int, int]  # first and last row as Excel shows them, first and last column from 0


@dataclass(frozen=True)
class SheetInfo:
    """A sheet that can hold cells; chart sheets are left out."""

    name: str
    visible: bool  # False: hidden or very hidden
