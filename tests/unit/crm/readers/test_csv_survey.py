"""The first pass through delimited text: what it counts, and when it trusts a cell with line breaks."""

from array import array

from tasks.crm.readers.csv_shape import shape_of
from tasks.crm.readers.csv_survey import Survey, survey


def survey_of(text: str) -> Survey:
    return survey(text.splitlines(keepends=True), ",", '"')


PEOPLE = "".join(f"{name},{name}@x.org\n" for name in ("Ada", "Bea", "Cleo", "Dora", "Eva"))
SWALLOWED = 'Ann,"ann@x.org\nBob,bob@x.org\nCid,cid@x.org"\n'
ADDRESS = 'Ann,"ann@x.org\nor by telephone"\n'


def test_a_cell_that_holds_whole_rows_is_not_trusted() -> None:
    for text in (f"Name,Email\n{PEOPLE}{SWALLOWED}", 'Name,City,Land\nAnn,Bonn,"DE\nBob,Ulm,DE\nCid,Kiel,DE"\n'):
        found = survey_of(text)
        assert (found.rows_with_embedded_rows, found.several_lines) == (1, 0)
        assert found.trusts_line_breaks is False
        assert found.broken is True


def test_an_address_of_several_lines_is_trusted() -> None:
    found = survey_of('Name,Address\nAnn,"Main St 1\nBonn"\nBob,Ulm\n')
    assert (found.rows_with_embedded_rows, found.several_lines) == (0, 1)
    assert found.trusts_line_breaks is True
    assert found.broken is False


def test_as_many_cells_of_each_kind_are_trusted_and_one_more_is_not() -> None:
    assert survey_of(f"Name,Email\n{PEOPLE}{ADDRESS}{SWALLOWED}").broken is False
    assert survey_of(f"Name,Email\n{PEOPLE}{ADDRESS}{SWALLOWED}{SWALLOWED}").broken is True


def test_a_part_is_uniform_if_each_record_is_one_line() -> None:
    [part] = survey_of('Name,City\n"Ann",Bonn\n').parts
    assert (part.lines, part.rows, part.size, part.uniform) == (2, 2, 21, True)
    [part] = survey_of('Name,City\n"Ann\nLee",Bonn\n').parts
    assert (part.lines, part.rows, part.size, part.uniform) == (3, 2, 25, False)


def test_the_sample_holds_two_hundred_rows() -> None:
    for quoted in ("", '"'):
        found = survey_of("Name,City\n" + "".join(f"{quoted}A{n}{quoted},Bonn\n" for n in range(300)))
        assert [number for number, _ in found.sample] == list(range(1, 201))
        assert len(found.widths) == 301


def test_a_file_with_one_bad_quotation_mark_keeps_what_was_found_before_it() -> None:
    found = survey_of('Name,City\n"Ann"x,Bonn\nBob,Ulm\n')
    assert found.broken is True
    assert found.is_plain is False


def test_the_pieces_of_a_row_are_numbered_as_the_rows_are():
    assert shape_of(array("I", [3] * 10 + [2, 2] + [3] * 10), []).split_rows == {11, 12}


def test_a_footer_that_is_longer_than_its_table_does_not_give_its_width():
    shape = shape_of(array("I", [2, 2, 1, 1, 1]), [])
    assert (shape.width, shape.ragged) == (2, False)
