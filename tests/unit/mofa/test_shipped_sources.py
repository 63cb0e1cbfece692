"""The sources that ship, against pages in their layout with invented missions (tests/support/list_pages.py)."""

import json
import re
from datetime import date

import pytest
from support.english_lists import hidden
from support.list_pages import GERMANY, JAPANESE, LISTS, germany, germany_page, japan_page, korea_page
from support.project import SHARED
from support.record_fixtures import pages_of

from tasks.mofa import recording, sources
from tasks.mofa.embassy import Embassy, Unreadable, differences, merge_by_key
from tasks.mofa.page import Page, PageError

KOREAN_LIST = SHARED / "missions" / "korea-mofa-foreign-missions" / "2026-01-19_embassy.md"
japan, korea = sources.source("japan"), sources.source("korea")


@pytest.mark.parametrize("name", LISTS)
def test_every_mission_of_a_list_arrives_with_every_value(name):
    pages, expected = LISTS[name]()
    assert [each for page in pages for each in sources.source(name).parse(page)] == expected


@pytest.mark.parametrize("name", sources.names())
def test_a_crawl_reaches_every_page_of_a_list(name):
    source, pages = sources.source(name), pages_of(name)
    reached = {*source.routes[0].start, *(link for page in pages for link in source.follow(page))}
    assert reached == {page.url for page in pages}


@pytest.mark.parametrize("name", sources.names())
def test_the_recorded_pages_of_a_source_give_its_recorded_records(name):
    fixture = recording.read(sources.fixture_directory(name))
    assert fixture is not None
    assert recording.replay(sources.source(name), fixture) == []
    assert sum(len(page["missions"]) for page in fixture.expected) > 0
    assert sources.fixture_date(name) == fixture.day <= date.today()


@pytest.mark.parametrize("name", sources.names())
def test_the_fixtures_are_those_that_record_fixtures_makes(name):
    fixture = recording.read(sources.fixture_directory(name))
    recorded = [(page.url, page.text) for page in fixture.pages]
    assert recorded == [(page.url, page.text) for page in pages_of(name)]


def test_a_source_that_reads_something_else_than_recorded_is_not_proven():
    fixture = recording.read(sources.fixture_directory("korea"))
    changed = [Page(page.url, page.text.replace("700-3814~6", "700-3815")) for page in fixture.pages]
    (problem,) = recording.replay(korea, recording.Fixture(fixture.day, fixture.origin, changed, fixture.expected))
    assert "루리타니아" in problem
    assert "(phone)" in problem


def test_the_first_set_of_a_source_is_held_unless_its_layout_was_saved():
    assert {
        name: sources.source(name).routes[0].verified for name in ("japan", "korea", "ireland", "russia", "demo")
    } == {
        "japan": False,
        "korea": False,
        "ireland": False,
        "russia": True,
        "demo": True,
    }


# --- Germany


def test_an_empty_object_of_germany_is_a_failure_and_no_empty_list():
    for text in ("{}", " {}\n"):
        with pytest.raises(PageError, match="an empty JSON object"):
            sources.source("germany").parse(Page(f"{GERMANY}Country", text))
    with pytest.raises(PageError, match=r"missions .* were expected, found none"):
        sources.source("germany").parse(Page(f"{GERMANY}Country", '{"response": {"contentList": []}}'))


def test_a_list_of_ids_of_germany_that_does_not_fit_its_missions_raises():
    (page,), _ = germany()
    content = json.loads(page.text)
    content["response"]["100"]["contentList"].append("1003")
    with pytest.raises(PageError, match=r"5 missions .*, found 4"):
        sources.source("germany").parse(Page(page.url, json.dumps(content)))


def test_one_mission_of_germany_without_a_name_is_unreadable_and_the_others_are_read():
    found = sources.source("germany").parse(germany_page("Country", {"1": {"2": {"city": "A"}, "3": {"title": "B"}}}))
    assert [type(each) for each in found] == [Unreadable, Embassy]
    assert found[0].key == "2"
    assert "name: nothing was found (title)" in found[0].reason


# --- Korea

_ROW = ("가나다라", "", "Ada EXAMPLE", "2025.01.01.", "04000", "서울특별시 용산구 가상로 1", "a@b.example")


def _korean(phone, fax="700-1009", name="가나다라"):
    (found,) = korea.parse(korea_page(1, [(name, *_ROW[1:], phone, fax)]))
    return found


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("700-3814/5/6", "700-3814~6", True),
        ("700-3814/3815/3816", "700-3814 ~ 6", True),
        ("700-6179/80", "700-6179, 700-6180", True),
        ("700-1427, 749-8982/3", "700-1427/ 749-8982/3", True),
        ("700-3814/6", "700-3814~6", False),
        ("700-3814", "700-3815", False),
        ("700-5124/8994", "700-5124/8995", False),
    ],
)
def test_short_notations_of_telephone_numbers_are_the_numbers_they_stand_for(old, new, same):
    assert ("phone" not in differences(_korean(old), _korean(new))) is same
    assert ("fax" not in differences(_korean("1", old), _korean("1", new))) is same


def test_a_blank_beside_a_korean_letter_is_no_change():
    (before,) = korea.parse(korea_page(1, [(*_ROW[:5], "서울시 종로구 종로 38 Tower A", *_ROW[6:], "1", "2")]))
    (after,) = korea.parse(korea_page(1, [(*_ROW[:5], "서울시 종로구  종로38, Tower A", *_ROW[6:], "1", "2")]))
    (moved,) = korea.parse(korea_page(1, [(*_ROW[:5], "서울시 종로구 종로 38 TowerA", *_ROW[6:], "1", "2")]))
    assert differences(before, after) == []
    assert differences(before, moved) == ["address"]


def test_a_full_page_of_korea_leads_to_the_next_and_a_shorter_one_ends_the_list():
    items = [(f"나라{number}", *_ROW[1:], "700-1", "700-2") for number in range(5)]
    (following,) = korea.follow(korea_page(7, items))
    assert following == korea_page(8, []).url
    assert korea.follow(korea_page(8, items[:4])) == []
    assert korea.follow(korea_page(8, [])) == []
    assert korea.parse(korea_page(8, [])) == []  # the list has exactly 35 missions
    with pytest.raises(PageError, match=r"missions .* were expected, found none"):
        korea.parse(korea_page(1, []))


def test_a_label_of_korea_that_is_not_known_makes_its_mission_unreadable():
    page = korea_page(1, [(*_ROW, "700-1", "700-2"), ("마바사아", *_ROW[1:], "700-3", "700-4")])
    text = page.text.replace("팩스번호 : </b> 700-4", "휴대전화 : </b> 700-4")
    first, second = korea.parse(Page(page.url, text))
    assert isinstance(first, Embassy)
    assert second.key == "마바사아"
    assert second.reason.startswith("fax") or "the label '휴대전화 :' is not known" in second.reason


@pytest.mark.skipif(not KOREAN_LIST.exists(), reason="the shared data is not here")
def test_the_real_list_of_korea_is_read_from_its_layout_with_every_value():
    rows = [
        [cell.strip() if cell.strip() != "nan" else "" for cell in line.strip().strip("|").split("|")]
        for line in KOREAN_LIST.read_text().splitlines()[2:]
        if line.startswith("|")
    ]
    pages = [
        korea_page(
            start // 5 + 1,
            [(row[0], "", "-", "-", row[4], row[2], row[7], row[5], row[6]) for row in rows[start : start + 5]],
        )
        for start in range(0, len(rows), 5)
    ]
    found, contradicting = merge_by_key(each for page in pages for each in korea.parse(page))
    assert (len(found), contradicting) == (len({row[0] for row in rows}), [])
    digits = sorted(re.findall(r"\d", "".join(row[5] for row in rows)))
    assert digits == sorted(re.findall(r"\d", "".join(each.phone or "" for each in found.values())))
    assert {each.address for each in found.values()} == {" ".join(row[2].split()) for row in rows}


# --- Japan


def test_an_unlabelled_line_after_a_telephone_number_is_a_note_and_no_number():
    mission, *_ = japan.parse(japan_page(*JAPANESE))
    assert mission.phone == "03-0000-1944\n03-0000-1945"
    assert mission.extra["note"] == "(土日祝日は休館)"


def test_a_second_line_of_numbers_belongs_to_the_label_above_it():
    mission, *_ = japan.parse(japan_page(JAPANESE[0].replace("、03-", "<br>03-"), *JAPANESE[1:]))
    assert mission.phone == "03-0000-1944\n03-0000-1945"


@pytest.mark.parametrize(
    ("name", "country"),
    [
        ("Embassy of the Republic of Korea in Japan", "Korea"),
        ("Embassy of the Kingdom of the Netherlands", "Netherlands"),
        ("Embassy of the Islamic Republic of Iran in Japan", "Iran"),
        ("Embassy of the United States of America in Japan", "United States of America"),
        ("Embassy of the Democratic Republic of the Congo in Japan", "Democratic Republic of the Congo"),
        ("Embassy of the Republic of the Congo", "Congo"),
        ("Embassy of Iceland in Japan", "Iceland"),
        ("Consulate-General of Italy in Osaka", "Italy"),
        ("Embassy of the Lao People's Democratic Republic", "Lao People's Democratic Republic"),
        ("Embassy of the Federal Democratic Republic of Nepal in Japan", "Nepal"),
        ("Delegation of the European Union to Japan", "European Union"),
    ],
)
def test_the_country_of_an_embassy_is_in_its_name(name, country):
    (mission,) = japan.parse(japan_page(JAPANESE[1].replace("Consulate-General of Ruritania in Osaka", name)))
    assert mission.country == country


@pytest.mark.parametrize(
    ("mission", "words"),
    [
        ("<h3>大使館</h3><h4>Embassy of X</h4><p>〒108-0074 東京都</p>", "phone: nothing was found"),
        ("<h3>大使館</h3><h4>Embassy of X</h4><p>〒108-0074 電話 1</p>", "address: the pattern"),
        ("<h3>大使館</h3><h4>Embassy of X</h4><p>〒108-0074 東京都 電話 なし</p>", "phone: nothing was found"),
        ("<h3>大使館</h3><h4>Embassy of X</h4><p>〒108-0074 東京都 電話 内線</p>", "phone: the pattern"),
        ("<h3>大使館</h3><h4>Embassy of X</h4><p>〒108-0074 東京都<br>電話 1<br>大使:田中</p>", "the label '大使'"),
        ("<h3>大使館</h3><h4>Embassy of X</h4><p>〒108-0074 東京都 電話 1 電話 2</p>", "expected once, found 2"),
    ],
)
def test_one_mission_of_japan_that_does_not_fit_is_unreadable_and_the_others_are_read(mission, words):
    found = japan.parse(japan_page(mission, JAPANESE[1]))
    assert [type(each) for each in found] == [Unreadable, Embassy]
    assert words in found[0].reason
    assert found[0].key == "embassy-of-x/大使館"


def test_a_mission_of_japan_outside_the_headings_raises():
    lost = "<h3>大使館</h3><p>〒108-0074 東京都 電話 1</p>"
    with pytest.raises(PageError, match=r"3 missions .*, found 2"):
        japan.parse(japan_page(lost, *JAPANESE[:2]))
    with pytest.raises(PageError, match=r"links .* were expected, found none"):
        japan.follow(Page(japan.home, "<html><a href='/'>x</a></html>"))


# --- Australia


def test_an_address_that_cloudflare_hides_is_read_and_one_that_cannot_be_decoded_is_a_problem():
    pages, _ = LISTS["australia"]()
    australia = sources.source("australia")
    text = pages[2].text.replace(hidden("trade@atlantis.example", 0x11), "[email&#160;protected]")
    chancery, trade = australia.parse(Page(pages[2].url, text))
    assert chancery.email == "chancery@atlantis.example"
    assert isinstance(trade, Unreadable)
    assert "email: " in trade.reason
