"""Which row of a sheet is taken for its headings, and the message about a sheet without any."""

import pytest

from tasks.crm.cell_kind import cell_kind
from tasks.crm.headings.error import HeadingsError
from tasks.crm.headings.heading_row import find_headings
from tasks.crm.headings.not_found import headings_not_found
from tasks.crm.headings.sheet_row import filled_rows


def rows(*cells):
    """Numbered rows, blank ones left out as readers do."""
    return [(number, list(row)) for number, row in enumerate(cells, start=1) if any(row)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("94523", "number"), ("1,234.50", "number"), ("-3", "number"), ("12 %", "number"), ("€ 1.200", "number"),
        ("4.9e+11", "number"), ("TRUE", "number"), ("2024-02-29", "date"), ("2024-02-29 12:30:00", "date"),
        ("29.2.2024", "date"), ("3/4/2024 5:06 AM", "date"), ("4 March 2024", "date"), ("Mar 4, 2024", "date"),
        ("2024年3月4日", "date"), ("12:30", "time"), ("5:06 PM", "time"), ("#DIV/0!", "error"), ("#N/A", "error"),
        ("#NV", "error"), ("#BEZUG!", "error"), ("########", "error"), ("ann@example.org", "email"),
        ("https://example.org/x", "url"), ("www.example.org", "url"), ("+49 30 123456", "phone"),
        ("(030) 123-456", "phone"), ("030 123456 ext. 12", "phone"), ("Phone 1", "word"),
        ("Address 1: Street 1", "word"), ("E-mail 2 - Value", "word"), ("# of employees", "word"), ("#Kunde", "word"),
        ("Q3 2024", "word"), ("", "blank"), ("名", "word"), ("x" * 1000 + "1", "word"),
        ("2nd phone", "word"), ("Adresse 2", "word"),
    ],
)  # fmt: skip
def test_the_kind_of_a_cell_is_detected_from_its_text(text, kind):
    assert cell_kind(text) == kind


def test_texts_of_numbers_dates_and_errors_are_no_words_of_headings():
    assert find_headings(rows(["94523", "2024-02-29", "#DIV/0!", "Email"], ["First name", "Email", "Phone", "x"])) == 2
    assert find_headings(rows(["Email", "1", "2.5", "3"])) is None


# --- rows above that look like data


def test_a_row_of_data_that_names_more_fields_is_not_the_headings():
    kinds = rows(["Name", "Sort", "Layer"], ["Mia Maro", "Human", "Land"], ["Ulm", "Company", "City"], ["Bo", "x", "y"])
    assert find_headings(kinds) == 1
    channels = rows(
        ["Name", "First", "Then"], ["Mia", "Phone", "Letter"], ["Acme", "Email", "Mobile"], ["Bo", "x", "y"]
    )
    assert find_headings(channels) == 1


def test_a_row_of_nothing_but_headings_below_data_is_not_the_headings():
    for data in (["Mia", "Via", "Ulm"], ["Mia", "Via"]):
        assert find_headings(rows(["Name", "Street", "Town"], data, ["Company", "City", "Phone"])) == 1


def test_a_row_of_data_is_not_the_headings_where_those_are_unknown():
    people = rows(
        ["Wer", "Sorte", "Ebene"], ["Mia Maro", "Mensch", "Staat"], ["Ulm", "Company", "City"], ["Bo", "a", "b"]
    )
    assert find_headings(people) is None
    assert find_headings(people, {"Wer": "full_name"}) == 1


@pytest.mark.parametrize(
    "above",
    [
        [["Mia", "Maro", "mia@example.org"]],
        [["Mia", "Maro", "mia@example.org"], ["Bo", "Bao", "bo@example.org"]],
    ],
)
def test_headings_in_the_midst_of_data_are_refused_and_no_row_is_lost(above):
    sheet = rows(*above, ["First name", "Last name", "Email"], ["Cy", "Cruz", "cy@example.org"])
    assert find_headings(sheet) is None
    assert "Mia" not in str(headings_not_found(sheet))


@pytest.mark.parametrize("headings", [["Name", "Email"], ["Name", "Email", "Phone", "City"]])
def test_two_rows_of_people_above_headings_are_data_if_they_fill_half_of_the_columns(headings):
    people = [["Mia Maro", "mia@example.org"], ["Bo Bao", "bo@example.org"]]
    assert find_headings(rows(*people, headings, ["Cy Cruz", "cy@example.org", "1", "Ulm"][: len(headings)])) is None


def test_two_rows_of_unknown_words_are_no_titles_of_a_row_with_another_unknown_word():
    assert find_headings(rows(["Mia", "Maro", "Acme"], ["Bo", "Bao", "Beta"], ["Cy", "Company", "City"])) is None


@pytest.mark.parametrize(
    ("sheet", "row"),
    [
        (rows(["Guests"], ["Summer party"], ["Name", "Email"], ["Mia", "mia@example.org"]), 3),
        (rows(["Exported", "2024-02-29"], ["Name", "Last contacted"], ["Mia", "2024-01-02"]), 2),
        (rows(["Questions?", "info@example.org"], ["Name", "Email"], ["Mia", "mia@example.org"]), 2),
        (rows(["Report", "Contacts", "2024-02-29"], ["Name", "Email", "Phone"], ["Mia", "m@example.org", "123"]), 2),
        (
            rows(
                ["List"], [], ["Owner", "Mia"], ["Name", "Email", "Phone", "City"], ["Bo", "b@example.org", "1", "Ulm"]
            ),
            4,
        ),
        (rows(["Wer", "Netz", "Wo"], ["Name", "Email", "City"], ["Mia", "mia@example.org", "Ulm"]), 2),
        (
            rows(
                ["Name", "Value"], ["Owner", "Mia"], ["Date", "today"], [], ["First name", "Last name"], ["Bo", "Bao"]
            ),
            5,
        ),
        (rows(["Wer", "Netz"], ["wer", "netz"], ["Name", "Email"], ["Mia", "mia@example.org"]), 3),
        (rows(["Contact", None, "Address"], ["First name", "Last name", "Street"], ["Mia", "Maro", "Hauptstr. 1"]), 2),
        (rows(["Contact", "Address", "Numbers"], ["Name", "Street", "Phone"], ["Mia", "Hauptstr. 1", "123"]), 2),
        (rows(["Contact", "Value"], ["Owner", "Mia"], ["First name", "Last name", "City"], ["Bo", "Bao", "Ulm"]), 3),
        (rows(["Contact", "Address", "Numbers"], ["Guests"], ["Name", "Street", "Phone"], ["Mia", "Via 1", "123"]), 3),
        (rows(["Contact", "Value"], ["Owner", "Mia", "Ulm"], ["Name", "City"], ["Bo", "Kiel"]), 3),
        (rows(["Event", "Fair"], ["Host", "Mia"], ["Name", "City"], ["Bo", "Ulm"]), 3),
        (rows(["info@example.org"], ["fair@example.org"], ["Email", "Name"], ["mia@example.org", "Mia"]), 3),
        (
            rows(
                ["Questions?", "info@example.org"],
                ["Tickets", "fair@example.org"],
                ["Name", "Email", "Phone", "City", "Zip"],
                ["Mia", "mia@example.org", "123", "Ulm", "89073"],
            ),
            3,
        ),
    ],
)
def test_titles_and_notes_above_the_headings_are_no_data(sheet, row):
    assert find_headings(sheet) == row


def test_a_second_list_below_does_not_take_the_headings():
    assert find_headings(rows(["Name", "City", "Zip"], ["Mia", "Ulm", "89073"], [], ["Name", "City", "Phone"])) == 1


# --- the user says the row


def test_the_user_says_which_row_holds_the_headings():
    sheet = [*rows(*[["A line"]] * 35), (36, ["Name", "Email"]), (37, ["Mia", "mia@example.org"])]
    assert find_headings(sheet) is None
    assert find_headings(sheet, heading_row=36) == 36
    assert find_headings(sheet, heading_row=3) == 3


@pytest.mark.parametrize("row", [2, 9])
def test_a_row_that_is_blank_or_missing_cannot_hold_the_headings(row):
    sheet = rows(["A list"], [], ["Name", "Email"])
    with pytest.raises(HeadingsError) as error:
        find_headings(sheet, heading_row=row)
    assert error.value.codes == ("blank_row",)
    assert f"row {row}" in str(error.value)
    assert "--heading-row: row" in error.value.message("command line")


# --- refusals


def test_for_headings_far_down_the_error_names_the_rows_that_were_searched_and_the_option():
    error = headings_not_found([*rows(*[["A line"]] * 35), (36, ["Name", "Email"])])
    assert error.codes[-1] == "searched_rows"
    assert "in rows 1 to 30" in str(error)
    assert "--heading-row" in error.message("command line")
    assert error.headings == ()
    assert headings_not_found([(31, ["Name", "Email"])]).codes == ("blank_sheet", "searched_rows")


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_a_sheet_that_is_not_split_into_columns_is_an_error_with_advice(delimiter):
    lines = [["Vorname", "Nachname", "E-Mail"], ["Mia", "Maro", "mia@example.org"], ["Bo", "Bao", ""]]
    error = headings_not_found(rows(*[[delimiter.join(line)] for line in lines]))
    assert error.codes == ("not_split",)
    assert "Data > Text to Columns" in str(error)
    assert "Mia" not in str(error)
    assert "columns={" not in str(error)  # which would not help


def test_a_column_of_sentences_is_not_taken_for_rows_that_are_not_split():
    error = headings_not_found(rows(["Minutes, of May"], ["We met."], ["We ate, drank, and left."], ["Then we slept."]))
    assert "split" not in str(error)


def test_people_without_headings_are_refused_without_their_names():
    sheets = [
        rows(["Mia", "Maro", "Acme"], ["Bo", "Bao", "Beta"]),
        rows(["Mia", "Maro", "Acme", "+44 20 7946 0000"], ["Bo", "Bao", "Beta", "+44 20 7946 0001"]),
        rows(["Mia Maro", "Human", "Land"], ["Bo Bao", "Phone", "City"], ["Cy", "x", "y"]),
    ]
    for sheet in sheets:
        assert find_headings(sheet) is None
        error = headings_not_found(sheet)
        assert error.headings == ()
        for name in ("Mia", "Maro", "Acme", "Bo", "Bao"):
            assert name not in error.message("ui") + error.message("command line")


def test_headings_that_are_known_in_part_are_listed():
    error = headings_not_found(rows(["Wer", "Haus", "Ort", "PLZ"], ["Mia Maro", "Acme", "Ulm", "89073"]))
    assert error.headings == ("Wer", "Haus", "Ort", "PLZ")
    assert error.codes == ("nothing_identifies", "searched_rows")


# --- what was taken for headings or for titles, and is a person's


@pytest.mark.parametrize(
    "sheet",
    [
        rows(["Ann", "Lee", "ann@x.org"], ["Bob", "Ray", "b@x.org"], ["Company", "City", "Phone"], ["Acme", "Ulm"]),
        rows(["Ann", "Lee", "ann@x.org"], ["Bob", "Ray", "b@x.org"], ["Company", "City", "Zip", "Street", "Country"]),
        rows(["Ann", "Lee", "ann@x.org"], ["Company", "City", "Phone"], ["Acme", "Ulm", "0228 1111111"]),
        rows(["Acme", "Ann Lee", "Bonn"], ["Company", "Name", "City"], ["Beta", "Bob Ray", "Ulm"]),
        rows(["Acme", "Ann", "ann@x.org"], ["Company", "Name", "Email", "City"], ["Beta", "Bob Ray", None, "Ulm"]),
        rows(["Acme", "Bonn", "2034-01-02"], [], ["Company", "City", "Last Contacted"], ["Beta", "Ulm", "2034-02-03"]),
    ],
)  # fmt: skip
def test_records_above_the_headings_are_not_left_out_but_refused_with_the_way_out(sheet):
    assert find_headings(sheet) is None
    text = headings_not_found(sheet).message("command line")
    number = next(number for number, cells in sheet if cells[0] == "Company")
    assert f"row {number} holds headings" in text
    assert "--heading-row" in text
    assert find_headings(sheet, heading_row=number) == number


@pytest.mark.parametrize(
    ("sheet", "row"),
    [
        (rows(["Filter", "Country", "Germany"], ["Company", "Name", "City"], ["Beta", "Bob Ray", "Ulm"]), 2),
        (rows(["Exported", "2034-01-01"], ["Company", "Name", "City"], ["Beta", "Bob Ray", "Ulm"]), 2),
        (
            rows(
                ["Event", "Summer Party", "2034-06-01"],
                ["Contact", "Jane Doe", "jane@event.org"],
                ["Place", "Residence", "Oslo"],
                [],
                ["Name", "Email", "Diet"],
                ["Ann Lee", "ann@x.org", "vegan"],
            ),
            5,
        ),
        (
            rows(
                ["Host", "Jane Doe", "jane@x.org"],
                ["Place", "Hall", "Oslo", "Norway"],
                ["Name", "Email", "Diet"],
                ["Ann", "ann@x.org", "vegan"],
            ),
            3,
        ),
        (rows(["Host", "Jane Doe", "jane@x.org"], [], ["Name", "Email", "Diet"], ["Ann", "ann@x.org", "vegan"]), 3),
        (rows(["Host", "Jane Doe", "jane@x.org"], ["Name", "Email"], ["Ann", "ann@x.org"]), 2),
        (rows(["Host", "Jane", "jane@x.org"], ["Name", "Email", "Diet", "Zip", "City"], ["Ann", "ann@x.org"]), 2),
    ],
)
def test_filters_dates_and_contacts_above_the_headings_are_no_records(sheet, row):
    assert find_headings(sheet) == row


@pytest.mark.parametrize(
    "sheet",
    [
        rows(["Name", "Ann Lee", "Bob Ray"], ["Email", "ann@x.org", "bob@x.org"], ["Phone", "030 1", "030 2"]),
        rows(["Company", "Acme", "Beta"], ["Contact", "Ann Lee", "Bob Ray"], ["City", "Bonn", "Ulm"]),
        rows(["Name:", "Ann Lee"], ["Email:", "a@x.org"], [], ["Name:", "Bob Ray"], ["Email:", "b@x.org"]),
        rows(["Contacts"], [None, "Contact 1", "Contact 2"], ["Vorname", "Ann", "Bob"], ["Nachname", "Lee", "Ray"]),
        rows(["Name", "Ann Lee"], ["Hobby", "Chess"], ["Email", "ann@x.org"], ["Pet", "Cat"]),
    ],
)
def test_a_table_on_its_side_is_refused_as_such(sheet):
    assert find_headings(sheet) is None
    assert find_headings(sheet, {"Name": "full_name"}, must_identify=False) is None
    error = headings_not_found(sheet)
    assert error.codes == ("transposed",)
    assert not any(name in str(error) for name in ("Ann", "Acme", "x.org"))


@pytest.mark.parametrize(
    "sheet",
    [
        rows(["Name", "Use"], ["Letter", "rare"], ["Email", "often"], ["Visit", "rare"], ["Radio", "never"]),
        rows(["Name", "City"], ["Company", "Ulm"], ["Bo", "Kiel"]),
    ],
)
def test_a_list_with_some_words_of_headings_in_its_first_column_is_not_on_its_side(sheet):
    assert find_headings(sheet) == 1


def test_the_users_mapping_shows_that_a_table_is_on_its_side():
    sheet = rows(["Kunde", "Acme", "Beta"], ["City", "Bonn", "Ulm"], ["Phone", "030 1", "030 2"])
    assert find_headings(sheet, {"Kunde": "organization"}) is None
    assert headings_not_found(sheet, {"Kunde": "organization"}).codes == ("transposed",)


@pytest.mark.parametrize(
    "cell", ["jane@event.org", "Jane <jane@event.org>", "+49 30 123456", "030 1234567", "4930123456"]
)
def test_a_row_with_an_address_or_a_telephone_number_is_no_row_of_headings(cell):
    sheet = rows(["Contact", "Email", "Phone", cell], ["Ann Lee", "ann@x.org", "111", "x"])
    assert find_headings(sheet) is None
    with pytest.raises(HeadingsError, match="row 1") as error:
        find_headings(sheet, heading_row=1)
    assert error.value.codes == ("personal_row",)
    assert cell not in str(error.value)


@pytest.mark.parametrize("heading", ["Email (such as ann@x.org)", "2033-2034", "20340101", "2034", "E-mail 2 - Value"])
def test_years_and_examples_in_headings_are_no_persons(heading):
    assert find_headings(rows(["Name", "Company", "City", heading], ["Ann Lee", "Acme", "Ulm", "x"])) == 1


@pytest.mark.parametrize(("numbers", "named"), [(1, True), (2, True), (3, False)])
def test_a_row_of_mostly_numbers_names_no_fields(numbers, named):
    [row] = filled_rows([(1, ["Name", "Email", *range(100, 100 + numbers)])], {}, None)
    assert bool(row.named) is named
