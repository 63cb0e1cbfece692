"""The exact words people read, and that no page can put words into them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from apprise.conversion import markdown_to_html
from bs4 import BeautifulSoup

from tasks.notify.message import (
    News,
    baseline_summary,
    changes_digest,
    failure,
    held_set,
    recovery,
)

RUN = "http://127.0.0.1:4200/runs/flow-run/1"
PARIS = "https://www.gov.uk/world/paris"


def paris(kind, **given) -> News:
    return News(
        **(
            {"kind": kind, "key": "fr/paris", "name": "British Embassy Paris", "country": "France", "page": PARIS}
            | given
        )
    )


@pytest.mark.parametrize(
    ("news", "title", "heading", "plain", "markdown"),
    [
        (
            paris("added"),
            "govuk: 1 added",
            "New (1)",
            "- British Embassy Paris (France)",
            "- **British Embassy Paris (France)**",
        ),
        (
            paris("changed", field="address", old="35 rue X\r\n75008 Paris", new="36 rue X\n75008 Paris"),
            "govuk: 1 changed",
            "Address (1)",
            "- British Embassy Paris (France): 35 rue X, 75008 Paris → 36 rue X, 75008 Paris",
            "- **British Embassy Paris (France)**: 35 rue X, 75008 Paris → 36 rue X, 75008 Paris",
        ),
        (
            paris("changed", field="email", old=None, new="post_1@x.org"),
            "govuk: 1 changed",
            "E-mail (1)",
            "- British Embassy Paris (France): (blank) → post_1@x.org",
            "- **British Embassy Paris (France)**: (blank) → post\\_1@x.org",
        ),
        (
            paris("missing"),
            "govuk: 1 missing",
            "Missing (reported as closed if a later run does not find it either) (1)",
            "- British Embassy Paris (France)",
            "- **British Embassy Paris (France)**",
        ),
        (
            paris("closed"),
            "govuk: 1 closed",
            "Closed (1)",
            "- British Embassy Paris (France)",
            "- **British Embassy Paris (France)**",
        ),
        (
            paris("reopened", country=None),
            "govuk: 1 reopened",
            "Back on the list (1)",
            "- British Embassy Paris",
            "- **British Embassy Paris**",
        ),
        (
            paris("renamed", field="name", old="UK Embassy Paris", new="British Embassy Paris"),
            "govuk: 1 renamed",
            "Renamed (1)",
            "- British Embassy Paris (France): UK Embassy Paris → British Embassy Paris",
            "- **British Embassy Paris (France)**: UK Embassy Paris → British Embassy Paris",
        ),
        (
            paris("moved", field="city", old="Lyon", new="Paris"),
            "govuk: 1 moved",
            "Moved (1)",
            "- British Embassy Paris (France): Lyon → Paris",
            "- **British Embassy Paris (France)**: Lyon → Paris",
        ),
    ],
)
def test_one_change_of_each_kind_in_its_exact_words(news, title, heading, plain, markdown):
    message = changes_digest("govuk", [news], missions=717, run=RUN)
    assert message.title == title
    assert message.plain() == (
        f"717 missions on the list now.\n\n{heading}\n{plain}\n\nThe ministry's page: {PARIS}\nRun: {RUN}"
    )
    assert message.markdown() == (
        f"717 missions on the list now.\n\n**{heading}**\n\n{markdown}\n\n[The ministry's page]({PARIS}) · [Run]({RUN})"
    )


def test_the_most_important_is_first_with_its_own_page():
    fields = ["opening_hours", "website", "head_of_mission", "email", "colour", "phone", "address"]
    news = [paris("changed", field=field, old="1", new="2", page=f"{PARIS}/{field}") for field in fields]
    news += [paris("added", key="b", page=f"{PARIS}/b"), paris("closed", key="c", name="Nice", page=f"{PARIS}/c")]
    message = changes_digest("govuk", news, missions=1, run=RUN)
    assert message.title == "govuk: 1 closed, 1 added, 1 changed"
    headings = [section.heading for section in message.sections]
    assert headings == [
        "Closed (1)",
        "New (1)",
        "Address (1)",
        "Phone (1)",
        "E-mail (1)",
        "Head of mission (1)",
        "Website (1)",
        "Opening hours (1)",
        "Colour (1)",
    ]
    assert message.plain().startswith(
        f"1 mission on the list now.\n\nClosed (1)\n- Nice (France)\n  {PARIS}/c\n\nNew (1)"
    )
    assert f"- **Nice (France)** ([page]({PARIS}/c))" in message.markdown()


def test_a_flood_is_counted_and_the_important_part_of_it_listed():
    news = [paris("changed", key=str(n), field="opening_hours", old="9", new="10") for n in range(344)]
    news += [paris("changed", key=str(n), field="address", old="9", new="10") for n in range(30)]
    news += [paris("changed", key=str(n), field="website", old="9", new="10") for n in range(20)]
    message = changes_digest("govuk", news, missions=717, run=RUN)
    assert message.title == "govuk: 344 changed"
    listed = [(section.heading, len(section.lines), section.more) for section in message.sections]
    assert listed == [("Address (30)", 30, 0), ("Website (20)", 17, 3), ("Opening hours (344)", 3, 341)]
    assert "- … and 341 more on the run's page\n" in message.plain()
    assert "- … and 341 more on the run's page\n" in message.markdown()


def test_a_storm_of_one_kind_hides_no_other():
    news = [paris("missing", key=f"m{n}") for n in range(60)]
    news += [paris("changed", key=f"c{n}", field="address", old="9", new="10") for n in range(40)]
    message = changes_digest("govuk", news, missions=717)
    assert [(len(section.lines), section.more) for section in message.sections] == [(47, 13), (3, 37)]


@pytest.mark.parametrize("length", [300, 50_000])
def test_of_a_long_value_the_part_that_differs_is_shown(length):
    same = "x" * length + " closed on the public holidays in 2026:"
    news = paris("changed", field="opening_hours", old=f"{same} 25 December", new=f"{same} 26 December" + "y" * 300)
    (line,) = changes_digest("s", [news], missions=1).sections[0].lines
    old, new = line.text.split(" → ")
    assert old == "…the public holidays in 2026: 25 December"
    assert new.startswith("…the public holidays in 2026: 26 Decemberyyy")
    assert len(new) == 160


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("x" * 159, "", "x" * 159 + "{}"),
        ("x" * 160, "", "…" + "x" * 30 + "{}"),
        ("x" * 30, "y" * 160, "x" * 30 + "{}" + "y" * 128 + "…"),
        ("x" * 31, "y" * 160, "…" + "x" * 30 + "{}" + "y" * 127 + "…"),
    ],
)
def test_a_value_of_160_characters_is_whole_and_a_longer_one_is_cut_30_before_the_difference(before, after, shown):
    news = paris("changed", field="opening_hours", old=f"{before}1{after}", new=f"{before}2{after}")
    (line,) = changes_digest("s", [news], missions=1).sections[0].lines
    assert line.text == f"{shown.format(1)} → {shown.format(2)}"


@pytest.mark.parametrize(("length", "end"), [(144, " fails"), (145, " fai…")])
def test_a_title_has_150_characters_at_most(length, end):
    message = failure("x" * length, "why", since=datetime(2026, 1, 1, tzinfo=UTC))
    assert message.title == "x" * length + end


@pytest.mark.parametrize(("length", "shown"), [(1_000, "x" * 1_000), (1_001, "x" * 999 + "…")])
def test_a_reason_has_1000_characters_at_most(length, shown):
    message = held_set("govuk", 1, ["x" * length], found=1, known=1)
    for text in (message.plain(), message.markdown()):
        assert f"- {shown}" in text.splitlines()


@pytest.mark.parametrize(("missions", "share"), [(0, "0 of 0 (0 %)"), (1, "1 of 1 (100 %)")])
def test_the_first_set_may_have_one_mission_or_none(missions, share):
    message = baseline_summary("govuk", missions=missions, filled={"phone": missions}, pages=1)
    assert f"- Phone: {share}" in message.plain().splitlines()


def test_the_baseline_is_one_summary():
    message = baseline_summary("govuk", missions=717, filled={"email": 400, "phone": 700}, pages=224, run=RUN)
    assert message.title == "govuk: 717 missions watched from now on"
    lead = "This is the first set of this source, read from 224 pages. Later changes will be reported."
    filled = "- Phone: 700 of 717 (98 %)\n- E-mail: 400 of 717 (56 %)"
    assert message.plain() == f"{lead}\n\nFilled fields\n{filled}\n\nRun: {RUN}"
    assert message.markdown() == f"{lead}\n\n**Filled fields**\n\n{filled}\n\n[Run]({RUN})"


def test_a_held_set_says_why_and_which_command_accepts_it():
    message = held_set(
        "govuk", 42, ["578 of 717 found again (80.6 %)", "phone fell from 90 % to 3 %"], found=800, known=717, run=RUN
    )
    assert message.title == "govuk: held for review, nothing was changed"
    start = (
        "The ministry's pages show 800 missions, 717 are known. This set is not plausible:\n\n"
        "- 578 of 717 found again (80.6 %)\n- phone fell from 90 % to 3 %\n\n"
        "If the ministry is right, this applies exactly that set:\n"
    )
    command = "python -m flows.mofa_monitoring govuk --accept 42"
    assert message.plain() == f"{start}    {command}\n\nRun: {RUN}"
    assert message.markdown() == f"{start}\n```\n{command}\n```\n\n[Run]({RUN})"


def test_the_command_of_a_set_from_a_mirror_names_it_and_cannot_be_bent():
    message = held_set("a b", 1, [], found=0, known=0, base_url="http://127.0.0.1:8000/;rm")
    assert message.command == "python -m flows.mofa_monitoring 'a b' --base-url 'http://127.0.0.1:8000/;***' --accept 1"


def test_an_incident_is_reported_at_its_start_and_its_end():
    since = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
    begun = failure(
        "mofa_monitoring japan", "https://x.example: the server answers 503: try again later", since=since, run=RUN
    )
    assert begun.title == "mofa_monitoring japan fails"
    body = (
        "Since 2026-11-23 03:00 UTC. A message will follow when it works again.\n\n"
        "- https://x.example: the server answers 503: try again later\n\n"
    )
    assert begun.plain() == f"{body}Run: {RUN}"
    assert begun.markdown() == f"{body}[Run]({RUN})"
    ended = recovery("mofa_monitoring japan", since=since.astimezone(ZoneInfo("Asia/Tokyo")), failures=3, run=RUN)
    assert ended.title == "mofa_monitoring japan works again"
    assert ended.plain() == f"It had failed 3 times since 2026-11-23 03:00 UTC.\n\nRun: {RUN}"
    assert ended.markdown() == f"It had failed 3 times since 2026-11-23 03:00 UTC.\n\n[Run]({RUN})"


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt;bold&lt;/b&gt;",
    "[click](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "<http://evil.example>",
    "a\n\n# Heading",
    "# Heading",
    "- item",
    "1. item",
    "12) item",
    "+ item",
    "> quote",
    "a\r\n- British Embassy Rome: closed",
    "a\u2028b\u2029c\x85d\x0be\x0cf",
    "**bold** __bold__ *it* _it_ ~~gone~~ 9~12 13~17",
    "`code` ```\nfence\n```",
    "a\\",
    "\\*a\\*",
    "a | b\n--- | ---\nc | d",
    "===",
    "---",
    "    code",
    "[x]: http://evil.example",
    "</li></ul><h1>x",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_of_a_page_becomes_markup_or_a_line_of_its_own(value):
    news = [
        paris(
            "changed",
            name=value,
            country=value,
            field="phone",
            old=value,
            new=value,
            page="https://x.example/?" + value,
        ),
        paris("added", key="b", name=value, country=None, page=None),
    ]
    for message in (
        changes_digest("govuk", news, missions=1, run=RUN),
        held_set("govuk", 1, [value, "x"], found=1, known=1, run=RUN),
        failure("job", value, since=datetime(2026, 1, 1, tzinfo=UTC), run=RUN),
        failure(value, "x", since=datetime(2026, 1, 1, tzinfo=UTC), run=RUN),
    ):
        soup = BeautifulSoup(markdown_to_html(message.markdown()), "lxml")
        assert {tag.name for tag in soup.find_all()} <= {"html", "body", "p", "ul", "li", "strong", "a", "code"}
        assert {a["href"].partition("?")[0] for a in soup.find_all("a")} <= {RUN, "https://x.example/"}
        assert not soup.select("li li, li p + p, strong strong")
        assert all(tag.string == message.command for tag in soup.find_all("code"))
        lines = sum(len(section.lines) + section.more for section in message.sections)
        assert message.plain().count("\n- ") == message.markdown().count("\n- ") == len(soup.find_all("li")) == lines
        assert len(message.title.splitlines()) == 1
        assert not set(message.title) & set("<>[]`*")
