"""Which column of a workbook is which field of a contact.

Decides it from the headings alone, by a table of the headings that real products write (`ALIASES`), overridden by
what the user says. Nothing is guessed: a heading that is not in the table keeps its column in `extra`, and headings
that can be read in two ways are one error that lists them all. It exists so that an export is imported without
anybody renaming columns, and so that what was understood can be shown before anything is written.

Rules, in the order in which they are applied:

1. What the user says (`columns={"Firma": "organization"}`) beats everything.
2. The column that the workbook of rejects adds (`REASON_HEADING`) is dropped: it is no data.
3. Aliases have a rank. The best rank present takes the field; columns of lower rank (a home address beside the
   business one) go to `extra`. Two columns of the same rank ("Email" and "E-mail") are an error.
4. A bare "Name" is the whole name of a person, unless the other headings say otherwise: beside "Vorname" it is the
   last name; in a list of companies (Salesforce accounts: no company column, but "Annual Revenue") it is the company;
   in a list of deals ("Stage Name") it is nobody. Beside "First name" and no last name it can be either: an error.
   In Odoo's exports it is the person's or, where "Is a company" is true, the company's: `Mapping.company_flag` says
   which column tells.
5. Where there is a last name, a column with the whole name goes to `extra`; where there is only a first name beside
   a whole name, the first name does.
"""

import re
import unicodedata
from collections import abc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

FIELDS = (
    "organization",
    "first_name",
    "last_name",
    "full_name",  # a whole name in one column; contact.py splits it into the two above
    "title",
    "email",
    "phone",
    "street",
    "city",
    "country",
    "tags",
    "notes",
    "external_id",
    "last_contacted",
)
IDENTIFYING = frozenset({"organization", "last_name", "full_name", "email"})  # without one of them no row can be told
EXTRA = "extra"  # what a user writes to keep a column out of every field
REASON_HEADING = "Import: reason"  # the column that rejects.py adds; dropped here when it comes back
HEADING_ROWS = 30  # a heading row further down than this is not looked for
_LONGEST = 200  # characters of a heading that are kept
_LISTED = 500  # headings in an error; a sheet may have 16,384 columns


@dataclass(frozen=True)
class Alias:
    """What one heading means."""

    field: str  # one of FIELDS
    rank: int  # 1 the product's exact word, 2 the plain word, 3 and more: secondary columns, best first
    source: str  # the products or exports that write this heading


# field, rank, who writes it, headings. Case, accents, blanks, underscores and punctuation do not matter, so that
# "First Name" is also first_name, FirstName and FIRSTNAME (Salesforce's Data Loader), "Phone (Work)" also phone_work.
_TABLE: tuple[tuple[str, int, str, tuple[str, ...]], ...] = (
    # --- organization
    ("organization", 1, "Odoo", ("Related Company",)),
    ("organization", 1, "Pipedrive", ("Person - Organization",)),
    ("organization", 2, "the bench workbook", ("Organisation",)),
    ("organization", 2, "Pipedrive, Thunderbird, crm-public leads", ("Organization",)),
    ("organization", 2, "Outlook, LinkedIn, Salesforce and Zoho leads, Atomic CRM, Apple Contacts", ("Company",)),
    ("organization", 2, "HubSpot, Dynamics 365, Odoo, Northwind, messy-contacts", ("Company Name",)),
    ("organization", 2, "Salesforce, Zoho, SuiteCRM, EspoCRM (accountName)", ("Account Name",)),
    ("organization", 2, "Salesforce reports", ("Company / Account",)),
    ("organization", 2, "Google Contacts, Pipedrive (Organization - Name)", ("Organization Name",)),
    ("organization", 2, "Google Contacts before 2024", ("Organization 1 - Name",)),
    ("organization", 2, "Outlook (German)", ("Firma",)),
    ("organization", 2, "HubSpot (German), German lists", ("Unternehmen", "Unternehmensname", "Firmenname")),
    ("organization", 2, "Outlook (French), HubSpot (French)", ("Société", "Entreprise", "Nom de l'entreprise")),
    ("organization", 2, "French accounting", ("Raison sociale",)),
    ("organization", 2, "Outlook (Spanish), HubSpot (Spanish)", ("Organización", "Empresa", "Nombre de la empresa")),
    ("organization", 2, "Spanish lists", ("Compañía",)),
    ("organization", 2, "Outlook (Japanese), Sansan", ("会社名", "会社", "組織名", "企業名")),
    ("organization", 2, "Portuguese lists", ("Organização", "Nome da empresa")),
    ("organization", 2, "Outlook (Italian)", ("Società",)),
    ("organization", 2, "Italian lists", ("Azienda", "Organizzazione", "Ragione sociale")),
    ("organization", 2, "Outlook (Dutch)", ("Bedrijf",)),
    ("organization", 2, "Dutch lists", ("Bedrijfsnaam", "Organisatie")),
    ("organization", 2, "Slovene lists", ("Podjetje", "Organizacija")),
    ("organization", 3, "Dynamics 365, EspoCRM, crm-public, maven-crm", ("Account",)),
    ("organization", 3, "HubSpot", ("Associated Company", "Primary Associated Company")),
    ("organization", 4, "Odoo", ("Company Name Entity", "commercial_company_name")),
    # --- first name
    ("first_name", 2, "the bench workbook, Salesforce, HubSpot, Outlook, Google Contacts, LinkedIn", ("First Name",)),
    ("first_name", 2, "Pipedrive", ("Person - First name",)),
    ("first_name", 2, "Outlook (German)", ("Vorname",)),
    ("first_name", 2, "Outlook (French)", ("Prénom",)),
    ("first_name", 2, "Outlook (Japanese)", ("名",)),
    ("first_name", 2, "Outlook (Dutch)", ("Voornaam",)),
    ("first_name", 2, "Portuguese lists", ("Primeiro nome",)),
    ("first_name", 3, "Google Contacts before 2024, febrl", ("Given Name",)),
    ("first_name", 3, "Mailchimp", ("FNAME",)),
    # --- last name
    ("last_name", 2, "the bench workbook, Salesforce, HubSpot, Outlook, Google Contacts, LinkedIn", ("Last Name",)),
    ("last_name", 2, "Pipedrive", ("Person - Last name",)),
    ("last_name", 2, "Outlook (German)", ("Nachname",)),
    ("last_name", 2, "German lists", ("Familienname", "Zuname")),
    ("last_name", 2, "HubSpot (French)", ("Nom de famille",)),
    ("last_name", 2, "Outlook (Spanish)", ("Apellidos",)),
    ("last_name", 2, "HubSpot (Spanish)", ("Apellido", "Primer apellido")),
    ("last_name", 2, "Outlook (Japanese), lists", ("姓", "苗字", "名字")),
    ("last_name", 2, "Outlook (Portuguese)", ("Sobrenome",)),
    ("last_name", 2, "Outlook (Italian)", ("Cognome",)),
    ("last_name", 2, "Outlook (Dutch)", ("Achternaam",)),
    ("last_name", 2, "Slovene lists", ("Priimek",)),
    ("last_name", 3, "Google Contacts before 2024", ("Family Name",)),
    ("last_name", 3, "febrl", ("Surname",)),
    ("last_name", 3, "Mailchimp", ("LNAME",)),
    ("last_name", 4, "Portuguese lists; in Brazil it is the nickname", ("Apelido",)),
    # --- whole name in one column
    ("full_name", 1, "Dynamics 365, Zoho", ("Full Name",)),
    ("full_name", 2, "Zoho, Northwind, crm-public", ("Contact Name",)),
    ("full_name", 2, "Pipedrive", ("Person - Name", "Contact person")),
    ("full_name", 2, "German lists", ("Vollständiger Name", "Ansprechpartner", "Ansprechpartnerin", "Kontaktperson")),
    ("full_name", 2, "French lists", ("Nom complet", "Nom et prénom", "Prénom et nom")),
    ("full_name", 2, "Spanish lists", ("Nombre completo", "Nombre y apellidos", "Apellidos y nombre")),
    ("full_name", 2, "Japanese lists", ("氏名", "お名前")),
    ("full_name", 2, "Portuguese and Italian lists", ("Nome completo", "Nome e cognome", "Cognome e nome")),
    ("full_name", 2, "Dutch lists", ("Volledige naam",)),
    ("full_name", 2, "Slovene lists", ("Ime in priimek", "Priimek in ime")),
    ("full_name", 3, "Odoo, Google Contacts before 2024, Salesforce, EspoCRM, Pipedrive, German lists", ("Name",)),
    ("full_name", 3, "Outlook (French): the last name, beside Prénom", ("Nom",)),
    ("full_name", 3, "Outlook (Spanish): the first name, beside Apellidos", ("Nombre",)),
    ("full_name", 3, "Outlook (Italian, Portuguese): the first name, beside Cognome or Sobrenome", ("Nome",)),
    ("full_name", 3, "Dutch lists: the last name, beside Voornaam", ("Naam",)),
    ("full_name", 3, "Slovene lists: the first name, beside Priimek", ("Ime",)),
    ("full_name", 3, "Japanese lists: the first name, beside 姓 or 苗字", ("名前",)),
    ("full_name", 4, "Thunderbird, Microsoft Entra", ("Display Name",)),
    ("full_name", 5, "crm-public", ("Contact",)),
    # --- title: what somebody is, else how somebody is addressed
    ("title", 1, "Outlook, HubSpot, Dynamics 365, SuiteCRM, Apple Contacts", ("Job Title",)),
    ("title", 1, "LinkedIn, Outlook (German)", ("Position",)),
    ("title", 1, "Odoo", ("Job Position", "function")),
    ("title", 1, "Google Contacts", ("Organization Title",)),
    ("title", 1, "Google Contacts before 2024", ("Organization 1 - Title",)),
    ("title", 1, "Northwind", ("Contact Title",)),
    ("title", 1, "Pipedrive", ("Person - Job title",)),
    ("title", 1, "German lists", ("Funktion", "Jobtitel", "Berufsbezeichnung")),
    ("title", 1, "French lists, HubSpot (French)", ("Fonction", "Intitulé du poste")),
    ("title", 1, "Outlook (Spanish)", ("Puesto",)),
    ("title", 1, "Spanish and Portuguese lists", ("Cargo",)),
    ("title", 1, "Outlook (Japanese)", ("役職", "役職名")),
    ("title", 1, "Outlook (Italian)", ("Posizione",)),
    ("title", 1, "Italian lists", ("Qualifica", "Ruolo")),
    ("title", 1, "Outlook (Dutch)", ("Functie",)),
    ("title", 1, "Dutch lists", ("Functietitel",)),
    ("title", 1, "Slovene lists", ("Funkcija", "Delovno mesto")),
    ("title", 2, "the bench workbook, Salesforce, Zoho, Atomic CRM, Northwind; the salutation in Outlook", ("Title",)),
    ("title", 2, "Outlook (Dutch), German lists", ("Titel",)),
    ("title", 2, "Outlook (French), for the salutation and again for the job", ("Titre",)),
    ("title", 2, "Spanish and Portuguese lists", ("Título",)),
    ("title", 2, "Outlook (Italian)", ("Titolo",)),
    ("title", 3, "EspoCRM", ("Account Title",)),
    ("title", 3, "Outlook (Japanese), for the salutation", ("肩書き", "肩書")),
    # --- e-mail
    ("email", 1, "Thunderbird", ("Primary Email",)),
    ("email", 2, "the bench workbook (E-mail), Salesforce, HubSpot, Zoho, Odoo, Dynamics 365", ("Email",)),
    ("email", 2, "Outlook, LinkedIn, Mailchimp, SuiteCRM, EspoCRM", ("Email Address",)),
    ("email", 2, "Google Contacts", ("E-mail 1 - Value",)),
    ("email", 2, "Wix, SuiteCRM", ("Email 1",)),
    ("email", 2, "Dynamics 365", ("emailaddress1",)),
    ("email", 2, "Pipedrive", ("Person - Email",)),
    ("email", 2, "LDAP, lists", ("Mail",)),
    ("email", 2, "Outlook (German)", ("E-Mail-Adresse",)),
    ("email", 2, "Outlook (French)", ("Adresse de messagerie", "Adresse de courrier")),
    ("email", 2, "French lists, HubSpot (French)", ("Adresse e-mail", "Courriel", "Adresse électronique")),
    ("email", 2, "Outlook (Spanish)", ("Dirección de correo electrónico",)),
    ("email", 2, "Spanish lists, HubSpot (Spanish)", ("Correo electrónico", "Correo")),
    ("email", 2, "Outlook (Japanese)", ("電子メール アドレス",)),
    ("email", 2, "Japanese lists, Sansan", ("メールアドレス", "Eメール", "E-mailアドレス", "メール")),
    ("email", 2, "Portuguese lists", ("Endereço de email", "Correio eletrónico")),
    ("email", 2, "Outlook (Italian)", ("Indirizzo posta elettronica", "Indirizzo di posta elettronica")),
    ("email", 2, "Italian lists", ("Indirizzo e-mail",)),
    ("email", 2, "Outlook (Dutch)", ("E-mailadres",)),
    ("email", 2, "Slovene lists", ("E-pošta", "E-poštni naslov", "Elektronska pošta")),
    ("email", 3, "Atomic CRM, Pipedrive, HubSpot", ("email_work", "Work Email")),
    ("email", 3, "Pipedrive", ("Person - Email - Work",)),
    ("email", 5, "Atomic CRM, Pipedrive", ("email_home", "Person - Email - Home")),
    ("email", 6, "Atomic CRM, Pipedrive", ("email_other", "Person - Email - Other")),
    ("email", 7, "Outlook", ("E-mail 2 Address",)),
    ("email", 7, "Google Contacts", ("E-mail 2 - Value",)),
    ("email", 7, "Dynamics 365", ("Email Address 2",)),
    ("email", 7, "Zoho, Thunderbird", ("Secondary Email",)),
    ("email", 7, "messy-contacts", ("second_email",)),
    ("email", 7, "Outlook (German)", ("E-Mail 2: Adresse",)),
    ("email", 8, "Outlook", ("E-mail 3 Address",)),
    ("email", 8, "Google Contacts", ("E-mail 3 - Value",)),
    ("email", 8, "Dynamics 365", ("Email Address 3",)),
    ("email", 8, "Outlook (German)", ("E-Mail 3: Adresse",)),
    ("email", 8, "SuiteCRM", ("Other Email Address",)),
    # --- phone
    ("phone", 2, "the bench workbook, Salesforce, Zoho, Odoo, Northwind, Dynamics 365", ("Phone",)),
    ("phone", 2, "HubSpot, Mailchimp, EspoCRM", ("Phone Number",)),
    ("phone", 2, "English and French (Téléphone) lists", ("Telephone", "Telephone Number", "Tel")),
    ("phone", 2, "Google Contacts", ("Phone 1 - Value",)),
    ("phone", 2, "Wix", ("Phone 1",)),
    ("phone", 2, "Pipedrive", ("Person - Phone",)),
    ("phone", 2, "German and Slovene lists", ("Telefon", "Telefonnummer")),
    ("phone", 2, "German lists", ("Rufnummer",)),
    ("phone", 2, "Spanish and Italian lists", ("Teléfono", "Número de teléfono")),
    ("phone", 2, "French lists", ("Numéro de téléphone",)),
    ("phone", 2, "Portuguese lists", ("Telefone",)),
    ("phone", 2, "Japanese lists, Sansan", ("電話番号", "電話", "TEL番号")),
    ("phone", 2, "Dutch lists", ("Telefoon", "Telefoonnummer")),
    ("phone", 2, "Slovene lists", ("Telefonska številka",)),
    ("phone", 3, "Outlook, Dynamics 365", ("Business Phone",)),
    ("phone", 3, "Dynamics 365", ("telephone1",)),
    ("phone", 3, "Thunderbird", ("Work Phone",)),
    ("phone", 3, "SuiteCRM, Atomic CRM, Pipedrive", ("Office Phone", "phone_work", "Person - Phone - Work")),
    ("phone", 3, "Outlook (German)", ("Telefon geschäftlich",)),
    ("phone", 3, "Outlook (French)", ("Téléphone (bureau)",)),
    ("phone", 3, "Outlook (Spanish)", ("Teléfono del trabajo",)),
    ("phone", 3, "Outlook (Japanese)", ("会社電話",)),
    ("phone", 3, "Outlook (Portuguese)", ("Telefone comercial",)),
    ("phone", 3, "Outlook (Italian)", ("Telefono (uff.)",)),
    ("phone", 3, "Outlook (Dutch)", ("Telefoon op werk",)),
    ("phone", 4, "Outlook, Salesforce, Dynamics 365", ("Mobile Phone",)),
    ("phone", 4, "Odoo, Zoho, Salesforce", ("Mobile",)),
    ("phone", 4, "HubSpot, Thunderbird", ("Mobile Phone Number", "Mobile Number")),
    ("phone", 4, "SuiteCRM, Pipedrive", ("phone_mobile", "Person - Phone - Mobile")),
    ("phone", 4, "Outlook (German)", ("Mobiltelefon",)),
    ("phone", 4, "German lists", ("Mobil", "Handy", "Mobilnummer")),
    ("phone", 4, "Outlook (French)", ("Tél. mobile",)),
    ("phone", 4, "French lists", ("Téléphone mobile", "Téléphone portable", "Portable")),
    ("phone", 4, "Outlook (Spanish)", ("Teléfono móvil", "Móvil")),
    ("phone", 4, "Outlook (Japanese)", ("携帯電話", "携帯電話番号", "携帯")),
    ("phone", 4, "Outlook (Portuguese)", ("Telefone celular", "Celular", "Telemóvel")),
    ("phone", 4, "Outlook (Italian)", ("Cellulare",)),
    ("phone", 4, "Outlook (Dutch)", ("Mobiele telefoon", "Mobiel")),
    ("phone", 4, "Slovene lists", ("GSM", "Mobilni telefon")),
    ("phone", 5, "Outlook", ("Primary Phone",)),
    ("phone", 5, "Outlook (German)", ("Haupttelefon",)),
    ("phone", 6, "Outlook, Salesforce, Zoho, Northwind", ("Home Phone",)),
    ("phone", 6, "SuiteCRM, Atomic CRM, Pipedrive", ("phone_home", "Person - Phone - Home")),
    ("phone", 6, "Outlook (German)", ("Telefon privat",)),
    ("phone", 6, "Outlook (French)", ("Téléphone (domicile)",)),
    ("phone", 6, "Outlook (Japanese)", ("自宅電話",)),
    ("phone", 6, "Outlook (Portuguese)", ("Telefone residencial",)),
    ("phone", 6, "Outlook (Dutch)", ("Telefoon thuis",)),
    ("phone", 7, "Outlook, Salesforce, Zoho", ("Other Phone",)),
    ("phone", 7, "SuiteCRM, Atomic CRM, Pipedrive", ("phone_other", "Person - Phone - Other")),
    ("phone", 8, "Outlook", ("Company Main Phone",)),
    ("phone", 8, "Outlook (German)", ("Telefon Firma",)),
    ("phone", 9, "Google Contacts", ("Phone 2 - Value",)),
    # --- street
    ("street", 1, "Salesforce and Zoho contacts", ("Mailing Street",)),
    ("street", 1, "Outlook", ("Business Street",)),
    ("street", 1, "SuiteCRM", ("Primary Address Street",)),
    ("street", 1, "Google Contacts, Wix", ("Address 1 - Street",)),
    ("street", 1, "Dynamics 365", ("Address 1: Street 1", "address1_line1")),
    ("street", 1, "Thunderbird", ("Work Address",)),
    ("street", 1, "Outlook (German)", ("Straße geschäftlich",)),
    ("street", 1, "Outlook (French)", ("Rue (bureau)",)),
    ("street", 1, "Outlook (Spanish)", ("Calle del trabajo",)),
    ("street", 1, "Outlook (Japanese)", ("番地 (会社)",)),
    ("street", 1, "Outlook (Portuguese)", ("Rua do endereço comercial",)),
    ("street", 1, "Outlook (Italian)", ("Via (uff.)",)),
    ("street", 1, "Outlook (Dutch)", ("Werkadres, straat",)),
    ("street", 2, "the bench workbook, Odoo, Zoho and Salesforce leads", ("Street",)),
    ("street", 2, "HubSpot", ("Street Address",)),
    ("street", 2, "EspoCRM", ("Address Street",)),
    ("street", 2, "German lists", ("Straße",)),
    ("street", 2, "French lists", ("Rue",)),
    ("street", 2, "Spanish lists", ("Calle",)),
    ("street", 2, "Portuguese lists", ("Rua",)),
    ("street", 2, "Italian lists", ("Via",)),
    ("street", 2, "Dutch lists", ("Straat",)),
    ("street", 2, "Slovene lists", ("Ulica",)),
    ("street", 3, "Salesforce, Zoho and EspoCRM accounts", ("Billing Street", "Billing Address Street")),
    ("street", 4, "Mailchimp, Northwind, crm-public", ("Address",)),
    ("street", 4, "messy-contacts", ("adress",)),
    ("street", 4, "Pipedrive", ("Person - Postal address",)),
    ("street", 4, "German and French lists", ("Adresse", "Anschrift")),
    ("street", 4, "Spanish lists", ("Dirección", "Domicilio")),
    ("street", 4, "Japanese lists, Sansan", ("住所",)),
    ("street", 4, "Portuguese lists", ("Endereço", "Morada")),
    ("street", 4, "Italian lists", ("Indirizzo",)),
    ("street", 4, "Dutch lists", ("Adres",)),
    ("street", 4, "Slovene lists", ("Naslov",)),
    ("street", 5, "febrl", ("address_1",)),
    ("street", 5, "English lists", ("Address Line 1",)),
    ("street", 6, "Outlook", ("Home Street",)),
    ("street", 6, "Thunderbird", ("Home Address",)),
    ("street", 6, "Outlook (German)", ("Straße privat",)),
    ("street", 6, "Outlook (French)", ("Rue (domicile)",)),
    ("street", 6, "Outlook (Japanese)", ("番地 (自宅)",)),
    ("street", 6, "Outlook (Italian)", ("Via (ab.)",)),
    ("street", 6, "Outlook (Dutch)", ("Huisadres, straat",)),
    ("street", 7, "Outlook, Salesforce, Zoho", ("Other Street",)),
    ("street", 7, "SuiteCRM", ("Alternate Address Street", "alt_address_street")),
    ("street", 8, "Salesforce, Zoho and EspoCRM accounts", ("Shipping Street", "Shipping Address Street")),
    # --- city
    ("city", 1, "Salesforce and Zoho contacts", ("Mailing City",)),
    ("city", 1, "Outlook", ("Business City",)),
    ("city", 1, "SuiteCRM", ("Primary Address City",)),
    ("city", 1, "Google Contacts, Dynamics 365, Wix", ("Address 1 - City",)),
    ("city", 1, "Thunderbird", ("Work City",)),
    ("city", 1, "Outlook (German)", ("Ort geschäftlich",)),
    ("city", 1, "Outlook (French)", ("Ville (bureau)",)),
    ("city", 1, "Outlook (Spanish)", ("Ciudad de trabajo", "Ciudad del trabajo")),
    ("city", 1, "Outlook (Japanese)", ("市町村 (会社)",)),
    ("city", 1, "Outlook (Portuguese)", ("Cidade do endereço comercial",)),
    ("city", 1, "Outlook (Italian)", ("Città (uff.)",)),
    ("city", 1, "Outlook (Dutch)", ("Werkadres, plaats",)),
    ("city", 2, "the bench workbook, HubSpot, Odoo, Zoho, Northwind, crm-public", ("City",)),
    ("city", 2, "EspoCRM", ("Address City",)),
    ("city", 2, "German lists; the place of a meeting in Outlook (German)", ("Ort", "Stadt")),
    ("city", 2, "French lists", ("Ville",)),
    ("city", 2, "Spanish lists", ("Ciudad",)),
    ("city", 2, "Japanese lists", ("市区町村", "市町村", "都市")),
    ("city", 2, "Portuguese lists", ("Cidade",)),
    ("city", 2, "Italian lists", ("Città",)),
    ("city", 2, "Dutch lists", ("Plaats", "Woonplaats", "Stad")),
    ("city", 2, "Slovene lists", ("Kraj", "Mesto")),
    ("city", 3, "Salesforce, Zoho and EspoCRM accounts", ("Billing City", "Billing Address City")),
    ("city", 5, "febrl", ("suburb",)),
    ("city", 6, "Outlook, Thunderbird", ("Home City",)),
    ("city", 6, "Outlook (German)", ("Ort privat",)),
    ("city", 6, "Outlook (French)", ("Ville (domicile)",)),
    ("city", 6, "Outlook (Japanese)", ("市町村 (自宅)",)),
    ("city", 6, "Outlook (Italian)", ("Città (ab.)",)),
    ("city", 6, "Outlook (Dutch)", ("Huisadres, plaats",)),
    ("city", 7, "Outlook, Salesforce, Zoho", ("Other City",)),
    ("city", 7, "SuiteCRM", ("Alternate Address City", "alt_address_city")),
    ("city", 8, "Salesforce, Zoho and EspoCRM accounts", ("Shipping City", "Shipping Address City")),
    # --- country
    ("country", 1, "Salesforce and Zoho contacts", ("Mailing Country",)),
    ("country", 1, "Outlook", ("Business Country/Region", "Business Country")),
    ("country", 1, "SuiteCRM", ("Primary Address Country",)),
    ("country", 1, "Google Contacts, Wix", ("Address 1 - Country",)),
    ("country", 1, "Dynamics 365", ("Address 1: Country/Region",)),
    ("country", 1, "Thunderbird", ("Work Country",)),
    ("country", 1, "Outlook (German)", ("Land/Region geschäftlich",)),
    ("country", 1, "Outlook (French)", ("Pays/Région (bureau)",)),
    ("country", 1, "Outlook (Spanish)", ("País o región del trabajo",)),
    ("country", 1, "Outlook (Japanese)", ("国 (会社)/地域",)),
    ("country", 1, "Outlook (Portuguese)", ("País/Região do endereço comercial",)),
    ("country", 1, "Outlook (Italian)", ("Paese/area geografica (uff.)",)),
    ("country", 1, "Outlook (Dutch)", ("Land/regio (werk)",)),
    ("country", 2, "the bench workbook, Odoo, Zoho, Northwind, Mailchimp, crm-public", ("Country",)),
    ("country", 2, "HubSpot", ("Country/Region",)),
    ("country", 2, "Odoo", ("country_id",)),
    ("country", 2, "EspoCRM", ("Address Country",)),
    ("country", 2, "German and Dutch lists, HubSpot (German)", ("Land", "Land/Region")),
    ("country", 2, "French lists, HubSpot (French)", ("Pays", "Pays/Région")),
    ("country", 2, "Spanish and Portuguese lists", ("País",)),
    ("country", 2, "HubSpot (Spanish)", ("País/región",)),
    ("country", 2, "Japanese lists", ("国", "国名", "国/地域")),
    ("country", 2, "Italian lists", ("Paese", "Nazione")),
    ("country", 2, "Slovene lists", ("Država",)),
    ("country", 3, "Salesforce, Zoho and EspoCRM accounts", ("Billing Country", "Billing Address Country")),
    ("country", 6, "Outlook, Thunderbird", ("Home Country/Region", "Home Country")),
    ("country", 6, "Outlook (German)", ("Land/Region privat",)),
    ("country", 6, "Outlook (French)", ("Pays/Région (domicile)",)),
    ("country", 6, "Outlook (Japanese)", ("国 (自宅)/地域",)),
    ("country", 6, "Outlook (Italian)", ("Paese/area geografica (ab.)",)),
    ("country", 6, "Outlook (Dutch)", ("Land/regio (thuis)",)),
    ("country", 7, "Outlook, Salesforce, Zoho", ("Other Country/Region", "Other Country")),
    ("country", 7, "SuiteCRM", ("Alternate Address Country", "alt_address_country")),
    ("country", 8, "Salesforce, Zoho and EspoCRM accounts", ("Shipping Country", "Shipping Address Country")),
    # --- tags
    ("tags", 2, "the bench workbook, Odoo, Mailchimp, Atomic CRM", ("Tags",)),
    ("tags", 2, "Zoho", ("Tag",)),
    ("tags", 2, "Odoo", ("category_id",)),
    ("tags", 2, "German lists", ("Schlagwörter", "Schlagworte")),
    ("tags", 2, "Odoo (French)", ("Étiquettes",)),
    ("tags", 2, "Odoo (Spanish, Portuguese)", ("Etiquetas",)),
    ("tags", 2, "Odoo (Italian)", ("Etichette",)),
    ("tags", 2, "Japanese lists", ("タグ",)),
    ("tags", 2, "Slovene lists", ("Oznake",)),
    ("tags", 3, "Google Contacts, Pipedrive, Wix, Dutch lists", ("Labels", "Label")),
    ("tags", 3, "Google Contacts before 2024", ("Group Membership",)),
    ("tags", 3, "Pipedrive", ("Person - Labels", "Person - Label")),
    ("tags", 3, "Outlook, also in French", ("Categories",)),
    ("tags", 3, "Outlook (German)", ("Kategorien",)),
    ("tags", 3, "Outlook (Spanish, Portuguese)", ("Categorías",)),
    ("tags", 3, "Outlook (Japanese)", ("分類", "分類項目")),
    ("tags", 3, "Outlook (Italian)", ("Categorie",)),
    ("tags", 3, "Outlook (Dutch)", ("Categorieën",)),
    ("tags", 4, "Odoo (German), Outlook (German)", ("Stichwörter",)),
    # --- notes
    ("notes", 2, "the bench workbook, Outlook, Google Contacts, Mailchimp, Odoo, Northwind", ("Notes",)),
    ("notes", 2, "German and Outlook (German)", ("Notizen",)),
    ("notes", 2, "Outlook (Spanish)", ("Notas",)),
    ("notes", 2, "Outlook (Japanese)", ("メモ",)),
    ("notes", 2, "Outlook (Dutch)", ("Notities",)),
    ("notes", 2, "Outlook (Portuguese)", ("Anotações",)),
    ("notes", 2, "Slovene lists", ("Opombe",)),
    ("notes", 3, "Apple Contacts, Pipedrive, Outlook (Italian)", ("Note",)),
    ("notes", 3, "crm-public call entry, Odoo (comment)", ("Comment", "Comments")),
    ("notes", 3, "German lists", ("Bemerkungen", "Bemerkung", "Anmerkungen")),
    ("notes", 3, "French lists", ("Remarques", "Commentaires")),
    ("notes", 3, "Spanish and Portuguese lists", ("Observaciones", "Observações", "Comentarios")),
    ("notes", 3, "Japanese lists", ("備考", "コメント")),
    ("notes", 3, "Italian lists", ("Osservazioni",)),
    ("notes", 3, "Dutch lists", ("Opmerkingen",)),
    ("notes", 4, "Salesforce, Zoho, Dynamics 365, SuiteCRM, EspoCRM", ("Description",)),
    ("notes", 4, "Atomic CRM", ("background",)),
    # --- last contacted
    ("last_contacted", 1, "HubSpot", ("notes_last_contacted",)),
    ("last_contacted", 2, "the bench workbook, HubSpot", ("Last Contacted",)),
    ("last_contacted", 2, "crm-public", ("LastContactDate", "Last Contact")),
    ("last_contacted", 2, "German lists", ("Letzter Kontakt", "Zuletzt kontaktiert")),
    ("last_contacted", 2, "French lists", ("Dernier contact",)),
    ("last_contacted", 2, "Spanish lists", ("Último contacto",)),
    ("last_contacted", 2, "Japanese lists", ("最終連絡日", "最終コンタクト日")),
    ("last_contacted", 2, "Portuguese lists", ("Último contato",)),
    ("last_contacted", 2, "Italian lists", ("Ultimo contatto",)),
    ("last_contacted", 2, "Dutch lists", ("Laatste contact",)),
    ("last_contacted", 2, "Slovene lists", ("Zadnji stik",)),
    ("last_contacted", 3, "Salesforce, HubSpot", ("Last Activity Date",)),
    ("last_contacted", 3, "Salesforce reports", ("Last Activity",)),
    ("last_contacted", 3, "Zoho", ("Last Activity Time",)),
    ("last_contacted", 3, "Pipedrive", ("Person - Last activity date",)),
    ("last_contacted", 3, "Atomic CRM", ("last_seen",)),
)

# What "Name" means beside other headings; see rule 4 above. All of these are keys (see `key`).
_LAST_BESIDE_FIRST = frozenset({"nom", "naam"})
_FIRST_BESIDE_LAST = frozenset({"nombre", "nome", "ime", "名前"})
_NAME_IS_LAST_BESIDE = frozenset({"vorname", "prenom", "voornaam"})
_COMPANY_LIST = frozenset({"annualrevenue", "numberofemployees", "tickersymbol"})
_DEAL_LIST = frozenset({"stagename", "closedate", "dealstage", "forecastcategory"})
# Outlook in French heads two columns "Titre": the salutation and, further right, the job.
_LAST_OF_TWO = frozenset({"titre"})
# Whole names that are written with the last name first, as these headings say or their language has it.
_LAST_FIRST = frozenset({"nometprenom", "priimekinime", "氏名", "お名前", "名前", "cognomeenome", "apellidosynombre"})
# Odoo: true where the row is a company and "Name" its name.
_COMPANY_FLAGS = frozenset({"isacompany", "iscompany"})


class HeadingsError(ValueError):
    """The headings cannot be used: says everything that is wrong with them, lists them all, and what to do now."""

    def __init__(self, problems: Sequence[str], shown: Sequence[str]) -> None:
        self.problems = tuple(problems)  # one clause each
        listed = [f"{column_letter(i)} {_quoted(heading)}" for i, heading in enumerate(shown[:_LISTED])]
        # Errors are stored, sent and logged, and no place for people's data.
        if any("@" in heading for heading in shown):
            listed = ["none, but a person's row: write a row of headings above it"]
        found = ", ".join(listed) or "none"
        found += f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else ""
        super().__init__(
            f"The headings cannot be used: {'; '.join(problems)}. Headings found: {found}. "
            'Say which column is which with columns={"heading": "field"}; fields: '
            f'{", ".join(FIELDS)}; "{EXTRA}" keeps a column out of them.'
        )


@dataclass(frozen=True)
class Mapping:
    """Where each column of one sheet goes. Indices count columns from 0 (column A)."""

    fields: dict[int, str]  # column -> contact field; no field twice
    extra: dict[int, str]  # column -> its name in the contact's extra; no name twice
    headings: tuple[str, ...]  # every heading as people see it, a blank one as "Column F"; may hold repeats
    dropped: frozenset[int]  # the reasons of an earlier import: neither field nor extra, nor part of a reject's row
    company_flag: int | None = None  # (Odoo; also in extra) true where full_name is the name of a company
    last_first: bool = False  # whether full_name is written with the last name first

    @property
    def shown_columns(self) -> list[int]:
        """The columns of a reject's row, in its order."""
        return [column for column in range(len(self.headings)) if column not in self.dropped]

    @property
    def clock_name(self) -> str:
        """The name in extra of the time of day of the last contact, of which the field holds the day alone."""
        day = next((column for column, field in self.fields.items() if field == "last_contacted"), None)
        return "" if day is None else _unused(self.headings[day], set(self.extra.values()))

    def extra_name(self, column: int) -> str:
        """The name in extra of a column without a heading of its own, such as one to the right of all headings."""
        taken = set(self.extra.values())
        return self.extra.get(column) or _unused(f"Column {column_letter(column)}", taken)


def key(heading: str) -> str:
    """What is compared: no case, accents, blanks or punctuation, and so neither NULs nor lone surrogates."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", heading).casefold())
    # Only Latin accents are dropped; the Japanese voicing marks (U+3099) make another letter.
    bare = "".join(c for c in plain if not "\u0300" <= c <= "\u036f")
    return "".join(c for c in unicodedata.normalize("NFC", bare) if c.isalnum())


def column_letter(column: int) -> str:
    """Excel's name of a column counted from 0: 0 is A, 26 is AA."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


ALIASES: dict[str, Alias] = {
    key(heading): Alias(field, rank, source) for field, rank, source, headings in _TABLE for heading in headings
}
_FIELD_BY_KEY = {key(field): field for field in (*FIELDS, EXTRA)}
_REASON_KEY = key(REASON_HEADING)


def map_columns(headings: Sequence[object], overrides: abc.Mapping[str, str] | None = None) -> Mapping:
    """Decide where each column goes.

    Args:
        headings: the cells of the heading row, from column A on; a blank one is None or "".
        overrides: heading (or "Column C") -> field, or "extra"; compared as headings are.

    Raises:
        HeadingsError: one for everything that is wrong: an override that names no heading or no field, two columns
            on one field, a "Name" that can be read in two ways, nothing that can identify a row.
    """
    texts = _texts(headings)
    shown = tuple(text or f"Column {column_letter(i)}" for i, text in enumerate(texts))
    problems: list[str] = []
    told = _overridden(shown, [key(text) for text in texts], overrides or {}, problems)
    claims = _claims(texts, told, problems)

    fields: dict[int, str] = {}
    for field in FIELDS:
        ranked = [(alias.rank, column) for column, alias in claims.items() if alias.field == field]
        best = [column for rank, column in ranked if rank == min(ranked)[0]]
        if len(best) == 2 and {key(texts[column]) for column in best} <= _LAST_OF_TWO:  # noqa: PLR2004 - a pair
            best = best[1:]
        if len(best) > 1:
            named = " and ".join(f"{_quoted(shown[column])} (column {column_letter(column)})" for column in best)
            problems.append(f"two columns on one field: {field} is in {named}")
        elif best:
            fields[best[0]] = field
    if not IDENTIFYING & {alias.field for alias in claims.values()}:
        problems.append("none of them can identify a row (an e-mail address, a last or full name, or an organization)")
    if problems:
        raise HeadingsError(problems, shown)

    dropped = frozenset(i for i, text in enumerate(texts) if key(text) == _REASON_KEY and i not in told)
    extra: dict[int, str] = {}
    taken: set[str] = set()
    for column in (i for i in range(len(shown)) if i not in fields and i not in dropped):
        extra[column] = _unused(shown[column], taken)
        taken.add(extra[column])
    flags = [i for i in extra if key(texts[i]) in _COMPANY_FLAGS and i not in told]
    last_first = any(field == "full_name" and key(texts[column]) in _LAST_FIRST for column, field in fields.items())
    return Mapping(dict(sorted(fields.items())), extra, shown, dropped, flags[0] if flags else None, last_first)


def find_headings(
    rows: Iterable[tuple[int, Sequence[object]]],
    overrides: abc.Mapping[str, str] | None = None,
    *,
    must_identify: bool = True,
) -> int | None:
    """The number of the row that holds the headings: the one whose cells name most fields, the first of equals.

    Looks at rows numbered 1 to 30, so that titles and blank rows above are skipped. A row that names a single field
    counts only if it is wider than all above it, with four cells at least if these are more than titles of one cell; a
    single cell counts only if the sheet has no second column.

    Args:
        rows: (row number, cells from column A on), as read.
        overrides: as for `map_columns`; the headings it names count.
        must_identify: False returns the likeliest row even if its headings identify nothing, for the error message
            of `map_columns`; None then means that all rows are blank.
    """
    best: tuple[int, int] | None = None  # fields named, row number
    likeliest: tuple[int, int] | None = None
    single: int | None = None  # a single cell that names a field
    widest = 0  # cells of the widest row so far
    for number, cells in rows:
        if number > HEADING_ROWS:
            break
        filled = sum(cell is not None and cell != "" for cell in cells)
        if not filled:
            continue
        named = _named_fields(cells, overrides or {})
        if likeliest is None or len(named) > likeliest[0]:
            likeliest = (len(named), number)
        if IDENTIFYING & named:
            if filled == 1:
                single = single or number
            elif (len(named) > 1 or filled > max(widest, 3 if widest > 1 else 1)) and (
                best is None or len(named) > best[0]
            ):
                best = (len(named), number)
        widest = max(widest, filled)
    if best is None and single is not None and widest == 1:
        return single
    found = best or (None if must_identify else likeliest)
    return found[1] if found else None


def _named_fields(cells: Sequence[object], overrides: abc.Mapping[str, str]) -> set[str]:
    """The fields that this row would name if it were the headings; empty if it is mostly numbers and dates."""
    texts = _texts(cells)
    words = sum(isinstance(cell, str) and cell != "" for cell in cells)
    if words * 2 < sum(text != "" for text in texts):
        return set()
    shown = tuple(text or f"Column {column_letter(i)}" for i, text in enumerate(texts))
    # "Column C" would count on every row; only headings tell that this is the row.
    told = _overridden(shown, [key(text) for text in texts], overrides, [], letters=False)
    return {alias.field for alias in _claims(texts, told, []).values()}


def _texts(cells: Sequence[object]) -> list[str]:
    """Headings as one line each, without what PostgreSQL, JSON or XML refuse, and not endless."""
    return [_clean(cell) for cell in cells]


def _clean(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # a heading 2024 is read as 2024.0
    text = str(getattr(cell, "text", cell))[: 4 * _LONGEST]
    safe = "".join("\ufffd" if unicodedata.category(c) == "Cs" else " " if ord(c) < ord(" ") else c for c in text)
    line = " ".join(unicodedata.normalize("NFC", safe).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _overridden(
    shown: Sequence[str],
    keys: Sequence[str],
    overrides: abc.Mapping[str, str],
    problems: list[str],
    *,
    letters: bool = True,
) -> dict[int, str]:
    """Column -> field (or "extra"), as the user says."""
    told: dict[int, str] = {}
    for heading, target in overrides.items():
        field = _FIELD_BY_KEY.get(key(str(target)))
        if field is None:
            problems.append(f"columns: {_quoted(str(target))} (for {_quoted(heading)}) is no field")
        columns = list(_addressed(heading, shown, keys, letters=letters))
        if not columns:
            problems.append(f"columns: there is no heading {_quoted(heading)}")
        twice = [i for i in columns if field and told.setdefault(i, field) != field]
        problems.extend(f"columns: {_quoted(shown[i])} is given two fields, {told[i]} and {field}" for i in twice)
    return told


def _addressed(heading: str, shown: Sequence[str], keys: Sequence[str], *, letters: bool) -> Iterator[int]:
    """The columns that a user means by a heading: exactly it, else one spelled alike, else the letter of a column."""
    wanted = _clean(heading)
    exact = [i for i, text in enumerate(shown) if text == wanted]
    alike = [i for i, found in enumerate(keys) if found and found == key(wanted)]
    letter = re.fullmatch(r"column ([a-z]{1,3})", wanted.lower()) if letters else None
    by_letter = [i for i in range(len(shown)) if letter and column_letter(i).lower() == letter[1]]
    yield from exact or alike or by_letter


def _claims(texts: Sequence[str], told: abc.Mapping[int, str], problems: list[str]) -> dict[int, Alias]:
    """Column -> what it says it is, before ranks decide between columns."""
    keys = [key(text) for text in texts]
    claims = {i: ALIASES[k] for i, k in enumerate(keys) if k in ALIASES and i not in told}
    claims |= {i: Alias(field, 0, "columns") for i, field in told.items() if field != EXTRA}
    present = frozenset(alias.field for alias in claims.values())
    for column in [i for i in claims if i not in told]:
        field = _settled_name(keys[column], present, keys)
        if field == "unclear":
            problems.append(
                f"{_quoted(texts[column])} beside a first name can be the whole or the last name: say which it is"
            )
        elif field is None:
            del claims[column]
        elif field != claims[column].field:
            claims[column] = Alias(field, claims[column].rank, claims[column].source)
    settled = {alias.field for alias in claims.values()}
    if "full_name" in settled:
        # Parts are better than a whole that must be split; a first name alone is worse.
        spare = "full_name" if "last_name" in settled else "first_name"
        claims = {i: alias for i, alias in claims.items() if alias.field != spare or alias.rank == 0}
    return claims


def _settled_name(this: str, present: abc.Set[str], keys: Sequence[str]) -> str | None:
    """What a bare "Name", "Nom", "Nombre" is beside these fields; any other heading is what its alias says."""
    first, last = "first_name" in present, "last_name" in present
    field: str | None = ALIASES[this].field
    if this in _LAST_BESIDE_FIRST and first and not last:
        field = "last_name"
    elif this in _FIRST_BESIDE_LAST and last and not first:
        field = "first_name"
    elif this == "name" and first and not last:
        field = "last_name" if _NAME_IS_LAST_BESIDE & set(keys) else "unclear"
    elif this == "name" and not last and "organization" not in present:
        # Nothing else says who or what is listed: is it people at all?
        if _DEAL_LIST & set(keys):
            field = None
        elif _COMPANY_LIST & set(keys):
            field = "organization"
    return field


def _unused(name: str, taken: abc.Set[str]) -> str:
    """The name, or the name with the first free number: "Notes", "Notes (2)"."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name} ({number})"
    return candidate


def _quoted(text: str) -> str:
    return '"' + (text if len(text) <= 60 else text[:59] + "…") + '"'  # noqa: PLR2004 - still readable in a list
