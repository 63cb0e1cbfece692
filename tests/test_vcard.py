"""Cards of people: a table with headings that the import knows; a broken card is a row of its own."""

from pathlib import Path

import pytest

from tasks.crm.headings import map_columns
from tasks.crm.readers.workbook import open_workbook


def card(*lines: str, version: str = "3.0") -> str:
    return "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""])


def read(path: Path, content: bytes | str) -> tuple[list[dict[str, str]], dict[int, str]]:
    """What each card says by heading, and the faults by row."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    cards, faults = list[dict[str, str]](), dict[int, str]()
    with open_workbook(path, path.name) as book:
        blocks = list(book.blocks(book.sheets[0].name))
    headings = next(iter(blocks[0].rows()))[1]
    for block in blocks[1:]:
        faults |= {block.numbers[fault.row].as_py(): fault.reason for fault in block.faults}
        cards += [
            {heading: cell for heading, cell in zip(headings, cells, strict=False) if heading and cell}
            for _, cells in block.rows()
        ]
    return cards, faults


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "contacts.vcf"


def test_a_card_is_a_row_under_headings_that_are_understood(file: Path) -> None:
    cards, faults = read(
        file,
        card(
            "N:Lee;Ann;Mary;Dr.;", "FN:Dr. Ann Lee", "ORG:Acme\\, Inc;Sales;West", "TITLE:Director",
            "TEL;TYPE=HOME:+49 30 2", "TEL;TYPE=CELL,PREF:+49 170 1", "EMAIL;TYPE=INTERNET:ann@x.org",
            "EMAIL;TYPE=WORK:a.lee@acme.example", "ADR;TYPE=WORK:;Floor 2;Main St 1;Bonn;NRW;53111;Germany",
            "NOTE:one\\ntwo\\, three", "CATEGORIES:vip,press", "BDAY:1970-01-02", "UID:42", "PHOTO;ENCODING=b:AAAA",
        ),
    )  # fmt: skip
    assert not faults
    assert cards == [
        {
            "First Name": "Ann", "Last Name": "Lee", "Middle Name": "Mary", "Prefix": "Dr.", "Full Name": "Dr. Ann Lee",
            "Company": "Acme, Inc", "Department": "Sales, West", "Job Title": "Director", "Phone": "+49 170 1",
            "Phone 2 (home)": "+49 30 2", "Email": "ann@x.org", "Email 2 (work)": "a.lee@acme.example",
            "Street": "Main St 1", "Street 2": "Floor 2", "City": "Bonn", "State": "NRW", "Zip": "53111",
            "Country": "Germany", "Notes": "one\ntwo, three", "Tags": "vip; press", "Birthday": "1970-01-02",
            "UID": "42",
        }
    ]  # fmt: skip
    fields = set(map_columns(list(cards[0])).fields.values())
    assert {"first_name", "last_name", "organization", "title", "email", "phone", "city", "country"} <= fields


def test_version_2_1_with_quoted_printable_is_read(file: Path) -> None:
    cards, faults = read(
        file,
        card(
            "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=BCrgen", "TEL;CELL;VOICE:+49 170 1",
            "NOTE;ENCODING=QUOTED-PRINTABLE:one=0D=0A=", "two", version="2.1",
        ),
    )  # fmt: skip
    assert not faults
    assert cards == [{"First Name": "Jürgen", "Last Name": "Müller", "Phone": "+49 170 1", "Notes": "one\ntwo"}]


def test_version_4_groups_and_folded_lines_are_read(file: Path) -> None:
    cards, _ = read(
        file,
        card(
            "FN:Ann van Lee", 'TEL;VALUE=uri;TYPE="voice,home":tel:+49-30-1', "item1.EMAIL;TYPE=WORK:ann@x.org",
            "item1.X-ABLabel:Work", "NOTE:a very", "  long line", version="4.0",
        ),
    )  # fmt: skip
    assert cards == [
        {
            "First Name": "Ann van",
            "Last Name": "Lee",
            "Phone": "+49-30-1",
            "Email": "ann@x.org",
            "Notes": "a very long line",
        }
    ]


def test_a_company_is_no_person(file: Path) -> None:
    assert read(file, card("FN:Acme Ltd", "N:;;;;", "ORG:Acme Ltd", "TEL:1"))[0] == [
        {"Company": "Acme Ltd", "Phone": "1"}
    ]


def test_broken_cards_are_rows_of_their_own(file: Path) -> None:
    text = (
        card("N:Lee;Ann") + card("N:Bad;One", "this is no line") + "BEGIN:VCARD\nVERSION:3.0\nN:Cut;Off\n"
        + card("N:Ray;Bob") + "BEGIN:VCARD\nVERSION:3.0\nN:Last;One\n"
    )  # fmt: skip
    cards, faults = read(file, text)
    assert [each.get("Last Name") for each in cards] == ["Lee", None, None, "Ray", None]
    assert list(faults) == [3, 4, 6]
    assert [reason.partition(":")[0] for reason in faults.values()] == [
        "is a card (vCard) that cannot be read", "is a card (vCard) without an end", "is a card (vCard) without an end"
    ]  # fmt: skip
    assert not any(name in reason for reason in faults.values() for name in ("Bad", "Cut", "Last"))


def test_other_encodings_and_many_cards_are_read(file: Path) -> None:
    cards, _ = read(file, card("N:Müller;Jürgen", "ORG:Größe GmbH").encode("cp1252"))
    assert cards == [{"First Name": "Jürgen", "Last Name": "Müller", "Company": "Größe GmbH"}]
    cards, faults = read(file, "".join(card(f"N:L{n};F{n}", f"EMAIL:a{n}@x.org") for n in range(300)))
    assert (len(cards), cards[-1]["Email"], faults) == (300, "a299@x.org", {})


def test_a_colon_that_google_escapes_is_one(file: Path) -> None:
    assert read(file, card("N:Lee;Ann", "item1.URL:https\\://x.org/a"))[0][0]["Website"] == "https://x.org/a"
