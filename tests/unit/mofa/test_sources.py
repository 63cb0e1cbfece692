"""The parsers against saved real pages, and against pages that are none.

Every expected count is made here from the raw files, in another way than the parsers' own.
"""

import json
import re
from functools import cache

import pytest
from support.list_pages import JAPAN
from support.project import SHARED

from tasks.mofa import sources
from tasks.mofa.diff import Known, match_renamed
from tasks.mofa.embassy import Embassy, Unreadable, differences, merge_by_key
from tasks.mofa.page import Page, PageError, refusal
from tasks.mofa.plausibility import find_anomalies

DATA = SHARED / "missions"
GOVUK = DATA / "govuk-fco-worldwide"
RUSSIA = DATA / "russia-mid" / "derived" / "2015-03-19.html"
EXAMPLES = DATA / "govuk-content-api-examples"

needs_data = pytest.mark.skipif(not GOVUK.exists(), reason="the shared data is not here")
govuk, russia, japan = (sources.source(name) for name in ("govuk", "russia", "japan"))


def json_page(path, content, **more):
    return Page(f"https://www.gov.uk{path}", json.dumps(content), **more)


# --- GOV.UK, the older API: two real snapshots


@cache
def offices(day):
    """Every office in the raw files of a day, by its address after /world/organisations/."""
    found = {}

    def walk(node):
        if isinstance(node, list):
            for each in node:
                walk(each)
        elif isinstance(node, dict):
            if node.get("format") == "World Office":
                found[node["web_url"].split("/world/organisations/")[1]] = node
            for each in node.values():
                walk(each)

    for file in (GOVUK / day).glob("*.json"):
        walk(json.loads(file.read_text()))
    return found


def merged(entries):
    """Missions by key; none of the entries is unreadable or contradicts another."""
    entries = list(entries)
    assert all(isinstance(each, Embassy) for each in entries)
    found, contradicting = merge_by_key(entries)
    assert contradicting == []
    return found


@cache
def missions(day):
    return merged(
        mission
        for file in (GOVUK / day).glob("*.json")
        for mission in govuk.parse(
            Page(
                f"https://www.gov.uk/api/world-locations/{file.name.removesuffix('_organisations.json')}/organisations",
                file.read_text(),
            )
        )
    )


def both():
    """Raw offices and missions of both days, for those found again."""
    old, new = offices("2016-04-08"), offices("2017-06-29")
    for address in old.keys() & new.keys():
        key = address.replace("/office/", "/")
        yield old[address], new[address], missions("2016-04-08")[key], missions("2017-06-29")[key]


@needs_data
@pytest.mark.parametrize(("day", "count"), [("2016-04-08", 717), ("2017-06-29", 703)])
def test_every_office_of_govuk_is_one_mission(day, count):
    assert len(offices(day)) == count
    assert missions(day).keys() == {address.replace("/office/", "/") for address in offices(day)}


@needs_data
def test_missions_of_govuk_are_found_again_whatever_the_address_scheme():
    addresses = [{office["web_url"] for office in offices(day).values()} for day in ("2016-04-08", "2017-06-29")]
    assert len(addresses[0] & addresses[1]) == 0  # every address moved from /government/world to /world
    assert len(missions("2016-04-08").keys() & missions("2017-06-29").keys()) == 579


@needs_data
@pytest.mark.parametrize("day", ["2016-04-08", "2017-06-29"])
def test_every_filled_field_of_govuk_arrives(day):
    raw, parsed = offices(day).values(), missions(day).values()

    def filled(field):
        return sum(getattr(each, field) is not None for each in parsed)

    assert filled("address") == sum(bool(each["address"]["label"]["value"].strip()) for each in raw)
    assert filled("country") == sum(bool(each["address"]["adr"]["country-name"].strip()) for each in raw)
    assert filled("city") == sum(bool(each["address"]["adr"]["locality"].strip(" -")) for each in raw)
    hours = [re.sub(r"<[^>]*>|&nbsp;|\s", "", each["details"]["access_and_opening_times"] or "") for each in raw]
    assert filled("opening_hours") == sum(map(bool, hours))
    values_of = [[*(each["number"] for each in row["contact_numbers"]), row["details"]["email"]] for row in raw]
    reached = sum(any(each.strip() not in {"", "N/A"} for each in row) for row in values_of)
    assert sum(bool(each.phone or each.fax or each.email) for each in parsed) == reached


@needs_data
def test_every_digit_and_mailbox_of_govuk_arrives():
    for address, raw in offices("2016-04-08").items():
        mission = missions("2016-04-08")[address.replace("/office/", "/")]
        written = "".join(f"{each['label']} {each['number']} " for each in raw["contact_numbers"])
        kept = " ".join(filter(None, (mission.phone, mission.fax, mission.email)))
        assert sorted(re.findall(r"\d", written + raw["details"]["email"])) == sorted(re.findall(r"\d", kept))
        mailboxes = re.findall(r"[\w.-]+@[\w.-]+", f"{written} {raw['details']['email']}")
        assert sorted(mailboxes) == sorted(re.findall(r"[\w.-]+@[\w.-]+", kept))
        alone = [
            each["number"].strip() for each in raw["contact_numbers"] if re.fullmatch(r"\s*\S+@\S+\s*", each["number"])
        ]
        assert all(each in (mission.email or "") for each in alone)


def bare(text):
    """Letters and digits alone, without markup."""
    return re.sub(r"[\W_]|<[^>]*>", "", re.sub(r"<[^>]*>", " ", text or "")).casefold()


@needs_data
@pytest.mark.parametrize(
    ("field", "count", "value"),
    [
        ("name", 117, lambda raw: raw["title"]),
        ("address", 47, lambda raw: raw["address"]["label"]["value"]),
        ("opening_hours", 336, lambda raw: raw["details"]["access_and_opening_times"]),
    ],
)
def test_fields_of_govuk_changed_on_as_many_missions_as_the_raw_files_say(field, count, value):
    rows = list(both())
    assert sum(bare(value(old)) != bare(value(new)) for old, new, *_ in rows) == count
    assert sum(field in differences(before, after) for *_, before, after in rows) == count


@needs_data
def test_numbers_and_mailboxes_of_govuk_changed_where_the_raw_files_say():
    def raw_contacts(raw):
        return raw["details"]["email"], [(each["label"], each["number"]) for each in raw["contact_numbers"]]

    def values_of(raw):
        text = f"{raw['details']['email']} ; " + " ; ".join(each["number"] for each in raw["contact_numbers"])
        numbers = (each["number"].replace("(0)", "") for each in raw["contact_numbers"])  # dialled inside only
        digits = sorted(re.sub(r"\D", "", each) for each in numbers)
        return sorted({each.strip("().").casefold() for each in re.findall(r"[^\s;,/]+@[^\s;,/]+", text)}), digits

    same = changed = 0
    for old, new, before, after in both():
        seen = bool({"phone", "fax", "email"} & set(differences(before, after)))
        if raw_contacts(old) == raw_contacts(new):
            same += 1
            assert not seen
        if values_of(old) != values_of(new):
            changed += 1
            assert seen
    assert same > 350
    assert changed > 100


@needs_data
def test_a_trade_office_renamed_in_all_countries_is_renamed_and_not_closed():
    old, new = missions("2016-04-08"), missions("2017-06-29")
    matched = match_renamed(
        {key: old[key] for key in old.keys() - new.keys()}, {key: new[key] for key in new.keys() - old.keys()}
    )
    trade = {fresh: gone for fresh, gone in matched.items() if fresh.startswith("department-for-international-trade-")}
    assert len(trade) > 70
    for fresh, gone in trade.items():
        assert gone == fresh.replace("department-for-international-trade-", "uk-trade-investment-", 1)


@needs_data
def test_countries_that_share_a_mission_of_govuk_are_all_kept():
    listed = {}
    for file in (GOVUK / "2016-04-08").glob("*.json"):
        for slug in re.findall(r'"web_url": "[^"]*/world/organisations/([^"]*)/office/', file.read_text()):
            listed.setdefault(slug, set()).add(file.name.removesuffix("_organisations.json"))
    for key, mission in missions("2016-04-08").items():
        assert set(mission.extra["countries"]) == listed[key.split("/")[0]]
    assert sum(len(countries) > 1 for countries in listed.values()) > 30


@needs_data
def test_fourteen_months_of_real_changes_at_once_are_accepted_and_a_reading_by_address_is_not():
    before = {key: Known(mission) for key, mission in missions("2016-04-08").items()}
    assert find_anomalies(before, missions("2017-06-29"), highest=717, proven=True) == []
    half = dict(list(missions("2017-06-29").items())[::2])
    assert len(find_anomalies(before, half, highest=717, proven=True)) == 1
    by_address = {f"/world/{key}": mission for key, mission in missions("2017-06-29").items()}
    assert find_anomalies(before, by_address, highest=717, proven=True)[0].startswith("Only 0 open missions")


def organisations(**changes):
    file = GOVUK / "2016-04-08" / "albania_organisations.json"
    content = json.loads(file.read_text())
    office = content["results"][0]["offices"]["main"]
    for name, value in changes.items():
        (office["details"] if name in office["details"] else office if name in office else content)[name] = value
    return json_page("/api/world-locations/albania/organisations", content)


@needs_data
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "Bakery"}, "results.0.offices.main.format"),
        ({"contact_numbers": "none"}, "contact_numbers: Input should be a valid list"),
        ({"total": 2}, "2 results were expected .of 2., found 1"),
    ],
)
def test_a_page_of_govuk_that_does_not_fit_raises_and_names_the_page(changes, words):
    with pytest.raises(PageError, match=r"^https://www.gov.uk/api/world-locations/albania/organisations: .*" + words):
        govuk.parse(organisations(**changes))


@needs_data
def test_an_office_of_a_type_that_is_not_known_is_kept_with_the_word():
    mission, *_ = govuk.parse(organisations(type="Space Station"))
    assert (mission.kind, mission.extra["kind"]) == ("other", "Space Station")


@needs_data
@pytest.mark.parametrize(
    ("changes", "words", "key"),
    [
        ({"web_url": "https://www.gov.uk/elsewhere"}, "an address …/world/organisations/…", None),
        ({"title": " "}, "name ", "british-embassy-tirana/british-embassy"),
    ],
)
def test_one_office_of_govuk_that_does_not_fit_is_unreadable_and_the_others_are_read(changes, words, key):
    wrong, *others = govuk.parse(organisations(**changes))
    assert isinstance(wrong, Unreadable)
    assert words in wrong.reason
    assert wrong.key == key
    assert all(isinstance(each, Embassy) for each in others)


@needs_data
def test_a_field_that_is_unknown_raises():
    content = json.loads(organisations().text)
    content["results"][0]["offices"]["main"]["details"]["relocated_to"] = "Durres"
    with pytest.raises(PageError, match="relocated_to"):
        govuk.parse(json_page("/api/world-locations/albania/organisations", content))


def listing(results, page=1, pages=1, total=None, size=20):
    return {
        "results": results,
        "current_page": page,
        "pages": pages,
        "total": len(results) if total is None else total,
        "page_size": size,
        "start_index": (page - 1) * size + 1,
    }


def test_the_older_route_of_govuk_leads_from_locations_page_by_page():
    assert [route.start for route in govuk.routes][1] == ("https://www.gov.uk/api/world-locations",)
    slugs = [{"details": {"slug": f"land-{n}"}} for n in range(3)]
    first = json_page("/api/world-locations", listing(slugs[:2], pages=2, total=3, size=2))
    second = json_page("/api/world-locations?page=2", listing(slugs[2:], page=2, pages=2, total=3, size=2))
    assert govuk.follow(first) == [
        "https://www.gov.uk/api/world-locations?page=2",
        "https://www.gov.uk/api/world-locations/land-0/organisations",
        "https://www.gov.uk/api/world-locations/land-1/organisations",
    ]
    assert govuk.follow(second) == ["https://www.gov.uk/api/world-locations/land-2/organisations"]
    assert govuk.parse(first) == []
    with pytest.raises(PageError, match="locations were expected"):
        govuk.follow(json_page("/api/world-locations", listing([])))


def test_a_second_page_of_organisations_is_asked_for():
    path = "/api/world-locations/usa/organisations"
    results = [{"title": "x", "format": "Worldwide Organisation", "offices": {"other": []}}]
    assert govuk.follow(json_page(path, listing(results, pages=2, total=2, size=1))) == [
        f"https://www.gov.uk{path}?page=2"
    ]
    assert govuk.follow(json_page(f"{path}?page=2", listing(results, 2, 2, 2, 1))) == []
    assert govuk.parse(json_page(path, listing([], pages=0))) == []


# --- GOV.UK today


def test_todays_route_of_govuk_leads_from_the_search_page_by_page_to_every_organisation():
    (start,) = govuk.routes[0].start
    first = Page(
        start,
        json.dumps(
            {"total": 3, "results": [{"link": "/world/organisations/a"}, {"link": "/government/world/organisations/b"}]}
        ),
    )
    more, *organisations = govuk.follow(first)
    assert start.endswith("start=0")
    assert more == start.removesuffix("0") + "2"
    assert organisations == [f"https://www.gov.uk/api/content/world/organisations/{slug}" for slug in "ab"]
    last = Page(more, json.dumps({"total": 3, "results": [{"link": "/world/organisations/c"}]}))
    assert govuk.follow(last) == ["https://www.gov.uk/api/content/world/organisations/c"]
    assert govuk.parse(first) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"total": 0, "results": []}, "organisations were expected"),
        ({"total": 9, "results": []}, "none of 9 are shown"),
        ({"total": 1, "results": [{"link": "https://elsewhere.example/x"}]}, "found 'https://elsewhere.example/x'"),
        ({"results": []}, "total: Field required"),
    ],
)
def test_a_search_of_govuk_that_finds_nothing_or_leads_away_raises(content, words):
    with pytest.raises(PageError, match=words):
        govuk.follow(Page(govuk.routes[0].start[0], json.dumps(content)))


@needs_data
def test_the_example_of_todays_content_api_is_read():
    text = (EXAMPLES / "worldwide_organisation.json").read_text()
    embassy, dusseldorf, munich = govuk.parse(
        Page("https://www.gov.uk/api/content/world/organisations/uk-embassy-in-country", text)
    )
    assert (embassy.key, embassy.kind, embassy.country) == (
        "british-embassy-madrid/british-embassy",
        "embassy",
        "Spain",
    )
    assert embassy.address == "Torre Emperador Castellana\nPaseo de la Castellana 259D\nMadrid\n28046\nSpain"
    assert (embassy.phone, embassy.fax) == ("+34 91 714 6300 / +44 20 7008 5000", "+34 917 146 301")
    assert (embassy.email, embassy.head_of_mission) == (None, "Karen Pierce DCMG")
    assert "British Embassy opening hours: Monday to Friday, 8:30am to 5pm" in embassy.opening_hours.split("\n")
    assert dusseldorf.email == munich.email == "DITGermany.Enquiries@fcdo.gov.uk"
    assert (munich.city, munich.head_of_mission) == ("81675 Munich", None)


@needs_data
def test_an_office_of_today_without_its_contact_is_unreadable_and_a_withdrawn_one_is_left_out():
    content = json.loads((EXAMPLES / "worldwide_organisation.json").read_text())
    page = "/api/content/world/organisations/uk-embassy-in-country"
    content["links"]["home_page_offices"][0]["withdrawn"] = True
    assert len(govuk.parse(json_page(page, content))) == 2
    del content["links"]["contacts"]
    assert all(isinstance(each, Unreadable) for each in govuk.parse(json_page(page, content)))
    with pytest.raises(PageError, match="document_type"):
        govuk.parse(json_page(page, {**content, "document_type": "gone"}))


@needs_data
def test_both_routes_of_govuk_know_a_mission_by_the_same_key():
    old = {
        "british-embassy-madrid/british-embassy",
    }
    text = (EXAMPLES / "worldwide_organisation.json").read_text()
    new = govuk.parse(Page("https://www.gov.uk/api/content/world/organisations/x", text))
    assert old & missions("2016-04-08").keys() & {mission.key for mission in new} == old


# --- Russia


@needs_data
def test_the_page_of_mid_ru_holds_every_mission_with_every_value():
    text = RUSSIA.read_text()
    found = merged(russia.parse(Page(russia.home, text)))
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


# --- pages that are none


STAND_INS = {
    "maintenance": "<html><title>ただいまメンテナンス中です</title></html>",
    "maintenance in Russian": "<html><h1>Ведутся технические работы</h1></html>",
    "captcha": "<html><title>Just a moment...</title><form></form></html>",
    "access denied": "<html><body><h1>Access Denied</h1></body></html>",
    "login": "<html><title>Ministry</title><form><input type=password></form></html>",
    "sign in": "<html><title>Please sign in</title></html>",
    "nothing": "",
    "blanks": " \r\n\ufeff",
    "NULs": "\0" * 100,
}


@pytest.mark.parametrize("source", [govuk, russia, japan], ids=lambda source: source.name)
@pytest.mark.parametrize("text", STAND_INS.values(), ids=STAND_INS)
def test_what_replaces_a_page_with_status_200_raises_and_never_yields_a_mission(source, text):
    addresses = {
        "govuk": "https://www.gov.uk/api/world-locations/albania/organisations",
        "russia": russia.home,
        "japan": f"{JAPAN}europe.html",
    }
    page = Page(addresses[source.name], text)
    assert refusal(page)
    with pytest.raises(PageError, match=re.escape(page.url)):
        source.parse(page)
    for route in source.routes:
        for start in route.start:
            if source is not russia:
                with pytest.raises(PageError):
                    source.follow(Page(start, text))


@pytest.mark.parametrize("source", [govuk, russia, japan], ids=lambda source: source.name)
@pytest.mark.parametrize("text", ["<html><title>Hello</title></html>", "{}", "[]", "OK", "null", "<x>"])
def test_a_page_of_another_kind_raises(source, text):
    address = {"govuk": govuk.routes[0].start[0], "russia": russia.home, "japan": f"{JAPAN}europe.html"}[source.name]
    with pytest.raises(PageError):
        [*source.follow(Page(address, text)), *source.parse(Page(address, text))]
