"""The types of cells, rows and sheets of all readers that yield cells."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCell:
    """A cell that shows an error, or whose formula was never calculated. It is not blank."""

    text: str  # as Excel shows it ("#REF!"), or NOT_CALCULATED


NOT_CALCULATED = "formula without a stored value"

# None is a blank cell; "" is not used. Numbers are float (94523.0). Numbers with a format that makes them texts (see
# number_formats.py) and cells of text files are str.
Cell = str | int | float | bool | dt.datetime | dt.date | dt.time | dt.timedelta | ErrorCell | None
Row = tuple[int, list[Cell]]  # the row's number as Excel shows it, its cells from column A on
Merge = tuple[int, int, int, int]  # first and last row as Excel shows them, first and last column from 0


@dataclass(frozen=True)
class SheetInfo:
    """A sheet that can hold cells. Chart sheets are left out."""

    name: str
    visible: bool  # False: hidden or very hidden
