"""A source as a TOML file: what it can read, and what it says about what it cannot."""

import os
import re
from datetime import date

import pytest
from support.english_lists import hidden
from support.source_texts import ROW, TABLE, html, table

from tasks.mofa import recording, sources
from tasks.mofa.embassy import Embassy, Unreadable
from tasks.mofa.page import PageError
from tasks.mofa.plausibility import MANY
from tasks.mofa.request import Request
from tasks.mofa.settings import monitor_settings
from tasks.mofa.source_file import SourceFileError

# --- what is wrong with the file


@pytest.mark.parametrize(
    ("replacement", "words"),
    [
        (('title = "Example"', ""), "title is missing: write it"),
        (("[fields]", "[fields]\ncolour = 3"), "fields.colour: input should be"),
        (('title = "Example"', 'title = "Example"\ncolour = "red"'), "colour is not a key: correct or remove it"),
        (('"abroad"', '"outside"'), "direction: input should be 'abroad' or 'host'"),
        (('css = "table.m tr:has(td)"', 'css = "table["'), "missions.css: 'table[' is not a CSS selector"),
        (
            ("optional = true }\nemail", 'pattern = "(" }\nemail'),
            "fields.phone.pattern: '(' is not a regular expression",
        ),
        (('key = ["name"]', 'key = ["id"]'), "missions.key names 'id', which is not a field"),
        (('kind = { constant = "embassy" }', ""), "fields.kind is missing"),
        (('{ constant = "embassy" }', '{ constant = "embassy", css = "b" }'), "write exactly one of"),
        (('{ constant = "embassy" }', '{ from = "kind" }'), "fields.kind: it is made of itself"),
        (('{ constant = "embassy" }', '{ from = "sort" }'), "fields.kind: there is no field 'sort'"),
        (('{ constant = "embassy" }', '{ json = "kind" }'), "json cannot be used with format = 'html'"),
        (('{ constant = "embassy" }', '{ label = "kind" }'), "fields.kind: label needs missions.labels"),
        (
            ('url = "https://www.mofa.example/missions"', 'url = "mofa.example"'),
            "start.url.0: 'mofa.example' is not an",
        ),
        (('missions"\n[missions]', 'missions?p={page}"\n[missions]'), "start needs {page} in each url"),
        (("[missions]", "form = {a = 'b'}\n[missions]"), "a form is sent by POST"),
        (("[missions]", "[pages]\nper_page = 5\n[missions]"), "start needs {page}"),
        (('direction = "abroad"', 'direction = "abroad"\ntime_zone = "Mars/One"'), "time_zone 'Mars/One' is not known"),
        (("[start]", "[start"), "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_key(source, replacement, words):
    with pytest.raises(SourceFileError, match=rf"(?s)^example\.toml.*{re.escape(words)}"):
        source(TABLE, replacement)


@pytest.mark.parametrize(
    "url",
    ["http://[", "http://[::1", "http://h:99999/", "http://u:s3cret@h/", "http://h/\\u0000", "http://a b/", "http://"],
)
def test_an_address_that_cannot_exist_or_has_a_password_is_refused(source, url):
    with pytest.raises(SourceFileError) as refused:
        source(TABLE, ("https://www.mofa.example/missions", url))
    assert "home" in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "nested", ["x = " + "[" * 20_000, TABLE + 'city = { column = "c", pattern = "' + "(" * 20_000 + '" }']
)
def test_a_file_that_is_nested_without_end_is_refused(source, nested):
    with pytest.raises(SourceFileError):
        source(nested)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    (tmp_path / "folder.toml").mkdir()
    for name in ("pipe", "loop", "zero", "folder", "nothing"):
        with pytest.raises(SourceFileError, match=name):
            sources.of_file(tmp_path / f"{name}.toml")


def test_a_fixture_that_is_nested_without_end_is_refused(tmp_path):
    (tmp_path / "fixture.json").write_text("[" * 100_000)
    assert recording.head(tmp_path) is None
    with pytest.raises(recording.FixtureError):
        recording.read(tmp_path)


def test_a_link_that_is_no_address_is_not_followed(source):
    made = source(TABLE, ("[missions]", '[[links]]\non = "missions$"\ncss = "a"\n[missions]\non = "/list"'))
    page = html('<a href="http://[broken">our partner</a><a href="/list">list</a>')
    assert made.follow(page) == ["https://www.mofa.example/list"]


def test_everything_that_is_wrong_is_said_at_once(source):
    with pytest.raises(SourceFileError) as refused:
        source(TABLE, ('title = "Example"', ""), ('"abroad"', '"x"'), ("[start]", "[start]\ncolour = 1"))
    assert all(each in str(refused.value) for each in ("title", "direction", "start.colour"))


# --- tables and columns


def test_cells_are_read_by_their_headings_whatever_their_order(source):
    (mission,) = source().parse(
        table(("100", "A", "a@b.example", "1 Road"), head=("Phone", "Mission", "E-mail", "Adresse"))
    )
    assert (mission.name, mission.address, mission.phone, mission.email) == ("A", "1 Road", "100", "a@b.example")


def test_cells_that_span_rows_and_columns_count_for_each_of_them(source):
    page = html(
        "<table class='m'><tr><th>Country</th><th>Mission</th><th>Address</th></tr>"
        "<tr><td rowspan=2>Atlantis</td><td>A</td><td>1</td></tr><tr><td>B</td><td>2</td></tr>"
        "<tr><td>Ruritania</td><td colspan=2>C</td></tr></table>"
    )
    found = source(TABLE, ("[fields]", '[fields]\ncountry = { column = "Country" }'), *_WITHOUT).parse(page)
    assert [(each.country, each.name, each.address) for each in found] == [
        ("Atlantis", "A", "1"),
        ("Atlantis", "B", "2"),
        ("Ruritania", "C", "C"),
    ]


_WITHOUT = [
    (f'{name} = {{ column = "{column}", optional = true }}\n', "")
    for name, column in (("phone", "Phone"), ("email", "E-mail"))
]


def test_a_column_that_is_gone_raises_and_a_missing_cell_is_one_missions_problem(source):
    with pytest.raises(PageError, match=r"none of 2 missions can be read; .*address: one column Address or Adresse"):
        source().parse(table(ROW, ROW, head=("Mission", "Place", "Phone", "E-mail")))
    good, bad = source().parse(table(ROW, ("B",)))
    assert isinstance(good, Embassy)
    assert (bad.row, bad.key, bad.reason) == ("B", "b", "address: nothing was found (Address)")


def test_all_problems_of_a_mission_are_named_at_once(source):
    bad, _ = source().parse(table(("B", "", "1", "nobody"), ROW))
    assert [problem.partition(": ")[0] for problem in bad.reason.split("; ")] == ["address", "email"]


def test_a_page_without_missions_raises_unless_the_file_allows_it(source):
    with pytest.raises(PageError, match=r"missions .table.m tr:has.td.. were expected, found none"):
        source().parse(table())
    assert source(TABLE, ("[fields]", "empty = true\n[fields]")).parse(table()) == []


@pytest.mark.parametrize("field", ["phone", "email"])
def test_one_value_on_all_of_many_missions_raises(source, field):
    rows = [(f"M{n}", f"{n} Road", f"{n}", f"{n}@b.example") for n in range(MANY)]
    at = {"phone": 2, "email": 3}[field]
    same = [(*row[:at], "7@b.example", *row[at + 1 :]) for row in rows]
    with pytest.raises(PageError, match=f"{field} is the same on all {MANY} missions"):
        source().parse(table(*same))
    assert len(source().parse(table(*same[:-1]))) == MANY - 1
    allowed = source(TABLE, ('direction = "abroad"', f'direction = "abroad"\nsame = ["{field}"]'))
    assert len(allowed.parse(table(*same))) == MANY


# --- hidden addresses


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (hidden("info@port.example"), "info@port.example"),
        ("info [at] port.example", "info@port.example"),
        ("info(at)port[dot]example", "info@port.example"),
        ("visa@x.example / office@x.example", "visa@x.example / office@x.example"),
        ("n/a", None),
        ("-", None),
    ],
)
def test_a_hidden_address_is_read_as_a_reader_sees_it(source, written, read):
    (mission,) = source().parse(table(("A", "1 Road", "100", written)))
    assert mission.email == read


@pytest.mark.parametrize("written", ["[email&#160;protected]", "see contact form", "info at port.example", "a@b"])
def test_an_email_without_an_address_is_a_problem_of_its_mission(source, written):
    first, second = source().parse(table(("A", "1 Road", "100", written), ROW[:1] + ROW[1:]))
    assert "email: no e-mail address is in the text" in first.reason
    assert isinstance(second, Embassy)


def test_a_mailto_link_is_an_address(source):
    text = TABLE.replace('{ column = "E-mail", optional = true }', '{ css = "a", attribute = "href" }')
    (mission,) = source(text).parse(table(("A", "1 Road", "1", "<a href='mailto:a@b.example?subject=x'>write</a>")))
    assert mission.email == "a@b.example"


# --- labels

LABELS = (
    TABLE[: TABLE.index("[fields]")].replace("table.m tr:has(td)", "div.m")
    + 'labels = "bold"\nignore = ["Chief"]\n[fields]\n'
    'name = "h3"\nkind = { constant = "embassy" }\naddress = { label = "Address" }\n'
    'phone = { label = ["Tel", "Telephone"], optional = true }\n'
    'website = { label = "Web", attribute = "href", optional = true }\n'
)
VALUES = "1 Road<br>Town", "100 / 200"
WAYS = {
    "bold": "<p><b>Address :</b> {}<br><strong>Tel</strong>: {}</p><p><b>Web:</b> <a href='http://x.example'>site</a></p>",
    "dl": "<dl><dt>Address</dt><dd>{}</dd><dt>Tel:</dt><dd>{}</dd><dt>Web</dt><dd><a href='http://x.example'>s</a></dd></dl>",
    "rows": "<table><tr><th>Address</th><td>{}</td></tr><tr><td>TEL.</td><td>{}</td></tr>"
    "<tr><td>Web:</td><td><a href='http://x.example'>site</a></td></tr></table>",
}


@pytest.mark.parametrize("way", WAYS)
def test_values_are_read_beside_their_labels(source, way):
    page = html(f"<div class='m'><h3>A</h3>{WAYS[way].format(*VALUES)}</div>")
    (mission,) = source(LABELS, ('"bold"', f'"{way}"')).parse(page)
    assert (mission.address, mission.phone, mission.website) == ("1 Road\nTown", "100 / 200", "http://x.example")


@pytest.mark.parametrize("way", WAYS)
def test_a_label_that_is_not_known_is_a_problem_and_an_ignored_one_is_none(source, way):
    def page(label):
        text = WAYS[way].format(*VALUES).replace("Web", label)
        return html(f"<div class='m'><h3>A</h3>{text}</div>")

    made = source(LABELS, ('"bold"', f'"{way}"'))
    (bad,) = made.parse(page("Mascot"))
    assert isinstance(bad, Unreadable)
    assert "the label 'Mascot" in bad.reason
    (good,) = made.parse(page("Chief"))
    assert good.website is None


def test_labels_in_running_text_end_with_their_line(source):
    page = html("<div class='m'><h3>A</h3><p>1 Hotel Tel Aviv Street<br>Town<br>Tel 100 Telephone 200</p></div>")
    text = LABELS.replace('"bold"', '"text"').replace('{ label = "Address" }', "{ before_labels = true }")
    (bad,) = source(text).parse(page)
    assert "the label 'Tel' was expected once, found 2" in bad.reason
    (good,) = source(text).parse(html("<div class='m'><h3>A</h3>1 Hotel Tel Aviv Street<br>Town<br>Tel: 100</div>"))
    assert (good.address, good.phone) == ("A\n1 Hotel Tel Aviv Street\nTown", "100")


def test_a_mission_can_be_a_heading_with_all_that_follows(source):
    text = (
        TABLE[: TABLE.index("[missions]")]
        + '[missions]\ncss = "h3"\nuntil = "h2, h3"\nlabels = "dl"\nkey = ["country", "name"]\n[fields]\n'
        'name = "h3"\ncountry = { above = "h2" }\nkind = { constant = "embassy" }\nphone = { label = "Tel" }\n'
    )
    page = html(
        "<h2>Atlantis</h2><h3>A</h3><div><dl><dt>Tel</dt><dd>1</dd></dl></div><section><h3>B</h3>"
        "<dl><dt>Tel</dt><dd>2</dd></dl></section><h2>Ruritania</h2><h3>A</h3><dl><dt>Tel</dt><dd>3</dd></dl>"
    )
    found = source(text).parse(page)
    assert [(each.key, each.phone) for each in found] == [
        ("atlantis/a", "1"),
        ("atlantis/b", "2"),
        ("ruritania/a", "3"),
    ]


# --- what is made of a value


def test_values_are_cut_joined_and_translated(source):
    text = TABLE.replace(
        '{ constant = "embassy" }', '{ column = "Phone", one_of = { Botschaft = "embassy" } }'
    ).replace(
        'address = { column = ["Address", "Adresse"] }',
        'address = { column = "Address", separator = ";", remove = "^Add: ", '
        'also = [{ column = "E-mail", prefix = "Box " }] }',
    )
    text = text.replace(
        'phone = { column = "Phone", optional = true }\nemail = { column = "E-mail", optional = true }\n', ""
    )
    first, second = source(text).parse(
        table(("A", "Add: 1 Road; Town", "botschaft", "7"), ("B", "2 Road", "Lesesaal", ""))
    )
    assert (first.kind, first.address) == ("embassy", "1 Road\nTown\nBox 7")
    assert (second.kind, second.extra["kind"], second.address) == ("other", "Lesesaal", "2 Road")


def test_a_pattern_that_does_not_fit_is_a_problem_and_an_optional_one_is_no_value(source):
    text = TABLE.replace('{ column = "Phone", optional = true }', "{ column = 'Phone', pattern = '^[+](\\d+)' }")
    good, bad = source(text).parse(table(("A", "1 Road", "+100", ""), ("B", "2 Road", "call us", "")))
    assert good.phone == "100"
    assert "phone: the pattern" in bad.reason
    _, optional = source(text.replace("pattern", "optional = true, pattern")).parse(
        table(("A", "1 Road", "+100", ""), ("B", "2 Road", "call us", ""))
    )
    assert optional.phone is None


# --- the registry


def test_the_sources_that_ship():
    shipped = ["australia", "demo", "germany", "germany-host", "govuk", "ireland", "japan", "korea", "russia"]
    assert sources.names() == shipped
    for name in shipped:
        source = sources.source(name)
        assert source.name == name
        assert {Request.of(start).url.split("/")[2] for route in source.routes for start in route.start} <= source.hosts


def test_an_unknown_source_is_refused_with_those_that_exist():
    with pytest.raises(sources.UnknownSourceError, match="no source 'mars': choose one of australia, demo, germany"):
        sources.source("mars")
    with pytest.raises(sources.UnknownSourceError):
        sources.source("../russia")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A directory of the user's, as MOFA_SOURCES names it."""
    monkeypatch.setenv("MOFA_SOURCES", str(tmp_path))
    monitor_settings.cache_clear()
    yield tmp_path
    monitor_settings.cache_clear()


def test_a_file_of_the_user_is_a_source_and_takes_the_place_of_a_shipped_one(own):
    (own / "example.toml").write_text(TABLE)
    (own / "korea.toml").write_text(TABLE)
    (own / "Not A Source.toml").write_text("")
    assert {"example", "korea"} <= {*sources.names()}
    assert sources.source("example").title == sources.source("korea").title == "Example"
    assert sources.fixture_date("example") is None


def test_a_recorded_fixture_beside_the_file_proves_the_source(own):
    (own / "example.toml").write_text(TABLE)
    assert not sources.source("example").routes[0].verified
    result = recording.result_of(sources.source("example"), table(ROW))
    assert recording.write(sources.fixture_directory("example"), [result], date(2026, 11, 2)) == 1
    assert sources.source("example").routes[0].verified
    assert sources.fixture_date("example") == date(2026, 11, 2)
    assert recording.replay(sources.source("example"), recording.read(sources.fixture_directory("example"))) == []


def test_another_file_is_another_version_and_another_title_is_not(source):
    version = source().parser_version
    assert source(TABLE, ('title = "Example"', 'title = "Other"')).parser_version == version
    assert source(TABLE, ('column = "Phone"', 'column = "Telephone"')).parser_version != version


def test_the_address_of_a_request_is_the_request():
    form = Request.post("https://a.example/x?y=1", {"page": "2", "q": "a b&c", "empty": ""})
    assert Request.of(form.address) == form
    assert Request.of("https://a.example/x#part") == Request("https://a.example/x")
    assert Request("https://a.example/x").address == "https://a.example/x"
