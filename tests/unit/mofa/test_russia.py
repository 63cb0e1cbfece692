"""The parser of Russia's page against the saved real page, and against small ones.

Every expected count is made here from the raw page, in another way than the parser's own.
"""

import re

import pytest
from support.govuk import DATA, by_key

from tasks.mofa import sources
from tasks.mofa.embassy import Unreadable
from tasks.mofa.page import Page, PageError

RUSSIA = DATA / "russia-mid" / "derived" / "2015-03-19.html"
russia = sources.source("russia")


@pytest.mark.skipif(not RUSSIA.exists(), reason="the shared data is not here")
def test_the_page_of_mid_ru_holds_every_mission_with_every_value():
    text = RUSSIA.read_text()
    found = by_key(russia.parse(Page(russia.home, text)))
    assert len(found) == len(re.findall("<h3>", text)) == 307

    def written(label):
        return len(re.findall(rf"<td>{label}:</td><td>(?!\s*</td>)", text))

    for field, label in [
        ("address", "Адрес"),
        ("phone", "Телефон"),
        ("fax", "Факс"),
        ("email", "e-mail"),
        ("website", "web"),
    ]:
        assert sum(getattr(each, field) is not None for each in found.values()) == written(label), field
    emergency = written("Телефон для экстренной связи в случае возникновения чрезвычайной ситуации")
    assert sum("экстренная связь: " in (each.phone or "") for each in found.values()) == emergency
    assert len({each.country for each in found.values()}) == len(re.findall('class="country"', text))


RUSSIAN = """<!DOCTYPE html><html><head><title>МИД</title></head><body><div class="countrycontact">
<div class="country">Австрия</div><div class="contacts"><table><tr><td><h3>Посольство в Вене</h3></td></tr>
<tr><td>Адрес:</td><td>Reisnerstrasse 45-47,<br>1030 Wien</td></tr><tr><td>Телефон:</td><td>712-1229</td></tr>
</table></div></div></body></html>"""


def russian(*replacements):
    text = RUSSIAN
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return Page(russia.home, text)


def test_a_small_page_of_mid_ru():
    (mission,) = russia.parse(russian())
    assert (mission.kind, mission.country) == ("embassy", "Австрия")
    assert (mission.address, mission.phone) == ("Reisnerstrasse 45-47,\n1030 Wien", "712-1229")


@pytest.mark.parametrize(
    ("replacement", "words"),
    [
        (("countrycontact", "land"), "missions .* were expected, found none"),
        (("<table><tr><td><h3>", "<p><h3>"), "missions .* were expected, found none"),
    ],
)
def test_a_page_of_mid_ru_in_another_layout_raises(replacement, words):
    with pytest.raises(PageError, match=words):
        russia.parse(russian(replacement))


@pytest.mark.parametrize(
    ("replacement", "words", "key"),
    [
        (('class="country"', 'class="name"'), "country: nothing was found", None),
        (("Австрия", " "), "country: nothing was found", None),
        (("<h3>Посольство в Вене</h3>", "Посольство"), "name: nothing was found", None),
        (("<h3>", "<h3>Консульство</h3><h3>"), "name: 'h3' was expected once, found 2", None),
        (("Телефон:", "Телеграф:"), "the label 'Телеграф:' is not known", "австрия/посольство-в-вене"),
        (("Телефон:", "Адрес:"), "the label 'Адрес:' was expected once, found 2", "австрия/посольство-в-вене"),
        (("<td>712-1229</td>", ""), "a row of label and value was expected, found 1", "австрия/посольство-в-вене"),
    ],
)
def test_a_mission_of_mid_ru_that_does_not_fit_is_unreadable(replacement, words, key):
    (mission,) = russia.parse(russian(replacement))
    assert isinstance(mission, Unreadable)
    assert words in mission.reason
    assert mission.key == key


def test_a_country_of_mid_ru_without_a_mission_raises():
    text = RUSSIAN.replace("</body>", '<div class="countrycontact"><div class="country">Польша</div></div></body>')
    with pytest.raises(PageError, match="1 of them have no mission"):
        russia.parse(Page(russia.home, text))
