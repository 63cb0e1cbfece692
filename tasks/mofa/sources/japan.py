"""The foreign missions in Japan: mofa.go.jp, an index and a page for each region.

Unproven: no saved page was at hand. The layout is what a scraper that worked relied on: in the content an h3 with the
Japanese name, an h4 with the English one, then a paragraph with postcode, address, 電話 (telephone numbers) and
管轄区域 (consular district), and paragraphs that only lead back to the index. Whatever does not fit raises, and the
first set is held for a person to compare with the pages.
"""

import re
import unicodedata
from typing import Final
from urllib.parse import urljoin, urlsplit

from bs4 import Tag

from tasks.mofa.embassy import Embassy, key_of
from tasks.mofa.page import Page, PageError, Route, Source, html, lines, record, some

_HOME: Final = "https://www.mofa.go.jp"
_FOLDER: Final = "/mofaj/link/emblist/"
_INDEX: Final = f"{_FOLDER}index.html"
_REGION = re.compile(re.escape(_FOLDER) + r"[^/]+\.html")
_BACK: Final = "駐日外国公館リストの目次へ戻る"  # "back to the index"
_POSTCODE = re.compile(r"〒\s*\d{3}-\d{4}")
_LABELS: Final = {  # every label there is; another one raises
    "電話": "phone",
    "電話番号": "phone",
    "fax": "fax",
    "ファックス": "fax",
    "管轄区域": "district",
    "管轄": "district",
}
# a label at the beginning of a line or after a blank, its colon or blank after it
_LABEL = re.compile(
    r"(?:^|(?<=\s))(電話番号|電話|FAX|ファックス|管轄区域|管轄)\s*[:\uff1a]?\s*", re.IGNORECASE | re.MULTILINE
)
_OTHER_LABEL = re.compile(r"^([^\d\s:\uff1a]{1,12})[:\uff1a](?!//)", re.MULTILINE)
_KINDS: Final = {  # the end of a Japanese name; the first that fits
    "大使館": "embassy",
    "名誉総領事館": "honorary consulate general",
    "名誉領事館": "honorary consulate",
    "総領事館": "consulate general",
    "領事館": "consulate",
    "領事事務所": "consulate",
    "代表部": "mission",
    "代表事務所": "representative office",
}
_OF = re.compile(r"\bof (?:the )?(.+?)(?: (?:in|to) (?:Japan|Tokyo))?$")


def follow(page: Page) -> list[str]:
    """From the index to every page of its folder."""
    if page.path != _INDEX:
        return []
    found: dict[str, None] = {}
    for link in some(page, html(page), "a[href]"):
        target = urlsplit(urljoin(page.url, str(link["href"]).strip()))
        if _REGION.fullmatch(target.path) and target.path != _INDEX:
            found[f"{_HOME}{target.path}"] = None
    if not found:
        raise PageError(page.url, f"links to the pages of the regions ({_FOLDER}….html) were expected, found none")
    return list(found)


def parse(page: Page) -> list[Embassy]:
    """The missions of a region's page; none of the index."""
    if page.path == _INDEX:
        return []
    if not _REGION.fullmatch(page.path):
        raise PageError(page.url, f"a page of {_FOLDER} was expected")
    tree = html(page)
    records = [_mission(page, *_around(page, english)) for english in some(page, tree, "h4")]
    # whoever has a postcode is a mission, so none may stand outside the headings
    postcodes = sum(len(_POSTCODE.findall(_plain(lines(each)))) for each in tree.select("p"))
    if postcodes != len(records):
        raise PageError(page.url, f"a postcode for each of {len(records)} missions was expected, found {postcodes}")
    return records


def _around(page: Page, heading: Tag) -> tuple[str, str, str]:
    """Japanese name, English name and the text of the paragraph that belong to an h4."""
    english = lines(heading).replace("\n", " ")
    before = heading.find_previous("h3")
    after = heading.find_next(["h3", "h4", "p"])
    while isinstance(after, Tag) and after.name == "p" and (_BACK in lines(after) or not lines(after)):
        after = after.find_next(["h3", "h4", "p"])
    japanese = lines(before).replace("\n", " ") if isinstance(before, Tag) else ""
    if not japanese or not english:
        raise PageError(page.url, f"{english!r}: a Japanese name (h3) and an English one (h4) were expected")
    if not isinstance(after, Tag) or after.name != "p":
        raise PageError(page.url, f"{english!r}: a paragraph with its address was expected")
    return japanese, english, lines(after)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("‐", "-").replace("−", "-")


def _mission(page: Page, japanese: str, english: str, text: str) -> Embassy:
    postcode = _POSTCODE.match(_plain(text))
    if postcode is None:
        raise PageError(page.url, f"{english!r}: a postcode (〒NNN-NNNN) was expected first, found {text[:40]!r}")
    labels = list(_LABEL.finditer(text))
    ends = [*(label.start() for label in labels[1:]), len(text)]
    values: dict[str, str] = {}
    for label, end in zip(labels, ends[: len(labels)], strict=True):
        field = _LABELS[label[1].casefold()]
        if field in values:
            raise PageError(page.url, f"{english!r}: {label[1]} stands there twice")
        values[field] = text[label.end() : end].strip()
    if unknown := _OTHER_LABEL.search(_LABEL.sub("", text)):
        raise PageError(page.url, f"{english!r}: the label {unknown[1]!r} is not known, only {', '.join(_LABELS)}")
    if not values.get("phone"):
        raise PageError(page.url, f"{english!r}: 電話 (a telephone number) was expected in {text[:120]!r}")
    address = text[: labels[0].start()].strip()
    if len(address) <= postcode.end():
        raise PageError(page.url, f"{english!r}: an address was expected after the postcode, found {address!r}")
    for field in ("phone", "fax"):
        number = unicodedata.normalize("NFKC", values.get(field, ""))
        if number and not re.match(r"[\d+(]", number):
            raise PageError(page.url, f"{english!r}: a number was expected as {field}, found {number[:40]!r}")
    country = _OF.search(english)
    return record(
        page,
        english,
        key=key_of(english, japanese),  # consulates of one country can share either name
        kind=next((kind for end, kind in _KINDS.items() if end in japanese), "other"),
        name=english,
        country=country[1] if country else None,
        address=address,
        phone="\n".join(part.strip() for part in values["phone"].split("、")),
        fax=values.get("fax"),
        extra={
            "name_ja": japanese,
            **({"consular_district": values["district"]} if values.get("district") else {}),
        },
    )


SOURCE = Source(
    name="japan",
    title="MOFA Japan: foreign missions in Japan",
    home=f"{_HOME}{_INDEX}",
    hosts=frozenset({"www.mofa.go.jp"}),
    parser_version=1,
    routes=(Route(start=(f"{_HOME}{_INDEX}",), proven=False),),
    follow=follow,
    parse=parse,
)
