"""The first pass through delimited text: what it counts, and when it trusts a cell with line breaks."""

import io
from array import array

import pytest

from tasks.crm.readers.arrow_columns import number_column, text_column
from tasks.crm.readers.csv_records import NEVER_CLOSES
from tasks.crm.readers.csv_shape import kind, shape_of, with_surplus_faults
from tasks.crm.readers.csv_survey import Survey, survey, survey_broken
from tasks.crm.readers.refused import UnreadableError
from tasks.crm.readers.table import Block, Fault


def survey_of(text: str) -> Survey:
    return survey(io.StringIO(text, newline=""), ",", '"')


def survey_of_broken(text: str) -> Survey:
    return survey_broken(io.StringIO(text, newline=""), ",", '"', survey_of(text))


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


@pytest.mark.parametrize(
    ("record", "counts"),
    [
        ('Ann,"Main St 1\nBonn, Germany"', (0, 1)),  # people write a blank after a comma
        ('Ann,"Main St 1\nBonn,Germany"', (0, 1)),  # one comma says little where no column has a kind
        ('Ann,"Main St 1\rBonn"', (0, 1)),
        ('Ann,"ann@x.org\n"', (0, 1)),
        ('Ann,"Acme ""A"""', (0, 0)),
        ('Ann,Acme,"Sales\nBob,Beta,Sales"', (1, 0)),
    ],
)
def test_a_cell_of_several_lines_holds_rows_if_its_first_and_last_line_are_rows(
    record: str, counts: tuple[int, int]
) -> None:
    found = survey_of(f"{record}\nx\n")
    assert (found.rows_with_embedded_rows, found.several_lines) == counts


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ('Name,Email\nAnn,ann@x.org\nBob,"bob@x.org\nCid,cid@x.org"\n', (1, 0)),
        ('Name,Email\nAnn,ann@x.org\nBob,"by mail\nCid,cid@x.org\nDora,dora@x.org"\n', (0, 1)),
        ('Name,Email\nAnn,"ann@x.org\nor by mail"\nBob,bob@x.org\nCid,"cid@x.org\nDora,dora@x.org"\n', (1, 1)),
        ('Email\nann@x.org\n"bob@x.org\ncid@x.org"\n', (0, 1)),
    ],
)
def test_lines_of_a_cell_are_rows_if_they_are_like_the_rows_above(text: str, counts: tuple[int, int]) -> None:
    found = survey_of(text)
    assert (found.rows_with_embedded_rows, found.several_lines) == counts


def test_neither_the_headings_nor_the_row_itself_say_what_kinds_the_columns_have() -> None:
    people = "Ann,030 1\nBob,030 2\nCid,030 3\n"
    found = survey_of(f'Name,Phone\n{people}Dora,"030 4\nEva of the long name,030 5"\n')
    assert (found.rows_with_embedded_rows, found.several_lines) == (1, 0)


def test_as_many_cells_of_each_kind_are_trusted_and_one_more_is_not() -> None:
    assert survey_of(f"Name,Email\n{PEOPLE}{ADDRESS}{SWALLOWED}").trusts_line_breaks is True
    assert survey_of(f"Name,Email\n{PEOPLE}{ADDRESS}{SWALLOWED}").broken is False
    assert survey_of(f"Name,Email\n{PEOPLE}{ADDRESS}{SWALLOWED}{SWALLOWED}").broken is True


def test_a_part_has_ten_thousand_lines_or_fewer_if_they_are_long() -> None:
    for line in ("Ann,Bonn\n", "Ann\n"):
        assert [part.lines for part in survey_of(line * 10_001).parts] == [10_000, 1]
    short = "Ann,Bonn\n" * 499
    for surplus, parts in ((0, [500, 1]), (-1, [501])):
        long = "Ann," + "x" * (8_388_608 - len(short) - 5 + surplus) + "\n"
        assert [part.lines for part in survey_of(f"{short}{long}Ann,Bonn\n").parts] == parts


def test_a_table_has_as_many_columns_as_a_sheet_can_have() -> None:
    assert survey_of("a,b\n" + "," * 16_383 + "\n").widths[1] == 16_384
    with pytest.raises(UnreadableError, match="has 16,385 cells in row 2, more than a sheet can have"):
        survey_of("a,b\n" + "," * 16_384 + "\n")


def test_a_cell_of_more_than_sixteen_million_characters_never_closes() -> None:
    for length, broken in ((16_777_216, False), (16_777_217, True)):
        assert survey(["Name\n", f'"{"x" * length}"\n'], ",", '"').broken is broken


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('Name,City\n"Ann",Bonn\n', True),
        ("Name,City\nAnn,Bonn\n", False),
        ('Name,City\n"Ann\nLee",Bonn\n', True),
        ('Name,City\n"Ann",Bonn\nBob\n', True),
        ('Name,Item\nAnn,5" pipe\nBob\n', False),
    ],
)
def test_a_text_is_quoted_if_some_cell_is_in_quotation_marks(text: str, quoted: bool) -> None:
    assert survey_of(text).quoted is quoted
    assert survey_of(text + "Cid,Kiel\n" * 20_000).quoted is quoted


@pytest.mark.parametrize(
    ("text", "widths"),
    [
        ("Name\n\nAnn\n", [1, 0, 1]),
        ('"Name","City"\n"Lee, Ann","Bonn"\n', [2, 2]),
        ('Name,City\n"Ann\nLee",Bonn\x0bUlm,x\n', [2, 3]),
        ('Name,City\n"Ann\rLee",Bonn\x0bUlm,x\n', [2, 3]),
        ('Name,Größe\n"Ann\nLee",Bonn\x0bUlm,x\n', [2, 3]),
    ],
)
def test_each_row_has_its_own_width(text: str, widths: list[int]) -> None:
    assert survey_of(text).widths.tolist() == widths


def test_a_part_is_uniform_if_each_record_is_one_line() -> None:
    [part] = survey_of('"Name","City"\n"Ann","Bonn"\n').parts
    assert part.uniform is True
    [part] = survey_of('Name,City\n"Ann",Bonn\n').parts
    assert (part.lines, part.rows, part.size, part.uniform) == (2, 2, 21, True)
    [part] = survey_of('Name,City\n"Ann\nLee",Bonn\n').parts
    assert (part.lines, part.rows, part.size, part.uniform) == (3, 2, 25, False)


def test_the_sample_holds_two_hundred_rows() -> None:
    for row in ("Ann,Bonn\n", '"Ann",Bonn\n', "Ann\n"):
        found = survey_of(row * 10_300)
        assert [number for number, _ in found.sample] == list(range(1, 201))
        assert len(found.widths) == 10_300
    assert [number for number, _ in survey_of("Name\n\n" + "Ann\n" * 300).sample] == [1, *range(3, 202)]


def test_a_file_with_one_bad_quotation_mark_keeps_what_was_found_before_it() -> None:
    for row in ('"Ann"x,Bonn', '"Ann"x,"Bonn"', '"Ann",x"Bonn"', '"Ann,Bonn', 'Ann,"Bonn'):
        found = survey_of(f"Name,City\n{row}")
        assert found.is_plain is False
    assert survey_of(',City\nAnn,"Bonn').broken is True
    assert survey_of('Item,City\nx"y",Bonn\nCid,"z"\n').stray == {2}


def test_a_broken_row_has_no_cells_and_the_others_are_counted_and_sampled() -> None:
    found = survey_of_broken('Name,City\n"Ann,Bonn\n\n' + "Bob,Ulm\n" * 300)
    assert found.widths.tolist() == [2, 0, 0, *[2] * 300]
    assert found.faults == {2: NEVER_CLOSES}
    assert [number for number, _ in found.sample] == [1, *range(4, 203)]
    with pytest.raises(UnreadableError, match="has 16,385 cells in row 3, more than a sheet can have"):
        survey_of_broken('Name,City\n"Ann,Bonn\n' + "," * 16_384 + "\n")


def test_beside_a_broken_row_two_quotation_marks_in_a_quoted_cell_are_one() -> None:
    found = survey_of_broken('Name,Notes\nAnn,"a ""b"" c"\n"d ""e""\nf ""g""",Bob\n"Cid,y\n')
    assert found.sample[1:] == [(2, ["Ann", 'a "b" c']), (3, ['d "e"\nf "g"', "Bob"])]


def test_beside_a_broken_row_a_cell_has_at_most_a_thousand_lines() -> None:
    for lines, broken in ((1000, []), (1001, [2])):
        cell = "\n".join(["x"] * lines)
        found = survey_of_broken(f'Name,Notes\nAnn,"{cell}"\n"Bob,y\n')
        assert [row for row in found.faults if row < 3] == broken
        assert found.sample[1][1] == (["x"] if broken else ["Ann", cell])


def test_beside_a_broken_row_only_trusted_cells_of_several_lines_are_accepted() -> None:
    broken = 'Zoe,"zoe@x.org\n'
    trusted = survey_of_broken(f"Name,Email\n{PEOPLE}{ADDRESS}{SWALLOWED}{broken}")
    assert list(trusted.faults) == [9]
    untrusted = survey_of_broken(f"Name,Email\n{PEOPLE}{ADDRESS}{SWALLOWED}{SWALLOWED}{broken}")
    assert 7 not in untrusted.faults
    assert {8, 11} < untrusted.faults.keys()


@pytest.mark.parametrize(
    ("widths", "shape"),
    [
        ([], (0, 0, False)),
        ([0, 0], (0, 0, False)),
        ([1, 0, 2, 2], (2, 3, False)),
        ([1, 1, 1, 2], (1, 1, False)),
        ([2, 2, 1, 1, 1], (2, 1, False)),  # a footer that is longer than its table does not give its width
        ([3, 2, 2], (3, 1, True)),
        ([3, 3, 3, 2, 2], (3, 1, False)),
        ([3, 3, 3, 2, 2, 2], (3, 1, True)),
        ([3, 3, 3, 1, 1, 1], (3, 1, False)),
        ([3] * 27 + [2] * 3, (3, 1, True)),
        ([3] * 28 + [2] * 3, (3, 1, False)),
    ],
)
def test_most_rows_have_the_width_of_the_table_and_a_tenth_of_shorter_ones_is_a_habit(
    widths: list[int], shape: tuple[int, int, bool]
) -> None:
    found = shape_of(array("I", widths), [])
    assert (found.width, found.first, found.ragged) == shape


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("ann@x.org", "mail"), ("12 ab", "number"), ("12 abc", None), ("+49 30", "number"), ("-", None), ("Ann", None)],
)
def test_half_of_a_number_is_digits(cell: str, expected: str | None) -> None:
    assert kind(cell) == expected


def test_four_of_five_cells_give_the_kind_of_a_column() -> None:
    rows = [
        ["Name", "Phone"],
        ["Ann", "1"],
        ["Bob", "2"],
        ["Cid", "3"],
        ["Dora", "none"],
        ["1", "2", "3"],
        ["Eva", "4"],
    ]
    sample = list(enumerate(rows, 1))
    assert list(shape_of(array("I", map(len, rows)), sample).kinds) == [None, "number"]
    assert list(shape_of(array("I", map(len, rows)), sample[:-1]).kinds) == [None, None]
    assert list(shape_of(array("I", map(len, rows)), []).kinds) == [None, None]


def test_a_row_with_a_cell_beyond_the_headings_has_one_fault_of_the_whole_row_before_those_of_its_cells() -> None:
    columns = [text_column(["a", "b", "c", "d"]), text_column([None, "x", "y", "z"])]
    block = Block(number_column(range(2, 6)), columns, [Fault(1, None, "broken"), Fault(2, 0, "a formula")])
    [found] = with_surplus_faults([block], 1)
    assert [(fault.row, fault.column, fault.reason[:6]) for fault in found.faults] == [
        (1, None, "broken"), (2, None, "has mo"), (2, 0, "a form"), (3, None, "has mo")
    ]  # fmt: skip
