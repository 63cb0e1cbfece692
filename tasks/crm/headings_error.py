"""The error that says why headings cannot be used, in the words of whoever asked: command line or UI."""

import json
import re
import shlex
from collections.abc import Sequence
from typing import Literal, NamedTuple

from tasks.crm.cell_kind import looks_like_data
from tasks.crm.heading_table import FIELDS, heading_table
from tasks.crm.heading_text import column_letter, is_known, quoted

EXTRA = "extra"  # what a user writes to keep a column out of every field
IGNORE = "ignore"  # what a user writes to leave a column out entirely
AskedBy = Literal["ui", "command line"]
_LISTED = 500  # headings in an error; a sheet may have 16,384 columns
_ALL_LISTED = 2  # known headings that are enough to take a row for headings, and no person's


_GENERATED = re.compile("Column [A-Z]{1,3}")  # what a blank heading is called


class Problem(NamedTuple):
    """One thing that is wrong: a clause with the name of a parameter in it."""

    before: str
    option: str  # "columns", "system", "heading_row"
    after: str = ""

    def text(self, asked_by: AskedBy) -> str:
        """The clause; the parameter as a command line or the UI calls it."""
        option = self.option if asked_by == "ui" else _SWITCHES[self.option]
        return f"{self.before}{option}{self.after}"


_SWITCHES = {"columns": "--column", "system": "--system", "heading_row": "--heading-row"}


class HeadingsError(ValueError):
    """The headings cannot be used: says everything that is wrong with them, lists them all, and what to do now.

    The text never shows the cells of a row that can be a person's. `str` of the error speaks to the user of the UI.
    """

    def __init__(self, problems: Sequence[str | Problem], shown: Sequence[str], *, advise: bool = True) -> None:
        """The problems, the cells of the row, and whether it helps to say which column is which."""
        self._problems = tuple(problems)
        self._advise = advise
        self.headings = tuple(shown) if is_shown(shown) else ()
        self._hidden = _why_hidden(shown) if shown and not self.headings else ""
        super().__init__(self.message())

    @property
    def problems(self) -> tuple[str, ...]:
        """One clause each, as the UI words it."""
        return tuple(_text(problem, "ui") for problem in self._problems)

    @property
    def parts(self) -> tuple[str | Problem, ...]:
        """The problems, for another error that says more."""
        return self._problems

    def message(self, asked_by: AskedBy = "ui") -> str:
        """The text of the error, as `asked_by` calls the parameters."""
        problems = "; ".join(_text(problem, asked_by) for problem in self._problems)
        if not self._advise:
            return f"The headings cannot be used: {problems}."
        listed = [f"{column_letter(i)} {quoted(heading)}" for i, heading in enumerate(self.headings[:_LISTED])]
        found = ", ".join(listed) or "none"
        found += f" and {len(self.headings) - _LISTED} more" if len(self.headings) > _LISTED else ""
        if self._hidden:
            found = self._hidden
        example = 'columns={"heading": "field"}' if asked_by == "ui" else "--column HEADING=FIELD"
        return (
            f"The headings cannot be used: {problems}. Headings found: {found}. "
            f"Say which column is which with {example}; fields: "
            f'{", ".join(FIELDS)}; "{EXTRA}" keeps a column out of them, "{IGNORE}" leaves it out entirely.'
        )


def _text(problem: str | Problem, asked_by: AskedBy) -> str:
    return problem if isinstance(problem, str) else problem.text(asked_by)


def _why_hidden(cells: Sequence[str]) -> str:
    if any(map(looks_like_data, cells)):
        return "none, but a person's row: write a row of headings above it"
    return "none that are known, and what stands there is not shown because it can be a person's row"


def is_shown(cells: Sequence[str]) -> bool:
    """Whether a row can be shown as headings: errors are stored, sent and logged, and no place for people's data.

    It holds nothing that looks like data, and two known headings, or half of its cells are known.
    """
    filled = [cell for cell in cells if cell and not _GENERATED.fullmatch(cell)]
    if any(map(looks_like_data, filled)):
        return False
    known = sum(is_known(cell, heading_table()) for cell in filled)
    return known >= _ALL_LISTED or known * 2 >= len(filled)


def column_option(heading: str, field: str, asked_by: AskedBy) -> str:
    """How a user says where a column goes."""
    if asked_by == "command line":
        return f"--column {shlex.quote(f'{heading}={field}')}"
    return f"columns={json.dumps({heading: field}, ensure_ascii=False)}"
