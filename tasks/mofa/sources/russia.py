"""Russia's missions abroad: mid.ru, one page with a block a country.

Proven by the real fragments of 2015 (data/missions/russia-mid).
"""

import re
from typing import Final

from bs4 import Tag

from tasks.mofa.embassy import Embassy, key_of
from tasks.mofa.page import Page, PageError, Route, Source, html, lines, one, record, some

_LABELS: Final = {  # every label there is; another one raises
    "адрес": "address",
    "телефон": "phone",
    "телефон для экстренной связи в случае возникновения чрезвычайной ситуации": "emergency",
    "факс": "fax",
    "e-mail": "email",
    "web": "website",
    "социальные сети": "social_media",
}
_KINDS = (  # the beginning of a name, with either letter s: one real name has a Latin c
    (r"по[сc]ольство", "embassy"),
    (r"генконсульство|генеральное консульство", "consulate general"),
    (r"консульство", "consulate"),
    (r"консульский отдел", "consular section"),
    (r"постпредство|постоянное представительство", "permanent mission"),
    (r"представительские функции", "represented by another mission"),
)


def follow(_page: Page) -> list[str]:
    """No links: it is one page."""
    return []


def parse(page: Page) -> list[Embassy]:
    """Every mission of the page; a name and the note who represents Russia there where there is no mission."""
    records: list[Embassy] = []
    for block in some(page, html(page), "div.countrycontact"):
        country = lines(one(page, block, "div.country")).replace("\n", " ")
        if not country:
            raise PageError(page.url, "a country's name (div.country) is blank")
        tables = some(page, one(page, block, "div.contacts"), "table")
        records += [_mission(page, country, table) for table in tables]
    return records


def _mission(page: Page, country: str, table: Tag) -> Embassy:
    name = lines(one(page, table, "h3")).replace("\n", " ")
    about = f"{country}, {name}"
    if not name:
        raise PageError(page.url, f"{country}: the name of a mission (h3) is blank")
    values: dict[str, str] = {}
    for row in table.select("tr"):
        if row.h3 is not None:
            continue
        cells = row.find_all("td", recursive=False)
        if len(cells) != 2:  # noqa: PLR2004 - label and value
            raise PageError(page.url, f"{about}: a row of label and value was expected, found {len(cells)} cells")
        label = " ".join(cells[0].get_text(" ").split()).rstrip(" :").casefold()
        field = _LABELS.get(label)
        if field is None:
            raise PageError(page.url, f"{about}: the label {label!r} is not known, only {', '.join(_LABELS)}")
        if field in values:
            raise PageError(page.url, f"{about}: the label {label!r} stands there twice")
        values[field] = lines(cells[1])
    if emergency := values.pop("emergency", ""):  # the number that matters most, so it stands with the others
        in_emergencies = "\n".join(f"экстренная связь: {line}" for line in emergency.split("\n"))
        values["phone"] = "\n".join(filter(None, (values.get("phone"), in_emergencies)))
    social = values.pop("social_media", "")
    kind = next((kind for pattern, kind in _KINDS if re.match(pattern, name, re.IGNORECASE)), "other")
    return record(
        page,
        about,
        key=key_of(country, name),
        kind=kind,
        name=name,
        country=country,
        extra={"social_media": social} if social else {},
        **values,
    )


SOURCE = Source(
    name="russia",
    title="Ministry of Foreign Affairs of Russia: missions abroad",
    home="https://www.mid.ru/bdomp/zu_r.nsf/straweb",
    hosts=frozenset({"www.mid.ru", "mid.ru"}),
    parser_version=1,
    routes=(Route(start=("https://www.mid.ru/bdomp/zu_r.nsf/straweb",), proven=True),),
    follow=follow,
    parse=parse,
)
