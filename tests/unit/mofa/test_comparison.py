"""Which differences of a value are no change."""

import pytest

from tasks.mofa.comparison import comparable, without_invisible


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("phone", "+43 1 7121229", "0043 1 7121229"),
        ("phone", "+43 1 7121229", "+43 (0)1 712 12 29"),
        ("phone", "+43 1 7121229", "0043 (0) 1 7121229"),
        ("phone", "(43) (1) 712 12 29", "(+43) (1) 712 12 29"),
        ("phone", "+43 1 7121229", "Tel.: +43 1 7121229"),
        ("phone", "+43 1 7121229", "Telephone: +43.1.712.12.29"),
        ("phone", "+43 1 7121229", "電話:+43-1-712-1229"),
        ("phone", "030 1234567", "030/1234567"),
        ("phone", "+43 1 11 22 33; +43 1 11 22 44", "+43 1 11 22 44\n+43 1 11 22 33"),
        ("phone", "+43 1 11 22 33 / +43 1 11 22 44", "+43 1 11 22 33, +43 1 11 22 44"),
        ("phone", "700-3814/5/6", "700-3814; 700-3815; 700-3816"),
        ("phone", "700-3814 / 5 、 6", "700-3814; 700-3815; 700-3816"),
        ("phone", "700-3814~6", "700-3814; 700-3815; 700-3816"),
        ("phone", "700-3814/6", "700-3814; 700-3816"),
        ("phone", "700-3898〜901", "700-3898; 700-3899; 700-3900; 700-3901"),
        ("phone", "700-3808~10", "700-3808; 700-3809; 700-3810"),
        ("phone", "700-3814~2", "700-3814; 700-3812"),
        ("phone", "700-3814~4", "700-3814"),
        ("phone", "3814~3816", "3814/3815/3816"),
        ("phone", "3814/3815", "3814; 3815"),
        ("phone", "700-3814 desk/5", "5; 700-3814 desk"),
        ("phone", "+43 1 712", "+٤٣ ١ ٧١٢"),
        ("phone", "+43 1 712", "＋４３ １ ７１２"),
        ("fax", "+43 1 712", "Fax: +43 1 712"),
        ("email", "a@x.example / b@x.example", "b@x.example; a@x.example"),
        ("email", "a@x.example and b@x.example", "a@x.example\nb@x.example"),
        ("email", "info@x.example", "info[at]x.example"),
        ("email", "info@x.example", "info (at) x (dot) example"),
        ("email", "info@x.example", "E-mail: info@x.example"),
        ("email", "info@x.example", "mailto:Info@X.example?subject=visa"),
        ("email", "info@x.example", "<info@x.example>."),
        ("address", "شارع ١٢", "شارع 12"),
        ("address", "मार्ग १२", "मार्ग 12"),
        ("address", "1 Main\u00adStreet", "1 MainStreet"),
        ("address", "1 Main\u200b Street", "1 Main Street"),
        ("address", "خیابان می\u200cدان", "خیابان میدان"),
        ("address", "خيابان كوه", "خیابان کوه"),
        ("name", "Ambasada în Iași", "Ambasada în Iaşi"),
        ("head_of_mission", "السفيـر محمد", "السفير محمد"),
        ("head_of_mission", "H.E. Mr J.F. Smith", "HE Mr JF Smith"),
        ("head_of_mission", "H. E. Mr Smith", "H.E. Mr. Smith"),
        ("head_of_mission", "Işık", "IŞIK"),
        ("head_of_mission", "İnci", "INCI"),
    ],
)
def test_a_cosmetic_difference_is_no_change(field, one, other):
    assert comparable(field, one) == comparable(field, other)


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("phone", "+43 1 7121229", "+43 1 7121228"),
        ("phone", "+43 1 7121229", "+44 1 7121229"),
        ("phone", "+43 1 7121229", "+43 1 7121229 ext. 5"),
        ("phone", "+43 1 11 22 33", "+43 1 11 22 33; +43 1 11 22 44"),
        ("phone", "700-3814~6", "700-3814/6"),
        ("phone", "700-3814/5", "700-3814; 5"),
        ("phone", "3814~3816", "3814/3816"),
        ("phone", "emergency: +43 1 11", "visa: +43 1 11"),
        ("phone", "+39 06 1234567", "+39 6 1234567"),
        ("email", "a.b@x.example", "ab@x.example"),
        ("email", "a@x.example", "a@x.example; b@x.example"),
        ("email", "visa@x.example", "visas@x.example"),
        ("address", "12 Main St", "1 2 Main St"),
        ("address", "Block A B", "Block AB"),
        ("head_of_mission", "Mr Smith", "Ms Smith"),
        ("name", "Embassy in Bern", "Embassy in Berne"),
    ],
)
def test_a_real_difference_is_a_change(field, one, other):
    assert comparable(field, one) != comparable(field, other)


def test_a_range_has_at_most_a_hundred_numbers():
    assert comparable("phone", "700-3800~3899").split() == [f"700{number}" for number in range(3800, 3900)]
    assert comparable("phone", "700-3800~3900").split() == ["7003800", "7003900"]


def test_joiners_stay_where_they_are_part_of_the_spelling():
    assert without_invisible("می\u200cدان") == "می\u200cدان"
    assert without_invisible("info\u200c@x.example") == "info@x.example"
    assert without_invisible("a\ufeffb\u2060c\u200ed\u034fe\ufe0ff") == "abcdef"
