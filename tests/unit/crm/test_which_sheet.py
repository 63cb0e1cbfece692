"""Which sheet of a workbook is read, and which of the others are reported."""

from pathlib import Path

from support.reading import read, sheets

HEADINGS = ["Company", "First Name", "Last Name", "Email", "Phone"]
ANN = ["Acme", "Ann", "Lee", "ann@x.org", "030 1111111"]
BOB = ["Beta", "Bob", "Ray", "bob@x.org", "030 2222222"]


def unread_sheets(path: Path, **result: str) -> list[str]:
    return [each for each in read(path, **result).assumptions if "not read" in each]


def test_a_sheet_of_people_without_headings_is_reported_with_its_rows(tmp_path: Path) -> None:
    path = sheets(tmp_path / "a.xlsx", {"People": [ANN[1:]] * 40, "New": [HEADINGS, ANN], "Words": [["a", "b"]]})
    result = read(path)
    assert result.headings["sheet"] == "New"
    assert result.headings["not_read"] == [
        {"sheet": "People", "rows": 40, "same_headings": False},
        {"sheet": "Words", "rows": 1, "same_headings": False},
    ]
    [remark] = unread_sheets(path)
    assert '(rows: 40; sheet="People")' in remark
    assert "--sheet People)" in unread_sheets(path, interface="command line")[0]


def test_a_sheet_with_the_same_fields_in_other_words_or_some_of_the_headings_is_reported(tmp_path: Path) -> None:
    tables = {
        "EN": [HEADINGS, ANN],
        "DE": [["Firma", "Vorname", "Nachname", "E-Mail", "Telefon"], BOB],
        "N-Z": [HEADINGS[:4], BOB[:4]],
        "Mail": [["Last Name", "Email"], ["Ray", "b@x.org"]],
        "Rooms": [["Company", "Room", "Floor"], ["Acme", "1", "2"]],
        "Firms": [["Company"], ["Acme"]],
        "Empty": [HEADINGS[:4]],
    }
    path = sheets(tmp_path / "a.xlsx", tables)
    assert [each.split('"')[1] for each in unread_sheets(path)] == ["DE", "N-Z", "Mail"]
    assert [sheet["sheet"] for sheet in read(path).headings["not_read"]] == [*list(tables)[1:]]


def test_people_are_reported_where_companies_are_read(tmp_path: Path) -> None:
    companies = [["Company", "City", "Country", "Phone", "Website"], ["Acme", "Bonn", "Germany", "030 1111111", ""]]
    people = [["Name", "Email"], ["Ann Lee", "ann@x.org"]]
    path = sheets(tmp_path / "a.xlsx", {"Companies": companies, "People": people})
    assert read(path).headings["sheet"] == "Companies"
    assert [each.split('"')[1] for each in unread_sheets(path)] == ["People"]


def test_a_sheet_with_headings_alone_does_not_win_over_one_with_rows(tmp_path: Path) -> None:
    tables = {"Template": [[*HEADINGS, "City"]], "Norway": [HEADINGS, ANN], "Spain": [HEADINGS, ANN, BOB]}
    result = read(sheets(tmp_path / "a.xlsx", tables))
    assert result.headings["sheet"] == "Norway"
    assert [row["last_name"] for row in result.rows] == ["Lee"]
    assert [sheet["sheet"] for sheet in result.headings["not_read"]] == ["Template", "Spain"]


def test_a_list_of_something_else_is_not_read_in_place_of_an_empty_list_of_contacts(tmp_path: Path) -> None:
    tables = {"Leads": [HEADINGS], "Rooms": [["Company", "Room", "Floor"], ["Acme", "1", "2"]]}
    assert "'Leads'" in read(sheets(tmp_path / "a.xlsx", tables)).refused
