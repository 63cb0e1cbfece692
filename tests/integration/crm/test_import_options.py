"""The assumptions in the report of an import, and the parameters that override what is detected."""

from pathlib import Path

import pytest
import xlsxwriter
from support.contacts import verdicts
from support.imports import done, page, query, refused, run, workbook

pytestmark = pytest.mark.usefixtures("database", "prefect_server")

PEOPLE = ["First Name", "Last Name", "Email", "Phone"]


def text_file(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.mark.slow
def test_people_of_one_firm_under_headings_that_are_unknown_are_refused_and_the_column_is_named(tmp_path: Path) -> None:
    rows = "".join(f"Gudrun{n};Nordbank;+45 1111111{n}\n" for n in range(12))
    path = text_file(tmp_path / "crm.csv", "Kvasir;Company;Phone\n" + rows)
    sentence = refused(run(path), rejects=12)
    assert "12 of 12 rows" in sentence
    assert 'columns={"Kvasir": "full_name"}' in sentence
    [(error,)] = query("SELECT last_error FROM task_runs")
    assert not any(secret in sentence + error for secret in ("Gudrun", "Nordbank", "1111111"))
    assert verdicts(done(path, columns={"Kvasir": "full_name"})) == {"inserted": 12}


def test_people_of_one_address_under_an_unknown_heading_are_refused_and_a_few_are_rejected(
    tmp_path: Path,
) -> None:
    rows = [f"F{n % 4},Person {n},info@f{n % 4}.com\n" for n in range(20)]
    headings = "Organisation,Kvasir,Email\n"
    sentence = refused(run(text_file(tmp_path / "a.csv", headings + "".join(rows))), rejects=20)
    assert "20 of 20 rows" in sentence
    assert 'columns={"Kvasir": "full_name"}' in sentence
    assert "ignore" not in sentence
    few = text_file(tmp_path / "b.csv", headings + rows[0] + rows[4] + rows[1])
    assert verdicts(done(few)) == {"rejected": 2, "inserted": 1}


@pytest.mark.slow
def test_further_addresses_of_a_cell_are_kept_in_extra(tmp_path: Path) -> None:
    report = done(workbook(tmp_path / "a.xlsx", ["Ada", "Bell", "ada@x.org; A.Bell@x.org", "111"], headings=PEOPLE))
    assert query("SELECT email, extra FROM contacts") == [("ada@x.org", {"Email": "a.bell@x.org"})]
    assert report["filled_extra"] == {"Email": 1}


def test_a_sheet_that_was_not_read_and_hidden_rows_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for name in ("A-M", "N-Z"):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, ["List of " + name])
            for number, row in enumerate([PEOPLE, ["Ada", name, f"{name}@x.org", "111"], ["Bob", name, "", "222"]], 2):
                sheet.write_row(number, 0, row)
        sheet.set_row(4, options={"hidden": True})
        book.get_worksheet_by_name("A-M").set_row(4, options={"hidden": True})
    state = run(str(path))
    assert '"N-Z"' in state.message
    assert 'sheet="*" reads all' in state.message
    [report] = state.result()
    assert report["not_read"] == [{"sheet": "N-Z", "rows": 2, "same_headings": True}]
    assert (report["above"], report["hidden_rows"], verdicts(report)) == (1, 1, {"inserted": 2})
    assert "| N\\-Z | 2 | the same |" in page(state).replace("N-Z", "N\\-Z")


@pytest.mark.slow
def test_what_a_user_says_of_the_file_is_another_version_of_reading_it(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "Email,Last Name\na@x.org,Kov\xe8\n", "latin-1")
    assert verdicts(done(path, encoding="cp1250")) == {"inserted": 1}
    assert query("SELECT last_name FROM contacts") == [("Kovč",)]
    assert verdicts(done(path, encoding="cp1252")) == {"inserted": 1}
    assert query("SELECT count(*) FROM task_runs WHERE status = 'completed'") == [(2,)]
    assert run(path, encoding="cp1250").message.startswith("a.csv was already imported")
    state = run(path, encoding="nosuch")
    assert state.is_failed()
    assert "nosuch" in state.message


@pytest.mark.slow
def test_of_a_system_that_the_user_names_ids_are_unique(tmp_path: Path) -> None:
    headings = ["Key", *PEOPLE]
    columns = {"Key": "external_id"}
    first = workbook(tmp_path / "a.xlsx", ["7", "Ada", "Bell", "ada@x.org", "111"], headings=headings)
    assert "system" in refused(run(first, columns=columns))
    assert verdicts(done(first, columns=columns, system="shop")) == {"inserted": 1}
    renamed = workbook(tmp_path / "b.xlsx", ["7", "Ada", "Stone", "ada.stone@x.org", "111"], headings=headings)
    assert verdicts(done(renamed, columns=columns, system="shop")) == {"updated": 1}
    assert query("SELECT last_name, email, external_id, source_system FROM contacts") == [
        ("Stone", "ada.stone@x.org", "7", "shop")
    ]
    assert set(query("SELECT field, old FROM contact_changes")) >= {("last_name", "Bell"), ("email", "ada@x.org")}
    another = workbook(tmp_path / "c.xlsx", ["7", "Bob", "Lee", "bob@x.org", "222"], headings=headings)
    assert verdicts(done(another, columns=columns, system="school")) == {"inserted": 1}


def test_a_column_is_left_out_entirely(tmp_path: Path) -> None:
    headings = ["Record ID", *PEOPLE]
    rows = [[1.51e17 + n, f"F{n}", "L", f"r{n}@x.org", "111"] for n in range(12)]
    path = workbook(tmp_path / "a.xlsx", *rows, headings=headings)
    sentence = refused(run(path), rejects=12)
    assert 'columns={"Record ID": "ignore"}' in sentence
    assert verdicts(done(path, columns={"Record ID": "ignore"})) == {"inserted": 12}
    assert query("SELECT DISTINCT extra FROM contacts") == [({},)]


@pytest.mark.slow
def test_a_person_and_a_company_with_one_id_of_a_product_are_two(tmp_path: Path) -> None:
    people = "Person - ID,Person - Name,Person - Email - Work,Person - Organization\n1,Ann Lee,a@x.org,Acme\n"
    firms = "Organization - ID,Organization - Name,Organization - Address\n1,Beta,Weg 1\n"
    for name, lines in (("people", people), ("firms", firms)):
        assert verdicts(done(text_file(tmp_path / f"{name}.csv", lines))) == {"inserted": 1}
    assert query("SELECT organization, last_name, external_id, source_system FROM contacts ORDER BY id") == [
        ("Acme", "Lee", "1", "pipedrive"),
        ("Beta", None, "1", "pipedrive companies"),
    ]


def test_a_system_without_an_id_and_an_id_without_a_system_are_reported(tmp_path: Path) -> None:
    lines = "Customer No.,Member ID,Name,Email\n1,2,Ann Lee,a@x.org\n"
    path = text_file(tmp_path / "a.csv", lines)
    state = run(path, system="sap")
    assert "ids of sap" in (state.message or "")
    assert 'columns={"Customer No.": "external_id"}' in (state.message or "")
    assert query("SELECT external_id, extra FROM contacts") == [(None, {"Customer No.": "1", "Member ID": "2"})]
    state = run(text_file(tmp_path / "b.csv", lines.replace("Member ID", "Shoe size").replace("a@", "b@")))
    assert "ids of" not in (state.message or "")
    report = page(state)
    assert '"Customer No." is called an id' in report
    assert '`{"Customer No.": "external_id"}`' in report
    assert '`{"Shoe size": "notes"}`' in report
