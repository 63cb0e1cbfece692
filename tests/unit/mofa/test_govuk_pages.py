"""Pages of GOV.UK, of its older API and of today's: what is followed, what is read, and what does not fit."""

import json

import pytest
from support.govuk import DATA, GOVUK, govuk, json_page, missions, needs_data

from tasks.mofa.embassy import Embassy, Unreadable
from tasks.mofa.page import Page, PageError

EXAMPLES = DATA / "govuk-content-api-examples"


# --- the older API


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


# --- today


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
