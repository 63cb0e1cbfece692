"""What number formats make of numbers; expectations are what Excel shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.crm.readers.number_formats import as_shown, makes_text, text_styles


@pytest.mark.parametrize(
    ("number", "code", "shown"),
    [
        (1067, "00000", "01067"),
        (0, "000", "000"),
        (1234567, "000", "1234567"),
        (12345678, r"00000\-0000", "01234-5678"),
        (1067, '"D-"00000', "D-01067"),
        (1067, "[$-407]00000", "01067"),
        (1067, "[Red]00000;[Blue]-00000", "01067"),
        (123456789, '0#" "##" "##" "##" "##', "01 23 45 67 89"),
        (94523, r"[<=99999]00000;00000\-0000", "94523"),
        (945231234, r"[<=99999]00000;00000\-0000", "94523-1234"),
        (5, "_-* 000_-", "005"),
        (0.07, "0%", "7%"),
        (0.4567, "0%", "45.67%"),
        (-0.5, "0.00%", "-50%"),
        (12, "#,##0.0%", "1200%"),
    ],
)
def test_a_number_that_its_format_makes_text_of_is_that_text(number: float, code: str, shown: str) -> None:
    assert makes_text(code)
    assert as_shown(number, code) == shown


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (5, "General"),
        (5, "0"),
        (5, ""),
        (5, "0.00"),
        (1234, "#,##0"),
        (12345, "# ##0"),
        (5, '0" pieces"'),
        (5, "[$€-407]000"),
        (5, "0.00E+00"),
        (5, "# ?/?"),
        (45000, "yyyy-mm-dd"),
        (0.5, "hh:mm"),
        (1.5, "[h]:mm"),
        (1.5, "000"),
        (-5, "000"),
        (1e20, "000"),
        (float("nan"), "000"),
        (5, "@"),
        (5, '"'),
        (5, ";;;"),
    ],
)
def test_of_any_other_format_the_number_itself_says_more(number: float, code: str) -> None:
    assert as_shown(number, code) is None


def test_only_styles_whose_format_makes_text_are_looked_for() -> None:
    assert text_styles({164: "00000", 165: "#,##0"}, [0, 164, 9, 165, 14, 10]) == {1: "00000", 2: "0%", 5: "0.00%"}
    assert text_styles({9: "General"}, [9]) == {}  # a workbook may say what its built-in formats are


@given(st.text(alphabet='0#?.,%;"\\[]<>=$-_* @ED yhms/', max_size=20), st.floats() | st.integers(0, 10**16))
def test_no_format_whatever_makes_the_program_stumble(code: str, number: float) -> None:
    shown = as_shown(number, code)
    assert shown is None or makes_text(code)


@given(st.integers(0, 10**15 - 1), st.integers(2, 20))
def test_the_digits_stay_the_same(number: int, noughts: int) -> None:
    assert int(as_shown(number, "0" * noughts) or -1) == number
