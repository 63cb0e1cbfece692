"""Lines of COPY text: a batch made column by column is the same as its rows made one by one."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.crm.readers.cell import ErrorCell, Row
from tasks.crm.headings import map_columns
from tasks.crm.copy_lines import Sheet

HEADINGS = [
    "Company",
    "First Name",
    "Last Name",
    "Title",
    "Email",
    "Phone",
    "Street",
    "Notes",
    "Last Contacted",
    "Shoe",
]
WHOLE_NAMES = ["Name", "Is a Company", "Email", "Last Contacted", "Shoe"]  # an Odoo export
TEXTS = [
    "",
    " ",
    "a",
    "Zoë",
    "Zoe\u0308",
    "\u0301a",
    "a\tb\nc",
    "back\\slash",
    "x\r\ny",
    "\0",
    "\ud800",
    "a\u200b",
    "\u200b",
    "x" * 1001,
]
DATES = ["2024-02-29", "03/04/2024", "13/04/2024", "04/13/2024", "2024-02-29 13:05", "May", "29.2.2024"]
OTHERS = ["ada@x.org", "MAILTO:Ada@X.org", "a@@b", ".a@x.org", "mailto:", "+44 20", "12", "n/a", "yes", "Lovelace, Ada"]
NUMBERS = [1, 1.0, 0.0, 94523.0, 2.0**60, True, False, ErrorCell("#REF!")]
TIMES = [dt.date(2024, 2, 29), dt.datetime(2024, 2, 29), dt.datetime(2024, 2, 29, 13, 5), dt.time(9)]
EVERYTHING: list[Any] = [text or None for text in (*TEXTS, *DATES, *OTHERS)] + NUMBERS + TIMES
GOOD = {"Email": "ada@x.org", "Last Contacted": dt.datetime(2024, 2, 29), "Last Name": "Lovelace", "Phone": "+44 20"}
cells = st.sampled_from(EVERYTHING) | st.text(max_size=6).map(lambda text: text or None)


def both_ways(headings: list[str], rows: list[list[Any]]) -> tuple[Any, Any]:
    """What comes of the rows together, and of each alone: lines, rejected ones, what the dates prove."""
    numbered: list[Row] = [(n * 2, row) for n, row in enumerate(rows, 1)]
    together, alone = (Sheet("Contacts", map_columns(list(headings), {}), 7, before=40) for _ in range(2))
    by_row = [alone.copy_line(number, row) for number, row in numbered]
    expected = [line for line, _ in by_row], sum(refused for _, refused in by_row), alone.orders
    return (*together.copy_lines(numbered), together.orders), expected


@pytest.mark.parametrize("headings", [HEADINGS, WHOLE_NAMES], ids=["parts of names", "whole names"])
@pytest.mark.parametrize("at_once", [1, 7])
def test_whatever_stands_in_a_row_that_is_in_order_otherwise(headings: list[str], at_once: int) -> None:
    usual = [GOOD.get(heading, "a") for heading in headings]
    rows = [[*usual[:column], cell, *usual[column + 1 :]] for column in range(len(headings) + 1) for cell in EVERYTHING]
    for first in range(0, len(rows), at_once):
        together, alone = both_ways(headings, rows[first : first + at_once])
        assert together == alone


def test_the_clock_of_the_last_contact_takes_no_other_columns_place() -> None:
    mapping = map_columns(["Email", "Last Contacted", "Last Contacted"], {"Column C": "extra"})
    line, rejected = Sheet("Contacts", mapping, 7, before=0).copy_line(2, ["a@x.org", TIMES[2], "2023"])
    assert not rejected
    assert '{"Last Contacted":"2023","Last Contacted (2)":"2024-02-29 13:05:00"}' in line


def test_blank_cells_beyond_the_headings_are_no_columns_of_a_rejected_row() -> None:
    sheet = Sheet("Contacts", map_columns(["Email"], {}), 7, before=0)
    line, rejected = sheet.copy_line(2, ["nobody", None, None, "x", None])
    assert rejected
    assert line.rstrip("\n").split("\t")[-1] == '[["Email","nobody"],["Column D","x"]]'


def sheets(headings: list[str]) -> st.SearchStrategy[list[list[Any]]]:
    width = len(headings)
    return st.lists(st.lists(cells, min_size=width, max_size=width + 2), max_size=6)


@given(sheets(HEADINGS))
def test_a_batch_is_its_rows(rows: list[list[Any]]) -> None:
    together, alone = both_ways(HEADINGS, rows)
    assert together == alone


@given(sheets(WHOLE_NAMES))
def test_a_batch_with_whole_names_is_its_rows(rows: list[list[Any]]) -> None:
    together, alone = both_ways(WHOLE_NAMES, rows)
    assert together == alone


def test_what_was_remembered_of_one_kind_of_cell_is_not_taken_for_another() -> None:
    rows = [[value, None, "Lovelace", *[None] * 7] for value in (1.0, True, "1", 1, "TRUE", None)]
    together, alone = both_ways(HEADINGS, rows)
    assert together == alone
    assert [line.split("\t")[6] for line in together[0]] == ["1", "TRUE", "1", "1", "TRUE", "\\N"]
