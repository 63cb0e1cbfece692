"""What a source file reads beside tables and labels: JSON, files, counted pages and links."""

import json
from io import BytesIO

import pytest
from openpyxl import Workbook
from support.source_texts import HOME, ROW, TABLE, html, table

from tasks.mofa.page import Page, PageError
from tasks.mofa.request import Request
from tasks.mofa.table_file import as_text

# --- JSON

JSON = """
title = "Example"
home = "https://www.mofa.example/missions"
direction = "abroad"
format = "json"
[start]
url = "https://www.mofa.example/missions"
[missions]
json = ["countries", "offices"]
key = ["country", "name"]
[fields]
name = "title"
country = { outer = "name" }
kind = { json = "type", one_of = { E = "embassy" }, optional = true }
phone = { json = "contact.phones", optional = true }
"""
OFFICES = {
    "countries": [{"name": "Atlantis", "offices": [{"title": "A", "type": "E", "contact": {"phones": ["1", "2"]}}]}]
}


def test_json_objects_are_read_inside_each_other(source):
    (mission,) = source(JSON).parse(Page(HOME, json.dumps(OFFICES)))
    assert (mission.key, mission.kind, mission.phone) == ("atlantis/a", "embassy", "1\n2")


def test_json_is_found_in_a_script_of_a_page(source):
    text = JSON.replace("[start]", "script = 'script#data'\nafter = 'window.DATA ='\n[start]")
    page = html(f"<script>x</script><script id='data'>window.DATA = {json.dumps(OFFICES)};\nmore()</script>")
    (mission,) = source(text).parse(page)
    assert mission.name == "A"
    with pytest.raises(PageError, match=r"'script#data' was expected once, found 0"):
        source(text).parse(html("<p>x</p>"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "an empty JSON object"),
        ("[]", "were expected, found none"),
        ('{"countries": []}', "were expected, found none"),
        ('{"countries": "many"}', "countries .* list"),
        ("<html><title>Access denied</title></html>", "an access-denied page|JSON was expected"),
        ('{"countries": [', "JSON was expected"),
    ],
)
def test_json_that_is_no_list_of_missions_raises(source, text, words):
    with pytest.raises(PageError, match=words):
        source(JSON).parse(Page(HOME, text))


# --- files

FILE = TABLE.replace('css = "table.m tr:has(td)"\n', "").replace(
    'direction = "abroad"', 'direction = "abroad"\nformat = "table"'
)


def test_a_csv_file_is_read_by_its_headings_below_whatever_is_above(source):
    text = "List of missions;;\n;;\nMission;Adresse;Phone\nA;1 Road;'+49 1\nB;;2\n"
    good, bad = source(FILE).parse(Page(HOME, text, content_type="text/csv"))
    assert (good.name, good.address) == ("A", "1 Road")
    assert (bad.row, bad.reason) == ("B", "address: nothing was found (Address)")
    with pytest.raises(PageError, match=r"a row with the headings .*Mission.* was expected"):
        source(FILE).parse(Page(HOME, "a;b\n1;2\n"))


def test_a_workbook_is_read_as_the_import_reads_it(source):
    workbook = Workbook()
    workbook.active.append(["Mission", "Address", "Phone"])
    workbook.active.append(["A", "1 Road", 100])
    body = BytesIO()
    workbook.save(body)
    (mission,) = source(FILE).parse(Page(HOME, as_text(body.getvalue())))
    assert (mission.name, mission.phone) == ("A", "100")
    with pytest.raises(PageError, match="damaged"):
        source(FILE).parse(Page(HOME, as_text(body.getvalue()[:500])))


# --- pages and links

PAGED = TABLE.replace('missions"\n[missions]', 'missions?p={page}"\n[pages]\nWAY\n[missions]')


def paged(number, body):
    return html(body, f"{HOME}?p={number}")


def test_pages_are_counted_by_the_numbers_that_a_page_shows(source):
    made = source(PAGED, ("WAY", "last = {css = '.pages a', pattern = 'p=(\\d+)'}"))
    assert made.routes[0].start == (f"{HOME}?p=1",)
    links = "<div class='pages'><a href='?p=2'>2</a><a href='?p=4'>»</a></div>"
    assert made.follow(paged(1, links)) == [f"{HOME}?p={number}" for number in (2, 3, 4)]
    assert made.follow(paged(4, links)) == []
    with pytest.raises(PageError, match="numbers of pages were expected"):
        made.follow(paged(1, ""))
    with pytest.raises(PageError, match="the list has no end"):
        made.follow(paged(1, "<div class='pages'><a href='?p=99999'>»</a></div>"))


def test_pages_are_counted_by_the_number_of_missions(source):
    made = source(PAGED, ("WAY", "total = {css = '.total'}\nper_page = 10\nfirst = 0"))
    assert made.follow(paged(0, "<b class='total'>1,021 missions</b>"))[-1] == f"{HOME}?p=102"
    with pytest.raises(PageError, match="one number of all missions was expected"):
        made.follow(paged(0, ""))


def test_pages_of_a_form_are_requests_of_their_own(source):
    made = source(
        PAGED,
        ("missions?p={page}", "missions"),
        ("[pages]\nWAY", "method = 'POST'\nform = {page = '{page}', q = ''}\n[pages]\nper_page = 1"),
    )
    (start,) = made.routes[0].start
    assert Request.of(start) == Request(HOME, "POST", (("page", "1"), ("q", "")))
    page = Page(start, table(ROW).text)
    assert [Request.of(each).form[0] for each in made.follow(page)] == [("page", "2")]


LINKED = TABLE.replace("[missions]", "[[links]]\ncss = 'a'\npattern = '/region/[^/]+$'\n[missions]")


def test_links_of_the_start_are_followed_each_once(source):
    made = source(LINKED)
    start = html("<a href='/region/a#x'>a</a><a href='region/a'>a</a><a href='/region/a'>a</a><a href='/home'>x</a>")
    assert made.follow(start) == ["https://www.mofa.example/region/a"]
    assert made.parse(start) == []
    region = Page("https://www.mofa.example/region/a", table(ROW).text)
    assert made.follow(region) == []
    assert len(made.parse(region)) == 1


def test_a_start_without_links_and_a_link_to_another_host_raise(source):
    with pytest.raises(PageError, match=r"links .* were expected, found none"):
        source(LINKED).follow(html("<a href='/home'>x</a>"))
    with pytest.raises(PageError, match=r"a link leads to 'evil.example': add it to hosts, or narrow pattern"):
        source(LINKED).follow(html("<a href='https://evil.example/region/a'>x</a>"))


def test_links_can_be_made_of_parts_of_an_address(source):
    made = source(LINKED, ("$'\n", "$'\nto = 'https://www.mofa.example/api{0}.json'\n"))
    assert made.follow(html("<a href='/region/a'>x</a>")) == ["https://www.mofa.example/api/region/a.json"]
