"""Who is the same person: external ids, weak identities and what contradicts them, the history of what was replaced."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from support.contacts import ADA, Row, imported, rejects, staged, stored, verdicts

from db import contacts, matching
from db.engine import engine, transaction

pytestmark = pytest.mark.usefixtures("database")

MAIL = {**ADA, "email": "ada@x.org"}


def changes(*columns: str) -> list[tuple[Any, ...]]:
    with engine().connect() as connection:
        rows = connection.execute(text(f"SELECT {', '.join(columns)} FROM contact_changes ORDER BY id"))
        return [tuple(row) for row in rows]


def ids() -> dict[str | None, Mapping[str, Any]]:
    """Stored contacts by their external id."""
    return {contact.get("external_id"): contact for contact in stored()}


# --- a first name and a telephone number


def test_first_names_with_numbers_are_people_and_of_two_with_one_name_neither_is_guessed() -> None:
    ann, bob = {"first_name": "Ann", "phone": "111"}, {"first_name": "Bob", "phone": "222"}
    counts = imported([ann, bob, bob, {"first_name": "Cid", "phone": "333"}, {"first_name": "CID", "phone": "444"}])
    assert verdicts(counts) == {"inserted": 2, "duplicate": 1, "rejected": 2}
    assert stored() == [ann, bob]
    reasons = {reject.row_number: reject.reason for reject in rejects(counts["import_id"])}
    assert reasons.keys() == {5, 6}
    assert "row 6" in reasons[5]
    assert "differs in phone" in reasons[6]
    again = imported([{**ann, "phone": "999"}])
    assert verdicts(again) == {"updated": 1}
    assert [update["fields"] for update in again["weak_updates"]] == [["phone"]]


# --- headings of sections in the column of organisations

LISTED = [
    {"organization": company, "first_name": first, "last_name": "Lee", "email": f"{first}@x.org".lower(), "city": city}
    for first, company, city in [("Ann", "", "Ulm"), ("Bob", "", ""), ("Cid", "Acme", ""), ("Dan", "", "Bonn")]
]


def section(text: str, **others: str) -> Row:
    return {"organization": text, "first_name": "", "last_name": "", "email": "", "city": "", **others}


def rejected(rows: list[Row]) -> list[int]:
    found = rejects(imported(rows)["import_id"])
    assert all(reject.column_name == "organization" for reject in found)
    assert all("section" in reject.reason for reject in found)
    return [reject.row_number for reject in found]


def test_a_section_title_is_not_a_person() -> None:
    people = [{"last_name": name, "email": f"{name}@x.org", "phone": ""} for name in ("lee", "ray", "fox")]
    lone = {"last_name": "Berlin", "email": "", "phone": ""}
    counts = imported([lone, *people, {**lone, "last_name": "Cole", "phone": "+49 30 123456"}])
    assert verdicts(counts) == {"inserted": 4, "rejected": 1}
    [reject] = rejects(counts["import_id"])
    assert (reject.row_number, reject.column_name, reject.value) == (2, "last_name", "Berlin")
    assert "Berlin" not in {contact["last_name"] for contact in stored()}


@pytest.mark.parametrize("heading", ["Berlin office", "Partners & friends", "— Customers (12) —"])
def test_a_section_title_is_not_a_company(heading: str) -> None:
    assert rejected([section(heading), *LISTED[:2], section("Others"), *LISTED[2:]]) == [2, 5]
    assert {contact.get("organization") for contact in stored()} == {None, "Acme"}


def test_a_firm_of_somebody_in_the_file_is_none() -> None:
    assert rejected([section("ACME"), *LISTED]) == []
    assert "ACME" in {contact.get("organization") for contact in stored()}


@pytest.mark.parametrize(
    "others",
    [
        [section("Beta", city="Kiel")],  # firms are listed
        [section(name) for name in ("Beta", "Delta", "Epsilon", "Zeta")],  # too many for sections
    ],
)
def test_firms_without_a_person_are_firms_where_such_are_listed(others: list[Row]) -> None:
    assert rejected([section("Gamma"), *LISTED, *others]) == []
    assert {"Gamma", *(row["organization"] for row in others)} <= {row.get("organization") for row in stored()}


def test_in_a_long_list_many_firms_without_a_person_are_firms() -> None:
    people = [{**LISTED[0], "email": f"p{number}@x.org"} for number in range(60)]
    assert rejected([*people, *(section(f"Firm {number}") for number in range(11))]) == []
    assert len(rejected([*people, *(section(f"Team {number}") for number in range(10))])) == 10


# --- external ids


def test_a_renamed_person_with_the_same_id_is_the_same_person() -> None:
    imported([{**MAIL, "external_id": "7", "phone": "111"}])
    married = {"organization": "ACME", "first_name": "Ada", "last_name": "King", "email": "king@x.org"}
    assert verdicts(imported([{**married, "external_id": "7"}])) == {"updated": 1}
    assert stored() == [{**married, "phone": "111", "external_id": "7"}]
    assert changes("field", "old", "new", "basis") == [
        ("email", "ada@x.org", "king@x.org", "external id"),
        ("last_name", "Lovelace", "King", "external id"),
    ]
    assert verdicts(imported([married])) == {"unchanged": 1}  # the new address finds them, the old one does not
    assert verdicts(imported([MAIL])) == {"inserted": 1}


def test_two_ids_with_one_address_and_name_are_two_people() -> None:
    rows = [{**MAIL, "external_id": "1", "phone": "111"}, {**MAIL, "external_id": "2", "phone": "222"}]
    assert verdicts(imported(rows)) == {"inserted": 2}
    assert verdicts(imported(rows[::-1])) == {"unchanged": 2}
    assert {number: contact["phone"] for number, contact in ids().items()} == {"1": "111", "2": "222"}
    assert verdicts(imported([MAIL])) == {"inserted": 1}  # nobody knows whose it is


def test_a_new_id_with_a_known_address_and_name_is_somebody_else() -> None:
    imported([{**MAIL, "external_id": "1"}])
    assert verdicts(imported([{**MAIL, "external_id": "2"}])) == {"inserted": 1}
    assert set(ids()) == {"1", "2"}


def test_a_new_name_replaces_the_old_one_as_a_whole() -> None:
    imported([{**MAIL, "external_id": "7"}])
    assert verdicts(imported([{"last_name": "King", "external_id": "7"}])) == {"updated": 1}
    [contact] = stored()
    assert (contact.get("first_name"), contact["last_name"], contact["email"]) == (None, "King", "ada@x.org")
    assert verdicts(imported([{"last_name": "", "email": "ada@x.org", "external_id": "7"}])) == {"unchanged": 1}


def test_one_id_in_two_systems_is_two_people() -> None:
    imported([{**ADA, "external_id": "1"}], system="one")
    assert verdicts(imported([{"last_name": "Bell", "external_id": "1"}], system="two")) == {"inserted": 1}


@pytest.mark.parametrize("older", [MAIL, ADA, {"organization": "ACME", "city": "Rome"}])
def test_a_contact_of_an_older_import_takes_the_id_over(older: Row) -> None:
    imported([{**older, "phone": "111"}])
    assert verdicts(imported([{**older, "external_id": "7"}])) == {"updated": 1}
    assert stored() == [{**older, "phone": "111", "external_id": "7"}]
    assert verdicts(imported([{**older, "external_id": "7"}])) == {"unchanged": 1}


def test_rows_without_ids_still_find_who_has_one() -> None:
    imported([{**MAIL, "external_id": "7"}])
    assert verdicts(imported([{**MAIL, "phone": "111"}, {**ADA, "city": "London"}])) == {"updated": 1, "duplicate": 1}
    assert stored() == [{**MAIL, "external_id": "7", "phone": "111", "city": "London"}]


def test_with_and_without_an_id_in_one_file_is_one_person() -> None:
    rows = [{**MAIL, "external_id": "7", "phone": ""}, {**MAIL, "external_id": "", "phone": "111"}]
    assert verdicts(imported(rows)) == {"inserted": 1, "duplicate": 1}
    assert stored() == [{**MAIL, "external_id": "7", "phone": "111"}]


def test_of_an_older_contact_that_was_two_people_one_takes_it_over() -> None:
    """The released version merged them; a third one must not stay."""
    imported([{**MAIL, "phone": "111"}])
    rows = [{**MAIL, "external_id": "2", "phone": "222"}, {**MAIL, "external_id": "1", "phone": "111"}]
    assert verdicts(imported(rows)) == {"inserted": 1, "updated": 1}
    assert {number: contact["phone"] for number, contact in ids().items()} == {"1": "111", "2": "222"}


def test_another_systems_id_of_a_known_person_is_kept_beside_the_first() -> None:
    imported([{**MAIL, "external_id": "7"}], system="one")
    for verdict in ("updated", "unchanged"):
        assert verdicts(imported([{**MAIL, "external_id": "x9"}], system="two")) == {verdict: 1}
    assert stored() == [{**MAIL, "external_id": "7", "extra": {"External id (two)": "x9"}}]
    assert verdicts(imported([{**MAIL, "external_id": "7"}], system="one")) == {"unchanged": 1}


def test_rows_of_one_id_merge_although_their_names_differ() -> None:
    rows = [
        {**ADA, "external_id": "7", "last_contacted": "2024-01-01", "phone": "111"},
        {**ADA, "last_name": "King", "external_id": "7", "last_contacted": "2024-02-02", "phone": ""},
    ]
    counts = imported(rows)
    assert verdicts(counts) == {"inserted": 1, "duplicate": 1}
    assert counts["duplicates"][0]["differs"] == ["last_name", "last_contacted"]
    [contact] = stored()
    assert (contact["last_name"], contact["phone"]) == ("King", "111")


def test_rows_of_one_id_whose_name_and_address_both_differ_are_rejected_and_name_the_other() -> None:
    rows = [
        {**MAIL, "external_id": "7", "phone": "111"},
        {"last_name": "Bell", "email": "bell@x.org", "external_id": "7", "phone": "222"},
        {"last_name": "Bell", "email": "ada@x.org", "external_id": "8"},  # one of them differs: it merges
        {"last_name": "Stone", "email": "ada@x.org", "external_id": "8"},
        {"last_name": "Cole", "email": "cole@x.org", "external_id": "9"},
        {**MAIL, "external_id": ""},  # of nobody with an id, as that one is rejected
    ]
    counts = imported(rows, columns=["organization", "first_name", "last_name", "email", "external_id", "phone"])
    assert verdicts(counts) == {"inserted": 3, "duplicate": 1, "rejected": 2}
    assert set(ids()) == {"8", "9", None}
    assert ids()[None] == MAIL
    reason = "has the same external id as row {}, but another e-mail and another name: correct the id of one of them"
    found = {reject.row_number: reject.reason for reject in rejects(counts["import_id"])}
    assert found == {2: reason.format(3), 3: reason.format(2)}
    [[column, common, count]] = counts["reject_reasons"]
    assert (column, "another row" in common, count) == (None, True, 2)
    assert verdicts(imported([{**MAIL, "external_id": ""}])) == {"unchanged": 1}


@pytest.mark.parametrize("no_id", ["N/A", "0", "-", "00000000-0000-0000-0000-000000000000", "null"])
def test_a_placeholder_is_no_id(no_id: str) -> None:
    people = [{"last_name": name, "email": f"{name}@x.org", "external_id": no_id} for name in ("bob", "cyd")]
    assert verdicts(imported([*people, {**MAIL, "external_id": "7"}])) == {"inserted": 3}
    assert set(ids()) == {None, "7"}


def test_an_id_that_lost_digits_is_rejected() -> None:
    rows = [{**MAIL, "external_id": number} for number in ("1,23457E+11", "1.06E+03", "12E5")]
    assert verdicts(imported(rows)) == {"rejected": 2, "inserted": 1}
    assert set(ids()) == {"12E5"}


def test_a_guid_has_no_case_and_no_braces() -> None:
    guid = "5a1b2c3d-0000-1111-2222-333344445555"
    imported([{**MAIL, "external_id": guid.upper()}])
    renamed = {"last_name": "King", "email": "king@x.org", "external_id": f"{{{guid}}}"}
    assert verdicts(imported([renamed])) == {"updated": 1}
    assert set(ids()) == {guid}


def test_a_salesforce_id_of_15_and_of_18_characters_is_one_and_case_counts() -> None:
    imported([{**MAIL, "external_id": "003D000000QYVRv"}], system="salesforce")
    renamed = {"last_name": "King", "email": "king@x.org"}
    assert verdicts(imported([{**renamed, "external_id": "003D000000QYVRvIAP"}], system="salesforce")) == {"updated": 1}
    other = {"last_name": "Bell", "email": "bell@x.org", "external_id": "003D000000QYVRV"}
    assert verdicts(imported([other], system="salesforce")) == {"inserted": 1}
    assert set(ids()) == {"003D000000QYVRvIAP", "003D000000QYVRVIA5"}


def test_the_database_refuses_one_id_twice_in_a_system() -> None:
    imported([{**MAIL, "external_id": "7"}])
    with engine().connect() as connection, pytest.raises(Exception, match="contacts_source_system_external_id_key"):
        connection.execute(
            text("""
                INSERT INTO contacts (identity_hash, name_hash, external_id, source_system)
                SELECT 'x', 'x', external_id, source_system FROM contacts""")
        )


# --- weak identities


BRANCHES = [
    {"organization": "Nordbank", "street": "Main St 1", "city": "Bonn", "phone": "+49 1"},
    {"organization": "Nordbank", "street": "Harbour 2", "city": "Kiel", "phone": "+49 2"},
    {"organization": "Sudbank", "street": "Allee 4", "city": "Graz", "phone": "+43 3"},
]


def test_branches_of_an_organisation_are_identified_by_their_place() -> None:
    assert verdicts(imported(BRANCHES)) == {"inserted": 3}
    again = [{**row, "organization": row["organization"].upper(), "city": row["city"].upper()} for row in BRANCHES]
    imported(again)
    assert len(stored()) == 3
    assert verdicts(imported(BRANCHES[:1] * 2)) == {"updated": 1, "duplicate": 1}


def test_an_organisation_that_gets_an_address_is_the_same_one() -> None:
    imported(BRANCHES)
    assert verdicts(imported([{**BRANCHES[1], "email": "kiel@nordbank.org"}])) == {"updated": 1}
    assert verdicts(imported(BRANCHES)) == {"unchanged": 3}


def test_weak_rows_that_contradict_each_other_are_all_rejected_and_name_the_other() -> None:
    rows = [
        {**ADA, "phone": "111", "Zip": "1", "city": ""},
        {**ADA, "phone": "222", "Zip": "1", "city": ""},
        {**ADA, "phone": "", "Zip": "2", "city": "London"},
        {**ADA, "phone": "", "Zip": "", "city": "london"},  # contradicts nobody
        {"organization": "ACME", "first_name": "", "last_name": "Bell", "phone": "333", "Zip": "", "city": ""},
    ]
    counts = imported(rows)
    assert verdicts(counts) == {"rejected": 3, "inserted": 2}
    found = {reject.row_number: reject.reason for reject in rejects(counts["import_id"])}
    assert found.keys() == {2, 3, 4}
    assert found[2] == (  # its wording; the other tests look for the values in it
        "is the same person as row 3 by organisation and name, but differs in phone: give one of them an e-mail address"
    )
    assert "row 2 by organisation and name, but differs in phone: " in found[3]
    assert "row 2 by organisation and name, but differs in Zip: " in found[4]
    assert counts["reject_reasons"][0][0] is None
    assert "another row by organisation and name" in counts["reject_reasons"][0][1]
    assert counts["rejected_later"].rows == 3
    assert counts["rejected_later"].filled == {
        "organization": 3,
        "first_name": 3,
        "last_name": 3,
        "phone": 2,
        "city": 1,
    }
    assert counts["rejected_later"].filled_extra == {"Zip": 3}


def test_what_contradicting_rows_say_is_in_the_rejects_under_the_headings_of_the_file() -> None:
    rows = [
        {"Company": "ACME", "Full Name": "Ada Lovelace", "Phone": "111", "Last Contact": "2024-01-02", "Badge": "7"},
        {"Company": "ACME", "Full Name": "Ada Lovelace", "Phone": "222", "Last Contact": "", "Badge": ""},
    ]
    counts = imported(rows)
    assert verdicts(counts) == {"rejected": 2}
    assert [reject.row for reject in rejects(counts["import_id"])] == [
        [[heading, cell] for heading, cell in row.items() if cell] for row in rows
    ]
    assert "differs in Phone:" in rejects(counts["import_id"])[0].reason


def test_weak_rows_on_several_sheets_name_the_sheet() -> None:
    import_id, headings, _ = staged([{**ADA, "phone": "111"}, {**ADA, "phone": "222"}])
    with transaction() as connection:
        connection.execute(text(f"UPDATE import_staging_{import_id} SET sheet = 'Old' WHERE row_number = 3"))
        counts = matching.evaluate(connection, import_id, headings.fields).counts
        contacts.keep_rejects(connection, import_id, limit=9)
    assert counts["rejected"] == 2
    assert rejects(import_id)[0].reason.startswith("is the same person as row 3 of sheet Old by")


def test_a_weak_row_is_rejected_and_the_row_with_an_address_stays() -> None:
    counts = imported(
        [{**ADA, "email": "", "phone": "111"}, {**MAIL, "phone": "222"}, {**ADA, "email": "", "phone": ""}]
    )
    assert verdicts(counts) == {"inserted": 1, "rejected": 1, "duplicate": 1}
    assert stored() == [{**MAIL, "phone": "222"}]


def test_rows_with_an_address_and_no_name_merge_unless_they_contradict_each_other_also_in_extra() -> None:
    rows = [
        {"organization": "Acme", "email": "info@acme.com", "Guest": "Ann Lee", "city": "Bonn"},
        {"organization": "Acme", "email": "info@acme.com", "Guest": "Bob Ray", "city": ""},
        {"organization": "Beta", "email": "info@beta.com", "Guest": "Cyd Cole", "city": "Ulm"},
        {"organization": "Beta", "email": "info@beta.com", "Guest": "cyd cole", "city": ""},
        {"organization": "Gamma", "email": "info@gamma.com", "Guest": "Dan Dole", "city": ""},
        {"organization": "Delta", "email": "info@gamma.com", "Guest": "Dan Dole", "city": ""},
        {"organization": "Acme", "email": "", "Guest": "", "city": "Bonn"},  # known by its place, of nobody else
    ]
    counts = imported(rows)
    assert verdicts(counts) == {"rejected": 4, "inserted": 2, "duplicate": 1}
    found = {reject.row_number: reject.reason for reject in rejects(counts["import_id"])}
    values = {2: (3, "Guest"), 3: (2, "Guest"), 6: (7, "organization"), 7: (6, "organization")}
    assert found.keys() == values.keys()
    for row, (other, field) in values.items():
        assert f"row {other} by e-mail, but differs in {field}: " in found[row]
    assert found[2].endswith(": map the columns that hold their names, or give each row an e-mail address of its own")
    assert sorted(contact["organization"] for contact in stored()) == ["Acme", "Beta"]
    assert counts["distinguishing"] == [("Guest", 2, ["Ann Lee", "Bob Ray"])]
    assert verdicts(imported(rows[6:])) == {"unchanged": 1}


def test_where_the_file_has_one_part_of_the_names_an_address_with_it_proves_nobody_the_same() -> None:
    rows = [{"last_name": "Lee", "Nick": nick, "email": "lee@x.org"} for nick in ("Ann", "Bob")]
    assert verdicts(imported(rows)) == {"rejected": 2}
    whole = [{"first_name": "Ann", **row} for row in rows]
    assert verdicts(imported(whole)) == {"inserted": 1, "duplicate": 1}


def test_an_update_by_an_address_without_a_name_is_reported_as_a_weak_one() -> None:
    imported([{"email": "info@acme.com", "Guest": "Ann Lee"}, {**MAIL, "Guest": ""}])
    counts = imported([{"email": "info@acme.com", "Guest": "Bob Ray"}, {"email": "ada@x.org", "Guest": "Cyd"}])
    assert verdicts(counts) == {"updated": 1, "inserted": 1}
    assert counts["weak_updates"] == [{"sheet": "rows", "row": 2, "basis": "e-mail", "fields": ["extra"]}]
    assert changes("field", "heading", "old", "new", "basis") == [("extra", "Guest", "Ann Lee", "Bob Ray", "e-mail")]
    assert MAIL in stored()  # whoever has a name keeps it


def test_an_update_by_organisation_and_name_is_reported_and_what_it_replaced_is_kept() -> None:
    imported([{**ADA, "phone": "111", "notes": "old", "Badge": "1"}, {"organization": "Nordbank", "phone": "1 11"}])
    counts = imported(
        [
            {**ADA, "phone": "222", "notes": "", "Badge": "2", "city": "London"},
            {"organization": "Nordbank", "phone": "1 11", "notes": "more"},
        ]
    )
    assert verdicts(counts) == {"updated": 2}
    assert counts["weak_updates"] == [
        {"sheet": "rows", "row": 2, "basis": "organisation and name", "fields": ["phone", "extra"]},
        {"sheet": "rows", "row": 3, "basis": "organisation and place", "fields": []},
    ]
    assert set(changes("field", "heading", "old", "new", "basis")) == {
        ("phone", None, "111", "222", "organisation and name"),
        ("city", None, None, "London", "organisation and name"),
        ("extra", "Badge", "1", "2", "organisation and name"),
        ("notes", None, None, "more", "organisation and place"),
    }


def test_a_strong_update_is_no_weak_one() -> None:
    imported([{**MAIL, "phone": "111"}, {**ADA, "first_name": "Bob", "email": "", "phone": ""}])
    counts = imported([{**MAIL, "phone": "222"}])
    assert counts["weak_updates"] == []
    assert changes("field", "old", "new", "basis") == [("phone", "111", "222", "e-mail and name")]
    counts = imported([{**ADA, "first_name": "Bob", "email": "bob@x.org"}])
    assert [each["basis"] for each in counts["weak_updates"]] == ["organisation and name"]


def test_what_a_repeated_row_says_otherwise_is_kept_once() -> None:
    rows = [
        {**MAIL, "phone": "111", "Birthday": "1950", "last_contacted": "2024-01-01"},
        {**MAIL, "phone": "222", "Birthday": "1980", "last_contacted": "2024-02-02"},
    ]
    for _ in range(2):
        imported(rows)
    assert set(changes("field", "heading", "old", "new", "basis")) == {
        ("phone", None, "111", "222", "repeated row"),
        ("extra", "Birthday", "1950", "1980", "repeated row"),
        ("last_contacted", None, "2024-01-01", "2024-02-02", "repeated row"),
    }
    assert len(changes("id")) == 3


def test_judging_writes_nothing_but_staging() -> None:
    """So a preview that ends here changes nothing, and its rejects can be kept."""
    imported([ADA, {**MAIL, "first_name": "Bob"}])
    with engine().connect() as connection:
        before = connection.execute(text("SELECT xmin, ctid, * FROM contacts")).all()
    import_id, headings, _ = staged([{**MAIL, "external_id": "7"}, {"organization": "X", "external_id": "8"}])
    with transaction() as connection:
        counts = matching.evaluate(connection, import_id, headings.fields).counts
    assert (counts["updated"], counts["inserted"]) == (1, 1)
    with engine().connect() as connection:
        assert connection.execute(text("SELECT xmin, ctid, * FROM contacts")).all() == before
        assert connection.scalar(text("SELECT count(*) FROM contact_changes")) == 0


# --- last and first name in columns of their own, last name first


@pytest.mark.parametrize(
    ("headings", "people"),
    [
        (("성", "이름", "회사", "전화번호"), [("김", "민준"), ("김", "서연"), ("남궁", "민")]),
        (("姓", "名", "公司", "电话"), [("王", "小明"), ("王", "丽"), ("欧阳", "明")]),
        (("姓", "名前", "会社", "電話"), [("田中", "太郎"), ("田中", "花子"), ("田", "中太郎")]),
    ],
)
def test_people_with_names_of_one_syllable_are_distinguished(
    headings: Sequence[str], people: Sequence[tuple[str, str]]
) -> None:
    rows = [dict(zip(headings, (*name, "ACME", f"02-555-{n}"), strict=True)) for n, name in enumerate(people)]
    assert verdicts(imported(rows)) == {"inserted": 3}
    assert [(contact["last_name"], contact["first_name"], contact["phone"]) for contact in stored()] == [
        (*name, f"02-555-{n}") for n, name in enumerate(people)
    ]
    assert verdicts(imported([*rows[::-1], rows[0]])) == {"unchanged": 3, "duplicate": 1}
    changed = {**rows[0], headings[3]: "02-555-9999"}
    assert verdicts(imported([changed])) == {"updated": 1}
    assert {contact["phone"] for contact in stored()} == {"02-555-9999", "02-555-1", "02-555-2"}
    other_way_round = dict(zip(headings[:3], (people[0][1], people[0][0], "ACME"), strict=True))
    assert verdicts(imported([other_way_round])) == {"inserted": 1}
