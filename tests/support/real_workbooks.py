"""Files that people and programs really wrote, beside the project, and what an import of them has to give."""

import pytest
from support.project import SHARED

REAL = SHARED / "workbooks"
where_they_are = pytest.mark.skipif(
    not REAL.is_dir(), reason="no ../shared/data/workbooks: the licences of its files keep them out of the repository"
)
# File -> sheet, row of the headings, rows below it, rows that tell nobody or show an error.
IMPORTED = {
    "atomic-crm/contacts_export.csv": ("contacts_export", 1, 2, 0),
    "crm-public/CRM Data.xlsx": ("Sheet1", 1, 139, 3),
    "crm-public/CRM_leads_3000.xlsx": ("CRM_data", 1, 3000, 0),
    "crm-public/CallEntry_CRM.xlsm": ("CallData", 1, 1, 0),
    "febrl/dataset1.csv": ("dataset1", 1, 1000, 18),
    "febrl/dataset2.csv": ("dataset2", 1, 5000, 64),
    "febrl/dataset3.csv": ("dataset3", 1, 5000, 79),
    "febrl/dataset4a.csv": ("dataset4a", 1, 5000, 48),
    "febrl/dataset4b.csv": ("dataset4b", 1, 5000, 102),
    "maven-crm/accounts.csv": ("accounts", 1, 85, 0),
    "messy-contacts/contactclean.xlsx": ("Sheet1", 1, 2414, 0),
    "northwind/Northwind_7sheets.xlsx": ("Customers", 1, 91, 5),  # letters of DOS that became control characters
    "odoo/res_partner_import_template.xlsx": ("Contacts", 1, 3, 0),
    "odoo/res_partner_import_template_v12.xls": ("Sheet 1", 1, 8, 0),
    "openrefine/example-linebreaks-in-cells.csv": ("example-linebreaks-in-cells", 1, 2, 0),
    "openrefine/example-utf16le-bom.tsv": ("example-utf16le-bom", 1, 2, 2),
    "openrefine/persons_with_empty_column.csv": ("persons_with_empty_column", 1, 3, 0),
    "salesforce-dataloader/accountData.csv": ("accountData", 1, 423, 5),
    "salesforce-dataloader/timeZoneFormatTestingWithErrors.csv": ("timeZoneFormatTestingWithErrors", 1, 6, 0),
    "salesforce-dataloader/upsertAccountCsvTemplate.csv": ("upsertAccountCsvTemplate", 1, 100, 0),
    "tough-calamine/empty_s_attribute.xlsx": ("Sheet1", 1, 4, 0),
    "tough-calamine/inlineStr_with_value.xlsx": ("Requirements", 1, 1, 0),
    "tough-calamine/pivots.xlsx": ("PivotSheet2", 1, 9, 1),  # the total
    "tough-phpspreadsheet/line_break_in_enclosure_with_escaped_quotes.csv": (
        "line_break_in_enclosure_with_escaped_quotes", 1, 4, 0,
    ),
    "tough-readxl/Ekaterinburg_IP_9.xlsx": ("СПАРК - Список", 4, 2192, 1),
    "tough-readxl/deaths.xls": ("arts", 5, 14, 3),
    "tough-readxl/inlineStr2.xlsx": ("Requirements", 1, 1, 0),
}  # fmt: skip
# What the exports of real products must become: field -> heading. Everything else of them is in extra.
FIELDS = {
    "atomic-crm/contacts_export.csv": {
        "organization": "company", "first_name": "first_name", "last_name": "last_name", "title": "title",
        "email": "email_work", "phone": "phone_work", "notes": "background", "tags": "tags",
        "last_contacted": "last_seen",
    },
    "crm-public/CRM Data.xlsx": {"organization": "Account", "full_name": "Contact", "city": "City"},
    "crm-public/CRM_leads_3000.xlsx": {"organization": "Organization", "country": "Country"},
    "crm-public/CallEntry_CRM.xlsm": {
        "first_name": "First Name", "last_name": "Last Name", "street": "Address", "city": "City", "email": "Email",
        "phone": "Phone", "notes": "Comment",
    },
    "maven-crm/accounts.csv": {"organization": "account"},
    "messy-contacts/contactclean.xlsx": {
        "organization": "company_name", "first_name": "first_name", "last_name": "last_name", "email": "email",
        "phone": "phone", "street": "adress", "city": "city",
    },
    "northwind/Northwind_7sheets.xlsx": {
        "organization": "CompanyName", "full_name": "ContactName", "title": "ContactTitle", "street": "Address",
        "city": "City", "country": "Country", "phone": "Phone",
    },
    "odoo/res_partner_import_template.xlsx": {
        "full_name": "name", "organization": "company_name", "email": "email", "phone": "phone", "street": "street",
        "city": "city", "country": "country_id",
    },
    "odoo/res_partner_import_template_v12.xls": {
        "full_name": "Name", "organization": "Related company", "street": "Street", "city": "City",
        "country": "Country",
    },
    "salesforce-dataloader/accountData.csv": {
        "organization": "NAME", "street": "BILLINGSTREET", "city": "BILLINGCITY", "country": "BILLINGCOUNTRY",
        "phone": "PHONE", "notes": "DESCRIPTION", "last_contacted": "LASTACTIVITYDATE", "external_id": "ID",
    },
    "salesforce-dataloader/upsertAccountCsvTemplate.csv": {"organization": "NAME", "phone": "PHONE"},
}  # fmt: skip
