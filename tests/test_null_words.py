"""Cells in which a program says that there is nothing, in text and in workbooks."""

from pathlib import Path

import pytest
from staged import problems, stage_cells
from test_reading import csv, read, workbook

HEADINGS = ["Company", "First Name", "Last Name", "City", "Birthday", "Shoe"]
ROWS = [
    ["(null)", "Ann", "Lee", "<null>", "NaN", "[NULL]"],
    ["Acme", "nan", "Null", "(not set)", "<NA>", "12"],
    ["Beta", "Nan", "None", "undefined", "", "(Blank)"],
    ["(none)", "[empty]", "<none>", "(null)", "NaN", "{null}"],
]


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_words_for_nothing_are_blank_and_counted(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"book.{suffix}"
    if suffix == "csv":
        csv(path, "\n".join(map(",".join, [HEADINGS, *ROWS])))
    else:
        workbook(path, [HEADINGS, *ROWS])
    said = read(path)
    found = [(row["organization"], row["first_name"], row["last_name"], row["city"]) for row in said.rows]
    assert found[:3] == [(None, "Ann", "Lee", None), ("Acme", None, "Null", None), ("Beta", "Nan", "None", None)]
    assert [row["extra"] for row in said.rows[:3]] == [{}, {"Shoe": "12"}, {}]
    assert "nobody can be told" in said.rows[3]["problems"][0][2]
    assert dict(said.rows[3]["raw"])["Last Name"] == "<none>"  # what the file says
    assert "(null), NaN or the like taken for blank cells (15, in columns A, B, C, D, E, F)" in said.assumptions


@pytest.mark.parametrize("name", ["Null", "NULL", "None", "Nan", "NAN", "Na", "Blank", "Empty", "Missing", "(Nana)"])
def test_names_stay(name: str) -> None:
    row = stage_cells({"first_name": name, "last_name": name, "organization": name, "city": name, "phone": "123"})
    assert [row[field] for field in ("first_name", "last_name", "organization", "city")] == [name] * 4


@pytest.mark.parametrize("field", ["email", "phone", "street", "country", "tags", "notes", "title", "last_contacted"])
@pytest.mark.parametrize("word", ["(null)", "<NULL>", "[Null]", "(Not set)", "NaN", "undefined", "(leer)", "<n/a>"])
def test_words_for_nothing_are_blank_in_every_field(field: str, word: str) -> None:
    cells = {"last_name": "Lee", field: word}
    assert problems(cells) == {}
    assert stage_cells(cells)[field] is None
    assert word in stage_cells({"last_name": "Lee", "notes": f"said {word}"})["notes"]  # a part of a cell


def test_nothing_is_told_of_a_column_that_is_ignored(tmp_path: Path) -> None:
    said = read(csv(tmp_path / "a.csv", "Last Name,Shoe\nLee,(null)\nRay,NaN\n"), columns={"Shoe": "ignore"})
    assert said.assumptions == []
