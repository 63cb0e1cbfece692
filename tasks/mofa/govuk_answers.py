"""The answers of the APIs of GOV.UK, as pydantic models.

A field that is not known raises in the shapes of the older API, which is described in full by two snapshots; the
schemas of today's grow often, so only the fields that are read matter.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Every field is known; one more raises."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Lenient(BaseModel):
    """Only the fields named here matter; the schemas of GOV.UK publishing grow often."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ContactNumber(Strict):
    label: str | None
    number: str | None


class Adr(Strict):
    fn: str | None
    street: str | None = Field(alias="street-address")
    postal_code: str | None = Field(alias="postal-code")
    locality: str | None
    region: str | None
    country: str | None = Field(alias="country-name")


class AddressLabel(Strict):
    value: str | None


class Address(Strict):
    adr: Adr
    label: AddressLabel


class OfficeDetails(Strict):
    email: str | None
    description: str | None
    contact_form_url: str | None
    access_and_opening_times: str | None
    type: str


class Titled(Lenient):
    title: str


class OldOffice(Strict):
    title: str
    format: Literal["World Office"]
    updated_at: str  # ignored: it changes when nothing else does
    web_url: str
    details: OfficeDetails
    address: Address
    contact_numbers: list[ContactNumber]
    services: list[Titled]


class Offices(Strict):
    main: OldOffice | None = None  # some organisations have no office of their own
    other: list[OldOffice]


class OldOrganisation(Lenient):
    title: str
    format: Literal["Worldwide Organisation"]
    offices: Offices


class Slug(Lenient):
    slug: str


class Location(Lenient):
    details: Slug


class Listing(Lenient):
    current_page: int
    pages: int
    total: int
    page_size: int
    start_index: int


class Locations(Listing):
    results: list[Location]


class Organisations(Listing):
    results: list[OldOrganisation]


class SearchResult(Lenient):
    link: str


class Search(Lenient):
    results: list[SearchResult]
    total: int


class EmailAddress(Lenient):
    email: str | None = None


class PhoneNumber(Lenient):
    title: str | None = None
    number: str | None = None


class PostAddress(Lenient):
    title: str | None = None
    street_address: str | None = None
    locality: str | None = None
    region: str | None = None
    postal_code: str | None = None
    world_location: str | None = None


class FormLink(Lenient):
    link: str | None = None


class ContactDetails(Lenient):
    description: str | None = None
    contact_form_links: list[FormLink] | None = None
    post_addresses: list[PostAddress] | None = None
    email_addresses: list[EmailAddress] | None = None
    phone_numbers: list[PhoneNumber] | None = None


class Contact(Lenient):
    content_id: str
    details: ContactDetails


class NewOfficeDetails(Lenient):
    access_and_opening_times: str | None = None
    type: str | None = None


class OfficeLinks(Lenient):
    contact: list[Contact] = []


class NewOffice(Lenient):
    content_id: str
    title: str
    base_path: str
    withdrawn: bool = False
    details: NewOfficeDetails = NewOfficeDetails()
    links: OfficeLinks = OfficeLinks()


class Association(Lenient):
    office_content_id: str
    contact_content_id: str


class NewDetails(Lenient):
    office_contact_associations: list[Association] = []


class OrganisationLinks(Lenient):
    main_office: list[NewOffice] = []
    home_page_offices: list[NewOffice] = []
    contacts: list[Contact] = []
    world_locations: list[Titled] = []
    primary_role_person: list[Titled] = []


class OrganisationContent(Lenient):
    document_type: Literal["worldwide_organisation"]
    title: str
    details: NewDetails
    links: OrganisationLinks
