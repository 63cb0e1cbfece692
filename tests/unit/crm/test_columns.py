"""Rules applied to columns: the same as the rule of each text, whatever a kernel knows beforehand."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.staged import texts

from tasks.crm.columns import RULES, clean, evaluate, folded
from tasks.crm.contact import Contact
from tasks.crm.rules.dates import parse_date
from tasks.crm.rules.email_address import clean_email
from tasks.crm.rules.external_ids import clean_external_id
from tasks.crm.rules.phone_number import clean_phone
from tasks.crm.rules.texts import clean_full_name, clean_line, clean_name, clean_note, fold

TEXTS = [
    "",
    " ",
    "a",
    "a  b",
    "Zoë",
    "Zoe\u0308",
    "a\tb\nc",
    "x\r\ny",
    "\0",
    "a\u200b",
    "\u00a0",
    "x" * 200,
    "x" * 201,
    "x" * 1001,
    "ada@x.org",
    "Ada@X.org",
    "MAILTO:Ada@X.org",
    "a@@b",
    ".a@x.org",
    "a..b@x.org",
    "a@x-.org",
    "a@-x.org",
    "a@x.o",
    "x" * 64 + "@x.org",
    "x" * 65 + "@x.org",
    "a@" + "x." * 120 + "org",
    "+44 20",
    "12",
    "1 2 3",
    "+49  30",
    "n/a",
    "İstanbul",
    "Žižkov, Łódź",
    "Αθήνα",
    "Москва Сё",
    "РџСЂРё",
    "山田 太郎",
    "カ\u3099",
    "김민준",
    "ירושלים",
    "القاهرة",
    "MÃ¼ller",
    "Ã\u00a0 la",
    "Ünal ÖÄ",
    "é",
    "é ",
    "é\n",
    "×",
    "Straße",
    "ΣΑΣ",
    "#N/A",
    "#Wert!",
    "####",
    "Err:502",
    "2024-05-03",
    "2024-05-03 10:00:00",
    "10:00:00",
    "4.9E+11",
    "-1215",
    "0.1364",
    "491512345678.0",
    "a@x.org; b@x.org",
    "a@x.org; b@x.org; c",
    "Ann <a@x.org>",
    "ＡＮＮ@x.org",
    "ann@x.org.",
    "smtp:a@x.org",
    "Lee,",
    ",Ann",
    ",",
    "Lee; Ray",
    "J?rgen",
    "Loading...",
    "Loading…",
    "#ERROR!",
    "030 123456\n0171 2345678",
    "030 123456, 0171 2345678",
    "110\n112",
    "8-17",
    "1 7",
    "192.168.1.100",
    "'030 12",
    "=030",
    "0017",
    "00170000006Vm9r",
    "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    "00000000-0000-0000-0000-000000000000",
]
cells = st.lists(st.none() | st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
addresses = st.lists(st.from_regex(r"\A[a-zA-Z0-9._+-]{1,8}@[a-z0-9.-]{1,8}\.[a-z]{1,4}\Z"))


def one_by_one(rule: Any, column: list[str | None]) -> tuple[list[Any], list[tuple[int, str]]]:
    values, faults = [], []
    for row, text in enumerate(column):
        try:
            values.append(rule(text))
        except ValueError as error:
            values.append(None)
            faults.append((row, str(error)))
    return values, faults


@pytest.mark.parametrize(
    "rule", [clean_line, clean_name, clean_full_name, clean_note, clean_email, clean_phone, clean_external_id]
)
@given(column=cells | addresses)
@example(column=[*TEXTS, None])
def test_a_column_is_what_the_rule_makes_of_each_text(rule: Any, column: list[str | None]) -> None:
    cleaned = clean(rule, texts(*column))
    assert (cleaned.values.to_pylist(), cleaned.faults) == one_by_one(rule, column)
    assert evaluate(rule, texts(*column)) == one_by_one(rule, column)


@given(column=cells)
@example(column=[*TEXTS, None])
def test_folding_a_column_is_folding_each_text(column: list[str | None]) -> None:
    assert folded(texts(*column)).to_pylist() == [fold(text) or "" for text in column]


def test_every_field_has_the_rule_that_the_model_names() -> None:
    assert list(RULES) == list(Contact.model_fields)
    assert RULES["email"] is clean_email
    assert RULES["last_contacted"] is parse_date
    assert Contact(email="ADA@X.org").email == "ada@x.org"
