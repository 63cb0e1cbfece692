"""The error for headings that cannot be used. It names the options of the command line or the parameters of the UI."""

import json
import re
import shlex
from collections.abc import Sequence
from typing import Literal, NamedTuple

from tasks.crm.cell_kind import looks_like_data
from tasks.crm.headings.table import FIELDS, heading_table
from tasks.crm.headings.text import column_letter, is_known, quoted

EXTRA = "extra"  # a user maps a column to it to keep it out of all fields
IGNORE = "ignore"  # a user maps a column to it to leave it out of the import
Interface = Literal["ui", "command line"]
_LISTED = 500  # headings in an error; a sheet may have 16,384 columns
_ENOUGH_KNOWN = 2  # known headings that show that a row has no data of a person


_GENERATED = re.compile("Column [A-Z]{1,3}")  # the name of a blank heading


ProblemCode = Literal[
    "below_data",  # the rows above the headings look like data
    "blank_row",  # the given row is blank, or does not exist
    "blank_sheet",  # the top rows are blank
    "looks_like_data",  # no row looks like headings
    "mapped_twice",  # the user mapped one column to two fields
    "merged_name",  # a heading of names is merged over several columns
    "name_or_last_name",  # "Name" can be the full or the last name
    "no_such_field",
    "no_such_heading",
    "not_headings",  # the likeliest row is not good enough
    "not_split",  # column A holds whole rows
    "nothing_identifies",  # no column identifies a row
    "transposed",  # the headings are below each other
    "personal_row",  # the given row holds data of a person
    "searched_rows",  # no problem, but the advice to give the heading row
    "two_columns",  # two columns for one field
    "unknown_system",  # an id without a system
]


class Problem(NamedTuple):
    """One problem: a clause that may contain the name of a parameter."""

    code: ProblemCode
    before: str
    option: str = ""  # "columns", "system", "heading_row", or none
    after: str = ""

    def text(self, interface: Interface) -> str:
        """The clause with the option of the command line or the parameter of the UI."""
        option = self.option if interface == "ui" else _SWITCHES.get(self.option, "")
        return f"{self.before}{option}{self.after}"


_SWITCHES = {"columns": "--column", "system": "--system", "heading_row": "--heading-row"}


class HeadingsError(ValueError):
    """The headings cannot be used. The message has all problems, all headings, and the next action.

    It never has the cells of a row that can be data of a person. `str` of the error names the parameters of the UI.
    """

    def __init__(self, problems: Sequence[Problem], shown: Sequence[str], *, advise: bool = True) -> None:
        """Take the problems, the cells of the row, and whether the user can solve them by mapping columns."""
        self.problems = tuple(problems)
        self._advise = advise
        self.headings = tuple(shown) if is_shown(shown) else ()
        self._hidden = _why_hidden(shown) if shown and not self.headings else ""
        super().__init__(self.message())

    @property
    def codes(self) -> tuple[ProblemCode, ...]:
        """The codes of the problems, in the order of the message."""
        return tuple(problem.code for problem in self.problems)

    def message(self, interface: Interface = "ui") -> str:
        """The message, with the parameters of the UI or the options of the command line."""
        problems = "; ".join(problem.text(interface) for problem in self.problems)
        if not self._advise:
            return f"The headings cannot be used: {problems}."
        listed = [f"{column_letter(i)} {quoted(heading)}" for i, heading in enumerate(self.headings[:_LISTED])]
        found = ", ".join(listed) or "none"
        found += f" and {len(self.headings) - _LISTED} more" if len(self.headings) > _LISTED else ""
        if self._hidden:
            found = self._hidden
        example = 'columns={"heading": "field"}' if interface == "ui" else "--column HEADING=FIELD"
        return (
            f"The headings cannot be used: {problems}. Headings found: {found}. "
            f"Map the columns to fields with {example}. Fields: "
            f'{", ".join(FIELDS)}; "{EXTRA}" keeps a column out of all fields, "{IGNORE}" leaves it out entirely.'
        )


def _why_hidden(cells: Sequence[str]) -> str:
    if any(map(looks_like_data, cells)):
        return "none; the row looks like data of a person: write a row of headings above it"
    return "none that are known; the row is not shown because it may be data of a person"


def is_shown(cells: Sequence[str]) -> bool:
    """Whether a message may show a row as headings: messages are stored, sent and logged, so they must have no data.

    It may if no cell looks like data, and if two cells, or half of the cells, are known headings.
    """
    filled = [cell for cell in cells if cell and not _GENERATED.fullmatch(cell)]
    if any(map(looks_like_data, filled)):
        return False
    known = sum(is_known(cell, heading_table()) for cell in filled)
    return known >= _ENOUGH_KNOWN or known * 2 >= len(filled)


def column_option(heading: str, field: str, interface: Interface) -> str:
    """The option or parameter that maps a heading to a field."""
    if interface == "command line":
        return f"--column {shlex.quote(f'{heading}={field}')}"
    return f"columns={json.dumps({heading: field}, ensure_ascii=False)}"
