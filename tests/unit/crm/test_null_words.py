"""Cells in which a program says that there is nothing, in text and in workbooks."""

from pathlib import Path

import pytest
from support.reading import csv, read, workbook
from support.staged import problems, stage, stage_cells

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
    result = read(path)
    found = [(row["organization"], row["first_name"], row["last_name"], row["city"]) for row in result.rows]
    assert found[:3] == [(None, "Ann", "Lee", None), ("Acme", None, "Null", None), ("Beta", "Nan", "None", None)]
    assert [row["extra"] for row in result.rows[:3]] == [{}, {"Shoe": "12"}, {}]
    assert "identifies nobody" in result.rows[3]["problems"][0][2]
    assert dict(result.rows[3]["raw"])["Last Name"] == "<none>"  # what the file says
    assert any("blank cells (15, in columns A, B, C, D, E, F)" in each for each in result.assumptions)


@pytest.mark.parametrize("name", ["Null", "Nan", "NAN", "Na", "Blank", "Empty", "Missing", "(Nana)"])
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


def test_nothing_is_reported_of_a_column_that_is_ignored(tmp_path: Path) -> None:
    result = read(csv(tmp_path / "a.csv", "Last Name,Shoe\nLee,(null)\nRay,NaN\n"), columns={"Shoe": "ignore"})
    assert result.assumptions == []


@pytest.mark.parametrize("word", ["0,", ", n/a", " TBC ,", "Unknown,", "-,", ",", " , "])
def test_a_comma_beside_a_word_for_nothing_does_not_make_it_a_name(word: str) -> None:
    row = stage_cells({"last_name": word, "email": "a@x.org", "organization": word})
    assert (row["last_name"], row["organization"]) == (None, None)


@pytest.mark.parametrize("word", ["NULL", "None", "NONE", "keine"])
def test_what_may_be_the_name_of_a_person_is_blank_as_an_organization_or_a_city(word: str) -> None:
    row = stage_cells({"last_name": word, "email": "a@x.org", "organization": word, "city": word})
    assert (row["last_name"], row["organization"], row["city"]) == (word, None, None)


@pytest.mark.parametrize("word", ["-", "--", "–", ".", "n/a", "N/A", "NaT", "k.A.", "keine Angabe", "--None--", " - "])
@pytest.mark.parametrize("field", ["organization", "first_name", "email", "phone", "city", "country", "last_contacted"])
def test_a_dash_or_not_available_is_blank_in_every_field(field: str, word: str) -> None:
    cells = {"last_name": "Lee", "email": "a@x.org", field: word}
    assert problems(cells) == {}
    assert stage_cells(cells)[field] is None


@pytest.mark.parametrize("mark", ["-", ".", "_", "—"])
def test_up_to_twelve_dashes_or_dots_are_blank(mark: str) -> None:
    cities = [stage_cells({"last_name": "Lee", "city": mark * times})["city"] for times in (1, 12, 13)]
    assert cities == [None, None, mark * 13]


@pytest.mark.parametrize("word", ["none", "None", "null", "na", "tbd", "x", "no email", "keine"])
def test_words_are_no_telephone_number_and_no_address_but_blank(word: str) -> None:
    row = stage_cells({"last_name": "Lee", "organization": "Acme", "phone": word, "email": word})
    assert (row["last_name"], row["phone"], row["email"]) == ("Lee", None, None)
    assert row["problems"] is None


def test_what_is_kept_beside_the_fields_and_the_country_code_of_namibia_stay() -> None:
    [row] = stage(["Last Name", "Country", "Result"], ["Lee", "NA", "-"]).table.to_pylist()
    assert (row["country"], row["extra"]) == ("NA", '{"Result":"-"}')


def test_dashes_are_counted_and_reported_and_people_arrive(tmp_path: Path) -> None:
    result = read(csv(tmp_path / "a.csv", "Name,Email,Phone\nAnn Lee,ann@x.org,-\nBob Ray,n/a,030 999888\nN/A,-,-\n"))
    found = [(row["last_name"], row["email"], row["phone"]) for row in result.rows]
    assert found == [("Lee", "ann@x.org", None), ("Ray", None, "030 999888"), (None, None, None)]
    assert result.rows[2]["problems"]
    assert any("blank cells (5, in columns A, B, C)" in each for each in result.assumptions)


def test_firms_without_a_name_have_none_and_are_not_one_firm() -> None:
    rows = [["-", "Bonn"], ["nan", "Bonn"], ["none", "Bonn"]]
    for row in stage(["Company", "City"], *rows).table.to_pylist():
        assert "identifies nobody" in row["problems"]


def test_a_name_of_nothing_but_question_marks_is_rejected() -> None:
    assert "question mark" in problems({"last_name": "???? ??????"})["last_name"]
