"""Four times the page takes about four times the work, in whatever direction the page is large."""

from collections.abc import Callable
from dataclasses import replace
from difflib import SequenceMatcher

import pytest
from support.growth import growth
from support.source_texts import TABLE, html

from tasks.mofa import diff, labels
from tasks.mofa.embassy import Embassy, merge_by_key
from tasks.mofa.page import Page, refusal

pytestmark = pytest.mark.slow

_LINEAR = 9  # times for the fourfold input; 16 is quadratic
_HEADINGS = (
    TABLE[: TABLE.index("[missions]")]
    + '[missions]\ncss = "h4"\nuntil = "h3"\nlabels = "text"\nkey = ["name"]\n[fields]\n'
    'name = "h4"\ncountry = { above = "h3" }\nkind = { constant = "embassy" }\nphone = { label = "Tel" }\n'
)


def _below_one_heading(size: int) -> Page:
    missions = "".join(f"<h4>Embassy of X{n}</h4><p>Tel 03-1234-{n:04}</p>" for n in range(size))
    return html(f"<h3>{'Asia ' * 20}</h3>{missions}")


def _columns_of_a_table(size: int) -> Page:
    head = "".join(f"<th>h{n}</th>" for n in range(size))
    rows = "".join(f"<tr><td>E{n}<td>{n} Road<td>03-1234-{n:04}</tr>" for n in range(size))
    return html(f"<table class=m><tr><th>Mission<th>Address<th>Phone<th>E-mail{head}</tr>{rows}</table>")


@pytest.mark.parametrize(
    ("text", "make", "size"), [(_HEADINGS, _below_one_heading, 60), (TABLE, _columns_of_a_table, 150)]
)
def test_the_work_grows_with_the_missions(source, text: str, make: Callable[[int], Page], size: int) -> None:
    def prepared(size: int) -> Callable[[], object]:
        page, found = make(size), source(text)
        assert len(found.parse(page)) == size
        return lambda: found.parse(replace(page))

    assert growth(prepared, size) < _LINEAR


@pytest.mark.parametrize("part", ["<div><h1>", "<div><h1>x", "<h1>техническ"])
def test_the_work_grows_with_the_headings_of_a_page_that_cannot_be_read(part: str) -> None:
    assert growth(lambda size: lambda: refusal(html(part * size)), 300) < _LINEAR


def test_the_work_grows_with_the_terms_of_a_list() -> None:
    def prepared(size: int) -> Callable[[], object]:
        tree = html(f"<dl>{'<dt>Tel<dd>1' * size}</dl>").tree
        return lambda: labels.of_lists(tree)

    assert growth(prepared, 500) < _LINEAR


def test_the_work_grows_with_the_records_of_a_mission() -> None:
    def prepared(size: int) -> Callable[[], object]:
        records = [Embassy(key="a", kind="embassy", name="A", extra={"serves": (f"c{n}",)}) for n in range(size)]
        return lambda: merge_by_key(records)

    assert growth(prepared, 200) < _LINEAR


def test_a_mission_is_united_with_the_sets_of_all_its_records() -> None:
    records = [
        Embassy(key="a", kind="embassy", name="A", extra={"serves": each}) for each in (("c",), ("b", "a"), ("c",))
    ]
    assert merge_by_key(records)[0]["a"].extra == {"serves": ("a", "b", "c")}


def test_of_long_names_only_the_beginning_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    class Matcher(SequenceMatcher[str]):
        def __init__(self, *, a: str, b: str, autojunk: bool) -> None:
            lengths.extend((len(a), len(b)))
            super().__init__(a=a, b=b, autojunk=autojunk)

    monkeypatch.setattr(diff, "SequenceMatcher", Matcher)
    one, other = (Embassy(key=key, kind="embassy", name="ab" * 500, phone="1234567") for key in ("one", "other"))
    assert diff.match_renamed({"one": one}, {"other": other}) == {"other": "one"}
    assert lengths == [300, 300]
