"""The United Kingdom's missions abroad: the APIs of GOV.UK.

Python and not TOML: an office, its contact and its organisation are joined by their ids, opening hours are HTML
within JSON, telephone, fax and e-mail are told apart by what their labels say, and two routes give the same missions.

Two routes. Today: the search API lists the worldwide organisations, the content API has a page for each, with its
offices and their contacts (https://content-api.publishing.service.gov.uk/; that the two together replace the older
API is what GOV.UK's own gds-api-adapters do in lib/gds_api/worldwide.rb). Until 2023, and tried when that answers 404:
a list of locations, and the organisations of each. The older route is tested with two full snapshots; of today's there
are only the schemas' examples, so its first set is held.

A mission is an office of an organisation. Its key is the two slugs of its address, which both routes share and which
survived the move from /government/world/… to /world/….
"""

import re
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from bs4 import BeautifulSoup
from pydantic import ValidationError

from tasks.mofa.embassy import Embassy, Entry, Unreadable
from tasks.mofa.govuk_answers import (
    Listing,
    Locations,
    OldOffice,
    OrganisationContent,
    Organisations,
    PostAddress,
    Search,
)
from tasks.mofa.page import Page, PageError, Route, Source, lines, parsed

_HOME: Final = "https://www.gov.uk"
_AT_ONCE: Final = 1_000  # results of a search; the API allows 1,500, and there are about 400 organisations
_SEARCH: Final = (
    f"{_HOME}/api/search.json?filter_format=worldwide_organisation&fields=title,link&count={_AT_ONCE}&start="
)

_SEARCHED = re.compile(r"/api/search\.json")
_CONTENT = re.compile(r"/api/content/(?:government/)?world/organisations/[^/]+")
_LOCATIONS = re.compile(r"/api/world-locations")
_ORGANISATIONS = re.compile(r"/api/world-locations/([^/]+)/organisations")
_ORGANISATION_LINK = re.compile(r"/(?:government/)?(world/organisations/[^/?#]+)")
_OFFICE = re.compile(r"/(?:government/)?world/organisations/([^/]+)(?:/office/([^/]+))?")

_TYPES: Final = {  # details.type of an office -> kind
    "Embassy": "embassy",
    "High Commission": "high commission",
    "Deputy High Commission": "deputy high commission",
    "Consulate": "consulate",
    "Honorary Consul": "honorary consulate",
    "HM Governor’s Office": "governor's office",
    "British Trade and Cultural Office": "trade and cultural office",
    "Other": "other",
}
_IN_TITLES: Final = {  # what a title says where there is no type; the first that is found
    "deputy high commission": "deputy high commission",
    "high commission": "high commission",
    "embassy": "embassy",
    "honorary consul": "honorary consulate",
    "consulate": "consulate",
}
_PLAIN_PHONE = re.compile(r"(?:office |general )?(?:tele?phone|tel|phone)(?: number)?|")
_PLAIN_FAX = re.compile(r"fax(?: number)?|facsi?mile")
_FAX = re.compile(r"\bfax|\bfacsi?mile", re.IGNORECASE)
_PHONE = re.compile(r"tel|phone", re.IGNORECASE)
_NUMBER = re.compile(r"(?:\d[\s().-]*){6}")  # a number to dial, not the 24 of "24 hours"
_EMAIL_LABEL = re.compile(r"e-?mail", re.IGNORECASE)

L = TypeVar("L", Locations, Organisations)

# ---------------------------------------------------------------------- crawl


def follow(page: Page) -> list[str]:
    """From a search its next page and the organisations found; from a list its next page and the locations' lists."""
    if _SEARCHED.fullmatch(page.path):
        return _from_search(page)
    if _LOCATIONS.fullmatch(page.path):
        listing = _listing(page, Locations)
        slugs = [quote(location.details.slug, safe="") for location in listing.results]
        if not slugs:
            raise PageError(page.url, "locations were expected, the list is empty")
        return [*_next(page, listing), *(f"{_HOME}/api/world-locations/{slug}/organisations" for slug in slugs)]
    if _ORGANISATIONS.fullmatch(page.path):
        return _next(page, _listing(page, Organisations))
    return []


def _from_search(page: Page) -> list[str]:
    search = parsed(page, Search)
    start = int(parse_qs(urlsplit(page.url).query).get("start", ["0"])[0])
    links = [(_ORGANISATION_LINK.fullmatch(result.link), result.link) for result in search.results]
    if strange := [link for match, link in links if match is None]:
        raise PageError(page.url, f"links to /world/organisations/… were expected, found {strange[0]!r}")
    if not search.results and (start < search.total or not search.total):
        raise PageError(page.url, f"organisations were expected, none of {search.total} are shown from {start} on")
    after = start + len(search.results)
    return [
        *([f"{_SEARCH}{after}"] if after < search.total else []),
        *(f"{_HOME}/api/content/{match[1]}" for match, _ in links if match),
    ]


def _listing(page: Page, model: type[L]) -> L:
    """The page's list, whole: a list that shows fewer than it counts is no list."""
    listing = parsed(page, model)
    expected = max(0, min(listing.page_size, listing.total - listing.start_index + 1))
    if len(listing.results) != expected:
        raise PageError(
            page.url, f"{expected} results were expected (of {listing.total}), found {len(listing.results)}"
        )
    return listing


def _next(page: Page, listing: Listing) -> list[str]:
    if listing.current_page >= listing.pages:
        return []
    return [f"{_HOME}{page.path}?page={listing.current_page + 1}"]


# ---------------------------------------------------------------------- pages


def parse(page: Page) -> list[Entry]:
    """The offices of a page of organisations; none for a page that only leads to others. Raises PageError."""
    if _SEARCHED.fullmatch(page.path) or _LOCATIONS.fullmatch(page.path):
        return []
    if location := _ORGANISATIONS.fullmatch(page.path):
        organisations = _listing(page, Organisations).results
        return [
            _old(office, organisation.title, location[1])
            for organisation in organisations
            for office in (organisation.offices.main, *organisation.offices.other)
            if office is not None
        ]
    if _CONTENT.fullmatch(page.path):
        return _new(parsed(page, OrganisationContent))
    raise PageError(page.url, "an address of the APIs for worldwide organisations was expected")


def _old(office: OldOffice, organisation: str, location: str) -> Entry:
    numbers = [(each.label or "", each.number or "") for each in office.contact_numbers]
    adr = office.address.adr
    return _record(
        office.web_url,
        name=office.title,
        kind=office.details.type,
        country=adr.country,
        city=adr.locality,
        address=office.address.label.value,  # all parts of adr, as they stand on an envelope
        opening_hours=office.details.access_and_opening_times,
        emails=[office.details.email or ""],
        numbers=numbers,
        extra={
            "organisation": organisation,
            "description": office.details.description or "",
            "contact_form_url": office.details.contact_form_url or "",
            "services": tuple(sorted({service.title for service in office.services})),
            "countries": (location,),
        },
    )


def _new(content: OrganisationContent) -> list[Entry]:
    contacts = {contact.content_id: contact for contact in content.links.contacts}
    contact_of = {
        each.office_content_id: each.contact_content_id for each in content.details.office_contact_associations
    }
    head = content.links.primary_role_person[0].title if len(content.links.primary_role_person) == 1 else None
    found: list[Entry] = []
    for main, office in [
        *((True, each) for each in content.links.main_office),
        *((False, each) for each in content.links.home_page_offices),
    ]:
        if office.withdrawn:  # no longer an office; the page is kept as an archive
            continue
        contact = next(iter(office.links.contact), None) or contacts.get(contact_of.get(office.content_id, ""))
        if contact is None:
            found.append(Unreadable(office.title, "its contact is not on the page", _key(office.base_path)))
            continue
        details = contact.details
        address = next(iter(details.post_addresses or []), PostAddress())
        place = (address.title, address.street_address, address.locality, address.region, address.postal_code)
        found.append(
            _record(
                office.base_path,
                name=office.title,
                kind=office.details.type,
                country=address.world_location,
                city=address.locality,
                address="\n".join(filter(None, (*place, address.world_location))) if any(place) else None,
                opening_hours=office.details.access_and_opening_times,
                emails=[each.email or "" for each in details.email_addresses or []],
                numbers=[(each.title or "", each.number or "") for each in details.phone_numbers or []],
                head_of_mission=head if main else None,
                extra={
                    "organisation": content.title,
                    "description": details.description or "",
                    "contact_form_url": next((each.link or "" for each in details.contact_form_links or []), ""),
                    "countries": tuple(sorted({each.title for each in content.links.world_locations})),
                },
            )
        )
    return found


def _kind_in(title: str) -> str:
    return next((kind for words, kind in _IN_TITLES.items() if words in title.casefold()), "other")


def _key(web_url: str) -> str | None:
    """The two slugs of an office's address; None: it is another address."""
    slugs = _OFFICE.fullmatch(urlsplit(web_url).path)
    # not key_of: these slugs are made by a machine, and to it office--2 is the second office, office-2 another
    return f"{slugs[1]}/{slugs[2] or 'office'}".casefold() if slugs else None


def _record(
    web_url: str,
    *,
    name: str,
    kind: str | None,
    emails: list[str],
    numbers: list[tuple[str, str]],
    opening_hours: str | None,
    extra: dict[str, str | tuple[str, ...]],
    **fields: Any,
) -> Entry:
    """The mission; `kind` is the type that the office has, if it has one."""
    key, path = _key(web_url), urlsplit(web_url).path.removeprefix("/government")
    if key is None:
        return Unreadable(name, f"an address …/world/organisations/…/office/… was expected, found {path!r}")
    phones, faxes, more_emails = _numbers(numbers)
    if kind is not None and kind not in _TYPES:
        extra = {**extra, "kind": kind}
    try:
        return Embassy(
            key=key,
            kind=_TYPES.get(kind, "other") if kind is not None else _kind_in(name),
            name=name,
            website=f"{_HOME}{path}",
            opening_hours=lines(BeautifulSoup(opening_hours, "lxml")) if opening_hours else None,
            email="\n".join([*emails, *more_emails]),
            phone="\n".join(phones),
            fax="\n".join(faxes),
            extra={what: value for what, value in extra.items() if value},
            **fields,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        return Unreadable(name, f"{'.'.join(map(str, first['loc']))} {first['msg']}", key)


def _numbers(numbers: list[tuple[str, str]]) -> tuple[list[str], list[str], list[str]]:
    """Phone, fax and e-mail lines: people have put all three into the contact numbers."""
    phones: list[str] = []
    faxes: list[str] = []
    emails: list[str] = []
    for written, number in numbers:
        label = " ".join(written.split()).rstrip(" :")
        if not number.strip():
            continue
        if "@" in label + number and not _NUMBER.search(number):
            emails.append(number if _EMAIL_LABEL.fullmatch(label) or not label else f"{label}: {number}")
        elif (_FAX.search(label) and not _PHONE.search(label)) or (_FAX.match(number) and not _PHONE.search(number)):
            faxes.append(number if _PLAIN_FAX.fullmatch(label.casefold()) else f"{label}: {number}")
        else:
            phones.append(number if _PLAIN_PHONE.fullmatch(label.casefold()) else f"{label}: {number}")
    return phones, faxes, emails


SOURCE = Source(
    name="govuk",
    title="GOV.UK: missions of the United Kingdom abroad",
    home=f"{_HOME}/world/embassies",
    hosts=frozenset({"www.gov.uk"}),
    parser_version=1,
    routes=(
        Route(start=(f"{_SEARCH}0",), verified=False),
        Route(start=(f"{_HOME}/api/world-locations",), verified=True),
    ),
    follow=follow,
    parse=parse,
)
