"""The missions of an HTML page before their fields are read: elements, or headings with what follows them."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from bs4 import Tag
from bs4.element import NavigableString, PageElement

from tasks.mofa import labels
from tasks.mofa.labels import Labelled, normal
from tasks.mofa.page import Page, html, lines
from tasks.mofa.source_file import FieldRule, Missions, Pairs, SourceFile

_CELLS = ("th", "td")
_WIDEST = 1_000  # columns or rows that a cell may span
_MAX_SPANNED_CELLS = 1 << 20  # cells of a table that exist only because others span them


@dataclass
class HtmlRow:
    """A mission within a tree. `nodes` are its elements, `at` the one where it begins."""

    at: Tag
    nodes: Sequence[PageElement]
    rules: Missions
    fields: Mapping[str, FieldRule]
    tree: "Tree"
    _labelled: Labelled | None = None

    def value(self, rule: FieldRule) -> str | None:  # noqa: D102 - see Row
        if rule.column:
            return self.tree.cell(self.at, rule.column)
        if rule.label:
            return self._beside(rule)
        if rule.before_labels:
            return self.labelled().before or None
        if rule.rest:
            return "\n".join(self.labelled().rest) or None
        if rule.above:
            return self.tree.above(self.at, rule.above)
        found = self._selected(rule)
        if len(found) > 1 and not rule.several:
            raise ValueError(f"{rule.css!r} was expected once, found {len(found)}")
        texts = [self._of(each, rule) for each in found]
        return "\n".join(text for text in texts if text) if texts else None

    def _selected(self, rule: FieldRule) -> list[Tag]:
        if rule.inside:
            around = self.at.css.closest(rule.inside)
            return [] if around is None else self.tree.select(around, rule.css or "")
        if self.nodes == (self.at,):
            return self.at.select(rule.css or "")
        return [
            each
            for node in self.nodes
            if isinstance(node, Tag)
            for each in ([node] if node.css.match(rule.css or "") else node.select(rule.css or ""))
        ]

    def _of(self, node: Tag, rule: FieldRule) -> str:
        return self.tree.lines(node) if rule.attribute is None else str(node.get(rule.attribute, ""))

    def _beside(self, rule: FieldRule) -> str | None:
        wanted = {normal(each) for each in rule.label}
        found = [each for each in self.labelled().values if normal(each[0]) in wanted]
        if len(found) > 1 and not rule.several:
            raise ValueError(f"the label {found[0][0].strip()!r} was expected once, found {len(found)}")
        if rule.attribute is not None:
            tags = [
                tag
                for _, _, nodes in found
                for node in nodes
                if isinstance(node, Tag)
                for tag in [node, *node.find_all(True)]
            ]
            return next((str(tag[rule.attribute]) for tag in tags if tag.has_attr(rule.attribute)), None)
        return "\n".join(text for _, text, _ in found) if found else None

    def labelled(self) -> Labelled:
        """Its labels with their values, read once."""
        if self._labelled is None:
            self._labelled = self._labels_of()
        return self._labelled

    def _labels_of(self) -> Labelled:
        how = self.rules.labels
        if how == "text":
            named = {*_named(self.fields), *self.rules.ignore}
            continues = {
                normal(label): each.continues
                for rule in self.fields.values()
                for each in rule.all()
                for label in each.label
                if each.continues
            }
            return labels.of_text(self.nodes[1:] if self.rules.until else self.nodes, named, continues, self.rules.skip)
        tags = [each for each in self.nodes if isinstance(each, Tag)]
        if isinstance(how, Pairs):
            parts = [labels.of_pairs(each, how.css, how.label, how.value) for each in tags]
        else:
            read = {"dl": labels.of_lists, "rows": labels.of_rows, "bold": labels.of_bold}[str(how)]
            parts = [read(each) for each in tags]
        return Labelled(
            values=[value for part in parts for value in part.values],
            problems=[problem for part in parts for problem in part.problems],
        )

    def problems(self) -> list[str]:  # noqa: D102 - see Row
        if not self.rules.labels:
            return []
        known = {normal(each) for each in [*_named(self.fields), *self.rules.ignore]}
        unknown = [label for label, _, _ in self.labelled().values if normal(label) not in known]
        return [
            *self.labelled().problems,
            *(f"the label {label.strip()!r} is not known" for label in dict.fromkeys(unknown)),
            *(f"{line!r} belongs to no label" for line in self.labelled().rest if not self._reads_rest()),
        ]

    def _reads_rest(self) -> bool:
        return any(each.rest for rule in self.fields.values() for each in rule.all())

    def text(self) -> str:  # noqa: D102 - see Row
        return lines(self.at).replace("\n", " ")


def _named(fields: Mapping[str, FieldRule]) -> list[str]:
    """All labels that a rule reads."""
    return [label for rule in fields.values() for each in rule.all() for label in each.label]


def html_rows(page: Page, file: SourceFile) -> list[HtmlRow]:
    """The elements that `missions.css` selects, each with what belongs to it."""
    content = html(page)
    tree, rules = Tree(content), file.missions
    headings = content.select(rules.css or "")
    ends = {id(each): each for each in [*headings, *content.select(rules.until)]} if rules.until else {}
    around = _around(ends)
    return [
        HtmlRow(at, _until(at, ends, around) if rules.until else (at,), rules, file.fields, tree) for at in headings
    ]


def _around(ends: Mapping[int, Tag]) -> set[int]:
    """The ids of the elements that hold one of these, found once for all missions."""
    around: set[int] = set()
    for end in ends.values():
        for each in end.parents:
            if id(each) in around:
                break
            around.add(id(each))
    return around


def _until(heading: Tag, ends: Container[int], around: Container[int]) -> tuple[PageElement, ...]:
    """The heading and all elements after it in the page, up to the next end or the next mission.

    `ends` and `around`: ids of elements at which a mission ends, and of those that hold one.
    """
    found: list[PageElement] = [heading]
    inside = set(map(id, heading.descendants))
    for node in heading.next_elements:
        if id(node) in inside:
            continue
        if isinstance(node, Tag):
            if id(node) in ends:
                break
            if id(node) in around:
                continue  # its parts are met one by one
            inside.update(map(id, node.descendants))
        elif type(node) is not NavigableString or not str(node).strip():
            continue
        found.append(node)
    return tuple(found)


def sections_without(page: Page, file: SourceFile) -> int:
    """How many of the elements that `missions.within` selects have no mission."""
    missions = file.missions
    return sum(each.select_one(missions.css or "") is None for each in html(page).select(missions.within or ""))


class Tree:
    """What the missions of a page ask for in its tree, each found once for all of them."""

    def __init__(self, content: Tag) -> None:
        self._content = content
        self._selected: dict[tuple[int, str], list[Tag]] = {}
        self._lines: dict[int, str] = {}
        self._tables: dict[int, _Table] = {}

    def select(self, around: Tag, css: str) -> list[Tag]:
        """The elements below `around` that a CSS selector finds."""
        key = id(around), css
        if key not in self._selected:
            self._selected[key] = around.select(css)
        return self._selected[key]

    def lines(self, node: Tag) -> str:
        """The text of an element, as page.lines has it."""
        if id(node) not in self._lines:
            self._lines[id(node)] = lines(node)
        return self._lines[id(node)]

    def above(self, at: Tag, css: str) -> str | None:
        """The text of the last element before `at` that a CSS selector finds."""
        found = self.select(self._content, css)
        before = bisect_left(found, self._places[id(at)], key=lambda each: self._places[id(each)])
        return self.lines(found[before - 1]) if before else None

    @cached_property
    def _places(self) -> dict[int, int]:
        return {id(tag): place for place, tag in enumerate(self._content.find_all(True))}

    def cell(self, row: Tag, headings: Sequence[str]) -> str | None:
        """The text of the row's cell below one of these headings; cells that span rows or columns are in each."""
        around = row.find_parent("table")
        if not isinstance(around, Tag):
            raise ValueError("a heading of a column needs a table: the mission is in none")  # noqa: TRY004 - of the page
        if id(around) not in self._tables:
            self._tables[id(around)] = _table(around)
        table = self._tables[id(around)]
        places = [place for heading in {normal(each) for each in headings} for place in table.places.get(heading, ())]
        if len(places) != 1:
            raise ValueError(f"one column {' or '.join(headings)} was expected, the table has {', '.join(table.names)}")
        cells = table.rows[id(row)]
        return cells[places[0]] if places[0] < len(cells) else None


class _Table(NamedTuple):
    names: list[str]  # the headings
    places: dict[str, list[int]]  # heading as it is compared -> its columns
    rows: dict[int, list[str | None]]  # the texts of each row, one for each column


def _table(table: Tag) -> _Table:
    rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
    spanning: dict[int, tuple[int, str]] = {}  # column -> rows still to come, text
    texts: dict[int, list[str | None]] = {}
    made = 0
    for row in rows:
        line: list[str | None] = []
        for cell in [*row.find_all(_CELLS, recursive=False), None]:
            while (held := spanning.get(len(line))) and held[0]:
                spanning[len(line)] = (held[0] - 1, held[1])
                line.append(held[1])
                made += 1
            if cell is None:
                break
            text, width, height = lines(cell), _span(cell, "colspan"), _span(cell, "rowspan")
            spanning.update(dict.fromkeys(range(len(line), len(line) + width), (height - 1, text)))
            line += [text] * width
            made += width - 1
            if made > _MAX_SPANNED_CELLS:
                raise ValueError(f"cells that span rows or columns make more than {_MAX_SPANNED_CELLS:,} cells")
        texts[id(row)] = line
    head = next((row for row in rows if row.find("th", recursive=False)), rows[0] if rows else None)
    names = [name or "" for name in texts[id(head)]] if head is not None else []
    places = defaultdict[str, list[int]](list)
    for place, name in enumerate(names):
        places[normal(name)].append(place)
    return _Table(names, places, texts)


def _span(cell: Tag, name: str) -> int:
    value = str(cell.get(name, "1")).strip()
    return min(max(int(value), 1), _WIDEST) if value.isascii() and value.isdigit() else 1
