"""Cards of people: a table with headings that the import knows; a broken card is a row of its own."""

from pathlib import Path

import pytest
from support.reading import read as read_staged

from tasks.crm.headings.column_mapping import map_columns
from tasks.crm.readers.vcard_text import CUT
from tasks.crm.readers.workbook import WorkbookError, open_workbook


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
            "First Name": "Ann",
            "Last Name": "van Lee",
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
    unreadable, *cut = faults.values()
    assert unreadable.endswith("line 8 of the file is not a property")  # the wording of the faults of a card
    assert cut == ["is a card (vCard) without an end: check that the file is complete"] * 2
    assert not any(name in reason for reason in faults.values() for name in ("Bad", "Cut", "Last"))


def test_other_encodings_and_many_cards_are_read(file: Path) -> None:
    cards, _ = read(file, card("N:Müller;Jürgen", "ORG:Größe GmbH").encode("cp1252"))
    assert cards == [{"First Name": "Jürgen", "Last Name": "Müller", "Company": "Größe GmbH"}]
    cards, faults = read(file, "".join(card(f"N:L{n};F{n}", f"EMAIL:a{n}@x.org") for n in range(300)))
    assert (len(cards), cards[-1]["Email"], faults) == (300, "a299@x.org", {})


# --- values arrive whole


@pytest.mark.parametrize("version", ["2.1", "3.0", "4.0"])
def test_a_comma_that_is_not_escaped_cuts_no_value(file: Path, version: str) -> None:
    text = card(
        "N:Lee;Ann;;;", "FN:Lee, Ann", "NOTE:Met in Bonn, wants offer; soon", "TITLE:Head, Sales", "ROLE:Buyer, IT",
        "NICKNAME:Annie,An", "URL:https://x.org/a,b", "ORG:Acme, Inc.;Sales, West", "ADR:;;Main St 1, Apt 5;Bonn;;;DE",
        "RELATED;VALUE=text:Tom Lee, Jr.", version=version,
    )  # fmt: skip
    assert read(file, text)[0] == [
        {
            "First Name": "Ann", "Last Name": "Lee", "Company": "Acme, Inc.", "Department": "Sales, West",
            "Job Title": "Head, Sales", "Role": "Buyer, IT", "Notes": "Met in Bonn, wants offer; soon",
            "Nickname": "Annie,An", "Website": "https://x.org/a,b", "Street": "Main St 1, Apt 5", "City": "Bonn",
            "Country": "DE", "Related": "Tom Lee, Jr.",
        }
    ]  # fmt: skip
    assert read(file, card("FN:Acme, Inc.", "ORG:Acme, Inc.", version=version))[0] == [{"Company": "Acme, Inc."}]
    assert read(file, card("FN:Müller, Hans", version=version))[0] == [{"First Name": "Hans", "Last Name": "Müller"}]


def test_escapes_and_lists_are_those_of_the_version(file: Path) -> None:
    lines = ("N:Lee\\;x;Ann;Mary,Jane;Dr.,Prof.;", "NOTE:a\\, b\\; c\\nd C:\\\\dir", "CATEGORIES:a\\,b,c")
    new, old = read(file, card(*lines) + card(*lines, version="2.1"))[0]
    assert new == {
        "First Name": "Ann", "Last Name": "Lee;x", "Middle Name": "Mary Jane", "Prefix": "Dr. Prof.",
        "Notes": "a, b; c\nd C:\\dir", "Tags": "a,b; c",
    }  # fmt: skip
    assert old == {
        "First Name": "Ann", "Last Name": "Lee;x", "Middle Name": "Mary,Jane", "Prefix": "Dr.,Prof.",
        "Notes": "a, b; c\\nd C:\\\\dir", "Tags": "a,b,c",
    }  # fmt: skip
    assert read(file, card("N:Lee;Ann", "item1.URL:https\\://x.org"))[0][0]["Website"] == "https://x.org"


def test_properties_without_a_field_stand_under_a_heading_of_their_own(file: Path) -> None:
    [contact], faults = read(
        file,
        card(
            "N:Lee;Ann", "item1.X-ABDATE:2011-02-02", "item1.X-ABLabel:_$!<Anniversary>!$_", "X-ABDATE:2012-03-04",
            "item2.X-ABRELATEDNAMES:Tom Lee", "item2.X-ABLabel:_$!<Spouse>!$_", "X-ABRELATEDNAMES:Tim",
            "item3.X-ABRELATEDNAMES:Cid Fox", "item3.X-ABLabel:Contact", "item4.TEL:030 1111",
            "item4.X-ABLabel:Zentrale",
            "item5.TEL:030 2222", "item5.X-ABLabel:Notfall", "AGENT:", "BEGIN:VCARD", "N:Fox;Cid", "END:VCARD",
            "ADR;TYPE=HOME:;;Main 1;Bonn;;53111;DE", "ADR;TYPE=WORK:;Floor 2;Side 2, left;Ulm;;89073;DE",
            "ORG:Acme", "ORG:Beta;Sales", "X-SOCIALPROFILE;type=other:https://y.org/ann", "MOBILE:0171 1",
            "BDAY;X-APPLE-OMIT-YEAR=1604:1604-03-02", "N:Other;Name", "X-SKYPE;TYPE=HOME:ann",
        ),
    )  # fmt: skip
    assert not faults
    assert contact == {
        "First Name": "Ann", "Last Name": "Lee", "Company": "Acme", "Phone": "030 1111", "Anniversary": "2011-02-02",
        "Date": "2012-03-04", "Spouse": "Tom Lee", "Related Name": "Tim", "vCard Contact": "Cid Fox",
        "Phone Label": "Zentrale", "Phone 2 (Notfall)": "030 2222", "Agent": "BEGIN:VCARD\nN:Fox;Cid\nEND:VCARD",
        "Street": "Main 1", "City": "Bonn", "Zip": "53111", "Country": "DE",
        "Address 2 (work)": "Floor 2, Side 2, left, Ulm, 89073, DE", "Organization 2": "Beta, Sales",
        "X-Socialprofile": "https://y.org/ann", "vCard Mobile": "0171 1", "Birthday": "--03-02",
        "Name 2": "Other, Name", "X-Skype (home)": "ann",
    }  # fmt: skip
    assert set(map_columns(list(contact)).fields.values()) == {
        "first_name", "last_name", "organization", "phone", "street", "city", "country"
    }  # fmt: skip


def test_parts_beyond_the_known_ones_have_headings_of_their_own(file: Path) -> None:
    [contact], _ = read(file, card("N:Lee;Ann;;;;Zu;Xi", "ADR:;;Main 1;Bonn;;53111;DE;Floor 2"))
    assert contact == {
        "First Name": "Ann", "Last Name": "Lee", "Name Part 6": "Zu", "Name Part 7": "Xi", "Street": "Main 1",
        "City": "Bonn", "Zip": "53111", "Country": "DE", "Address Part 8": "Floor 2",
    }  # fmt: skip


@pytest.mark.parametrize("fax", ["TEL;TYPE=HOME,FAX", "TEL;HOME;FAX", "TEL;TYPE=FAX;TYPE=PREF", "item1.TEL;TYPE=PREF"])
def test_a_fax_number_is_never_the_phone(file: Path, fax: str) -> None:
    [contact], _ = read(
        file,
        card("N:Lee;Ann", f"{fax}:030 999", "item1.X-ABLabel:Telefax", "TEL;PAGER:030 5", "TEL;TYPE=CELL:0171 1234"),
    )
    assert {name: contact.get(name) for name in ("Phone", "Fax", "Pager")} == {
        "Phone": "0171 1234", "Fax": "030 999", "Pager": "030 5"
    }  # fmt: skip
    assert "phone" not in map_columns(["Last Name", "Fax", "Pager"]).fields.values()
    assert "Phone" not in read(file, card("N:Lee;Ann", f"{fax}:030 999", "item1.X-ABLabel:Telefax"))[0][0]


def test_the_preferred_number_and_address_come_first(file: Path) -> None:
    [contact], _ = read(
        file,
        card(
            "N:Lee;Ann", "EMAIL;PREF=2:second@x.org", "EMAIL;TYPE=PREF:first@x.org", "EMAIL:third@x.org",
            "TEL;PREF=50;VALUE=uri:tel:+49-30-2", "TEL;PREF=1;VALUE=uri:tel:+49-30-1", "TEL:3", "TEL;PREF=1000:4",
            version="4.0",
        ),
    )  # fmt: skip
    assert contact == {
        "First Name": "Ann", "Last Name": "Lee", "Email": "first@x.org", "Email 2": "second@x.org",
        "Email 3": "third@x.org", "Phone": "+49-30-1", "Phone 2": "+49-30-2",
        "Phone 3": "4", "Phone 4": "3",
    }  # fmt: skip


def test_only_at_the_beginning_of_a_number_is_its_scheme_left_out(file: Path) -> None:
    [contact], _ = read(file, card("N:Lee;Ann", "TEL:Hotel:030 1", "TEL:TEL:030 2", "EMAIL:mailto:ann@x.org"))
    assert (contact["Phone"], contact["Phone 2"], contact["Email"]) == ("Hotel:030 1", "030 2", "ann@x.org")


def test_groups_are_rejected_and_companies_are_organizations(file: Path) -> None:
    cards, faults = read(
        file,
        card("KIND:group", "FN:My friends", "MEMBER:urn:uuid:1", version="4.0")
        + card("X-ADDRESSBOOKSERVER-KIND:group", "N:Team list", "FN:Team list")
        + card("KIND:location", "FN:Room 5", version="4.0")
        + card("FN:Acme Corp", "ORG:Acme Corp", "N:Corp;Acme;;;", "X-ABShowAs:COMPANY", "TEL:030 1")
        + card("FN:Beta", "ORG:Beta", "N:Lee;Ann;;;", "X-ABShowAs:COMPANY")
        + card("KIND:org", "FN:Gamma", version="4.0")
        + card("N:Delta Ltd;;;;", "FN:Delta Ltd", "ORG:Delta Ltd")
        + card("N:Lee;Ann;;;", "FN:Ann Lee", "ORG:Ann Lee"),
    )
    assert {row: kind for row, fault in faults.items() for kind in ("group", "location") if f" {kind}," in fault} == {
        2: "group", 3: "group", 4: "location"
    }  # fmt: skip
    assert faults.keys() == {2, 3, 4}
    assert [list(each) for each in cards[:3]] == [["Card"]] * 3
    assert cards[3:] == [
        {"Company": "Acme Corp", "Phone": "030 1"}, {"Company": "Beta", "Person": "Ann Lee"}, {"Company": "Gamma"},
        {"Company": "Delta Ltd"}, {"First Name": "Ann", "Last Name": "Lee", "Company": "Ann Lee"},
    ]  # fmt: skip


# --- what cannot be read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("BEGIN:VCARD\nVERSION:3.0\nN:Lee;Ann\n", CUT),
        (card("no colon", "N:Lee;Ann"), "line 3 of the file"),
        (card("KIND:group", "FN:Lee"), " group"),
        (card(), "without content"),
    ],
)
def test_a_file_without_a_card_that_can_be_read_is_refused(file: Path, text: str, value: str) -> None:
    with pytest.raises(WorkbookError) as refused:
        read(file, text)
    assert str(refused.value).startswith("contacts.vcf ")
    assert " line 1, " in str(refused.value)
    assert value in str(refused.value)
    assert "Lee" not in str(refused.value)


def test_a_reject_keeps_the_text_of_its_card_and_its_line(file: Path) -> None:
    text = card("N:Lee;Ann") + card("N:Ray;Bob", "no colon") + "a remark\r\n" + card("N:Fox;Cid", "TEL:2024-01-02")
    cards, faults = read(file, text)
    assert [each.get("Card") for each in cards] == [
        None, "BEGIN:VCARD\nVERSION:3.0\nN:Ray;Bob\nno colon\nEND:VCARD", "a remark", None
    ]  # fmt: skip
    assert faults.keys() == {3, 4}
    assert "line 8 of the file" in faults[3]
    assert faults[4] == "is text between cards"
    problems = [row["problems"] for row in read_staged(file).rows]
    assert problems[0] is None
    assert problems[1][0][2].endswith(" (from line 5 on)")
    assert problems[2][0][2].endswith(" (from line 10 on)")
    [[heading, value, reason]] = problems[3]
    assert (heading, value) == ("Phone", "2024-01-02")
    assert reason.startswith("is a date")
    assert reason.endswith(" (from line 11 on)")


def test_more_kinds_of_properties_than_a_sheet_has_columns_are_refused(file: Path) -> None:
    most = ["N:Lee;Ann", *(f"X-{number}:a" for number in range(16_382))]
    assert len(read(file, card(*most))[0][0]) == 16_384
    with pytest.raises(WorkbookError, match="has 16,385 kinds of properties, more than a sheet can have columns"):
        read(file, card(*most, "TEL:1"))


def test_pictures_that_are_cut_or_badly_folded_take_nothing_with_them(file: Path) -> None:
    cards, faults = read(
        file,
        card("N:Lee;Ann", "PHOTO;ENCODING=b;TYPE=JPEG:AAA", "TEL:1")
        + card("N:Ray;Bob", "PHOTO;ENCODING=BASE64;JPEG:", "AAAAabc", "  def=", "", "TEL:2", version="2.1")
        + card("N:Fox;Cid", "NOTE;ENCODING=b:S8O2bG4sIHg="),
    )
    assert not faults
    assert [(each["Last Name"], each.get("Phone")) for each in cards] == [("Lee", "1"), ("Ray", "2"), ("Fox", None)]
    assert cards[2]["Notes"] == "Köln, x"


def test_what_is_left_out_is_reported(file: Path) -> None:
    read(file, card("N:Lee;Ann", "PHOTO;ENCODING=b:AA", "KEY:x", "SOUND:y") + card("broken", "N:Ray;Bob"))
    with open_workbook(file, file.name) as book:
        assert book.assumptions == ["pictures, sounds and keys left out: 3"]
        assert len(list(book.blocks("contacts"))) == 2
        assert book.hidden_rows == 0  # of those that were read


# --- lines and letters


def test_lines_that_are_folded_in_a_letter_are_read(file: Path) -> None:
    whole = card("N:Müller;Jürgen", "NOTE:an apple, a pear").encode()
    text = whole.replace("ü".encode(), b"\xc3\r\n \xbc")
    expected = [{"First Name": "Jürgen", "Last Name": "Müller", "Notes": "an apple, a pear"}]
    assert read(file, text)[0] == expected
    file.write_bytes(text)
    with open_workbook(file, file.name, "utf-8") as book:
        assert (book.encoding, list(book.blocks("contacts"))[1].columns[0].to_pylist()) == (None, ["Jürgen"])


def test_version_2_1_folds_at_a_blank_that_stays(file: Path) -> None:
    short, long = "x" * 66, "x" * 67
    lines = ("NOTE:a very", " long line", f"TITLE:{short}", " yz", f"ROLE:{long}x", " yz", "NICKNAME:A", "  B")
    old, new = read(file, card("N:Lee;Ann", *lines, version="2.1") + card("N:Lee;Ann", *lines))[0]
    names = ("Notes", "Job Title", "Role", "Nickname")
    assert [old[name] for name in names] == ["a very long line", f"{short} yz", f"{long}xyz", "A B"]
    assert [new[name] for name in names] == ["a verylong line", f"{short}yz", f"{long}xyz", "A B"]


def test_quoted_printable_without_a_charset_is_in_the_encoding_of_the_file(file: Path) -> None:
    cards, faults = read(
        file,
        card("N:Ok;Ok")
        + card(
            "N:Mueller;Juergen",
            "ADR;WORK;ENCODING=QUOTED-PRINTABLE:;;K=F6nigstra=DFe 1, links;K=F6ln;;50667;Deutschland",
            "LABEL;WORK;ENCODING=QUOTED-PRINTABLE:K=F6nigstra=DFe 1=0D=0A=", "50667 K=F6ln", version="2.1",
        ),
    )  # fmt: skip
    assert not faults
    assert cards[1] == {
        "First Name": "Juergen", "Last Name": "Mueller", "Street": "Königstraße 1, links", "City": "Köln",
        "Zip": "50667", "Country": "Deutschland", "Address Text": "Königstraße 1\n50667 Köln",
    }  # fmt: skip
    with open_workbook(file, file.name) as book:
        assert book.encoding == "Windows-1252"


@pytest.mark.parametrize(("length", "faults"), [(4096, []), (4097, [2])])
def test_what_stands_before_the_colon_is_looked_at_up_to_four_thousand_bytes(
    file: Path, length: int, faults: list[int]
) -> None:
    header = "NOTE;X=;ENCODING=QUOTED-PRINTABLE:"
    header = header.replace("=;", f"={'x' * (length - len(header))};")
    text = card("N:Lee;Ann", f"{header}one=0D=0A=", "two", version="2.1") + card("N:Ray;Bob")
    cards, found = read(file, text)
    assert list(found) == faults
    assert faults or cards[0]["Notes"] == "one\ntwo"


def test_each_line_is_in_the_encoding_that_it_states(file: Path) -> None:
    text = card("N;CHARSET=ISO-8859-1:Müller € 5;Jürgen", version="2.1").encode("cp1252")  # the euro is not in 8859-1
    text += card("N:Größe;Zoë").encode()
    assert [each["Last Name"] for each in read(file, text)[0]] == ["Müller € 5", "Größe"]
    assert list(file.parent.iterdir()) == [file]  # nothing is left beside it
    assert read(file, card("N;CHARSET=UTF-8:Müller;Jürgen", "ORG:Größe").encode("cp1252"))[0] == [
        {"First Name": "Jürgen", "Last Name": "Müller", "Company": "Größe"}
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "shift_jis", "iso2022_jp", "gb18030"])
def test_letters_of_two_bytes_are_no_semicolons_or_backslashes(file: Path, encoding: str) -> None:
    text = card(
        "N:山田;太郎", "ORG:ソ能表株式会社", "ADR:;;表参道1-2;東京;;;日本", "TITLE:部長", "NOTE:お世話になっております"
    )
    [found], _ = read(file, (text * 3).encode(encoding))[0][:1], None
    assert (found["Last Name"], found["Company"], found["Street"]) == ("山田", "ソ能表株式会社", "表参道1-2")


def test_a_line_that_is_no_property_takes_no_time(file: Path) -> None:
    _, faults = read(file, card("N:Lee;Ann") + card("N:Ray;Bob", "X;A=b" + ",b" * 50_000))
    assert list(faults) == [3]


def test_advice_about_encodings_is_advice_for_cards(file: Path) -> None:
    with pytest.raises(WorkbookError) as refused:
        read(
            file,
            card("N:Größe;Jürgen", "NOTE:äöüß").encode() + card("N:Lee;Ann", "NOTE:?").encode().replace(b"?", b"\xff"),
        )
    assert str(refused.value).endswith("line 9: export the cards again as UTF-8")


def test_blank_lines_and_any_kind_of_line_break_change_nothing(file: Path) -> None:
    text = card("N:Lee;Ann", "NOTE:a very", "  long line", "TEL;CELL;:1")
    expected = [{"First Name": "Ann", "Last Name": "Lee", "Notes": "a very long line", "Phone": "1"}]
    for changed in (text, text.replace("\r\n", "\r"), text.replace("VCARD\r\n", "VCARD\n\n \n"), f"\n{text}\x1a"):
        assert read(file, changed) == (expected, {})


def test_a_colon_that_google_escapes_is_one(file: Path) -> None:
    assert read(file, card("N:Lee;Ann", "item1.URL:https\\://x.org/a"))[0][0]["Website"] == "https://x.org/a"
