"""The table of headings: its file, the languages in it, remarks beside headings, ids of systems, what users say."""

from contextlib import suppress

import pytest

from tasks.crm.headings.column_mapping import (
    is_same_list,
    map_columns,
    names_fields,
    repeats_headings,
    same_headings,
    score,
)
from tasks.crm.headings.error import HeadingsError
from tasks.crm.headings.table import HeadingTableError, read_table


def fields_of(headings, overrides=None, system=None):
    """Field -> heading of the column that takes it."""
    mapping = map_columns(headings, overrides, system=system)
    return {field: mapping.headings[column] for column, field in mapping.fields.items()}


# --- the file


HEADER = "field,rank,rule,source,headings\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("mail,2,,Lists,Mail", "'mail' is not a field"),
        ("email,,,Lists,Mail", "the rank is ''"),
        ("email,two,,Lists,Mail", "the rank is 'two'"),
        ("-,1,extra,Lists,Zip", "the rank is '1'"),
        ("email,2,,,Mail", "the source is missing"),
        ("email,2,,Lists", "4 cells instead of 5"),
        ("email,2,,Lists,Mail | *", "'*' has neither letters nor digits"),
        ("email,2,last name first,Lists,Mail", "email has no rule last name first"),
        ("city,2,only in its language,Outlook,By", "needs a source such as"),
        ("external_id,1,,HubSpot,Record ID", "needs the rule of SYSTEM"),
        ("-,,together,HubSpot,Record ID", "needs one rule"),
        ("-,,colour,Lists,Zip", "needs one rule"),
        ('email,2,,"Lists,Mail', "unexpected end"),
    ],
)
def test_a_wrong_line_of_the_table_is_named(line, reason):
    with pytest.raises(HeadingTableError) as error:
        read_table(["# a comment\n", HEADER, "\n", "email,2,,Lists,Courriel\n", line + "\n"])
    assert str(error.value).startswith("line 5: ")
    assert reason in str(error.value)


def test_a_heading_with_two_meanings_is_named_with_both_lines():
    with pytest.raises(HeadingTableError, match="line 3: 'E-Mail' has another field, rank or rule in line 2"):
        read_table([HEADER, "email,2,,Lists,email\n", "notes,2,,Other lists,E-Mail\n"])
    table = read_table([HEADER, "email,2,,Lists,email\n", "email,2,,Dutch lists,E-Mail\n"])
    assert table.aliases["email"].source == "Lists, Dutch lists"


def test_a_table_that_a_spreadsheet_program_saved_is_read():
    lines = ['"# comments, with a comma",,,,\r\n', HEADER.strip() + "\r\n", ",,,,\r\n", "email,2,,Lists,Courriel\r\n"]
    assert read_table(lines).aliases["courriel"].field == "email"


def test_another_table_has_other_columns():
    with pytest.raises(HeadingTableError, match="line 1: the columns are not field, rank"):
        read_table(["heading,field\n"])
    with pytest.raises(HeadingTableError, match="line 1: the columns are not field, rank"):
        read_table(["# a comment\n"])


# --- languages


LANGUAGES = {
    "Danish": ("Fornavn", "Efternavn", "Virksomhed", "E-mail", "Mobil", "Vej", "By", "Land"),
    "Norwegian": ("Fornavn", "Etternavn", "Selskap", "E-post", "Telefonnummer", "Gate", "Sted", "Land"),
    "Swedish": ("Förnamn", "Efternamn", "Företag", "E-postadress", "Mobiltelefon", "Gatuadress", "Postort", "Land"),
    "Finnish": ("Etunimi", "Sukunimi", "Yritys", "Sähköposti", "Puhelin", "Katuosoite", "Kaupunki", "Maa"),
    "Polish": ("Imię", "Nazwisko", "Nazwa firmy", "Adres e-mail", "Telefon komórkowy", "Ulica", "Miasto", "Kraj"),
    "Czech": ("Jméno", "Příjmení", "Společnost", "E-mail", "Mobil", "Ulice", "Město", "Stát"),
    "Slovak": ("Meno", "Priezvisko", "Spoločnosť", "E-mail", "Telefónne číslo", "Ulica", "Obec", "Krajina"),
    "Hungarian": ("Keresztnév", "Vezetéknév", "Cégnév", "E-mail cím", "Telefonszám", "Utca", "Város", "Ország"),
    "Croatian": ("Ime", "Prezime", "Tvrtka", "E-pošta", "Mobitel", "Ulica", "Grad", "Država"),
    "Slovene": ("Ime", "Priimek", "Podjetje", "E-naslov", "Mobilna številka", "Ulica", "Kraj", "Država"),
    "Romanian": ("Prenume", "Nume", "Companie", "Adresă de e-mail", "Telefon mobil", "Strada", "Localitate", "Țară"),
    "Bulgarian": ("Име", "Фамилия", "Фирма", "Имейл", "Телефон", "Улица", "Град", "Държава"),
    "Serbian": ("Име", "Презиме", "Предузеће", "Имејл", "Број телефона", "Улица", "Град", "Држава"),
    "Greek": ("ΟΝΟΜΑ", "Επώνυμο", "Εταιρεία", "Διεύθυνση email", "Κινητό", "Οδός", "Πόλη", "Χώρα"),
    "Turkish": ("Ad", "Soyad", "ŞİRKET", "E-posta", "Cep Telefonu", "Cadde", "İl", "Ülke"),
    "Russian": ("Имя", "Фамилия", "Организация", "Эл. почта", "Мобильный телефон", "Улица", "Город", "Страна"),
    "Ukrainian": ("Ім’я", "Прізвище", "Компанія", "Електронна пошта", "Номер телефону", "Вулиця", "Місто", "Країна"),
    "Arabic": (
        "الإسم الأول",
        "اسم العائلة",
        "الشركة",
        "البريد الالكتروني",
        "رقم الجوال",
        "الشارع",
        "المدينة",
        "الدولة",
    ),
    "Hebrew": ("שם פרטי", "שם משפחה", "חברה", "דוא״ל", "טלפון נייד", "רחוב", "עיר", "מדינה"),
    "Korean": ("이름", "성", "회사명", "이메일", "휴대폰", "도로명 주소", "도시", "국가"),
    "Lithuanian": ("Vardas", "Pavardė", "Įmonė", "El. paštas", "Mobilusis telefonas", "Gatvė", "Miestas", "Šalis"),
    "Latvian": ("Vārds", "Uzvārds", "Uzņēmums", "E-pasts", "Tālrunis", "Iela", "Pilsēta", "Valsts"),
    "Estonian": ("Eesnimi", "Perekonnanimi", "Ettevõte", "E-posti aadress", "Mobiiltelefon", "Tänav", "Linn", "Riik"),
    "Serbian (Latin)": ("Ime", "Prezime", "Naziv preduzeća", "Mejl", "Broj mobilnog", "Ulica", "Mesto", "Država"),
    "Serbian (Cyrillic)": ("Име", "Презиме", "Назив фирме", "Е-пошта", "Мобилни број", "Адреса", "Место", "Земља"),
    "Bulgarian, other words": (
        "Собствено име",
        "Фамилно име",
        "Дружество",
        "Е-поща",
        "ГСМ",
        "Адрес",
        "Град",
        "Държава",
    ),
    "Vietnamese": ("Tên", "Họ", "Công ty", "Địa chỉ email", "Số điện thoại", "Địa chỉ", "Thành phố", "Quốc gia"),
    "Indonesian": ("Nama depan", "Nama belakang", "Perusahaan", "Surel", "Nomor HP", "Alamat", "Kota", "Negara"),
    "Thai": ("ชื่อ", "นามสกุล", "บริษัท", "อีเมล", "เบอร์โทรศัพท์", "ที่อยู่", "เมือง", "ประเทศ"),
    "Hindi": ("नाम", "उपनाम", "कंपनी", "ईमेल", "मोबाइल नंबर", "पता", "शहर", "देश"),
    "Persian": ("نام", "نام خانوادگی", "شرکت", "ایمیل", "شماره تلفن", "آدرس", "شهر", "کشور"),
    "Persian, typed with Arabic letters": (
        "نام",
        "نام خانوادگي",
        "شركت",
        "ايميل",
        "موبايل",
        "نشاني",
        "شهر",
        "كشور",
    ),
    "Chinese (simplified)": ("名", "姓", "公司名称", "电子邮箱", "手机号码", "街道", "城市", "国家"),
    "Chinese (traditional)": ("名字", "姓氏", "公司名稱", "電子郵件", "行動電話", "街道", "城市", "國家"),
}
PLACES = ("first_name", "last_name", "organization", "email", "phone", "street", "city", "country")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_list_in_a_language_is_understood_wholly(language):
    headings = LANGUAGES[language]
    assert fields_of(headings) == dict(zip(PLACES, headings, strict=True))
    assert fields_of(headings[::-1]) == dict(zip(PLACES, headings, strict=True))


@pytest.mark.parametrize(
    ("heading", "last_first"),
    [
        ("Navn", False), ("Namn", False), ("Nimi", False), ("Imię i nazwisko", False), ("Nazwisko i imię", True),
        ("Jméno", False), ("Meno", False), ("Név", True), ("Teljes név", True), ("Ime i prezime", False),
        ("Nume", False), ("Име", False), ("Ονοματεπώνυμο", False), ("Ad Soyad", False), ("ФИО", True), ("ПІБ", True),
        ("الاسم", False), ("שם מלא", False), ("성명", True), ("이름", True), ("姓名", True), ("联系人", True),
        ("Név / Full name", True), ("Full name / Név", False),
        ("Nachname, Vorname", True), ("Last Name, First Name", True), ("Nom Prénom", True), ("Prénom Nom", False),

        ("聯絡人", True), ("名字", True),
        ("Vardas ir pavardė", False), ("Pavardė, vardas", True), ("Vārds, uzvārds", False),
        ("Täisnimi", False), ("Họ và tên", True), ("Tên", True), ("Nama lengkap", False), ("Nama", False),
        ("ชื่อ-นามสกุล", False), ("पूरा नाम", False), ("نام و نام خانوادگی", False),
    ],
)  # fmt: skip
def test_a_whole_name_is_split_as_its_language_writes_it(heading, last_first):
    mapping = map_columns([heading, "E-mail"])
    assert mapping.fields == {0: "full_name", 1: "email"}
    assert mapping.last_first == last_first


@pytest.mark.parametrize(("heading", "alike"), [("पिता", "पता"), ("पति", "पता"), ("จังหวัด", "ที่อยู่")])
def test_vowel_signs_make_another_word(heading, alike):
    """Father and husband are no address; remarks and marks change nothing of it."""
    assert fields_of(["ईमेल", heading, f"{alike} *"]) == {"email": "ईमेल", "street": f"{alike} *"}


def test_a_word_that_is_two_things_goes_by_the_language_of_the_other_headings():
    polish, slovene = (
        fields_of(["Imię", "Nazwisko", "Kraj", "Telefon"]),
        fields_of(["Ime", "Priimek", "Kraj", "Telefon"]),
    )
    assert (polish["country"], slovene["city"]) == ("Kraj", "Kraj")
    assert fields_of(["Email", "By"]) == {"email": "Email"}
    assert fields_of(["Virksomhed", "By"]) == {"organization": "Virksomhed", "city": "By"}
    assert fields_of(["Email", "Ad", "Not", "Gate", "Grad"]) == {"email": "Email"}


def test_a_whole_name_beside_a_first_name_is_the_last_name_where_the_language_has_it_so():
    assert fields_of(["Nume", "Prenume"]) == {"last_name": "Nume", "first_name": "Prenume"}
    assert fields_of(["Név", "Keresztnév"]) == {"last_name": "Név", "first_name": "Keresztnév"}
    with pytest.raises(HeadingsError, match='"Navn"') as error:
        map_columns(["Navn", "Fornavn"])
    assert error.value.codes == ("name_or_last_name",)


def test_parts_of_a_name_marked_by_a_remark_are_these_parts():
    assert fields_of(["Name (first)", "Name (last)"]) == {"first_name": "Name (first)", "last_name": "Name (last)"}
    assert fields_of(["Contact Name (maiden)", "Email"]) == {"email": "Email"}


def test_letters_typed_without_their_marks_are_the_same():
    assert fields_of(["ADI SOYADI", "SIRKET", "Ulke"]) == {
        "full_name": "ADI SOYADI",
        "organization": "SIRKET",
        "country": "Ulke",
    }
    assert fields_of(["Imie", "Nazwisko", "Telefon sluzbowy"])["phone"] == "Telefon sluzbowy"


def test_a_bulgarian_middle_name_is_no_second_last_name():
    assert fields_of(["Име", "Презиме", "Фамилия"]) == {"first_name": "Име", "last_name": "Фамилия"}


# --- remarks and marks


@pytest.mark.parametrize(
    ("heading", "field"),
    [
        ("First Name (required)", "first_name"), ("E-Mail*", "email"), ("* Last name", "last_name"),
        ("氏名（必須）", "full_name"), ("メールアドレス【必須】", "email"), ("[Email]", "email"),
        ("{{Email}}", "email"), ("Email:", "email"), ("Email required", "email"), ("Notes - optional", "notes"),
        ("Nachname (Pflichtfeld)*", "last_name"),
        ("Phone (+49)", "phone"), ("Last Contacted (YYYY-MM-DD)", "last_contacted"), ("Notes (max. 255)", "notes"),
        ("Company（会社名）", "organization"), ("Vorname / First name", "first_name"), ("“Email”", "email"),
        ("Téléphone (bureau)", "phone"), ("имя (обязательно)", "full_name"), ("Email (required", "email"),
        ("Required: Email", "email"), ("[Company required]", "organization"),
    ],
)  # fmt: skip
def test_remarks_and_marks_do_not_matter(heading, field):
    mapping = map_columns([heading, "Organisation" if field != "organization" else "Zip"])
    assert mapping.fields[0] == field


@pytest.mark.parametrize(
    "heading",
    [
        "Email (opt out)",
        "Email (2)",
        "Name (Company)",
        "Phone (Fax)",
        "氏名（フリガナ）",
        "Email (Status)",
        "Phone (City)",
        "Company (ID)",
    ],
)
def test_a_remark_can_make_another_thing_of_a_heading(heading):
    mapping = map_columns([heading, "Last name"])
    assert mapping.fields == {1: "last_name"}
    assert mapping.extra == {0: heading}


@pytest.mark.parametrize("heading", ["Email / Phone", "Email / Colour"])
def test_a_heading_of_two_things_is_neither(heading):
    assert map_columns([heading, "Last name"]).extra == {0: heading}


@pytest.mark.parametrize(
    ("headings", "taken"),
    [
        (["Email (private)", "Email"], "Email"),
        (["Email (private)", "Email (office)"], "Email (office)"),
        (["Email (private)", "Email (yours)"], "Email (private)"),
        (["Email (private)", "Other Email Address"], "Other Email Address"),
        (["Other Email Address", "Email (required)"], "Email (required)"),
        (["Email*", "Email"], "Email"),
        (["Job Title*", "Position*"], "Job Title*"),
    ],
)
def test_of_two_columns_the_one_without_a_remark_takes_the_field_then_the_first(headings, taken):
    mapping = map_columns([*headings, "Last name"])
    assert mapping.headings[next(iter(mapping.fields))] == taken
    assert list(mapping.extra.values()) == [heading for heading in headings if heading != taken]


def test_telephones_of_home_and_work_do_not_stop_an_import():
    assert fields_of(["Name", "Phone (Home)", "Phone (Work)"])["phone"] == "Phone (Work)"
    assert fields_of(["Name", "Rufnummer (abends)", "Rufnummer (Büro)"])["phone"] == "Rufnummer (Büro)"


# --- ids


@pytest.mark.parametrize(
    ("system", "identity", "headings"),
    [
        ("salesforce", "Contact ID", ["Account ID", "Contact ID", "Last Name", "Mailing Street", "Mailing City"]),
        ("salesforce", "Account ID", ["Account ID", "Account Name", "Account Owner", "Billing State/Province"]),
        ("salesforce", "Contact ID", ["Contact ID", "Last Name", "Account Name", "Email", "Mailing City"]),
        ("salesforce", "ID", ["ID", "FIRSTNAME", "LASTNAME", "EMAIL", "ACCOUNT.NAME", "MAILINGSTREET"]),
        ("salesforce", "Lead ID", ["Lead ID", "Last Name", "Company / Account", "Email", "Lead Source", "Lead Status"]),
        ("salesforce", "Account ID", ["Account ID", "Account Name", "Billing City", "Billing Country", "Phone"]),
        ("hubspot", "Record ID", ["Record ID", "First Name", "Last Name", "Email", "Phone Number"]),
        ("hubspot companies", "Record ID", ["Record ID", "Company name", "Company Domain Name", "City"]),
        ("hubspot", "Record ID", ["Record ID", "Email", "Lead Status", "Create Date", "Lifecycle Stage"]),
        ("hubspot", "Record ID - Contact", ["Record ID - Company", "Record ID - Contact", "Email", "Lifecycle Stage"]),
        ("odoo", "External ID", ["External ID", "Name", "Is a Company", "Related Company"]),
        ("odoo", "id", [".id", "id", "name", "is_company", "country_id"]),
        ("dynamics", "(Do Not Modify) Contact", ["(Do Not Modify) Contact", "(Do Not Modify) Modified On", "Name"]),
        ("dynamics", "Contact", ["Contact", "Full Name", "Address 1: Street 1", "Address 1: ZIP/Postal Code"]),
        ("zoho", "Record Id", ["Record Id", "Contact Owner", "Last Name", "Created Time", "Modified Time"]),
        ("zoho", "CONTACTID", ["CONTACTID", "SMOWNERID", "Last Name", "Created Time"]),
        ("zoho", "Record Id", ["Record Id", "Account Owner.id", "Account Owner", "Account Name", "Billing City"]),
        ("zoho", "Record Id", ["Record Id", "Last Name", "Account Name", "Email"]),
        ("zoho", "Record Id", ["Record Id", "Account Name"]),
        ("pipedrive companies", "Organization - ID", ["Organization - ID", "Organization - Name"]),
        ("pipedrive", "Person - ID", ["Person - ID", "Person - Name", "Organization - ID", "Organization - Name"]),
    ],
)  # fmt: skip
def test_the_id_of_a_products_export_is_external_id_and_other_ids_are_extra(system, identity, headings):
    mapping = map_columns(headings)
    assert mapping.system == system
    assert {mapping.headings[i] for i, field in mapping.fields.items() if field == "external_id"} == {identity}


@pytest.mark.parametrize("heading", ["Record ID", "Contact ID", "ID", "External ID", "id", "Person - ID", "Contact"])
def test_an_id_without_a_system_stays_in_extra(heading):
    mapping = map_columns([heading, "First Name", "Last Name", "Email", "Phone"])
    assert mapping.system is None
    assert "external_id" not in mapping.fields.values()
    assert mapping.extra == {0: heading}


def test_headings_of_two_products_show_none():
    both = ["Last Name", "Lifecycle Stage", "Create Date", "SMOWNERID", "Created Time", "Record ID"]
    assert map_columns(both).system is None
    assert "Record ID" in map_columns(both).extra.values()


@pytest.mark.parametrize(
    ("headings", "system"),
    [
        (["IsDeleted", "MasterRecordId"], "salesforce"),
        (["IsDeleted", "MasterRecordId", "Lifecycle Stage"], "salesforce"),
        (["IsDeleted", "MasterRecordId", "SystemModstamp", "Lifecycle Stage", "Lead Status"], None),
        (["IsDeleted", "Mailing Street", "Mailing City"], "salesforce"),
        (["IsDeleted", "Mailing Street"], None),
    ],
)
def test_headings_that_one_product_alone_has_show_it_if_there_are_enough(headings, system):
    assert map_columns([*headings, "Last Name", "Email"]).system == system


def test_the_user_says_the_system():
    headings = ["Record ID", "First Name", "Last Name", "Email"]
    assert fields_of(headings, system="HubSpot")["external_id"] == "Record ID"
    assert map_columns(headings, system=" HubSpot ").system == "hubspot"
    assert map_columns(headings, system="Dynamics 365").system == "dynamics"
    own = map_columns(headings, system="HubSpot  Europe")
    assert own.system == "hubspot europe"
    assert own.fields[0] == "external_id"
    assert fields_of(headings, system="SAP")["external_id"] == "Record ID"
    assert map_columns(headings, system="  ").system is None


def test_of_a_system_that_the_user_says_the_one_column_called_an_id_is_the_id():
    pipedrive = ["Name", "ID", "Email", "Organization", "Organization ID"]
    assert fields_of(pipedrive, system="pipedrive")["external_id"] == "ID"
    assert fields_of(["Company ID", "Company", "City"], system="SAP")["external_id"] == "Company ID"
    two = map_columns(["Customer No.", "Member ID", "Name", "Email"], system="SAP")
    assert "external_id" not in two.fields.values()
    assert two.unused_ids == ("Customer No.", "Member ID")
    assert map_columns(["Company ID", "Name", "Email"], system="SAP").unused_ids == ()


def test_companies_have_ids_of_their_own_where_their_product_numbers_them_apart_from_persons():
    companies = ["Record ID", "Company name", "City"]
    assert map_columns(companies, system="HubSpot").system == "hubspot companies"
    assert map_columns(companies, system="hubspot companies").system == "hubspot companies"
    assert map_columns([*companies, "Email"], system="HubSpot").system == "hubspot"
    assert map_columns(["id", "Company", "City"], system="odoo").system == "odoo"
    assert map_columns(["ID", "Company", "City"], system="SAP").system == "sap companies"
    assert map_columns(["Account ID", "Company", "City"], system="salesforce").system == "salesforce"


def test_any_column_is_the_id_if_the_user_says_so_and_of_which_system():
    with pytest.raises(HeadingsError) as error:
        map_columns(["Kundennr", "Email"], {"Kundennr": "external_id"})
    assert error.value.codes == ("unknown_system",)
    assert '"Kundennr" is an id, but its system is not known: give --system, ' in error.value.message("command line")
    mapping = map_columns(["Kundennr", "Ort"], {"Kundennr": "external_id"}, system="SAP")
    assert mapping.fields == {0: "external_id", 1: "city"}
    assert mapping.system == "sap"


def test_the_id_of_a_company_is_no_ones_where_people_are_listed():
    people = ["Account ID", "Last Name", "Email", "Mailing Street", "Mailing City"]
    assert fields_of(people, system="salesforce") == {
        "last_name": "Last Name", "email": "Email", "street": "Mailing Street", "city": "Mailing City",
    }  # fmt: skip
    contacts = ["Contact", "Email", "Address 1: Street 1", "Address 1: ZIP/Postal Code"]
    assert fields_of(contacts)["full_name"] == "Contact"


def test_the_ids_of_deals_are_no_ids_of_people():
    deals = ["Record ID", "Deal Name", "Deal Stage", "Close Date", "Associated Company", "Create Date"]
    assert "external_id" not in map_columns(deals).fields.values()


# --- the user's mapping


def test_an_ignored_column_is_neither_field_nor_extra_nor_shown():
    mapping = map_columns(["Record ID", "Email", "Score"], {"Record ID": "ignore", "column c": "Ignore"})
    assert mapping.fields == {1: "email"}
    assert mapping.extra == {}
    assert mapping.dropped == {0, 2}
    assert mapping.shown_columns == [1]
    with pytest.raises(HeadingsError) as error:
        map_columns(["Email", "City"], {"Email": "ignore"})
    assert error.value.codes == ("nothing_identifies",)


def test_an_error_names_the_options_of_the_command_line_or_the_parameters_of_the_ui():
    with pytest.raises(HeadingsError) as error:
        map_columns(["Email", "City"], {"Firma": "organization"})
    shown = error.value.message("command line")
    assert "--column: " in shown
    assert "--column HEADING=FIELD" in shown
    assert "columns=" not in shown
    assert str(error.value) == error.value.message("ui")
    assert "--column" not in str(error.value)
    assert error.value.headings == ("Email", "City")


@pytest.mark.parametrize(
    "row",
    [
        ["Mia Maro", "mia@example.org", "City", "Phone"],
        ["Mia Maro", "+44 20 7946 0000", "City", "Phone"],
        ["Mia Maro", "1985-03-02", "City", "Phone"],
        ["Mia Maro", "2. März 1985", "City", "Phone"],
        ["Mia Maro", "AB1234567", "City", "Phone"],
        ["Mia", "Maro", "Phone", "Sales"],
        ["Mia Maro", "Paris"],
    ],
)
def test_an_error_shows_no_cell_of_a_row_that_can_be_a_persons(row):
    with pytest.raises(HeadingsError) as error:
        map_columns(row)
    assert error.value.headings == ()
    for cell in row[:2]:
        assert cell not in error.value.message("ui") + error.value.message("command line")


# --- sheets and rows compared with headings


def test_a_sheet_of_people_scores_more_than_one_of_companies_and_more_fields_score_more():
    companies = map_columns(["Company", "Street", "City", "Country", "Phone", "Notes"])
    people = map_columns(["First Name", "Last Name", "Email", "Company"])
    more = map_columns(["First Name", "Last Name", "Email", "Company", "Phone"])
    single = map_columns(["Name", "Colour", "Size", "Shape"])
    assert score(more) > score(people) > score(companies) > score(single)
    assert score(people) > score(map_columns(["First Name", "Last Name", "Email", "Company", "Colour"]))
    assert score(map_columns(["Name", "Email", "Phone"])) > score(companies) > score(map_columns(["Name", "Email"]))


def test_sheets_with_the_same_headings_are_reported_whatever_their_order():
    one = map_columns(["Email", "Score", None, "Score"])
    assert same_headings(one, map_columns(["score", "E-mail", "Score"]))
    assert not same_headings(one, map_columns(["Score", "Email"]))
    assert not same_headings(one, map_columns(["Email", "Score", "Score", "City"]))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (["Last Name", "Email", "City", "Score"], ["Email", "Last Name"], True),
        (["Email", "Last Name"], ["Last Name", "Email", "City", "Score"], True),
        (["Email", "Last Name"], ["E-Mail-Adresse", "Nachname", "Score"], True),
        (["Last Name", "Email", "City", "Score"], ["Email", "Score"], False),
        (["Last Name", "Email", "City", "Score"], ["Name", "Phone"], False),
        (["Company", "City"], ["Name", "Phone"], True),
        (["Company", "City"], ["Company", "Room"], False),
        (["Name", "Phone"], ["Company", "City"], False),
    ],
)
def test_sheets_are_of_one_list_by_their_fields_their_headings_or_the_people_of_the_companies(one, other, same):
    assert is_same_list(map_columns(one), map_columns(other)) == same


def test_a_row_that_repeats_the_headings_is_reported():
    mapping = map_columns(["Company", None, "City", "Country"])
    assert repeats_headings(["\ufeffCOMPANY", None, "city", "Country"], mapping)
    assert repeats_headings(["Company", None, "City"], mapping)
    assert not repeats_headings(["Company", "x", "City", "Country"], mapping)
    assert not repeats_headings(["Company"], mapping)
    assert not repeats_headings([None, "", None], mapping)
    assert not repeats_headings(["Company", None, "City", "Country", "Bonn"], mapping)
    assert repeats_headings(["email"], map_columns(["Email"]))


def test_a_row_of_nothing_but_headings_begins_another_list():
    assert names_fields(["Last Name", "First Name", None, "Zip"])
    assert names_fields(["Nachname*", "Ort (Pflichtfeld)"])
    assert not names_fields(["Ray", "Bob", "City"])
    assert not names_fields(["City", None])
    assert not names_fields(["City", "city"])


# --- width

WIDE = 60_000  # columns


@pytest.mark.parametrize(
    "headings",
    [
        lambda width: ["Last Name", *[f"A ({n})" for n in range(width // 2)], *["A"] * (width // 2)],
        lambda width: ["Email"] + ["((((x"] * width,
        *(
            pytest.param(headings, marks=pytest.mark.slow)
            for headings in (
                lambda width: ["Last Name"] + ["Remarks of mine"] * width,
                lambda width: ["Name"] * width,
                lambda width: ["Email"] + ["Phone (home)", "Phone*"] * (width // 2),
                lambda width: ["Full Name", "Address 1: Street 1", "Address 1: Street 2"] + ["Contact"] * width,
                lambda width: ["Navn"] + ["By"] * width,
            )
        ),
    ],
)
def test_very_many_headings_are_mapped(headings):
    """In time that grows with the square of their number this would take longer than a test may."""
    with suppress(HeadingsError):
        mapping = map_columns(headings(WIDE))
        assert len({mapping.extra_name(column) for column in range(WIDE, WIDE + 1000)}) == 1000


def test_as_many_overrides_as_headings_are_looked_up_and_not_searched():
    mapping = map_columns(["Email", *[f"H{n}" for n in range(WIDE)]], {f"h{n}": "extra" for n in range(WIDE)})
    assert len(mapping.extra) == WIDE


def test_equal_headings_are_numbered_in_order():
    mapping = map_columns(["Email", *["Zusatz"] * 16_383])
    assert mapping.extra[1] == "Zusatz"
    assert mapping.extra[16_383] == "Zusatz (16383)"
    assert len(set(mapping.extra.values())) == 16_383


@pytest.mark.parametrize(
    ("headings", "fields"),
    [
        (["Embassy", "Capital"], {"organization": "Embassy"}),
        (["Company", "Embassy"], {"organization": "Company"}),
        (["Firma / Institution", "Ansprechperson", "Wohnort"],
         {"organization": "Firma / Institution", "full_name": "Ansprechperson", "city": "Wohnort"}),
        (["Name", "Town/City", "Street & No."], {"full_name": "Name", "city": "Town/City", "street": "Street & No."}),
        (["Name", "Phone no. (incl. country code)"], {"full_name": "Name", "phone": "Phone no. (incl. country code)"}),
        (["Osoba do kontaktu", "Telefon"], {"full_name": "Osoba do kontaktu", "phone": "Telefon"}),
        (["Naam", "Mobiel nummer"], {"full_name": "Naam", "phone": "Mobiel nummer"}),
        (["Имя", "Фамилия", "Моб. телефон"], {"first_name": "Имя", "last_name": "Фамилия", "phone": "Моб. телефон"}),
        (["Nombre completo", "Correo-e", "Calle y número"],
         {"full_name": "Nombre completo", "email": "Correo-e", "street": "Calle y número"}),
        (["Nome próprio", "Apelido", "Localidade"],
         {"first_name": "Nome próprio", "last_name": "Apelido", "city": "Localidade"}),
        (["이름", "도로명"], {"full_name": "이름", "street": "도로명"}),
    ],
)  # fmt: skip
def test_headings_of_guest_lists_and_lists_of_missions_are_known(headings, fields):
    mapping = map_columns(headings)
    assert {name: mapping.headings[column] for column, name in mapping.fields.items()} == fields
