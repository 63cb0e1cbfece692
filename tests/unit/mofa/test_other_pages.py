"""What a server sends in place of a page raises in every source and never yields a mission."""

import re

import pytest
from support.list_pages import JAPAN

from tasks.mofa import sources
from tasks.mofa.page import Page, PageError, refusal

govuk, russia, japan = (sources.source(name) for name in ("govuk", "russia", "japan"))


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
