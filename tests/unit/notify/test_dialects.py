"""The forms of a message: text of a page is markup in none of them, and what people copy stays as it is."""

import re
from types import SimpleNamespace

import pytest
from apprise.conversion import html_to_text, markdown_to_html
from bs4 import BeautifulSoup

from tasks.notify.dialects import ADAPTED, COMMONMARK, TEXT, as_html, fitted, for_plugin, in_dialect
from tasks.notify.message import News, changes_digest, held_set

RUN = "http://127.0.0.1:4200/runs/flow-run/1"
PAGES = "https://x.example/a_b/1", "https://x.example/_c?d=1&e=2"


def digest(*values: str, pages: tuple[str | None, ...] = PAGES) -> str:
    news = [
        News("changed", str(n), "Embassy", field="phone", old="1", new=value, page=pages[n % len(pages)])
        for n, value in enumerate(values)
    ]
    return changes_digest("s", news, missions=2, run=RUN).markdown()


@pytest.mark.parametrize(
    ("dialect", "lines"),
    [
        (
            COMMONMARK,
            [
                "**Phone (2)**",
                f"- **Embassy**: 1 → ［2］ ([page]({PAGES[0]}))",
                f"- **Embassy**: 1 → 3 ([page]({PAGES[1]}))",
                f"[Run]({RUN})",
            ],
        ),
        (
            ADAPTED,
            [
                "**Phone (2)**",
                f"- **Embassy**: 1 → ［2］ ([page](<{PAGES[0]}>))",
                f"- **Embassy**: 1 → 3 ([page](<{PAGES[1]}>))",
                f"[Run](<{RUN}>)",
            ],
        ),
        (
            TEXT,
            [
                "Phone (2)",
                f"- Embassy: 1 → ［2］\n  {PAGES[0]}",
                f"- Embassy: 1 → 3\n  {PAGES[1]}",
                f"Run: {RUN}",
            ],
        ),
    ],
)
def test_each_dialect_writes_headings_and_links_in_its_way(dialect, lines):
    heading, first, second, run = lines
    assert in_dialect(digest("[2]", "3"), dialect) == (
        f"2 missions on the list now.\n\n{heading}\n\n{first}\n{second}\n\n{run}"
    )


def test_a_command_stays_a_command():
    held = held_set("x_y", 7, ["*a*"], found=1, known=2, base_url="http://h/_a_*b*", run=RUN)
    code = "python -m flows.mofa_monitoring x_y --base-url 'http://h/_a_*b*' --accept 7"
    assert f"exactly that set:\n\n```\n{code}\n```\n\n" in in_dialect(held.markdown(), COMMONMARK)
    assert f"exactly that set:\n\n    {code}\n\nRun: {RUN}" in in_dialect(held.markdown(), TEXT)


HOSTILE = [
    "[click](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "<http://evil.example|click> <!channel> <!here|here> <@U123> <@&456> <#C1> <users/all>",
    "*b* **b** _i_ __i__ ___x___ ~s~ ~~s~~ `c` ```c``` ||spoiler||",
    '(_i_) "_i_" a _b c_ d',
    "# Heading",
    "## Heading",
    "-# small",
    "- item",
    "+ item",
    "1. item",
    "12) item",
    "> quote",
    "\\[a\\](http://evil.example) \\*a\\* \\_a\\_",
    "[x]: http://evil.example",
    "[[wiki]] [url=http://evil.example]x[/url]",
    '<b>x</b> <at user_id="all">x</at> &lt;b&gt;',
]


@pytest.mark.parametrize("dialect", [COMMONMARK, ADAPTED, TEXT])
@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_is_markup_in_any_dialect(dialect, value):
    closed = changes_digest("s", [News("closed", "k", value)], missions=1)
    (line,) = re.findall(r"^- (.*)$", in_dialect(closed.markdown(), dialect), re.MULTILINE)
    line = line.removeprefix(dialect.bold).removesuffix(dialect.bold)
    assert not set(line) & set("*`[]<>~"), line
    assert "||" not in line
    assert not re.search(r"(?<![\w/.:=&?@-])_|_(?!\w)", line), "an underscore at the border of a word"
    assert not re.match(r"(#+|-#|[-+]|\d+[.)])(\s|$)", line), "a list or a heading in the list"


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_is_markup_where_markdown_is_shown(value):
    soup = BeautifulSoup(markdown_to_html(in_dialect(digest(value), COMMONMARK)), "lxml")
    assert {tag.name for tag in soup.find_all()} <= {"html", "body", "p", "ul", "li", "strong", "a"}
    assert {a["href"] for a in soup.find_all("a")} == {PAGES[0], RUN}
    assert [tag.get_text() for tag in soup.find_all("strong")] == ["Phone (1)", "Embassy"]


@pytest.mark.parametrize(
    "value",
    [
        "+44 20 7946-0000",
        "+(44) 20",
        "post_1@x_y.example",
        "a__b@x.example",
        "https://x.example/_layouts/15/a_b.aspx?_c=1&d=_e",
        "#12 High Street",
        "1-3 Rue X | Entrée B",
        "Trade & Investment",
        "-5",
        "می‌خواهم",
    ],
)
@pytest.mark.parametrize("dialect", [COMMONMARK, ADAPTED, TEXT])
def test_what_people_copy_stays_as_it_is(dialect, value):
    assert f"1 → {value}\n" in in_dialect(digest(value, pages=(None,)), dialect)


def test_html_shows_the_address_of_each_link_so_that_text_made_of_it_has_them_all():
    html = as_html(digest("2", "3"))
    links = {a["href"]: a.get_text() for a in BeautifulSoup(html, "lxml").find_all("a")}
    assert links == {url: url for url in (*PAGES, RUN)}
    assert list(filter(None, html_to_text(html).splitlines()))[-5:] == [
        "- Embassy: 1 → 2",
        PAGES[0],
        "- Embassy: 1 → 3",
        PAGES[1],
        f"Run: {RUN}",
    ]


def test_a_message_that_is_cut_leaves_no_command_open():
    body = f"lead\n\n- x\n\nadvice\n\n```\n{'c' * 50}\n{'d' * 50}\n```\n\n[Run]({RUN})"
    for max_length in range(120, len(body)):
        assert fitted(body, max_length).count("```") in {0, 2}
        assert len(fitted(body, max_length)) <= max_length
    assert fitted(f"lead\n\n```\ncommand\n```\n\n{'x' * 100}\n\nRun: {RUN}", 150) == (
        f"lead\n\n```\ncommand\n```\n\n… shortened: the rest is on the run's page\n\nRun: {RUN}"
    )


@pytest.mark.parametrize("max_length", [40, 80, 1000])
def test_a_short_message_stays_short_if_each_ampersand_is_escaped(max_length):
    plugin = SimpleNamespace(notify_format="text", body_maxlen=max_length + 34, title_maxlen=0)
    body = for_plugin(plugin, "sms", "s: 1", "", "& " * 2000)["body"]
    assert len(body.replace("&", "&amp;")) <= max_length


def test_a_message_fits_into_any_length_and_is_cut_within_a_line_where_its_links_do_not_fit():
    body = "lead\n\n- one\n- two\n- three " + "x" * 200 + "\n\nRun: http://x"
    end = "… shortened: the rest is on the run's page\n\nRun: http://x"
    for max_length in range(1, len(end) + 1):
        assert fitted(body, max_length) == body[: max_length - 1] + "…"
    for max_length in range(len(end) + 1, len(body)):
        assert len(fitted(body, max_length)) <= max_length
        assert fitted(body, max_length).endswith(end)
    assert fitted(body, len(end) + 1) == end
    assert fitted("short", 5) == "short"
    assert fitted("short", 4) == "sho…"


@pytest.mark.parametrize(("length", "shown"), [(30, "&" * 10 + "x" * 30), (31, "&" * 10 + "x" * 29 + "…")])
def test_a_message_that_fits_with_each_ampersand_escaped_is_whole(length, shown):
    plugin = SimpleNamespace(notify_format="text", body_maxlen=80 + 34, title_maxlen=0)
    text = "&" * 10 + "x" * length
    assert for_plugin(plugin, "sms", "s: 1", text, text)["body"] == shown


def test_where_no_html_fits_it_is_as_short_as_can_be():
    plugin = SimpleNamespace(notify_format="html", body_maxlen=4, title_maxlen=0)
    assert for_plugin(plugin, "custom", "s: 1", "", "text")["body"] == "<p>…</p>"


@pytest.mark.parametrize(
    ("title_maxlen", "title", "shown"),
    [(0, "x" * 300, "x" * 300), (100, "x" * 100, "x" * 100), (100, "x" * 101, "x" * 99 + "…")],
)
def test_a_title_is_as_long_as_the_channel_allows_if_it_has_any(title_maxlen, title, shown):
    plugin = SimpleNamespace(notify_format="text", body_maxlen=1000, title_maxlen=title_maxlen)
    assert for_plugin(plugin, "sms", title, "", "text") == {"title": shown, "body": "text", "body_format": "text"}


@pytest.mark.parametrize(
    ("channel", "title", "length"),
    [
        ({"body_maxlen": 1000}, "x" * 10, 960),
        ({"body_maxlen": 100}, "x" * 60, 50),
        ({"body_maxlen": 35_000, "use_blocks": True}, "x" * 10, 2_960),
        ({"body_maxlen": 35_000, "use_blocks": False}, "x" * 10, 34_960),
    ],
)
def test_a_body_has_what_the_title_leaves_and_half_at_least(channel, title, length):
    plugin = SimpleNamespace(notify_format="text", title_maxlen=0, **channel)
    assert for_plugin(plugin, "sms", title, "", "y" * length)["body"] == "y" * length
    assert for_plugin(plugin, "sms", title, "", "y" * (length + 1))["body"] == "y" * (length - 1) + "…"


@pytest.mark.parametrize(
    ("title_maxlen", "title", "body"), [(100, "s: 1", "**bold**"), (0, "", "**s: 1**\n\n**bold**")]
)
def test_a_channel_of_markdown_gets_markdown_and_in_it_the_title_that_it_has_no_place_for(title_maxlen, title, body):
    plugin = SimpleNamespace(notify_format="markdown", body_maxlen=1000, title_maxlen=title_maxlen)
    assert for_plugin(plugin, "custom", "s: 1", "plain", "**bold**") == {
        "title": title,
        "body": body,
        "body_format": "markdown",
    }


@pytest.mark.parametrize(
    ("kind", "asked", "sent"),
    [("tgram", "markdown", "html"), ("tgram", "text", "text"), ("custom", "markdown", "markdown")],
)
def test_telegram_gets_html_in_place_of_its_own_markdown(kind, asked, sent):
    plugin = SimpleNamespace(notify_format=asked, body_maxlen=1000, title_maxlen=100)
    assert for_plugin(plugin, kind, "s: 1", "plain", "text")["body_format"] == sent


@pytest.mark.parametrize(("form", "texts"), [("markdown", ("the body of a@x.example", "@you")), ("text", ("@you",))])
def test_discord_notifies_only_whom_its_address_names(form, texts):
    plugin = SimpleNamespace(notify_format=form, body_maxlen=1000, title_maxlen=100, ping_payload=lambda *given: given)
    for_plugin(plugin, "discord", "s: 1", "plain", "text")
    assert plugin.ping_payload(*texts) == ("@you",)


def test_a_message_that_is_cut_keeps_as_many_whole_lines_as_fit():
    lines = [f"- line {n}" for n in range(40)]
    body, end = "\n".join(lines), f"[Run]({RUN})"
    whole = f"{body}\n\n{end}"
    assert fitted(whole, len(whole)) == whole
    note = "… shortened: the rest is on the run's page"
    for max_length in range(len(f"{lines[0]}\n\n{note}\n\n{end}"), len(whole)):
        cut = fitted(whole, max_length)
        kept = [line for line in cut.splitlines() if line.startswith("- ")]
        assert kept == lines[: len(kept)]
        assert cut.endswith(end)
        assert len(cut) <= max_length < len(cut) + len(f"\n{lines[len(kept)]}")
