"""Kinds of input that importers take for what they are not, each with real values beside them that have to arrive."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.reading import ReadResult, read
from support.staged import stage

from tasks.crm.headings.column_mapping import map_columns
from tasks.crm.headings.heading_row import find_headings
from tasks.crm.rules.email_address import clean_email
from tasks.crm.rules.names import split_name
from tasks.crm.rules.phone_number import clean_phone
from tasks.crm.rules.texts import clean_full_name, clean_name


@pytest.mark.parametrize(
    "number",
    [
        *("0228.12345", "555.1234", "212.555.1234", "+49 (0)30-123 456", "030 / 12 34 56", "030/123456", "030-123456"),
        *("12-34-56", "555-1234 x12", "+1 555 123 4567 ext. 89", "110", "(030) 123456", "22.11.33.44", "1-800-FLOWERS"),
        *(
            "06.12.34.56.78",
            "30.123456",
            "49.151.512",
            "+49 30 12 34 56 (privat)",
            "1.234.567",
            "20 12 34 56",
            "030 1999",
        ),
    ],
)
def test_telephone_numbers_arrive_however_they_are_written(number: str) -> None:
    assert clean_phone(number) == number


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        *((each, "a date") for each in ("1/2/2024", "05.12.2034", "2034/12/05", "5-Dec-34", "12/31/24", "1. Mai 2034")),
        *((each, "a date") for each in ("24.12.2024", "2034-12-05T00:00:00", "December 5, 2034", "5 de mayo de 2034")),
        *((each, "a time") for each in ("10:30 AM", "10:30:00 p.m.", "00:30:00")),
        *((each, "a negative number") for each in ("\u22121215", "1215-", "-1215,5")),
        *((each, "a fraction") for each in ("12/5", "1 1/2", "0,1364")),
        *((each, "an amount or a percentage") for each in ("49170123400%", "$ 1,234", "12345 €")),
        *((each, "in scientific notation") for each in ("4.9\u00d710^11", "4,9E 11", "4.91512E+11")),
    ],
)
def test_other_values_are_no_telephone_numbers(cell: str, kind: str) -> None:
    with pytest.raises(ValueError, match=f"^is {kind}, not a telephone number"):
        clean_phone(cell)


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("Jan van der Berg", ("Jan", "van der Berg")),
        ("Ludwig von Beethoven", ("Ludwig", "von Beethoven")),
        ("Ann Lee (Acme)", ("Ann", "Lee (Acme)")),
        ("Van Morrison", ("Van", "Morrison")),
        ("de Gaulle", (None, "de Gaulle")),
        ("Müller GmbH & Co. KG", (None, "Müller GmbH & Co. KG")),
        ("Acme AG", (None, "Acme AG")),
        ("ООО Ромашка", (None, "ООО Ромашка")),
        ("Li Se", ("Li", "Se")),
        ("LI SE", ("LI", "SE")),
        ("Ann Lee, CEO", ("Ann CEO", "Lee")),
    ],
)
def test_particles_stay_with_the_last_name_and_legal_forms_with_their_organization(
    whole: str, parts: tuple[str | None, str]
) -> None:
    assert split_name(whole) == parts


def test_lost_letters_control_characters_and_several_names_are_rejected() -> None:
    for name in ("J?rgen", "M?ller GmbH"):
        with pytest.raises(ValueError, match="question mark"):
            clean_name(name)
    for name in ("An\x01n", "Fo\x7fx"):
        with pytest.raises(ValueError, match="control character"):
            clean_name(name)
    with pytest.raises(ValueError, match="several names"):
        clean_full_name("Lee, Ann; Ray, Bob")
    with pytest.raises(ValueError, match="e-mail"):
        clean_email("/o=Exchange/cn=ann@x.org")
    assert clean_name("Who? GmbH") == "Who? GmbH"
    [row] = stage(["Name", "Email"], ["J?rgen Lee", "j@x.org"]).table.to_pylist()
    assert "question mark" in row["problems"]


@pytest.mark.parametrize(
    "name",
    [
        *("MÃ¼ller", "JosÃ©", "Donâ€™t", "CittÃ\u00a0", "SÃ\u00adlvia", "Ð˜Ð²Ð°Ð½", "Î‘Î¸Î®Î½Î±", "ÅukaszÃ³w"),
        *("WÄ…s", "Å¡kola", "MĂĽller", "РџРµС‚СЂ", "å±±ç”°", "5Â\u00a0km"),
    ],
)
def test_letters_that_were_taken_for_others_are_rejected_in_every_column(name: str) -> None:
    headings = ["Last Name", "City", "Notes", "Colour"]
    for column, heading in enumerate(headings):
        cells = ["Lee", "Bonn", "x", "red"]
        cells[column] = f"{cells[column]} {name}" if heading == "Notes" else name
        [row] = stage(headings, cells).table.to_pylist()
        assert f'["{heading}","{cells[column]}"' in row["problems"]
        assert "wrong encoding" in row["problems"]
        assert row["last_name"] is None


@pytest.mark.parametrize(
    "name",
    [
        *("Ângelo", "Ãrea", "ÂNGELO", "JOÃO", "Conceição", "MANHÃ", "“MANHÔ", "„MANHÓ", "»LULEÅ«", "IRMÃ’S", "CAUû"),
        *("CAFÉ’S", "NESTLÉ®", "CAFFÈ™", "MOËT™", "Åse", "ÅÄÖ", "Å–Ä", "Ähm…", "Øst", "ESPAÑA’S", "René’”", "voilà…”"),
        *(
            "PĂŞUNE",
            "Ăleanu",
            "СІРІЧЕНКО",
            "СІРІЙ",
            "Nguyễn",
            "«Olá»…",
            "Ýr Þórsdóttir",
            "Kılıççı",
            "Łódź",
            "100 €",
            "½",
        ),
    ],
)
def test_names_that_look_like_it_are_kept(name: str) -> None:
    assert clean_name(name) == name


def reasons(rows: Sequence[Sequence[str | None]]) -> dict[int, str]:
    """Row number -> why it is no record, of rows below Company, City, Phone, Revenue."""
    staged = stage(["Company", "City", "Phone", "Revenue"], ["Acme", "Bonn", "123456", "100"], *rows).table.to_pylist()
    return {row["row_number"]: row["problems"] for row in staged if row["problems"]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["Subtotal", None, None, "300"], "totals"),
        (["Totals:", None, None, "300"], "totals"),
        (["TOTAL (2)", None, None, "300"], "totals"),
        (["Subtotal", "Count", None, "2"], "totals"),
        (["Gesamtergebnis", None, None, "300"], "totals"),
        (["Number of companies: 2", None, None, None], "remark"),
        (["Printed 2024-01-01", None, None, None], "remark"),
        (["Prepared by: Someone Else", None, None, None], "remark"),
        (["EOF", None, None, None], "remark"),
        (["n/a", "n/a", None, "n/a"], "placeholders"),
        (["(text)", "(text)", None, "(number)"], "template"),
        (["e.g. Acme Ltd", "e.g. Bonn", "e.g. +49 228 12", None], "template"),
        (["Firma", "Ort", "Telefon", None], "other words|other headings"),
        (["First Name", "Last Name", None, "City"], "other headings"),
    ],
)
def test_rows_that_are_no_record_say_so(row: Sequence[str | None], reason: str) -> None:
    found = reasons([[*row]])
    assert list(found) == [3]
    assert any(each in found[3] for each in reason.split("|"))


@pytest.mark.parametrize(
    "row",
    [
        ["Total Tools", "Kiel", "123457", "100"],
        ["Total Energies", None, "123457", None],
        ["Summe GmbH", "Ulm", None, None],
        ["Datum Consulting", None, None, None],
        ["Max Müller KG", None, None, None],
        ["Endress", None, None, None],
    ],
)
def test_organizations_with_such_names_are_records(row: Sequence[str | None]) -> None:
    assert reasons([row]) == {}


def test_headings_in_a_second_language_are_rejected_and_what_follows_is_read() -> None:
    rows = [["Firma", "Ort", "Telefon"], ["Beta", "Ulm", "123457"]]
    staged = stage(["Company", "City", "Phone"], *rows).table.to_pylist()
    assert "in other words" in staged[0]["problems"]
    assert staged[1]["organization"] == "Beta"


def test_a_row_with_a_persons_name_below_the_headings_is_no_heading_row() -> None:
    rows = [["Name", "Role", "Group"], ["Ann Lee", "Email", "Company"], ["Bob Ray", "Phone", "City"]]
    assert find_headings(enumerate(rows, 1)) == 1
    assert find_headings(enumerate([["Contacts", "of", "2024"], ["Company", "Email", "City"]], 1)) == 2


def test_the_id_of_a_salesforce_export_by_field_names_is_the_id() -> None:
    mapping = map_columns(["Id", "IsDeleted", "AccountId", "LastName", "FirstName", "Email"])
    assert (mapping.system, mapping.fields[0]) == ("salesforce", "external_id")
    assert "external_id" not in map_columns(["Id", "Name", "Email"]).fields.values()


def test_russian_that_was_taken_for_another_encoding_is_refused(tmp_path: Path) -> None:
    twice = "Иван,Петров".encode().decode("cp1251", "ignore")
    path = tmp_path / "list.csv"
    path.write_text(f"First Name,Last Name,Email\n{twice},i@x.org\n")
    result: ReadResult = read(path)
    assert "decoded as Windows-1251" in result.refused
    path.write_text("First Name,Last Name,Email\nРСФСР,Рыбаков,i@x.org\nСССР,Ржевский,b@x.org\n")
    assert len(read(path).rows) == 2
