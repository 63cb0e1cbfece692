"""Values beside labels, in the four ways in which pages write them.

dl: <dt>Address</dt><dd>…</dd>. rows: a table row with two cells. bold: <b>Address :</b> … up to the next bold label.
text: "TEL 03-…" within running text, where only the labels that the source names are labels.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PageElement

from tasks.mofa.page import lines

_AROUND = " \t\n:\uff1a.\u3000"
_HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]
_BOLD = ["b", "strong"]
_COLON = (":", "\uff1a")
# A line "Word: value" whose label the source does not name; not an address like http://…
_UNKNOWN = re.compile(r"^([^\d\s:\uff1a(\uff08][^\d:\uff1a]{0,29})[:\uff1a](?!//)")


@dataclass
class Labelled:
    """What stands beside labels. `problems` are sentences about what cannot be understood."""

    values: list[tuple[str, str, Sequence[PageElement]]] = field(default_factory=list)  # label, text, its elements
    before: str = ""  # the text before the first label
    rest: list[str] = field(default_factory=list)  # lines that belong to no label
    problems: list[str] = field(default_factory=list)


def normal(label: str) -> str:
    """A label as it is compared: case, width, blanks and the colon do not matter."""
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split()).strip(_AROUND)


def of_lists(node: Tag) -> Labelled:
    """Labels and values of the definition lists in `node`."""
    found = Labelled()
    for term in node.find_all("dt"):
        values: list[Tag] = []
        for after in term.next_siblings:
            if isinstance(after, Tag) and after.name == "dt":
                break
            if isinstance(after, Tag) and after.name == "dd":
                values.append(after)
        if values:
            found.values.append((lines(term), "\n".join(map(lines, values)), values))
        else:
            found.problems.append(f"the label {lines(term)!r} has no value")
    return found


def of_rows(node: Tag) -> Labelled:
    """Labels and values of the table rows in `node`; a row with a heading (h1 to h6) has neither."""
    found = Labelled()
    for row in node.find_all("tr"):
        cells = row.find_all(["td", "th"], recursive=False)
        if row.find(_HEADINGS) or not lines(row):
            continue
        if len(cells) == 2:  # noqa: PLR2004 - label and value
            found.values.append((lines(cells[0]), lines(cells[1]), cells[1:]))
        else:
            found.problems.append(f"a row of label and value was expected, found {len(cells)} cells")
    return found


def of_pairs(node: Tag, pair: str, label: str, value: str) -> Labelled:
    """Labels and values in the elements that these CSS selectors find; an element without a label has neither."""
    found = Labelled()
    for each in node.select(pair) or ([node] if node.css.match(pair) else []):
        names, values = each.select(label), each.select(value)
        if len(names) == 1 and len(values) == 1:
            found.values.append((lines(names[0]), lines(values[0]), values))
        elif names:
            found.problems.append(f"the label {lines(names[0])!r} was expected to have one value, found {len(values)}")
    return found


def of_bold(node: Tag) -> Labelled:
    """Bold labels that a colon ends, inside or behind; the value is what follows in the same element."""
    found = Labelled()
    for label in node.find_all(_BOLD):
        if label.find_parent(_BOLD) or not _has_colon(label):
            continue
        following: list[PageElement] = []
        for after in label.next_siblings:
            if isinstance(after, Tag) and after.name in _BOLD and _has_colon(after):
                break
            following.append(after)
        text = text_of(following)
        found.values.append((lines(label), text.removeprefix(":").removeprefix("\uff1a").strip(), following))
    return found


def _has_colon(label: Tag) -> bool:
    after = label.next_sibling
    return lines(label).rstrip().endswith(_COLON) or (
        isinstance(after, NavigableString) and str(after).lstrip().startswith(_COLON)
    )


def of_text(
    nodes: Iterable[PageElement], labels: Collection[str], continues: dict[str, str], skip: list[str]
) -> Labelled:
    """The labels named, at the beginning of a line or behind a blank.

    A value ends with its line: a line below it without a label belongs to it only if it fits the pattern that
    `continues` has for the label. Definition lists are read as lines "label: value".
    """
    found = Labelled()
    text = "\n".join(line for line in text_of(nodes).split("\n") if not any(re.search(each, line) for each in skip))
    pattern = _label_pattern(labels)
    before: list[str] = []
    values: list[tuple[str, list[str]]] = []  # label, lines
    for line in text.split("\n"):
        hits = list(pattern.finditer(line))
        lead = line[: hits[0].start()].strip() if hits else line
        if lead and not values:
            before.append(lead)
        elif lead:
            if (rule := continues.get(normal(values[-1][0]))) and re.fullmatch(rule, lead):
                values[-1][1].append(lead)
            else:
                found.rest.append(lead)
        for hit, after in zip_longest(hits, hits[1:]):
            values.append((hit[1], [line[hit.end() : after.start() if after else len(line)].strip()]))
    found.values = [(label, "\n".join(of_label), ()) for label, of_label in values]
    found.before = "\n".join(before)
    for line in [*before, *found.rest]:
        if unknown := _UNKNOWN.match(line):
            found.problems.append(f"the label {unknown[1].strip()!r} is not known")
    return found


def _label_pattern(labels: Collection[str]) -> re.Pattern[str]:
    """Labels with a colon, or directly before a number; those of other scripts also before a blank."""
    names = "|".join(re.escape(each) for each in sorted(labels, key=len, reverse=True)) or "(?!)"
    before_number = r"[ \t\u3000]*(?=[\d+(\uff08\uff10-\uff19])"
    before_blank = r"(?<=[^\x00-\x7f])[ \t\u3000]+"
    return re.compile(rf"(?:^|(?<=\s))({names})(?:\s*[:\uff1a.]\s*|{before_number}|{before_blank})", re.IGNORECASE)


def text_of(nodes: Iterable[PageElement]) -> str:
    """The lines that a reader sees in these elements, with each term of a definition list before its value."""
    soup = BeautifulSoup("", "lxml")
    box = soup.new_tag("div")
    for node in nodes:
        box.append(BeautifulSoup(str(node), "lxml") if isinstance(node, Tag) else NavigableString(str(node)))
    for term in box.find_all("dt"):
        value = term.find_next_sibling()
        label = lines(term).rstrip(_AROUND)
        term.string = f"{label}: {lines(value)}" if isinstance(value, Tag) and value.name == "dd" else label
        if isinstance(value, Tag) and value.name == "dd":
            value.decompose()
    return lines(box)
