"""Lists of Ireland, Australia and GOV.UK: see list_pages.py."""

import json

from tasks.mofa.embassy import Embassy
from tasks.mofa.page import Page

# --- Ireland

IRELAND = "https://www.ireland.ie"


def ireland_page(path: str, name: str, address: list[str], phone: str, head: str) -> Page:
    """The page of a mission: head of mission, then the block with its address."""
    lines = "".join(f"\n                    \n                        {line} <br/>\n" for line in address)
    person = f'<div class="story__image_margin"><h3>{head}</h3></div>' if head else ""
    text = f"""<!DOCTYPE html><html lang="en"><head><title>{name} | Ireland.ie</title></head>
<body class="template-mission-page"><h1>{name}</h1><div class="block-person"><div class="story">
<h2>Contact Details</h2>{person}<div class="story__alignm story__content"><div class="story__copy1">
<div class="rich-text"><div style="font-size: 20px;"><div id="x"><h3>{name}</h3><div>
<address style="font-style: normal;">{lines}</address></div>
<div><a aria-label="Telephone" href="tel:{phone}">Tel: {phone}</a></div>
<div class="rich-text"><p><a href="{path}contact/"><b>Contact us</b></a></p></div></div></div>
<p><a href="{path}about/">Opening hours</a></p></div></div></div></div></div></body></html>"""
    return Page(f"{IRELAND}{path}", text, content_type="text/html; charset=utf-8")


def ireland() -> tuple[list[Page], list[Embassy]]:
    """The list of countries and two missions; a country without an embassy has that of another."""
    countries = "".join(
        f"""<div class="accordion" id="{country}"><span class="embassy_accordion__title">{country}</span>
        <div class="rich-text"><h3>{title}</h3><p><a href="{path}"><b>{kind} Website</b></a></p></div></div>"""
        for country, title, kind, path in [
            ("Atlantis", "Embassy of Ireland, Atlantis", "Embassy", "/en/atlantis/portexample/"),
            ("Eldonia", "Embassy of Ireland, Atlantis", "Embassy", "/en/atlantis/portexample/"),
            ("Ruritania", "Consulate General of Ireland, Zenda", "Consulate", "/en/ruritania/zenda/"),
        ]
    )
    start = Page(
        f"{IRELAND}/en/dfa/embassies/",
        f"<!DOCTYPE html><html lang='en'><head><title>Embassies</title></head><body><a href='/en/dfa/'><b>Home</b></a>"
        f"{countries}</body></html>",
        content_type="text/html; charset=utf-8",
    )
    embassy = (
        "/en/atlantis/portexample/",
        "Embassy of Ireland, Atlantis",
        ["2nd Floor,", "1 Harbour Road,", "Port Example"],
    )
    consulate = ("/en/ruritania/zenda/", "Consulate General of Ireland, Zenda", ["3 Castle Street"])
    missions = [
        ireland_page(*embassy, "+00 12 000 1000", "Ada Example"),
        ireland_page(*consulate, "+00 15 000 2000", ""),
    ]
    return [start, *missions], [
        Embassy(
            key="atlantis-portexample", kind="embassy", name="Embassy of Ireland, Atlantis", country="Atlantis",
            address="2nd Floor,\n1 Harbour Road,\nPort Example", phone="+00 12 000 1000", head_of_mission="Ada Example",
            website=f"{IRELAND}/en/atlantis/portexample/", extra={"page": "atlantis/portexample"},
        ),
        Embassy(
            key="ruritania-zenda", kind="consulate general", name="Consulate General of Ireland, Zenda", city="Zenda",
            address="3 Castle Street", phone="+00 15 000 2000", website=f"{IRELAND}/en/ruritania/zenda/",
            extra={"page": "ruritania/zenda"},
        ),
    ]  # fmt: skip


# --- Australia

AUSTRALIA = "https://protocol.dfat.gov.au/Public/"


def hidden(address: str, key: int = 0x5A) -> str:
    """An e-mail address as Cloudflare hides it."""
    code = f"{key:02x}" + "".join(f"{each ^ key:02x}" for each in address.encode())
    shown = f'<span class="__cf_email__" data-cfemail="{code}">[email&#160;protected]</span>'
    return f'<a href="/cdn-cgi/l/email-protection#{code}">{shown}</a>'


def _protocol_page(path: str, content: str) -> Page:
    """A page of the protocol site."""
    head = "<!DOCTYPE html><html lang='en'><head><title>Protocol</title></head><body id='bodyContent'>"
    return Page(f"{AUSTRALIA}{path}", f"{head}{content}</body></html>", content_type="text/html; charset=utf-8")


def _office(title: str, address: str, **labels: str) -> str:
    """An office of a mission, with labelled values."""
    rows = "".join(
        f'<div class="form-group row"><div class="col-sm-4">{label.replace("_", " ")}</div>'
        f'<div class="col-sm-8">{value}</div></div>'
        for label, value in labels.items()
    )
    where = f'<p><label for="address_Formatted">Details</label> {address}</p>'
    return f'<div class="col-lg-6 col-md-12"><p class="h5">{title}</p>{where}</div>{rows}'


def australia() -> tuple[list[Page], list[Embassy]]:
    """Two lists, a country's missions and its consulates."""
    embassy = '<h3 id="ACT">Australian Capital Territory</h3><h4 class="text-primary">Embassy of Atlantis</h4>'
    missions = embassy + _office(
        "Chancery", "1 Example Street, YARRALUMLA, ACT 2600", Telephone="(02) 6000 1000", Facsimile="(02) 6000 1001",
        Email=hidden("chancery@atlantis.example"), Web_Site_Url='<a href="http://atlantis.example">atlantis.example</a>',
        Hours_of_Business="Monday to Friday<br>9 am to 5 pm",
    ) + _office("Residence", "9 Private Road, ACT") + _office(
        "Trade Office", "2 Example Street, BARTON, ACT 2600", Telephone="(02) 6000 2000",
        Email=hidden("trade@atlantis.example", 0x11),
    )  # fmt: skip
    consulates = (
        '<h3 id="NSW">New South Wales</h3><h4 class="text-primary">Honorary Consulate of Atlantis</h4>'
        + _office("Consulate", "3 Example Road, SYDNEY, NSW 2000", Telephone="(02) 9000 3000")
    )
    pages = [
        _protocol_page(
            "MissionsInAustralia", "<p><a href='/Public/Missions/4'>Atlantis</a></p><a href='/Home'>Home</a>"
        ),
        _protocol_page("ConsulatesInAustralia", "<p><a href='/Public/Consulates/4/State'>Atlantis</a></p>"),
        _protocol_page("Missions/4", missions),
        _protocol_page("Consulates/4/State", consulates),
    ]
    act = {"country_id": "4", "state": "Australian Capital Territory"}
    return pages, [
        Embassy(
            key="4/embassy-of-atlantis/australian-capital-territory/chancery", kind="embassy",
            name="Embassy of Atlantis", country="Atlantis", address="1 Example Street, YARRALUMLA, ACT 2600",
            phone="(02) 6000 1000", fax="(02) 6000 1001", email="chancery@atlantis.example", website="atlantis.example",
            opening_hours="Monday to Friday\n9 am to 5 pm", extra={**act, "office": "Chancery"},
        ),
        Embassy(
            key="4/embassy-of-atlantis/australian-capital-territory/trade-office", kind="embassy",
            name="Embassy of Atlantis", country="Atlantis", address="2 Example Street, BARTON, ACT 2600",
            phone="(02) 6000 2000", email="trade@atlantis.example", extra={**act, "office": "Trade Office"},
        ),
        Embassy(
            key="4/honorary-consulate-of-atlantis/new-south-wales/consulate", kind="honorary consulate",
            name="Honorary Consulate of Atlantis", country="Atlantis", address="3 Example Road, SYDNEY, NSW 2000",
            phone="(02) 9000 3000",
            extra={"country_id": "4", "state": "New South Wales", "office": "Consulate"},
        ),
    ]  # fmt: skip


# --- GOV.UK


def _organisation() -> dict[str, object]:
    """An organisation with two offices, as the content API has it."""

    def contact(number: str, **details: object) -> dict[str, object]:
        return {"content_id": number, "details": {"title": "x", **details}}

    embassy, office = (
        {
            "content_id": f"office-{number}",
            "title": title,
            "base_path": f"/world/organisations/british-embassy-port-example/office/{slug}",
            "details": {"access_and_opening_times": hours, "type": kind},
            "links": {},
        }
        for number, title, slug, hours, kind in [
            (1, "British Embassy Port Example", "british-embassy", "<p>Mon to Fri:<br>9am to 5pm</p>", "Embassy"),
            (2, "British Mission South", "mission-south", None, "Mission"),
        ]
    )
    return {
        "document_type": "worldwide_organisation",
        "title": "British Embassy Port Example",
        "details": {
            "office_contact_associations": [
                {"office_content_id": f"office-{each}", "contact_content_id": f"contact-{each}"} for each in (1, 2)
            ]
        },
        "links": {
            "main_office": [embassy],
            "home_page_offices": [office],
            "world_locations": [{"title": "Atlantis"}],
            "primary_role_person": [{"title": "Ada Example"}],
            "contacts": [
                contact(
                    "contact-1",
                    post_addresses=[
                        {"street_address": "1 Harbour Road", "locality": "Port Example", "world_location": "Atlantis"}
                    ],
                    email_addresses=[{"email": "info@port.example"}],
                    phone_numbers=[
                        {"title": "Telephone", "number": "+00 10 000 1000"},
                        {"title": "Fax", "number": "+00 10 000 1001"},
                    ],
                ),
                contact("contact-2", email_addresses=[{"email": "south@port.example"}]),
            ],
        },
    }


def govuk() -> tuple[list[Page], list[Embassy]]:
    """A search and an organisation with two offices."""
    home = "https://www.gov.uk"
    query = "filter_format=worldwide_organisation&fields=title,link&count=1000&start=0"
    search = {"results": [{"title": "x", "link": "/world/organisations/british-embassy-port-example"}], "total": 1}
    pages = [
        Page(f"{home}/api/search.json?{query}", json.dumps(search), content_type="application/json"),
        Page(
            f"{home}/api/content/world/organisations/british-embassy-port-example",
            json.dumps(_organisation(), indent=1),
            content_type="application/json",
        ),
    ]
    extra = {"organisation": "British Embassy Port Example", "countries": ("Atlantis",)}
    address = f"{home}/world/organisations/british-embassy-port-example/office/"
    return pages, [
        Embassy(
            key="british-embassy-port-example/british-embassy", kind="embassy", name="British Embassy Port Example",
            country="Atlantis", city="Port Example", address="1 Harbour Road\nPort Example\nAtlantis",
            phone="+00 10 000 1000", fax="+00 10 000 1001", email="info@port.example",
            website=f"{address}british-embassy", head_of_mission="Ada Example",
            opening_hours="Mon to Fri:\n9am to 5pm", extra=extra,
        ),
        Embassy(
            key="british-embassy-port-example/mission-south", kind="other", name="British Mission South",
            email="south@port.example", website=f"{address}mission-south", extra={**extra, "kind": "Mission"},
        ),
    ]  # fmt: skip
