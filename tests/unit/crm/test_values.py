"""Values of cells as people and programs write them: several in one cell, in another form, or of another kind."""

from pathlib import Path

import pytest
import xlsxwriter
from support.reading import csv, read, workbook
from support.staged import problems, stage, stage_cells

from tasks.crm.rules.email_address import clean_email, other_emails
from tasks.crm.rules.external_ids import clean_external_id, whole_salesforce_id
from tasks.crm.rules.names import split_name
from tasks.crm.rules.phone_number import clean_phone, other_phones

# --- telephone numbers


@pytest.mark.parametrize(
    ("cell", "first", "others"),
    [
        ("030 123456\n0171 2345678", "030 123456", "0171 2345678"),
        ("030 123456\r\n\r\n0171 2345678\r\n", "030 123456", "0171 2345678"),
        ("030 123456; 0171 2345678; 040 7654321", "030 123456", "0171 2345678; 040 7654321"),
        ("030 123456|0171 2345678", "030 123456", "0171 2345678"),
        ("030 123456 ::: 0171 2345678", "030 123456", "0171 2345678"),
        ("030 123456, 0171 2345678", "030 123456", "0171 2345678"),
        ("030 123456、0171 2345678", "030 123456", "0171 2345678"),
        ("0221 123456 / 0171 2345678", "0221 123456", "0171 2345678"),
        ("123 4567, 765 4321", "123 4567", "765 4321"),
        ("030 123\n040 456", "030 123", "040 456"),
        ("+49 30 123456/+49 171 2345678", "+49 30 123456", "+49 171 2345678"),
        ("Tel: 030 123456\nFax: 030 654321", "Tel: 030 123456", "Fax: 030 654321"),
        ("030 123456;\n030 123456", "030 123456", None),
        ("030 123456,", "030 123456", None),
        # One number, however it is divided.
        ("030 / 12 34 56", "030 / 12 34 56", None),
        ("030/123456", "030/123456", None),
        ("030 1234567 / 68", "030 1234567 / 68", None),
        ("030 456, 040 789", "030 456, 040 789", None),
        ("030 1234567, ext. 12", "030 1234567, ext. 12", None),
        ("+49 30 1234567,,123#", "+49 30 1234567,,123#", None),
        ("030 123456\n(mobile)", "030 123456 (mobile)", None),
        ("030 123456\next. 12", "030 123456 ext. 12", None),
    ],
)
def test_of_several_telephone_numbers_the_first_is_the_phone(cell: str, first: str, others: str | None) -> None:
    row = stage_cells({"last_name": "Lee", "phone": cell})
    assert (row["phone"], row["extra"]) == (first, {"phone": others} if others else {})
    assert clean_phone(first) == first


@pytest.mark.parametrize("cell", ["+49 30\n123456", "110\n112", "030 123456\n112", "12345\n67890"])
def test_lines_that_may_be_one_number_or_two_are_rejected(cell: str) -> None:
    [(field, reason)] = problems({"last_name": "Lee", "phone": cell}).items()
    assert (field, "several lines" in reason) == ("phone", True)


def test_a_date_among_several_numbers_is_rejected() -> None:
    assert "is a date" in problems({"last_name": "Lee", "phone": "030 123456; 24.12.2024"})["phone"]


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_lines_of_a_cell_arrive_apart_from_every_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"book.{suffix}"
    if suffix == "csv":
        csv(path, 'Name,Email,Phone\nAnn Lee,ann@x.org,"030 123456\n0171 2345678"\nBob Ray,bob@x.org,040 1\n')
    else:
        workbook(path, [["Name", "Email", "Phone"], ["Ann Lee", "ann@x.org", "030 123456\n0171 2345678"]])
    row = read(path).rows[0]
    assert (row["phone"], row["extra"]) == ("030 123456", {"Phone": "0171 2345678"})


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        *((each, "a time") for each in ("10.30 Uhr", "1030 Uhr", "12 h", "Mo-Fr 9-17", "Mon-Fri 09-12, 13-17")),
        *((each, "a time") for each in ("Mo-Fr 9:00-17:00, Sa 10-14", "Montag bis Freitag 9-17 Uhr")),
        *((each, "a period of time") for each in ("Q3 2024", "Q3/2024", "2024 Q3", "KW 12/2024", "FY 2023/24")),
        *((each, "a date") for each in ("05/2024", "2024-05", "May 2024", "Mai 2024")),
        *((each, "a fraction") for each in ("123456.789", "3012345,125", "1,234.56", "1.234.567,89")),
        *((each, "an address of a computer") for each in ("192.168.1.100", "10.0.0.1:8080", "172.16.254.1")),
        *((each, "an address of a computer") for each in ("00:1A:2B:3C:4D:5E", "00-1A-2B-3C-4D-5E", "fe80::1234")),
        ("52.5200, 13.4050", "a position on the map"),
    ],
)
def test_further_values_that_are_no_telephone_number_say_what_they_are(cell: str, kind: str) -> None:
    assert problems({"last_name": "Lee", "phone": cell})["phone"].startswith(f"is {kind}, not a telephone number")


@pytest.mark.parametrize(
    "cell",
    [
        *("09:00-17:00", "8:00-17:00", "8-17", "01.05.", "9h-17h", "9h30 - 17h30", "9am-5pm", "08.00 - 17.00", "1.2.3"),
        *("since 01.05.2024", "05.05.2024 - 07.05.2024", "Tue, 05.05.2024", '="030" & "1234"', "=0301234"),
    ],
)
def test_hours_days_and_formulas_are_no_telephone_number(cell: str) -> None:
    assert list(problems({"last_name": "Lee", "phone": cell})) == ["phone"]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        *((mark + "0049 30 12", "0049 30 12") for mark in (" '", "`", "’", "‘", "´", '"')),
        *((each, each) for each in ("030 123456 (9:00-17:00)", "030 123456 (until 31.12.2034)", "044.123.45.67")),
        *((each, each) for each in ("Mo 030 123456", "ext. 123", "1234 x12", "0800-CALL", "06.12 34.56.78", "123 456")),
    ],
)
def test_marks_before_a_number_are_left_out_and_remarks_beside_it_stay(cell: str, number: str) -> None:
    assert stage_cells({"last_name": "Lee", "phone": cell})["phone"] == number


def test_a_number_with_decimals_in_a_workbook_is_no_telephone_number(tmp_path: Path) -> None:
    result = read(workbook(tmp_path / "a.xlsx", [["Name", "Email", "Phone"], ["Ann Lee", "a@x.org", 123456.789]]))
    assert "is a fraction" in result.problems[0][0][2]


def test_a_whole_number_with_a_decimal_point_is_a_telephone_number_without_it() -> None:
    assert clean_phone("491512345678.0") == "491512345678"


# --- e-mail addresses


@pytest.mark.parametrize(
    ("cell", "address", "others"),
    [
        ("Ann Lee <Ann@x.org>", "ann@x.org", None),
        ("<ann@x.org>", "ann@x.org", None),
        ('"Fox, Cid" <cid@x.org>', "cid@x.org", None),
        ("Ann Lee [mailto:ann@x.org]", "ann@x.org", None),
        ("ann@x.org<mailto:ann@x.org>", "ann@x.org", None),
        ("ann@x.org (work)", "ann@x.org", None),
        ("SMTP:flo@x.org", "flo@x.org", None),
        ("E-Mail: flo@x.org", "flo@x.org", None),
        ("ann@x.org.", "ann@x.org", None),
        ("Ann <a@x.org>; Bob <b@x.org>", "a@x.org", "b@x.org"),
        ("Fox, Cid <c@x.org>; Ray, Bob <b@x.org>", "c@x.org", "b@x.org"),
        ("a@x.org (work), b@x.org (home)", "a@x.org", "b@x.org"),
        ("ＡＮＮ@x.org", "ann@x.org", None),
        ("ann＠x．org", "ann@x.org", None),
        ("a@x.org；b@x.org，c@x.org", "a@x.org", "b@x.org; c@x.org"),
    ],
)
def test_addresses_are_read_as_mail_programs_write_them(cell: str, address: str, others: str | None) -> None:
    row = stage_cells({"last_name": "Lee", "email": cell})
    assert (row["email"], row["extra"]) == (address, {"email": others} if others else {})


@pytest.mark.parametrize(
    "cell", ["bob@x.org <ann@x.org>", "Ann <ann@x.org> Bob", "Ann <Lee>", "(work)", "<>", "Fox, <c@x.org>, n"]
)
def test_what_names_two_addresses_or_none_is_rejected(cell: str) -> None:
    with pytest.raises(ValueError, match="e-mail"):
        clean_email(cell)


# --- names


@pytest.mark.parametrize(
    ("whole", "first", "last"),
    [
        ("Müller, Hans-Peter, Dr.", "Dr. Hans-Peter", "Müller"),
        ("Weiss, Karl, Prof. Dr.", "Prof. Dr. Karl", "Weiss"),
        ("Weiss, Karl, Dr. med., MBA", "Dr. med. Karl MBA", "Weiss"),
        ("Lee, Ann, Mrs.", "Mrs. Ann", "Lee"),
        ("Ann Lee, Dr.", "Dr. Ann", "Lee"),
        ("Ann Lee, LCSW", "Ann LCSW", "Lee"),
        ("Ann Lee MBA", "Ann MBA", "Lee"),
        ("Ann Lee Jr. MBA", "Ann Jr. MBA", "Lee"),
        ("Ann Esq", "Ann", "Esq"),
        ("De Boer, AJ", "AJ", "De Boer"),
        ("Herr, Hans", "Hans", "Herr"),
        ("Prof. Dr. Weiss, Karl", "Prof. Dr. Karl", "Weiss"),
        ("Lee,, Ann,", "Ann", "Lee"),
        (",Ann", "Ann", None),
        ("Lovelace,", None, "Lovelace"),
        ("Ravi a/l Kumar", "Ravi a/l", "Kumar"),
        ("José Ortega y Gasset", "José", "Ortega y Gasset"),
        ("Ana Costa e Silva", "Ana", "Costa e Silva"),
        ("Santiago Ramón y Cajal", "Santiago", "Ramón y Cajal"),
        ("de la Cruz", None, "de la Cruz"),
        ("van der Berg", None, "van der Berg"),
        ("van der", None, "van der"),
        ("Jan van der Berg", "Jan", "van der Berg"),
        ("Anna von Berg", "Anna", "von Berg"),
        ("山田 太郎", "太郎", "山田"),
        ("김 민준", "민준", "김"),
        ("王 小明", "小明", "王"),
        ("Yamada 太郎", "Yamada", "太郎"),
    ],
)
def test_titles_particles_and_scripts_tell_the_last_name(whole: str, first: str | None, last: str | None) -> None:
    row = stage_cells({"full_name": whole, "email": "a@x.org"}, last_name=False)
    assert (row["first_name"], row["last_name"]) == (first, last)


@pytest.mark.parametrize(
    ("whole", "first", "last"),
    [
        ("van der Berg Jan", "Jan", "van der Berg"),
        ("Ortega y Gasset José Luis", "José Luis", "Ortega y Gasset"),
        ("Ortega y Gasset", None, "Ortega y Gasset"),
        ("van der", None, "van der"),
        ("Lee y", "y", "Lee"),
        ("Lovelace Ada", "Ada", "Lovelace"),
    ],
)
def test_particles_belong_to_a_last_name_that_comes_first(whole: str, first: str | None, last: str) -> None:
    assert split_name(whole, last_first=True) == (first, last)


@pytest.mark.parametrize(
    ("whole", "reason"),
    [
        *((each, "has commas") for each in ("Lee, Ann, Acme", "a, b, c", "Lee Ann,", ", Ann Lee", "Ann Lee, XYZ")),
        *((each, "holds a slash") for each in ("Lee / Ann", "Lee/Ann", "Ann Lee / Bob Ray", "Lee /")),
        *((each, "has a bracket") for each in ("Ann Lee (née Ray", "Ann Lee)", "Ann (Lee")),
        ("Ann Lee <ann@x.org>", "holds an e-mail address"),
    ],
)
def test_what_is_not_one_name_is_rejected_and_not_torn(whole: str, reason: str) -> None:
    found = problems({"full_name": whole, "email": "ann@x.org"}, last_name=False)
    assert list(found) == ["full_name"]
    assert found["full_name"].startswith(reason)


@pytest.mark.parametrize("field", ["first_name", "last_name", "organization"])
def test_a_name_has_no_commas_at_its_ends_and_no_address_beside_it(field: str) -> None:
    cells = {"last_name": "Lee", "email": "a@x.org"}
    assert stage_cells({**cells, field: " ,Ann, "})[field] == "Ann"
    assert "beside the name" in problems({**cells, field: "Ann <a@x.org>"})[field]
    assert stage_cells({**cells, field: "Beta <3 & Sons"})[field] == "Beta <3 & Sons"


def test_the_name_of_a_company_may_hold_what_that_of_a_person_may_not() -> None:
    headings = ["Name", "Email", "Is a company"]
    rows = [["Lee / Söhne, Bonn, DE", "a@x.org", "true"], ["Lee / Ann", "b@x.org", "false"]]
    company, person = stage(headings, *rows).table.to_pylist()
    assert company["organization"] == "Lee / Söhne, Bonn, DE"
    assert "holds a slash" in person["problems"]


# --- errors and formats


@pytest.mark.parametrize(
    "error", ["#ERROR!", "#DĚLENÍ_NULOU!", "Loading...", "Loading…", "Wird geladen...", "####", "Err:502"]
)
def test_errors_of_google_sheets_excel_and_libreoffice_are_errors(error: str) -> None:
    assert problems({"last_name": "Lee", "organization": error}) == {"organization": f"shows {error}"}


def test_words_with_dots_behind_them_are_no_error() -> None:
    assert stage_cells({"last_name": "Lee", "organization": "Reloading..."})["organization"] == "Reloading..."


def test_the_word_that_a_format_shows_for_zero_is_what_a_person_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet, form = book.add_worksheet(), book.add_format({"num_format": '"+49 "0;;"keine"'})
        sheet.write_row(0, 0, ["Name", "Email", "Phone"])
        for row, number in enumerate((0, 301234), 1):
            sheet.write_row(row, 0, ["Ann Lee", f"a{row}@x.org"])
            sheet.write_number(row, 2, number, form)
    assert [row["phone"] for row in read(path).rows] == [None, "+49 301234"]


@pytest.mark.parametrize("cell", ["1/1/25", "01/12/25", "12/31/25", "31/12/25", "1/31/99"])
def test_a_short_date_is_no_telephone_number(cell: str) -> None:
    with pytest.raises(ValueError, match=r"^is a date"):
        clean_phone(cell)


@pytest.mark.parametrize("cell", ["13/14/25", "0/12/25", "12/32/25"])
def test_what_is_no_day_of_a_year_is_no_date(cell: str) -> None:
    assert clean_phone(cell) == cell


@pytest.mark.parametrize("cell", ["110", "800-FLOWERS", "1-800-FLOWERS", "8-111-TAXI"])
def test_three_digits_are_enough(cell: str) -> None:
    assert clean_phone(cell) == cell


@pytest.mark.parametrize("cell", ["11", "1-2-TAXI"])
def test_two_digits_are_not(cell: str) -> None:
    with pytest.raises(ValueError, match="not a telephone number"):
        clean_phone(cell)


@pytest.mark.parametrize("cell", [None, "", " "])
def test_a_blank_cell_holds_no_telephone_number(cell: str | None) -> None:
    assert clean_phone(cell) is None
    assert other_phones(cell) is None


@pytest.mark.parametrize(
    ("whole", "first", "last"),
    [
        ("José Ortega y Gasset", "José", "Ortega y Gasset"),
        ("Ortega y Gasset", None, "Ortega y Gasset"),
        ("Ann Lee (Paris)", "Ann", "Lee (Paris)"),
        ("Ann Lee (Paris) (retired)", "Ann", "Lee (Paris) (retired)"),
        ("Lee (Paris)", None, "Lee (Paris)"),
        ("(Paris) (retired)", None, "(Paris) (retired)"),
        ("e Silva (Bonn)", "e", "Silva (Bonn)"),
        ("Ann Lee (née Ray)", "Ann", "Lee (née Ray)"),
        ("Ann Lee (geb. von Berg)", "Ann", "Lee (geb. von Berg)"),
        ("Ann (Annie Jane) Lee", "Ann (Annie Jane)", "Lee"),
        ("Ann Lee (Bonn, Germany)", "Ann", "Lee (Bonn, Germany)"),
        ("Lee (Bonn, Germany), Ann", "Ann", "Lee (Bonn, Germany)"),
        ("Ann Lee [née Ray]", "Ann", "Lee [née Ray]"),
        ("Ann Lee （旧姓 Ray）", "Ann", "Lee （旧姓 Ray）"),
    ],
)
def test_joined_last_names_and_remarks_stay_together(whole: str, first: str | None, last: str) -> None:
    assert split_name(whole) == (first, last)


@pytest.mark.parametrize(
    "company", ["Acme Co.", "Statoil a.s.", "Siemens AG", "Müller Ltd", "ООО Ромашка", "ACME, Co."]
)
def test_a_name_with_a_legal_form_is_that_of_a_company(company: str) -> None:
    assert split_name(company) == (None, company)


@pytest.mark.parametrize("person", ["Bin Ag", "Ann Co", "ANN CO", "Ab Oy"])
def test_a_name_that_only_looks_like_a_legal_form_is_a_persons(person: str) -> None:
    assert split_name(person) == tuple(person.split())


# --- bounds


def test_full_width_letters_of_ascii_and_no_others_are_narrowed() -> None:
    assert clean_email("！ａｎｎ～＠ｘ．ｏｒｇ") == "!ann~@x.org"
    assert [clean_email(f"ann@x{dot}org") for dot in "。｡"] == ["ann@x.org"] * 2
    assert clean_email("ann\uff5f@x.org") == "ann\uff5f@x.org"


@pytest.mark.parametrize("cell", [None, "", " "])
def test_a_blank_cell_holds_no_address(cell: str | None) -> None:
    assert clean_email(cell) is None
    assert other_emails(cell) is None


@pytest.mark.parametrize(
    ("cell", "external_id"),
    [
        (" K-0017 ", "K-0017"),
        ("0017", "0017"),
        ("{6F9619FF-8B86-D011-B42D-00C04FC964FF}", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        *((cell, None) for cell in (None, " ", "-", "0", "N/A", "00000000-0000-0000-0000-000000000000")),
    ],
)
def test_an_id_stays_as_written_but_for_braces_and_placeholders(cell: str | None, external_id: str | None) -> None:
    assert clean_external_id(cell) == external_id


@pytest.mark.parametrize("cell", ["4.9E+11", "4,9e+11", "5E+11"])
def test_an_id_that_lost_digits_is_rejected(cell: str) -> None:
    with pytest.raises(ValueError, match="lost digits"):
        clean_external_id(cell)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("001A0000006Vm9r", "001A0000006Vm9rIAC"),
        ("001A0000006Vm9rIAC", "001A0000006Vm9rIAC"),
        ("ABCDEFGHIJKLMNO", "ABCDEFGHIJKLMNO555"),
        ("17", "17"),
        (None, None),
    ],
)
def test_a_salesforce_id_of_15_characters_gets_its_checksum(text: str | None, whole: str | None) -> None:
    assert whole_salesforce_id(text) == whole


@pytest.mark.parametrize(("year", "is_date"), [(1899, False), (1900, True), (2099, True), (2100, False)])
def test_only_a_date_of_these_two_centuries_is_no_telephone_number(year: int, is_date: bool) -> None:
    cell = f"12.11.{year}"
    if is_date:
        with pytest.raises(ValueError, match="is a date"):
            clean_phone(cell)
    else:
        assert clean_phone(cell) == cell
