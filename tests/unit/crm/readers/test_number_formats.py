"""What number formats make of numbers; expectations are what Excel shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.crm.readers.number_formats import as_shown, is_date, is_duration, makes_text, text_styles


@pytest.mark.parametrize(
    ("number", "code", "shown"),
    [
        (1067, "00000", "01067"),
        (0, "000", "000"),
        (7, "00", "07"),
        (1234567, "000", "1234567"),
        (12345678, r"00000\-0000", "01234-5678"),
        (1067, '"D-"00000', "D-01067"),
        (1067, "[$-407]00000", "01067"),
        (1067, "[Red]00000;[Blue]-00000", "01067"),
        (123456789, '0#" "##" "##" "##" "##', "01 23 45 67 89"),
        (94523, r"[<=99999]00000;00000\-0000", "94523"),
        (99999, r"[<=99999]00000;00000\-0000", "99999"),
        (100000, r"[<=99999]00000;00000\-0000", "00010-0000"),
        (99999, r"[<100000]00000;00000\-0000", "99999"),
        (100000, r"[<100000]00000;00000\-0000", "00010-0000"),
        (99999, r"[>99999]00000\-0000;00000", "99999"),
        (100000, r"[>99999]00000\-0000;00000", "00010-0000"),
        (99999, r"[>=100000]00000\-0000;00000", "99999"),
        (100000, r"[>=100000]00000\-0000;00000", "00010-0000"),
        (0, '[<>0]"+49 "0;"none"', "none"),
        (7, '[<>0]"+49 "0;"none"', "+49 7"),
        (945231234, r"[<=99999]00000;00000\-0000", "94523-1234"),
        (5, "_-* 000_-", "005"),
        (491701234567, r"\+0;", "+491701234567"),
        (491701234567, '"+"0', "+491701234567"),
        (491701234567, "+#", "+491701234567"),
        (491701234567, '"+"##" "###" "#######', "+49 170 1234567"),
        (491701234567, '"00"0', "00491701234567"),
        (1701234567, r"\0#", "01701234567"),
        (1701234567, '"+49 "0', "+49 1701234567"),
        (1701234567, r"+49\ 0", "+49 1701234567"),
        (491701234567, '"+"General', "+491701234567"),
        (491701234567, '"(0)"0', "(0)491701234567"),
        (5551234567, "+1 (###) ###-####", "+1 (555) 123-4567"),
        (0.07, "0%", "7%"),
        (0.4567, "0%", "45.67%"),
        (-0.5, "0.00%", "-50%"),
        (12, "#,##0.0%", "1200%"),
        (0, '"+49 "0;;"none"', "none"),
        (1, '"+49 "0;;"none"', "+49 1"),
        (0, "00000;-00000", "00000"),
        (0, '[=0]"none";"+49 "0', "none"),
        (7, '[=0]"none";"+49 "0', "+49 7"),
        (1, '[=1]"Ja";[=0]"Nein"', "Ja"),
        (999_999_999_999_999, '"+"0', "+999999999999999"),
        (7, '"+"' + "0" * 252, "+" + "7".zfill(252)),
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
        (5, '0" m2"'),
        (5551234567, "(###) ###-####"),
        (5, 'General" kg"'),
        (1.5, '"+"0.0'),
        (-5, '"+"0'),
        (5, "[$€-407]000"),
        (5, "0.00E+00"),
        (5, "# ?/?"),
        (45000, "yyyy-mm-dd"),
        (0.5, "hh:mm"),
        (1.5, "[h]:mm"),
        (1.5, "000"),
        (-5, "000"),
        (1e20, "000"),
        (1_000_000_000_000_000, '"+"0'),
        (7, '"+"' + "0" * 253),  # Excel accepts no longer format than 255 characters
        (float("nan"), "000"),
        (5, "@"),
        (5, '"'),
        (5, ";;;"),
        (0, '"+49 "0;;'),
        (0, '_-* 0_-;-* 0_-;_-* "-"??_-;_-@_-'),
        (0, '0;-0;"-"'),
    ],
)
def test_of_any_other_format_the_number_itself_says_more(number: float, code: str) -> None:
    assert as_shown(number, code) is None


@pytest.mark.parametrize(
    "code",
    [
        "yyyy-mm-dd",
        "hh:mm",
        "d.m.yyyy;@",
        "[$-407]d. mmmm yyyy;@",
        "[Red]d",
        '"am "d',
        "h:mm AM/PM",
        "mm:ss.0",
        "a/p",
        "MMM",
        "d" * 255,
    ],
)
def test_a_format_of_days_or_times_is_reported(code: str) -> None:
    assert is_date(code)
    assert not is_duration(code)


@pytest.mark.parametrize("code", ["[h]:mm:ss", "[mm]", "[ss].00", "[Blue][HH]:MM"])
def test_a_format_of_spans_of_time_is_reported(code: str) -> None:
    assert is_duration(code)
    assert not is_date(code)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "General",
        "0.00",
        '0 "days"',
        r"\d0",
        "_d0",
        "[Red]0",
        "[$USD] 0",
        "0;yyyy",
        "@",
        "#,##0",
        '"d',
        "[d",
        "d" * 256,
    ],
)
def test_a_format_of_numbers_is_no_date(code: str) -> None:
    assert not is_date(code)
    assert not is_duration(code)


def test_only_styles_whose_format_makes_text_are_looked_for() -> None:
    assert text_styles({164: "00000", 165: "#,##0"}, [0, 164, 9, 165, 14, 10]) == {1: "00000", 2: "0%", 5: "0.00%"}
    assert text_styles({164: '0;-0;0;"none"'}, [164]) == {}  # the last section is for texts
    assert text_styles({164: "0" * 255, 165: "0" * 256}, [164, 165]) == {0: "0" * 255}
    assert text_styles({9: "General"}, [9]) == {}  # a workbook may say what its built-in formats are


@given(st.text(alphabet='0#?.,%;"\\[]<>=$-_* @ED yhms/', max_size=20), st.floats() | st.integers(0, 10**16))
def test_no_format_whatever_makes_the_program_stumble(code: str, number: float) -> None:
    shown = as_shown(number, code)
    assert shown is None or makes_text(code)


@given(st.integers(0, 10**15 - 1), st.integers(2, 20))
def test_the_digits_stay_the_same(number: int, noughts: int) -> None:
    assert int(as_shown(number, "0" * noughts) or -1) == number
