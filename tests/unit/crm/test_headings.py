"""Headings of real exports (docs/exports.csv); which column becomes which field, and what is refused."""

import csv
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.project import ROOT, SHARED

from deployments.reference import exports
from tasks.crm.headings.column_mapping import REASON_HEADING, map_columns
from tasks.crm.headings.error import HeadingsError
from tasks.crm.headings.heading_row import find_headings
from tasks.crm.headings.table import FIELDS, NO_FIELD, ONLY_IN_ITS_LANGUAGE, heading_table, key
from tasks.crm.headings.text import column_letter

TABLE = heading_table()
DATA = SHARED / "workbooks"

# export: (headings, field -> the heading that must take it)
EXPORTS = {
    export: (tuple(heading for heading, _ in rows), {field: heading.strip() for heading, field in rows if field})
    for export, rows in exports().items()
}


def fields_of(headings, overrides=None):
    """Field -> heading of the column that takes it."""
    mapping = map_columns(headings, overrides)
    return {field: mapping.headings[column] for column, field in mapping.fields.items()}


@pytest.mark.parametrize("product", EXPORTS)
def test_a_real_export_is_mapped_and_nothing_of_it_is_lost(product):
    headings, expected = EXPORTS[product]
    assert fields_of(headings) == expected
    mapping = map_columns(headings)
    assert sorted([*mapping.fields, *mapping.extra]) == list(range(len(headings)))
    assert len(set(mapping.extra.values())) == len(mapping.extra)


@pytest.mark.parametrize("product", EXPORTS)
def test_the_docs_say_which_headings_of_a_product_are_known(product):
    page = (ROOT / "docs" / "headings.md").read_text(encoding="utf-8")
    [row] = [line for line in page.splitlines() if line.startswith(f"| {product} |")]
    assert set(row.replace("\\", "").split(" | ")[1].removesuffix(" |").split(" · ")) == set(
        EXPORTS[product][1].values()
    )


@pytest.mark.parametrize("product", EXPORTS)
def test_the_order_of_columns_does_not_matter(product):
    headings, expected = EXPORTS[product]
    shuffled = random.Random(7).sample(headings, len(headings))
    assert fields_of(shuffled) == expected


@pytest.mark.parametrize("product", EXPORTS)
def test_headings_are_found_below_a_title_and_blank_rows(product):
    headings, _ = EXPORTS[product]
    data = ["Ada Ltd", "Ada", "x@y.org", 12, None]
    rows = [(1, ["Report of contacts", None]), (2, []), (3, [None, ""]), (5, list(headings)), (6, data), (7, data)]
    assert find_headings(rows) == 5


@pytest.mark.parametrize("field", [field for field in FIELDS if field != "external_id"])
def test_every_alias_maps_to_its_field_in_any_spelling(field):
    beside = "Organisation" if field not in {"organization", "full_name"} else "Zip"
    aliases = {
        heading
        for row in TABLE.rows
        if row.field == field and ONLY_IN_ITS_LANGUAGE not in row.rules
        for heading in row.headings
    }
    found = {
        spelling: map_columns([spelling, beside]).fields.get(0)
        for heading in aliases
        for spelling in (heading, f"  {heading.upper()} ", heading.replace(" ", "_"), heading + "*")
    }
    assert found
    assert {spelling: other for spelling, other in found.items() if other != field} == {}


def test_an_alias_means_one_thing_and_names_who_writes_it():
    meanings = {}
    for row in TABLE.rows:
        assert row.source
        if row.field in {NO_FIELD, "external_id"} or ONLY_IN_ITS_LANGUAGE in row.rules:
            continue
        assert row.field in FIELDS
        assert row.rank > 0
        for heading in row.headings:
            assert meanings.setdefault(key(heading), (row.field, row.rank)) == (row.field, row.rank), heading
    assert {alias.field for alias in TABLE.aliases.values()} | {"external_id"} == set(FIELDS)


def test_accents_and_case_do_not_matter_but_japanese_voicing_marks_do():
    assert key("É-mail_ ADRESSE") == key("e mail adresse")
    assert key("Località") == key("localita")
    assert key("آدرس") == key("ادرس")
    assert key("Straße") == key("STRASSE")
    assert key("タグ") != key("タク")


# --- names


@pytest.mark.parametrize(
    ("headings", "expected"),
    [
        (("Name", "Vorname", "Firma"), {"last_name": "Name", "first_name": "Vorname", "organization": "Firma"}),
        (("Nom", "Prénom"), {"last_name": "Nom", "first_name": "Prénom"}),
        (("Nom", "Société"), {"full_name": "Nom", "organization": "Société"}),
        (("Nombre", "Empresa"), {"full_name": "Nombre", "organization": "Empresa"}),
        (("Nome", "Sobrenome"), {"first_name": "Nome", "last_name": "Sobrenome"}),
        (("Ime", "Priimek"), {"first_name": "Ime", "last_name": "Priimek"}),
        (("Naam", "Voornaam"), {"last_name": "Naam", "first_name": "Voornaam"}),
        (("氏名", "会社名"), {"full_name": "氏名", "organization": "会社名"}),
        (("Full Name", "First Name"), {"full_name": "Full Name"}),
        (("Full Name", "Last Name"), {"last_name": "Last Name"}),
        (("Name", "Annual Revenue", "Email"), {"organization": "Name", "email": "Email"}),
        (("Name", "Company", "Annual Revenue"), {"full_name": "Name", "organization": "Company"}),
    ],
)
def test_a_bare_name_is_read_beside_its_neighbours(headings, expected):
    assert fields_of(headings) == expected


def test_a_name_with_two_meanings_is_an_error_that_an_override_solves():
    with pytest.raises(HeadingsError) as error:
        map_columns(["Name", "First Name", "Email"])
    assert error.value.codes == ("name_or_last_name",)
    settled = fields_of(["Name", "First Name", "Email"], {"Name": "last_name"})
    assert settled == {"last_name": "Name", "first_name": "First Name", "email": "Email"}


def test_deals_are_not_taken_for_people():
    opportunities = ["ID", "ACCOUNTID", "NAME", "DESCRIPTION", "STAGENAME", "AMOUNT", "CLOSEDATE", "LEADSOURCE"]
    assert find_headings([(1, opportunities)]) is None
    with pytest.raises(HeadingsError) as error:
        map_columns(opportunities)
    assert error.value.codes == ("nothing_identifies",)


def test_odoo_says_which_rows_are_companies():
    mapping = map_columns(EXPORTS["Odoo 12 import template"][0])
    assert mapping.company_flag == 1
    assert mapping.extra[1] == "Is a company"
    assert map_columns(["Name", "Email", "Score"]).company_flag is None
    assert map_columns(["Name", "Email", "Is a company"], {"Is a company": "extra"}).company_flag is None


def test_outlook_in_french_heads_two_columns_alike_and_the_second_is_the_job():
    french = (
        "Titre", "Prénom", "Deuxième prénom", "Nom", "Suffixe", "Société", "Service", "Titre", "Rue (bureau)",
        "Ville (bureau)", "Pays/Région (bureau)", "Téléphone (bureau)", "Tél. mobile", "Adresse de messagerie",
    )  # fmt: skip
    mapping = map_columns(french)
    assert mapping.fields[7] == "title"
    assert mapping.extra[0] == "Titre"
    assert mapping.fields[3] == "last_name"
    assert set(mapping.fields.values()) == {
        "title", "first_name", "last_name", "organization", "street", "city", "country", "phone", "email",
    }  # fmt: skip


# --- errors


def test_two_columns_for_one_field_are_named_with_their_letters():
    with pytest.raises(HeadingsError) as error:
        map_columns(["Last name", "E-mail", "Email", "Shoe size"])
    assert 'email is in "E-mail" (column B) and "Email" (column C)' in str(error.value)
    assert '"Email (C)"' in str(error.value), "the one to map"
    assert '"Shoe size"' in str(error.value)


@pytest.mark.parametrize(("columns", "end"), [(10, "(column K): map"), (11, "(column K) and 1 more: map")])
def test_ten_of_many_columns_for_one_field_are_named(columns, end):
    with pytest.raises(HeadingsError) as error:
        map_columns(["Name", *["Email"] * columns])
    assert end in str(error.value)


@pytest.mark.parametrize(("heading", "shown"), [("x" * 60, "x" * 60), ("x" * 61, "x" * 59 + "…")])
def test_a_message_shows_sixty_characters_of_a_heading(heading, shown):
    with pytest.raises(HeadingsError) as error:
        map_columns(["Email"], {heading: "city"})
    assert f'no heading "{shown}"' in str(error.value)


@pytest.mark.parametrize("headings", [["Email", "Email"], ["Nombre", "Nombre", "Apellidos"], ["Titre"] * 3 + ["Nom"]])
def test_the_same_heading_twice_is_an_error(headings):
    with pytest.raises(HeadingsError) as error:
        map_columns(headings)
    assert error.value.codes == ("two_columns",)


def test_a_letter_distinguishes_two_equal_headings():
    mapping = map_columns(["Email", "Email"], {"Column B": "extra"})
    assert mapping.fields == {0: "email"}
    assert mapping.extra == {1: "Email"}


def test_the_error_names_a_column_among_equal_ones_so_that_it_can_be_given_a_field():
    headings = ["Name", "Email", "Phone", "Phone", "Phone"]
    with pytest.raises(HeadingsError) as error:
        map_columns(headings)
    assert '"Phone (E)", to extra with --column' in error.value.message("command line")
    mapping = map_columns(headings, {"Phone (E)": "extra", "phone (D)": "ignore"})
    assert mapping.fields == {0: "full_name", 1: "email", 2: "phone"}
    assert mapping.extra == {4: "Phone"}
    assert mapping.dropped == {3}
    with pytest.raises(HeadingsError, match=r'"Phone \(B\)"') as error:
        map_columns(headings[:3], {"Phone (B)": "extra"})
    assert error.value.codes == ("no_such_heading",)


def test_a_heading_that_ends_like_a_letter_is_that_heading():
    assert map_columns(["Name", "Note (A)", "Note (B)"], {"Note (A)": "notes"}).fields == {0: "full_name", 1: "notes"}


@pytest.mark.parametrize("heading", ["Priimek in ime", "Nom et prénom", "氏名", "Cognome e nome"])
def test_a_heading_says_that_the_last_name_is_written_first(heading):
    assert map_columns([heading]).last_first
    assert not map_columns([heading, "Last Name"]).last_first
    assert not map_columns(["Full Name"]).last_first


def test_an_error_does_not_show_a_person_in_the_row_of_the_headings():
    with pytest.raises(HeadingsError) as error:
        map_columns(["Ann Lee", "ann@example.org"])
    assert "Ann" not in str(error.value)
    assert "ann@" not in str(error.value)
    assert error.value.headings == ()


def test_headings_that_identify_nothing_are_listed_with_what_to_do():
    with pytest.raises(HeadingsError) as error:
        map_columns(["Phone", "City", None, "Kunde"])
    text = str(error.value)
    for part in ('A "Phone"', 'B "City"', 'C "Column C"', 'D "Kunde"', "columns={", *FIELDS, "organization"):
        assert part in text
    assert "Fields: organization, first_name, last_name, full_name, title, " in text
    assert fields_of(["Phone", "City", None, "Kunde"], {"kunde ": "Organization"})["organization"] == "Kunde"


@pytest.mark.parametrize("headings", [["First Name", "Phone"], ["Mobile", "Vorname"], ["Given Name", "City", "Tel."]])
def test_a_first_name_and_a_number_suffice(headings):
    sheet = [(1, ["My list"]), (2, headings), (3, ["Ann", "0301234567"]), (4, ["Bob", "0307654321"])]
    assert find_headings(sheet) == 2
    assert {"first_name", "phone"} <= fields_of(headings).keys()


@pytest.mark.parametrize("headings", [["First Name", "City"], ["Phone", "City"], ["First Name"]])
def test_a_first_name_or_a_number_alone_does_not(headings):
    with pytest.raises(HeadingsError) as error:
        map_columns(headings)
    assert error.value.codes == ("nothing_identifies",)


def test_one_error_has_all_problems():
    with pytest.raises(HeadingsError) as error:
        map_columns(["Phone", "Telephone", "City"], {"Firma": "organization", "City": "town"})
    assert error.value.codes == ("no_such_heading", "no_such_field", "two_columns", "nothing_identifies")
    for named in ('"Firma"', '"town"', '"City"', "phone"):
        assert named in str(error.value)


def test_two_overrides_for_one_field_or_one_column_are_errors():
    for headings in (["A1", "B1"], ["Phone*", "City*"]):
        with pytest.raises(HeadingsError, match="organization") as error:
            map_columns(headings, dict.fromkeys(headings, "organization"))
        assert error.value.codes == ("two_columns",)
    with pytest.raises(HeadingsError, match='"A1"') as error:
        map_columns(["A1", "Email"], {"A1": "organization", "a1": "notes"})
    assert error.value.codes == ("mapped_twice",)


# --- overrides


def test_an_override_beats_every_alias():
    assert fields_of(["Email", "Kontakt", "Last Name"], {"Kontakt": "email"}) == {
        "email": "Kontakt",
        "last_name": "Last Name",
    }
    assert fields_of(["Email", "E-mail (private)"], {"E-mail (private)": "email"}) == {"email": "E-mail (private)"}
    billing = "Company (billing)"
    assert fields_of(["Related Company", billing], {billing: "organization"}) == {"organization": billing}
    names = {"full_name": "Full Name", "first_name": "Rufname"}
    assert fields_of(["Full Name", "Rufname"], {"Rufname": "first_name"}) == names
    mapping = map_columns(["Email", "Title"], {"Title": "extra"})
    assert mapping.fields == {0: "email"}
    assert mapping.extra == {1: "Title"}


def test_overrides_help_to_find_the_headings():
    rows = [(1, ["Liste"]), (2, ["Kunde", "Wohnhaft in"]), (3, ["ACME", "Bonn"])]
    assert find_headings(rows) is None
    assert find_headings(rows, {"Kunde": "organization", "Wohnhaft in": "city"}) == 2


# --- extra


def test_blank_and_repeated_headings_have_names_of_their_own():
    mapping = map_columns(["Email", None, "", "Score", "Score", "score ", "Score (2)", "Column B"])
    assert mapping.extra == {
        1: "Column B", 2: "Column C", 3: "Score", 4: "Score (2)", 5: "score", 6: "Score (2) (2)", 7: "Column B (2)",
    }  # fmt: skip
    assert mapping.extra_name(27) == "Column AB"
    assert mapping.headings[:3] == ("Email", "Column B", "Column C")


def test_the_reasons_of_an_earlier_import_are_dropped():
    mapping = map_columns(["Email", "Zip", REASON_HEADING])
    assert mapping.dropped == {2}
    assert 2 not in mapping.extra
    assert 2 not in mapping.fields


def test_headings_of_any_kind_break_nothing():
    mapping = map_columns(["E-mail\x00", "a\ud800b", "x" * 40_000, 2024.0, "two\nlines", "\x00", True])
    assert mapping.fields == {0: "email"}
    assert mapping.extra[1] == "a\ufffdb"
    assert mapping.extra[2] == "x" * 199 + "…"
    assert mapping.extra[3] == "2024"
    assert mapping.extra[4] == "two lines"
    assert mapping.extra[5] == "Column F"
    "".join([*mapping.headings, *mapping.extra.values()]).encode()
    assert map_columns(["Email", "x" * 200]).extra[1] == "x" * 200


@given(st.lists(st.one_of(st.none(), st.integers(), st.text(), st.sampled_from(sorted(TABLE.aliases)))))
def test_any_headings_are_mapped_without_loss_or_refused(headings):
    try:
        mapping = map_columns(headings)
    except HeadingsError as error:
        str(error).encode()
        return
    assert sorted([*mapping.fields, *mapping.extra, *mapping.dropped]) == list(range(len(headings)))
    assert len(set(mapping.fields.values())) == len(mapping.fields)
    assert len(set(mapping.extra.values())) == len(mapping.extra)
    assert find_headings([(1, headings)]) in {1, None}


def test_column_letters_are_excels():
    assert [column_letter(i) for i in (0, 25, 26, 701, 702, 16_383)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]


# --- finding the heading row


def test_the_row_that_names_most_fields_is_the_heading_row():
    rows = [
        (2, ["Contact", None, "Address", None]),
        (3, ["First name", "Last name", "Street", "City"]),
        (4, ["City", "Phone", "Email", "Name"]),
    ]
    assert find_headings(rows) == 3


def test_a_linkedin_export_begins_with_notes_that_are_no_headings():
    rows = [
        (1, ["Notes:"]),
        (2, ["When exporting your connection data ..."]),
        (4, list(EXPORTS["LinkedIn connections"][0])),
    ]
    assert find_headings(rows) == 4


def test_a_list_with_a_single_known_column_is_found():
    assert find_headings([(1, ["account", "sector", "revenue"]), (2, ["Acme", "x", 1])]) == 1
    assert find_headings([(1, ["Newsletter"]), (3, ["Email"]), (4, ["a@b.org"])]) == 3


def test_a_single_known_heading_below_notes_counts_where_it_is_much_wider_than_they_are():
    notes = [(1, ["A list of the dead", None]), (2, ["For the sake of it,", "these rows exist"])]
    assert find_headings([*notes, (5, ["Name", "Profession", "Age", "Born"])]) == 5
    assert find_headings([*notes, (5, ["Name", "Profession", "Age"])]) is None
    assert find_headings([(1, ["A list of the dead", None]), (5, ["Name", "Age"])]) == 5
    assert find_headings([*notes, (5, ["Name", "LAU, WAI KEUNG"])]) is None


def test_a_cover_page_with_a_word_that_could_be_a_heading_is_no_list():
    assert find_headings([(1, ["Contact"]), (3, ["account", "sector", "revenue"])]) == 3
    assert find_headings([(1, ["Our donors"]), (3, ["Contact"]), (4, ["Jane Roe", "Press office", "by phone"])]) is None


def test_forms_lists_of_words_and_data_are_no_headings():
    form = [(3, [None, "First Name", "Call Type"]), (5, ["Last Name"]), (15, ["Email"]), (17, ["Phone Number"])]
    words = [(1, ["Stages", "Sources"]), (2, ["New", "Referral"]), (4, ["Quoted", "Email", "Meeting"])]
    glossary = [(1, ["Import your contacts"]), (4, ["Column name", "Meaning"]), (5, ["name", "The name of it"])]
    numbers = [(1, ["Email", 1, 2.5, 3])]
    assert [find_headings(rows) for rows in (form, words, glossary, numbers, [])] == [None] * 5


def test_headings_are_looked_for_on_the_first_thirty_lines():
    headings = ["First name", "Last name", "Email"]
    assert find_headings([(30, headings)]) == 30
    assert find_headings([(31, headings)]) is None


def test_headings_with_two_columns_on_one_field_are_still_the_headings():
    assert find_headings([(1, ["Email", "E-mail", "Last name"]), (2, ["a@b.org", "c@d.org", "Roe"])]) == 1


def test_without_usable_headings_the_likeliest_row_is_what_the_error_lists():
    rows = [(1, ["A list"]), (2, ["Phone", "City"]), (3, ["1234", "Bonn"])]
    assert find_headings(rows) is None
    assert find_headings(rows, must_identify=False) == 2
    assert find_headings([(1, [None])], must_identify=False) is None
    words = [(1, ["List"]), (2, ["of friends"]), (3, ["Kunde"])]
    assert find_headings(words, {"Kunde": "city"}, must_identify=False) == 3
    people = [(1, ["Mia", "Maro"]), (2, ["Bo", "Bao"]), (3, ["City", "Cruz"])]
    assert find_headings(people, must_identify=False) == 1


@pytest.mark.parametrize(
    ("name", "delimiter", "row"),
    [
        ("atomic-crm/contacts_export.csv", ",", 1),
        ("febrl/dataset1.csv", ",", 1),
        ("maven-crm/accounts.csv", ",", 1),
        ("maven-crm/sales_teams.csv", ",", None),
        ("salesforce-dataloader/accountData.csv", ",", 1),
        ("salesforce-dataloader/opportunityData.csv", ",", None),
        ("openrefine/government_contracts.csv", ",", None),
    ],
)
def test_headings_of_real_files_are_found_where_the_files_are(name, delimiter, row):
    path = DATA / name
    if not path.exists():
        pytest.skip("the shared data is not here")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = [(i, cells) for i, cells in zip(range(1, 31), csv.reader(file, delimiter=delimiter), strict=False)]
    assert find_headings(rows) == row
