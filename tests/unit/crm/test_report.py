"""The report as people see it: whatever stands in headings and cells is text there and nothing else."""

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.display import printable
from tasks.crm.headings.table import FIELDS
from tasks.crm.import_report import ImportReport
from tasks.crm.report import markdown, remarks
from tasks.crm.report_parts import PARTS, fill_rates
from tasks.crm.reporting import reports_as_text
from tasks.markdown import escape, markdown_table, unescape

COUNTS = {"rows": 3, "inserted": 1, "updated": 0, "unchanged": 0, "duplicate": 1, "rejected": 1}
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![](https://example.org/pixel.png)",
    "a | b",
    "# heading",
    "```\ncode",
    "line\none",
    "line\u2028two",
    "*bold* _it_ ~~no~~",
    "&lt;b&gt;",
)


def report(text: str) -> ImportReport:
    return ImportReport(
        import_id=7, workbook=f"/in/{text}", sha256="0" * 64, sheet=text, heading_row=1, preview=False, **COUNTS,
        fields={"full_name": text}, extra=[text], filled={"full_name": 1, text: 1, "last_name": 1},
        reject_reasons=[(text, text, 1)],
        duplicates=[{"sheet": text, "row": 2, "of_sheet": text, "of_row": 3, "differs": ["email"]}],
        shared_emails=[(text, 2)],
    )  # fmt: skip


PLAIN = markdown(report("plain"))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).filter(lambda text: text not in FIELDS)


@given(st.sampled_from(HOSTILE) | TEXTS)  # a column called like a field has lines of its own
def test_no_text_of_a_workbook_becomes_markup_or_a_line_or_a_cell_of_its_own(text: str) -> None:
    shown = markdown(report(text))
    assert "<" not in shown
    assert len(shown.splitlines()) == len(PLAIN.splitlines())
    for line, plain in zip(shown.splitlines(), PLAIN.splitlines(), strict=True):
        if plain.startswith("|"):
            assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == plain.count("|")
        assert not re.search(r"(?<!\\)(?:\\\\)*\]\(", line)


@pytest.mark.parametrize("heading", ["full_name", "R&D *", "<Firma> [1]", r"a\_b", "&lt;", "Tel|Fax"])
def test_a_heading_can_be_copied_from_the_terminal_and_stays_harmless_on_the_page(heading: str) -> None:
    made = report(heading)
    assert f"| {heading} |" in reports_as_text([made.model_dump(mode="json")])
    assert f"| {escape(heading)} |" in markdown(made)
    assert escape(heading) != heading


@given(TEXTS)
def test_nothing_but_the_escapes_is_undone(text: str) -> None:
    assert unescape(escape(text)) == " ".join(printable(text).split())


def test_what_is_too_long_for_a_line_is_cut() -> None:
    assert len(escape("x" * 10_000)) == 200


def test_a_table_shows_counts_shares_texts_and_blanks() -> None:
    table = pd.DataFrame({"what": ["a|b", None], "cells": [12_345, 0], "filled": [57.5, 0.4]})
    assert markdown_table(table, escape).splitlines() == [
        "| what | cells | filled |",
        "| --- | --- | --- |",
        r"| a\|b | 12,345 | 58 % |",
        "|  | 0 | 0 % |",
    ]


def test_a_table_without_rows_is_its_headings() -> None:
    assert markdown_table(pd.DataFrame(columns=["a", "b"]), escape) == "| a | b |\n| --- | --- |"


def test_texts_that_look_like_missing_values_or_numbers_stay_texts() -> None:
    table = pd.DataFrame({"text": ["nan", "NA", "None", "1000", ""]})
    assert markdown_table(table, escape).splitlines()[2:] == ["| nan |", "| NA |", "| None |", "| 1000 |", "|  |"]


def test_fill_rates_are_of_the_accepted_rows() -> None:
    counts = {"rows": 9, "inserted": 8, "updated": 0, "unchanged": 0, "duplicate": 0, "rejected": 1}
    one = report("x").model_copy(
        update={
            **counts,
            "fields": {"full_name": "Name", "email": "Mail"},
            "filled": {"first_name": 2, "last_name": 6},
            "extra": ["Zip", "Fax"],
            "filled_extra": {"Zip": 8},
        }
    )
    assert fill_rates(one).to_numpy().tolist() == [
        ["Name", "full_name", 75.0],
        ["Mail", "email", 0.0],
        ["(from Name)", "first_name", 25.0],
        ["(from Name)", "last_name", 75.0],
        ["Zip", "extra", 100.0],
        ["Fax", "extra", 0.0],
    ]


@pytest.mark.parametrize("fields", [{}, {"email": "Mail"}])
def test_an_import_of_no_rows_has_a_report(fields: dict[str, str]) -> None:
    counts = dict.fromkeys(COUNTS, 0)
    lists: dict[str, object] = {"extra": [], "filled": {}, "reject_reasons": [], "duplicates": [], "shared_emails": []}
    shown = markdown(report("x").model_copy(update={**counts, **lists, "fields": fields}))
    assert "| 0 | 0 | 0 | 0 | 0 | 0 |" in shown
    assert [line for line in shown.splitlines() if line.startswith("## ")] == ["## Columns"]


def test_every_part_is_on_the_page_in_its_order() -> None:
    headings = [part.heading for each in PARTS if (part := each(report("x"))) and part.heading]
    assert [line[3:] for line in PLAIN.splitlines() if line.startswith("## ")] == headings
    assert len(headings) == len(PARTS) - 3  # the books have none, nothing was assumed, nothing updated by a name alone


def test_repeated_rows_name_both_rows_whatever_the_sheet_is_called() -> None:
    rows = [{"sheet": "s" * 250, "row": 12, "of_sheet": "T", "of_row": 3, "differs": []}] * 25
    lines = markdown(report("x").model_copy(update={"duplicates": rows, "duplicate": 1_030})).splitlines()
    assert lines.count("| " + "s" * 150 + " 12 | T 3 | nothing |") == 20
    assert "… and 1,010 more." in lines


def test_the_line_shows_what_is_above_the_headings_and_what_is_hidden() -> None:
    layout = {"above": 1, "hidden_rows": 1, "hidden_columns": 2}
    assert remarks(report("x").model_copy(update=layout), "ui") == [
        "left out above the headings: 1 row",
        "read like the others: 1 hidden row and 2 hidden columns",
    ]
    assert remarks(report("x").model_copy(update={"hidden_columns": 1}), "ui") == [
        "read like the others: 1 hidden column"
    ]
    assert remarks(report("x"), "ui") == []
