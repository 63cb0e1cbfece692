"""Headings of real exports, typed in; which column becomes which field, and what is refused."""

import csv
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.crm.heading_table import NO_FIELD, ONLY_IN_ITS_LANGUAGE, heading_table
from tasks.crm.headings import (
    FIELDS,
    REASON_HEADING,
    HeadingsError,
    column_letter,
    find_headings,
    key,
    map_columns,
)

TABLE = heading_table()
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "workbooks"

# product: (headings, field -> the heading that must take it)
EXPORTS = {
    "the bench workbook": (
        (
            "Organisation", "First name", "Last name", "Title", "E-mail", "Phone", "Street", "City", "Country", "Tags",
            "Notes", "Last contacted",
        ),
        {
            "organization": "Organisation", "first_name": "First name", "last_name": "Last name", "title": "Title",
            "email": "E-mail", "phone": "Phone", "street": "Street", "city": "City", "country": "Country",
            "tags": "Tags", "notes": "Notes", "last_contacted": "Last contacted",
        },
    ),
    "Salesforce contacts": (
        (
            "Salutation", "First Name", "Last Name", "Title", "Account Name", "Mailing Street", "Mailing City",
            "Mailing State/Province", "Mailing Zip/Postal Code", "Mailing Country", "Other Street", "Other City",
            "Other Country", "Phone", "Fax", "Mobile Phone", "Home Phone", "Other Phone", "Asst. Phone", "Email",
            "Description", "Last Activity", "Email Opt Out",
        ),
        {
            "organization": "Account Name", "first_name": "First Name", "last_name": "Last Name", "title": "Title",
            "email": "Email", "phone": "Phone", "street": "Mailing Street", "city": "Mailing City",
            "country": "Mailing Country", "notes": "Description", "last_contacted": "Last Activity",
        },
    ),
    "Salesforce Data Loader, accounts": (
        (
            "ID", "ISDELETED", "MASTERRECORDID", "NAME", "TYPE", "PARENTID", "BILLINGSTREET", "BILLINGCITY",
            "BILLINGSTATE", "BILLINGPOSTALCODE", "BILLINGCOUNTRY", "SHIPPINGSTREET", "SHIPPINGCITY",
            "SHIPPINGCOUNTRY", "PHONE", "FAX", "ACCOUNTNUMBER", "WEBSITE", "INDUSTRY", "ANNUALREVENUE",
            "NUMBEROFEMPLOYEES", "DESCRIPTION", "OWNERID", "LASTACTIVITYDATE",
        ),
        {
            "organization": "NAME", "street": "BILLINGSTREET", "city": "BILLINGCITY", "country": "BILLINGCOUNTRY",
            "phone": "PHONE", "notes": "DESCRIPTION", "last_contacted": "LASTACTIVITYDATE", "external_id": "ID",
        },
    ),
    "HubSpot contacts": (
        (
            "Record ID", "First Name", "Last Name", "Email", "Work email", "Phone Number", "Mobile Phone Number",
            "Contact owner", "Primary Associated Company ID", "Associated Company", "Company name", "Job Title",
            "Street Address", "City", "State/Region", "Country/Region", "Last Contacted", "Last Activity Date",
            "Lead Status", "Create Date",
        ),
        {
            "organization": "Company name", "first_name": "First Name", "last_name": "Last Name", "email": "Email",
            "phone": "Phone Number", "title": "Job Title", "street": "Street Address", "city": "City",
            "country": "Country/Region", "last_contacted": "Last Contacted", "external_id": "Record ID",
        },
    ),
    "HubSpot contacts, the company only as an association": (
        ("First Name", "Last Name", "Email", "Associated Company"),
        {"organization": "Associated Company", "first_name": "First Name", "last_name": "Last Name", "email": "Email"},
    ),
    "Odoo 17 import template": (
        (
            "name", "is_company", "company_name", "country_id", "state_id", "zip", "city", "street", "street2",
            "phone", "mobile", "email", "vat", "bank_ids/bank", "bank_ids/acc_number",
        ),
        {
            "full_name": "name", "organization": "company_name", "country": "country_id", "city": "city",
            "street": "street", "phone": "phone", "email": "email",
        },
    ),
    "Odoo 12 import template": (
        (
            "Name", "Is a company", "Related company", "Address type", "Customer", "Supplier", "Street", "ZIP",
            "City", "State", "Country",
        ),
        {
            "full_name": "Name", "organization": "Related company", "street": "Street", "city": "City",
            "country": "Country",
        },
    ),
    "Odoo partners of several companies": (
        ("Name*", "Company", "Related Company", "Job Position", "Tags", "Email", "Phone", "Mobile"),
        {
            "full_name": "Name*", "organization": "Related Company", "title": "Job Position", "tags": "Tags",
            "email": "Email", "phone": "Phone",
        },
    ),
    "Outlook": (
        (
            "Title", "First Name", "Middle Name", "Last Name", "Suffix", "Company", "Department", "Job Title",
            "Business Street", "Business Street 2", "Business Street 3", "Business City", "Business State",
            "Business Postal Code", "Business Country/Region", "Home Street", "Home Street 2", "Home City",
            "Home State", "Home Postal Code", "Home Country/Region", "Other Street", "Other City",
            "Other Country/Region", "Assistant's Phone", "Business Fax", "Business Phone", "Business Phone 2",
            "Callback", "Car Phone", "Company Main Phone", "Home Phone", "Home Phone 2", "Mobile Phone",
            "Other Phone", "Pager", "Primary Phone", "Categories", "E-mail Address", "E-mail Type",
            "E-mail Display Name", "E-mail 2 Address", "E-mail 3 Address", "Location", "Notes", "Web Page",
        ),
        {
            "organization": "Company", "first_name": "First Name", "last_name": "Last Name", "title": "Job Title",
            "email": "E-mail Address", "phone": "Business Phone", "street": "Business Street",
            "city": "Business City", "country": "Business Country/Region", "tags": "Categories", "notes": "Notes",
        },
    ),
    "Outlook (German)": (
        (
            "Anrede", "Vorname", "Weitere Vornamen", "Nachname", "Suffix", "Firma", "Abteilung", "Position",
            "Straße geschäftlich", "Straße geschäftlich 2", "Ort geschäftlich", "Region geschäftlich",
            "Postleitzahl geschäftlich", "Land/Region geschäftlich", "Straße privat", "Ort privat",
            "Land/Region privat", "Telefon geschäftlich", "Telefon geschäftlich 2", "Telefon Firma",
            "Telefon privat", "Mobiltelefon", "Haupttelefon", "E-Mail-Adresse", "E-Mail-Typ", "E-Mail 2: Adresse",
            "E-Mail 3: Adresse", "Kategorien", "Notizen", "Ort", "Stichwörter", "Webseite",
        ),
        {
            "organization": "Firma", "first_name": "Vorname", "last_name": "Nachname", "title": "Position",
            "email": "E-Mail-Adresse", "phone": "Telefon geschäftlich", "street": "Straße geschäftlich",
            "city": "Ort geschäftlich", "country": "Land/Region geschäftlich", "tags": "Kategorien",
            "notes": "Notizen",
        },
    ),
    "Outlook (Spanish)": (
        (
            "Nombre", "Segundo nombre", "Apellidos", "Organización", "Puesto", "Calle del trabajo",
            "Ciudad de trabajo", "Código postal del trabajo", "País o región del trabajo", "Teléfono del trabajo",
            "Teléfono móvil", "Categorías", "Dirección de correo electrónico",
            "Dirección de correo electrónico 2", "Notas",
        ),
        {
            "organization": "Organización", "first_name": "Nombre", "last_name": "Apellidos", "title": "Puesto",
            "email": "Dirección de correo electrónico", "phone": "Teléfono del trabajo",
            "street": "Calle del trabajo", "city": "Ciudad de trabajo", "country": "País o región del trabajo",
            "tags": "Categorías", "notes": "Notas",
        },
    ),
    "Outlook (Japanese)": (
        (
            "肩書き", "名", "ミドル ネーム", "姓", "敬称", "会社名", "部署", "役職", "番地 (会社)", "住所 2 (会社)",
            "市町村 (会社)", "都道府県 (会社)", "郵便番号 (会社)", "国 (会社)/地域", "番地 (自宅)", "市町村 (自宅)",
            "国 (自宅)/地域", "会社 FAX", "会社電話", "会社電話 2", "自宅電話", "携帯電話",
            "電子メール アドレス", "メモ",
        ),
        {
            "organization": "会社名", "first_name": "名", "last_name": "姓", "title": "役職",
            "email": "電子メール アドレス", "phone": "会社電話", "street": "番地 (会社)", "city": "市町村 (会社)",
            "country": "国 (会社)/地域", "notes": "メモ",
        },
    ),
    "Outlook (Italian)": (
        (
            "Titolo", "Nome", "Secondo nome", "Cognome", "Titolo straniero", "Società", "Reparto", "Posizione",
            "Via (uff.)", "Via (uff.) 2", "Città (uff.)", "Provincia (uff.)", "CAP (uff.)",
            "Paese/area geografica (uff.)", "Via (ab.)", "Città (ab.)", "Cellulare", "Indirizzo posta elettronica",
        ),
        {
            "organization": "Società", "first_name": "Nome", "last_name": "Cognome", "title": "Posizione",
            "email": "Indirizzo posta elettronica", "phone": "Cellulare", "street": "Via (uff.)",
            "city": "Città (uff.)", "country": "Paese/area geografica (uff.)",
        },
    ),
    "Outlook (Dutch)": (
        (
            "Titel", "Voornaam", "Middelste naam", "Achternaam", "Achtervoegsel", "Bedrijf", "Afdeling", "Functie",
            "Werkadres, straat", "Werkadres 2, straat", "Werkadres, plaats", "Werkadres, postcode",
            "Land/regio (werk)", "Huisadres, straat", "Huisadres, plaats", "Land/regio (thuis)",
            "Telefoon op werk", "Telefoon thuis", "Mobiele telefoon", "E-mailadres", "Notities",
        ),
        {
            "organization": "Bedrijf", "first_name": "Voornaam", "last_name": "Achternaam", "title": "Functie",
            "email": "E-mailadres", "phone": "Telefoon op werk", "street": "Werkadres, straat",
            "city": "Werkadres, plaats", "country": "Land/regio (werk)", "notes": "Notities",
        },
    ),
    "Google Contacts": (
        (
            "First Name", "Middle Name", "Last Name", "Phonetic First Name", "Name Prefix", "Nickname", "File As",
            "Organization Name", "Organization Title", "Organization Department", "Birthday", "Notes", "Photo",
            "Labels", "E-mail 1 - Label", "E-mail 1 - Value", "E-mail 2 - Label", "E-mail 2 - Value",
            "Phone 1 - Label", "Phone 1 - Value", "Phone 2 - Value", "Address 1 - Label",
            "Address 1 - Formatted", "Address 1 - Street", "Address 1 - City", "Address 1 - Region",
            "Address 1 - Country", "Website 1 - Value",
        ),
        {
            "organization": "Organization Name", "first_name": "First Name", "last_name": "Last Name",
            "title": "Organization Title", "email": "E-mail 1 - Value", "phone": "Phone 1 - Value",
            "street": "Address 1 - Street", "city": "Address 1 - City", "country": "Address 1 - Country",
            "tags": "Labels", "notes": "Notes",
        },
    ),
    "Google Contacts before 2024": (
        (
            "Name", "Given Name", "Additional Name", "Family Name", "Yomi Name", "Occupation", "Notes",
            "Group Membership", "E-mail 1 - Type", "E-mail 1 - Value", "Phone 1 - Type", "Phone 1 - Value",
            "Address 1 - Type", "Address 1 - Street", "Address 1 - City", "Address 1 - Country",
            "Organization 1 - Type", "Organization 1 - Name", "Organization 1 - Title",
        ),
        {
            "organization": "Organization 1 - Name", "first_name": "Given Name", "last_name": "Family Name",
            "title": "Organization 1 - Title", "email": "E-mail 1 - Value", "phone": "Phone 1 - Value",
            "street": "Address 1 - Street", "city": "Address 1 - City", "country": "Address 1 - Country",
            "tags": "Group Membership", "notes": "Notes",
        },
    ),
    "Zoho contacts": (
        (
            "Record Id", "Contact Owner", "First Name", "Last Name", "Full Name", "Account Name", "Title", "Email",
            "Secondary Email", "Phone", "Other Phone", "Home Phone", "Mobile", "Mailing Street", "Other Street",
            "Mailing City", "Other City", "Mailing Country", "Other Country", "Tag", "Description",
            "Last Activity Time",
        ),
        {
            "organization": "Account Name", "first_name": "First Name", "last_name": "Last Name", "title": "Title",
            "email": "Email", "phone": "Phone", "street": "Mailing Street", "city": "Mailing City",
            "country": "Mailing Country", "tags": "Tag", "notes": "Description",
            "last_contacted": "Last Activity Time", "external_id": "Record Id",
        },
    ),
    "Pipedrive people": (
        (
            "Person - ID", "Person - Name", "Person - First name", "Person - Last name", "Person - Label",
            "Person - Organization", "Person - Phone - Work", "Person - Phone - Home", "Person - Phone - Mobile",
            "Person - Phone - Other", "Person - Email - Work", "Person - Email - Home", "Person - Email - Other",
            "Person - Last activity date", "Organization - Name",
        ),
        {
            "organization": "Person - Organization", "first_name": "Person - First name",
            "last_name": "Person - Last name", "email": "Person - Email - Work", "phone": "Person - Phone - Work",
            "tags": "Person - Label", "last_contacted": "Person - Last activity date", "external_id": "Person - ID",
        },
    ),
    "Dynamics 365": (
        (
            "(Do Not Modify) Contact", "(Do Not Modify) Row Checksum", "(Do Not Modify) Modified On", "Full Name",
            "First Name", "Last Name", "Job Title", "Company Name", "Email", "Email Address 2", "Business Phone",
            "Mobile Phone", "Address 1: Street 1", "Address 1: City", "Address 1: Country/Region", "Description",
        ),
        {
            "organization": "Company Name", "first_name": "First Name", "last_name": "Last Name",
            "title": "Job Title", "email": "Email", "phone": "Business Phone", "street": "Address 1: Street 1",
            "city": "Address 1: City", "country": "Address 1: Country/Region", "notes": "Description",
            "external_id": "(Do Not Modify) Contact",
        },
    ),
    "EspoCRM": (
        (
            "id", "name", "salutationName", "firstName", "lastName", "accountName", "title", "description",
            "emailAddress", "phoneNumber", "addressStreet", "addressCity", "addressCountry",
        ),
        {
            "organization": "accountName", "first_name": "firstName", "last_name": "lastName", "title": "title",
            "email": "emailAddress", "phone": "phoneNumber", "street": "addressStreet", "city": "addressCity",
            "country": "addressCountry", "notes": "description",
        },
    ),
    "SuiteCRM": (
        (
            "First Name", "Last Name", "ID", "Salutation", "Job Title", "Department", "Account Name",
            "Email Address", "Mobile", "Office Phone", "phone_home", "phone_other", "Primary Address Street",
            "Primary Address City", "Primary Address Country", "Alternate Address Street",
            "Alternate Address City", "Alternate Address Country", "Description",
        ),
        {
            "organization": "Account Name", "first_name": "First Name", "last_name": "Last Name",
            "title": "Job Title", "email": "Email Address", "phone": "Office Phone",
            "street": "Primary Address Street", "city": "Primary Address City",
            "country": "Primary Address Country", "notes": "Description",
        },
    ),
    "Atomic CRM": (
        (
            "first_name", "last_name", "gender", "title", "background", "first_seen", "last_seen",
            "has_newsletter", "status", "tags", "linkedin_url", "company", "email_work", "email_home",
            "email_other", "phone_work", "phone_home", "phone_other",
        ),
        {
            "organization": "company", "first_name": "first_name", "last_name": "last_name", "title": "title",
            "email": "email_work", "phone": "phone_work", "tags": "tags", "notes": "background",
            "last_contacted": "last_seen",
        },
    ),
    "LinkedIn connections": (
        ("First Name", "Last Name", "URL", "Email Address", "Company", "Position", "Connected On"),
        {
            "organization": "Company", "first_name": "First Name", "last_name": "Last Name", "title": "Position",
            "email": "Email Address",
        },
    ),
    "Mailchimp": (
        (
            "Email Address", "First Name", "Last Name", "Address", "Phone Number", "Birthday", "MEMBER_RATING",
            "OPTIN_TIME", "OPTIN_IP", "CC", "REGION", "LAST_CHANGED", "LEID", "EUID", "NOTES", "TAGS",
        ),
        {
            "first_name": "First Name", "last_name": "Last Name", "email": "Email Address",
            "phone": "Phone Number", "street": "Address", "tags": "TAGS", "notes": "NOTES",
        },
    ),
    "Thunderbird": (
        (
            "First Name", "Last Name", "Display Name", "Nickname", "Primary Email", "Secondary Email",
            "Work Phone", "Home Phone", "Mobile Number", "Home Address", "Home City", "Home Country",
            "Work Address", "Work City", "Work Country", "Job Title", "Department", "Organization", "Notes",
        ),
        {
            "organization": "Organization", "first_name": "First Name", "last_name": "Last Name",
            "title": "Job Title", "email": "Primary Email", "phone": "Work Phone", "street": "Work Address",
            "city": "Work City", "country": "Work Country", "notes": "Notes",
        },
    ),
    "Apple Contacts": (
        ("First name", "Last name", "Company", "Job title", "Email", "Phone", "Note"),
        {
            "organization": "Company", "first_name": "First name", "last_name": "Last name", "title": "Job title",
            "email": "Email", "phone": "Phone", "notes": "Note",
        },
    ),
    "Northwind customers": (
        (
            "CustomerID", "CompanyName", "ContactName", "ContactTitle", "Address", "City", "Region", "PostalCode",
            "Country", "Phone", "Fax",
        ),
        {
            "organization": "CompanyName", "full_name": "ContactName", "title": "ContactTitle",
            "street": "Address", "city": "City", "country": "Country", "phone": "Phone",
        },
    ),
    "crm-public CRM Data": (
        ("Account", "Account Owner", "Account Type", "City", "Region", "Status", "Contact", "Created On"),
        {"organization": "Account", "city": "City", "full_name": "Contact"},
    ),
    "messy-contacts": (
        (
            "company_name", "first_name", "last_name", "email", "second_email", "phone", "adress", "adress2",
            "city", "state", "zip",
        ),
        {
            "organization": "company_name", "first_name": "first_name", "last_name": "last_name",
            "email": "email", "phone": "phone", "street": "adress", "city": "city",
        },
    ),
    "maven-crm accounts": (
        ("account", "sector", "year_established", "revenue", "employees", "office_location", "subsidiary_of"),
        {"organization": "account"},
    ),
    "febrl": (
        (
            "rec_id", " given_name", " surname", " street_number", " address_1", " address_2", " suburb",
            " postcode", " state", " date_of_birth", " soc_sec_id",
        ),
        {"first_name": "given_name", "last_name": "surname", "street": "address_1", "city": "suburb"},
    ),
}  # fmt: skip


def taken(headings, overrides=None):
    """Field -> heading of the column that takes it."""
    mapping = map_columns(headings, overrides)
    return {field: mapping.headings[column] for column, field in mapping.fields.items()}


@pytest.mark.parametrize("product", EXPORTS)
def test_a_real_export_is_mapped_and_nothing_of_it_is_lost(product):
    headings, expected = EXPORTS[product]
    assert taken(headings) == expected
    mapping = map_columns(headings)
    assert sorted([*mapping.fields, *mapping.extra]) == list(range(len(headings)))
    assert len(set(mapping.extra.values())) == len(mapping.extra)


@pytest.mark.parametrize("product", EXPORTS)
def test_the_readme_says_which_headings_of_a_product_are_known(product):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    headings = " · ".join(EXPORTS[product][1].values())
    assert f"| {product[0].upper()}{product[1:]} | {headings} |" in readme


@pytest.mark.parametrize("product", EXPORTS)
def test_the_order_of_columns_does_not_matter(product):
    headings, expected = EXPORTS[product]
    shuffled = random.Random(7).sample(headings, len(headings))
    assert taken(shuffled) == expected


@pytest.mark.parametrize("product", EXPORTS)
def test_headings_are_found_below_a_title_and_blank_rows(product):
    headings, _ = EXPORTS[product]
    data = ["Ada Ltd", "Ada", "x@y.org", 12, None]
    rows = [(1, ["Report of contacts", None]), (2, []), (3, [None, ""]), (5, list(headings)), (6, data), (7, data)]
    assert find_headings(rows) == 5


@pytest.mark.parametrize(
    ("field", "heading"),
    sorted(
        {
            (row.field, heading)
            for row in TABLE.rows
            if row.field not in {NO_FIELD, "external_id"} and ONLY_IN_ITS_LANGUAGE not in row.rules
            for heading in row.headings
        }
    ),
)
def test_every_alias_maps_to_its_field_in_any_spelling(field, heading):
    for spelling in (heading, f"  {heading.upper()} ", heading.replace(" ", "_"), heading + "*"):
        found = map_columns([spelling, "Organisation" if field not in {"organization", "full_name"} else "Zip"])
        assert found.fields.get(0) == field, spelling


def test_an_alias_means_one_thing_and_names_who_writes_it():
    meanings = {}
    for row in TABLE.rows:
        assert row.source
        if row.field in {NO_FIELD, "external_id"} or ONLY_IN_ITS_LANGUAGE in row.rules:
            continue
        assert row.field in FIELDS
        assert row.rank > 0
        for heading in row.headings:
            assert meanings.setdefault(key(heading), (row.field, row.rank)) == (row.field, row.rank), heading
    assert {alias.field for alias in TABLE.aliases.values()} | {"external_id"} == set(FIELDS)


def test_accents_and_case_do_not_matter_but_japanese_voicing_marks_do():
    assert key("É-mail_ ADRESSE") == key("e mail adresse")
    assert key("Straße") == key("STRASSE")
    assert key("タグ") != key("タク")


# --- names


@pytest.mark.parametrize(
    ("headings", "expected"),
    [
        (("Name", "Vorname", "Firma"), {"last_name": "Name", "first_name": "Vorname", "organization": "Firma"}),
        (("Nom", "Prénom"), {"last_name": "Nom", "first_name": "Prénom"}),
        (("Nom", "Société"), {"full_name": "Nom", "organization": "Société"}),
        (("Nombre", "Empresa"), {"full_name": "Nombre", "organization": "Empresa"}),
        (("Nome", "Sobrenome"), {"first_name": "Nome", "last_name": "Sobrenome"}),
        (("Ime", "Priimek"), {"first_name": "Ime", "last_name": "Priimek"}),
        (("Naam", "Voornaam"), {"last_name": "Naam", "first_name": "Voornaam"}),
        (("氏名", "会社名"), {"full_name": "氏名", "organization": "会社名"}),
        (("Full Name", "First Name"), {"full_name": "Full Name"}),
        (("Full Name", "Last Name"), {"last_name": "Last Name"}),
        (("Name", "Annual Revenue", "Email"), {"organization": "Name", "email": "Email"}),
        (("Name", "Company", "Annual Revenue"), {"full_name": "Name", "organization": "Company"}),
    ],
)
def test_a_bare_name_is_read_beside_its_neighbours(headings, expected):
    assert taken(headings) == expected


def test_a_name_that_can_be_read_in_two_ways_is_an_error_that_an_override_settles():
    with pytest.raises(HeadingsError, match='"Name" beside a first name can be the whole or the last name'):
        map_columns(["Name", "First Name", "Email"])
    settled = taken(["Name", "First Name", "Email"], {"Name": "last_name"})
    assert settled == {"last_name": "Name", "first_name": "First Name", "email": "Email"}


def test_deals_are_not_taken_for_people():
    opportunities = ["ID", "ACCOUNTID", "NAME", "DESCRIPTION", "STAGENAME", "AMOUNT", "CLOSEDATE", "LEADSOURCE"]
    assert find_headings([(1, opportunities)]) is None
    with pytest.raises(HeadingsError, match="none of them can identify a row"):
        map_columns(opportunities)


def test_odoo_says_which_rows_are_companies():
    mapping = map_columns(EXPORTS["Odoo 12 import template"][0])
    assert mapping.company_flag == 1
    assert mapping.extra[1] == "Is a company"
    assert map_columns(["Name", "Email"]).company_flag is None


def test_outlook_in_french_heads_two_columns_alike_and_the_second_is_the_job():
    french = (
        "Titre", "Prénom", "Deuxième prénom", "Nom", "Suffixe", "Société", "Service", "Titre", "Rue (bureau)",
        "Ville (bureau)", "Pays/Région (bureau)", "Téléphone (bureau)", "Tél. mobile", "Adresse de messagerie",
    )  # fmt: skip
    mapping = map_columns(french)
    assert mapping.fields[7] == "title"
    assert mapping.extra[0] == "Titre"
    assert mapping.fields[3] == "last_name"
    assert set(mapping.fields.values()) == {
        "title", "first_name", "last_name", "organization", "street", "city", "country", "phone", "email",
    }  # fmt: skip


# --- what is refused


def test_two_columns_on_one_field_are_named_with_their_letters():
    with pytest.raises(HeadingsError) as error:
        map_columns(["Last name", "E-mail", "Email", "Shoe size"])
    assert 'email is in "E-mail" (column B) and "Email" (column C)' in str(error.value)
    assert '"Shoe size"' in str(error.value)


@pytest.mark.parametrize("headings", [["Email", "Email"], ["Nombre", "Nombre", "Apellidos"], ["Titre"] * 3 + ["Nom"]])
def test_the_same_heading_twice_is_an_error(headings):
    with pytest.raises(HeadingsError, match="two columns on one field"):
        map_columns(headings)


def test_a_letter_tells_two_equal_headings_apart():
    mapping = map_columns(["Email", "Email"], {"Column B": "extra"})
    assert mapping.fields == {0: "email"}
    assert mapping.extra == {1: "Email"}


def test_the_error_names_a_column_among_equal_ones_so_that_it_can_be_given_a_field():
    headings = ["Name", "Email", "Phone", "Phone", "Phone"]
    with pytest.raises(HeadingsError) as error:
        map_columns(headings)
    assert 'give "Phone (E)", for example, the field extra with --column' in error.value.message("command line")
    mapping = map_columns(headings, {"Phone (E)": "extra", "phone (D)": "ignore"})
    assert mapping.fields == {0: "full_name", 1: "email", 2: "phone"}
    assert mapping.extra == {4: "Phone"}
    assert mapping.dropped == {3}
    with pytest.raises(HeadingsError, match=r'there is no heading "Phone \(B\)"'):
        map_columns(headings[:3], {"Phone (B)": "extra"})


def test_a_heading_that_ends_like_a_letter_is_that_heading():
    assert map_columns(["Name", "Note (A)", "Note (B)"], {"Note (A)": "notes"}).fields == {0: "full_name", 1: "notes"}


@pytest.mark.parametrize("heading", ["Priimek in ime", "Nom et prénom", "氏名", "Cognome e nome"])
def test_a_heading_says_that_the_last_name_is_written_first(heading):
    assert map_columns([heading]).last_first
    assert not map_columns([heading, "Last Name"]).last_first
    assert not map_columns(["Full Name"]).last_first


def test_a_person_in_the_place_of_headings_is_not_told_to_everybody():
    with pytest.raises(HeadingsError) as error:
        map_columns(["Ann Lee", "ann@example.org"])
    assert "Ann" not in str(error.value)
    assert "ann@" not in str(error.value)
    assert "Headings found: none, but a person's row: write a row of headings above it." in str(error.value)


def test_headings_that_identify_nothing_are_listed_with_what_to_do():
    with pytest.raises(HeadingsError) as error:
        map_columns(["Phone", "City", None, "Kunde"])
    text = str(error.value)
    for part in ('A "Phone"', 'B "City"', 'C "Column C"', 'D "Kunde"', "columns={", *FIELDS, "organization"):
        assert part in text
    assert taken(["Phone", "City", None, "Kunde"], {"kunde ": "Organization"})["organization"] == "Kunde"


@pytest.mark.parametrize("headings", [["First Name", "Phone"], ["Mobile", "Vorname"], ["Given Name", "City", "Tel."]])
def test_a_first_name_and_a_number_suffice(headings):
    sheet = [(1, ["My list"]), (2, headings), (3, ["Ann", "0301234567"]), (4, ["Bob", "0307654321"])]
    assert find_headings(sheet) == 2
    assert {"first_name", "phone"} <= taken(headings).keys()


@pytest.mark.parametrize("headings", [["First Name", "City"], ["Phone", "City"], ["First Name"]])
def test_a_first_name_or_a_number_alone_does_not(headings):
    with pytest.raises(HeadingsError, match="none of them can identify a row"):
        map_columns(headings)


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(HeadingsError) as error:
        map_columns(["Phone", "Telephone", "City"], {"Firma": "organization", "City": "town"})
    assert len(error.value.problems) == 4
    assert 'there is no heading "Firma"' in str(error.value)
    assert '"town" (for "City") is no field' in str(error.value)
    assert "phone is in" in str(error.value)
    assert "identify" in str(error.value)


def test_two_overrides_on_one_field_or_one_column_are_errors():
    with pytest.raises(HeadingsError, match="two columns on one field: organization"):
        map_columns(["A1", "B1"], {"A1": "organization", "B1": "organization"})
    with pytest.raises(HeadingsError, match='"A1" is given two fields'):
        map_columns(["A1", "Email"], {"A1": "organization", "a1": "notes"})


# --- overrides


def test_an_override_beats_every_alias():
    assert taken(["Email", "Kontakt", "Last Name"], {"Kontakt": "email"}) == {
        "email": "Kontakt",
        "last_name": "Last Name",
    }
    mapping = map_columns(["Email", "Title"], {"Title": "extra"})
    assert mapping.fields == {0: "email"}
    assert mapping.extra == {1: "Title"}


def test_overrides_help_to_find_the_headings():
    rows = [(1, ["Liste"]), (2, ["Kunde", "Wohnhaft in"]), (3, ["ACME", "Bonn"])]
    assert find_headings(rows) is None
    assert find_headings(rows, {"Kunde": "organization", "Wohnhaft in": "city"}) == 2


# --- extra


def test_blank_and_repeated_headings_have_names_of_their_own():
    mapping = map_columns(["Email", None, "", "Score", "Score", "score ", "Score (2)", "Column B"])
    assert mapping.extra == {
        1: "Column B", 2: "Column C", 3: "Score", 4: "Score (2)", 5: "score", 6: "Score (2) (2)", 7: "Column B (2)",
    }  # fmt: skip
    assert mapping.extra_name(27) == "Column AB"
    assert mapping.headings[:3] == ("Email", "Column B", "Column C")


def test_the_reasons_of_an_earlier_import_are_dropped():
    mapping = map_columns(["Email", "Zip", REASON_HEADING])
    assert mapping.dropped == {2}
    assert 2 not in mapping.extra
    assert 2 not in mapping.fields


def test_headings_of_any_kind_break_nothing():
    mapping = map_columns(["E-mail\x00", "a\ud800b", "x" * 40_000, 2024.0, "two\nlines", "\x00", True])
    assert mapping.fields == {0: "email"}
    assert mapping.extra[1] == "a\ufffdb"
    assert len(mapping.extra[2]) == 200
    assert mapping.extra[3] == "2024"
    assert mapping.extra[4] == "two lines"
    assert mapping.extra[5] == "Column F"
    "".join([*mapping.headings, *mapping.extra.values()]).encode()


@given(st.lists(st.one_of(st.none(), st.integers(), st.text(), st.sampled_from(sorted(TABLE.aliases)))))
def test_any_headings_are_mapped_without_loss_or_refused(headings):
    try:
        mapping = map_columns(headings)
    except HeadingsError as error:
        str(error).encode()
        return
    assert sorted([*mapping.fields, *mapping.extra, *mapping.dropped]) == list(range(len(headings)))
    assert len(set(mapping.fields.values())) == len(mapping.fields)
    assert len(set(mapping.extra.values())) == len(mapping.extra)
    assert find_headings([(1, headings)]) in {1, None}


def test_column_letters_are_excels():
    assert [column_letter(i) for i in (0, 25, 26, 701, 702, 16_383)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]


# --- finding the heading row


def test_the_row_that_names_most_fields_is_the_heading_row():
    rows = [
        (2, ["Contact", None, "Address", None]),
        (3, ["First name", "Last name", "Street", "City"]),
        (4, ["City", "Phone", "Email", "Name"]),
    ]
    assert find_headings(rows) == 3


def test_a_linkedin_export_begins_with_notes_that_are_no_headings():
    rows = [
        (1, ["Notes:"]),
        (2, ["When exporting your connection data ..."]),
        (4, list(EXPORTS["LinkedIn connections"][0])),
    ]
    assert find_headings(rows) == 4


def test_a_list_with_a_single_known_column_is_found():
    assert find_headings([(1, ["account", "sector", "revenue"]), (2, ["Acme", "x", 1])]) == 1
    assert find_headings([(1, ["Newsletter"]), (3, ["Email"]), (4, ["a@b.org"])]) == 3


def test_a_single_known_heading_below_notes_counts_where_it_is_much_wider_than_they_are():
    notes = [(1, ["A list of the dead", None]), (2, ["For the sake of it,", "these rows exist"])]
    assert find_headings([*notes, (5, ["Name", "Profession", "Age", "Born"])]) == 5
    assert find_headings([*notes, (5, ["Name", "LAU, WAI KEUNG"])]) is None


def test_a_cover_page_with_a_word_that_could_be_a_heading_is_no_list():
    assert find_headings([(1, ["Contact"]), (3, ["account", "sector", "revenue"])]) == 3
    assert find_headings([(1, ["Our donors"]), (3, ["Contact"]), (4, ["Jane Roe", "Press office", "by phone"])]) is None


def test_forms_lists_of_words_and_data_are_no_headings():
    form = [(3, [None, "First Name", "Call Type"]), (5, ["Last Name"]), (15, ["Email"]), (17, ["Phone Number"])]
    words = [(1, ["Stages", "Sources"]), (2, ["New", "Referral"]), (4, ["Quoted", "Email", "Meeting"])]
    glossary = [(1, ["Import your contacts"]), (4, ["Column name", "Meaning"]), (5, ["name", "The name of it"])]
    numbers = [(1, ["Email", 1, 2.5, 3])]
    assert [find_headings(rows) for rows in (form, words, glossary, numbers, [])] == [None] * 5


def test_headings_are_looked_for_on_the_first_thirty_lines():
    headings = ["First name", "Last name", "Email"]
    assert find_headings([(30, headings)]) == 30
    assert find_headings([(31, headings)]) is None


def test_headings_with_two_columns_on_one_field_are_still_the_headings():
    assert find_headings([(1, ["Email", "E-mail", "Last name"]), (2, ["a@b.org", "c@d.org", "Roe"])]) == 1


def test_without_usable_headings_the_likeliest_row_is_what_the_error_lists():
    rows = [(1, ["A list"]), (2, ["Phone", "City"]), (3, ["1234", "Bonn"])]
    assert find_headings(rows) is None
    assert find_headings(rows, must_identify=False) == 2
    assert find_headings([(1, [None])], must_identify=False) is None


@pytest.mark.parametrize(
    ("name", "delimiter", "row"),
    [
        ("atomic-crm/contacts_export.csv", ",", 1),
        ("febrl/dataset1.csv", ",", 1),
        ("maven-crm/accounts.csv", ",", 1),
        ("maven-crm/sales_teams.csv", ",", None),
        ("salesforce-dataloader/accountData.csv", ",", 1),
        ("salesforce-dataloader/opportunityData.csv", ",", None),
        ("openrefine/government_contracts.csv", ",", None),
    ],
)
def test_headings_of_real_files_are_found_where_the_files_are(name, delimiter, row):
    path = DATA / name
    if not path.exists():
        pytest.skip("the shared data is not here")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = [(i, cells) for i, cells in zip(range(1, 31), csv.reader(file, delimiter=delimiter), strict=False)]
    assert find_headings(rows) == row
