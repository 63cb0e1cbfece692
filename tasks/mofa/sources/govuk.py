"""The United Kingdom's missions abroad: the APIs of GOV.UK.

Two routes. Today: the search API lists the worldwide organisations, the content API has a page for each, with its
offices and their contacts (https://content-api.publishing.service.gov.uk/; that the two together replace the older
API is what GOV.UK's own gds-api-adapters do in lib/gds_api/worldwide.rb). Until 2023, and tried when that answers 404:
a list of locations, and the organisations of each. The older route is proven by two full snapshots; of today's there
are only the schemas' examples, so its first set is held.

A mission is an office of an organisation. Its key is the two slugs of its address, which both routes share and which
survived the move from /government/world/… to /world/….
"""

import re
from typing import Any, Final, Literal, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from bs4 import BeautifulSoup
from pydantic import BaseModel, ConfigDict, Field

from tasks.mofa.embassy import Embassy
from tasks.mofa.page import Page, PageError, Route, Source, lines, parsed, record

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

# --------------------------------------------------------------------- shapes


class _Strict(BaseModel):
    """Every field is known; one more raises."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class _Lenient(BaseModel):
    """Only the fields named here matter; the schemas of GOV.UK publishing grow often."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Number(_Strict):
    label: str | None
    number: str | None


class _Adr(_Strict):
    fn: str | None
    street: str | None = Field(alias="street-address")
    postal_code: str | None = Field(alias="postal-code")
    locality: str | None
    region: str | None
    country: str | None = Field(alias="country-name")


class _Label(_Strict):
    value: str | None


class _Address(_Strict):
    adr: _Adr
    label: _Label


class _OfficeDetails(_Strict):
    email: str | None
    description: str | None
    contact_form_url: str | None
    access_and_opening_times: str | None
    type: str


class _Titled(_Lenient):
    title: str


class _OldOffice(_Strict):
    title: str
    format: Literal["World Office"]
    updated_at: str  # ignored: it changes when nothing else does
    web_url: str
    details: _OfficeDetails
    address: _Address
    contact_numbers: list[_Number]
    services: list[_Titled]


class _Offices(_Strict):
    main: _OldOffice | None = None  # some organisations have no office of their own
    other: list[_OldOffice]


class _OldOrganisation(_Lenient):
    title: str
    format: Literal["Worldwide Organisation"]
    offices: _Offices


class _Slug(_Lenient):
    slug: str


class _Location(_Lenient):
    details: _Slug


class _Listing(_Lenient):
    current_page: int
    pages: int
    total: int
    page_size: int
    start_index: int


class _Locations(_Listing):
    results: list[_Location]


class _Organisations(_Listing):
    results: list[_OldOrganisation]


L = TypeVar("L", _Locations, _Organisations)


class _Found(_Lenient):
    link: str


class _Search(_Lenient):
    results: list[_Found]
    total: int


class _Email(_Lenient):
    email: str | None = None


class _NewNumber(_Lenient):
    title: str | None = None
    number: str | None = None


class _PostAddress(_Lenient):
    title: str | None = None
    street_address: str | None = None
    locality: str | None = None
    region: str | None = None
    postal_code: str | None = None
    world_location: str | None = None


class _FormLink(_Lenient):
    link: str | None = None


class _ContactDetails(_Lenient):
    description: str | None = None
    contact_form_links: list[_FormLink] | None = None
    post_addresses: list[_PostAddress] | None = None
    email_addresses: list[_Email] | None = None
    phone_numbers: list[_NewNumber] | None = None


class _Contact(_Lenient):
    content_id: str
    details: _ContactDetails


class _NewOfficeDetails(_Lenient):
    access_and_opening_times: str | None = None
    type: str | None = None


class _OfficeLinks(_Lenient):
    contact: list[_Contact] = []


class _NewOffice(_Lenient):
    content_id: str
    title: str
    base_path: str
    withdrawn: bool = False
    details: _NewOfficeDetails = _NewOfficeDetails()
    links: _OfficeLinks = _OfficeLinks()


class _Association(_Lenient):
    office_content_id: str
    contact_content_id: str


class _NewDetails(_Lenient):
    office_contact_associations: list[_Association] = []


class _Links(_Lenient):
    main_office: list[_NewOffice] = []
    home_page_offices: list[_NewOffice] = []
    contacts: list[_Contact] = []
    world_locations: list[_Titled] = []
    primary_role_person: list[_Titled] = []


class _Content(_Lenient):
    document_type: Literal["worldwide_organisation"]
    title: str
    details: _NewDetails
    links: _Links


# ---------------------------------------------------------------------- crawl


def follow(page: Page) -> list[str]:
    """From a search its next page and the organisations found; from a list its next page and the locations' lists."""
    if _SEARCHED.fullmatch(page.path):
        return _from_search(page)
    if _LOCATIONS.fullmatch(page.path):
        listing = _listing(page, _Locations)
        slugs = [quote(location.details.slug, safe="") for location in listing.results]
        if not slugs:
            raise PageError(page.url, "locations were expected, the list is empty")
        return [*_next(page, listing), *(f"{_HOME}/api/world-locations/{slug}/organisations" for slug in slugs)]
    if _ORGANISATIONS.fullmatch(page.path):
        return _next(page, _listing(page, _Organisations))
    return []


def _from_search(page: Page) -> list[str]:
    search = parsed(page, _Search)
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


def _next(page: Page, listing: _Listing) -> list[str]:
    if listing.current_page >= listing.pages:
        return []
    return [f"{_HOME}{page.path}?page={listing.current_page + 1}"]


# ---------------------------------------------------------------------- pages


def parse(page: Page) -> list[Embassy]:
    """The offices of a page of organisations; none for a page that only leads to others."""
    if _SEARCHED.fullmatch(page.path) or _LOCATIONS.fullmatch(page.path):
        return []
    if location := _ORGANISATIONS.fullmatch(page.path):
        organisations = _listing(page, _Organisations).results
        return [
            _old(page, office, organisation.title, location[1])
            for organisation in organisations
            for office in (organisation.offices.main, *organisation.offices.other)
            if office is not None
        ]
    if _CONTENT.fullmatch(page.path):
        return _new(page, parsed(page, _Content))
    raise PageError(page.url, "an address of the APIs for worldwide organisations was expected")


def _old(page: Page, office: _OldOffice, organisation: str, location: str) -> Embassy:
    if office.details.type not in _TYPES:
        raise PageError(
            page.url, f"{office.title!r}: the type {office.details.type!r} is not known, only {', '.join(_TYPES)}"
        )
    numbers = [(each.label or "", each.number or "") for each in office.contact_numbers]
    adr = office.address.adr
    return _record(
        page,
        office.web_url,
        name=office.title,
        kind=_TYPES[office.details.type],
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


def _new(page: Page, content: _Content) -> list[Embassy]:
    contacts = {contact.content_id: contact for contact in content.links.contacts}
    contact_of = {
        each.office_content_id: each.contact_content_id for each in content.details.office_contact_associations
    }
    head = content.links.primary_role_person[0].title if len(content.links.primary_role_person) == 1 else None
    records = []
    for main, office in [
        *((True, each) for each in content.links.main_office),
        *((False, each) for each in content.links.home_page_offices),
    ]:
        if office.withdrawn:  # no longer an office; the page is kept as an archive
            continue
        contact = next(iter(office.links.contact), None) or contacts.get(contact_of.get(office.content_id, ""))
        if contact is None:
            raise PageError(page.url, f"{office.title!r}: its contact was expected on the page")
        details = contact.details
        address = next(iter(details.post_addresses or []), _PostAddress())
        place = (address.title, address.street_address, address.locality, address.region, address.postal_code)
        kind = office.details.type
        if kind is not None and kind not in _TYPES:
            raise PageError(page.url, f"{office.title!r}: the type {kind!r} is not known, only {', '.join(_TYPES)}")
        records.append(
            _record(
                page,
                office.base_path,
                name=office.title,
                kind=_TYPES[kind] if kind else _kind_in(office.title),
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
    return records


def _kind_in(title: str) -> str:
    return next((kind for words, kind in _IN_TITLES.items() if words in title.casefold()), "other")


def _record(
    page: Page,
    web_url: str,
    *,
    name: str,
    emails: list[str],
    numbers: list[tuple[str, str]],
    opening_hours: str | None,
    extra: dict[str, str | tuple[str, ...]],
    **fields: Any,
) -> Embassy:
    path = urlsplit(web_url).path
    slugs = _OFFICE.fullmatch(path)
    if slugs is None:
        raise PageError(page.url, f"{name!r}: an address …/world/organisations/…/office/… was expected, found {path!r}")
    phones, faxes, more_emails = _numbers(numbers)
    return record(
        page,
        name,
        # not key_of: these slugs are made by a machine, and to it office--2 is the second office, office-2 another
        key=f"{slugs[1]}/{slugs[2] or 'office'}".casefold(),
        name=name,
        website=f"{_HOME}/world/organisations/{slugs[1]}" + (f"/office/{slugs[2]}" if slugs[2] else ""),
        opening_hours=lines(BeautifulSoup(opening_hours, "lxml")) if opening_hours else None,
        email="\n".join([*emails, *more_emails]),
        phone="\n".join(phones),
        fax="\n".join(faxes),
        extra={what: value for what, value in extra.items() if value},
        **fields,
    )


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
        Route(start=(f"{_SEARCH}0",), proven=False),
        Route(start=(f"{_HOME}/api/world-locations",), proven=True),
    ),
    follow=follow,
    parse=parse,
)
