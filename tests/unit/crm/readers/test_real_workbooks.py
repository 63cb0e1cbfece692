"""Files that people and programs really wrote: what must become of each of them.

The numbers come from another reading than ours: openpyxl for .xlsx and .xlsm, LibreOffice for .xls, .xlsb and .ods, the
csv module for text, and the sheet's own XML where these fail (openpyxl cannot open it, LibreOffice calculates pivot
tables again or leaves out cells under merged ones). The files are not part of the project; without them these tests are
skipped, and the small files of the other tests cover the same cases.
"""

from pathlib import Path

import pytest
import python_calamine as calamine
from support.cells import shown_rows
from support.reading import answers_of, result_of
from support.real_workbooks import FIELDS, IMPORTED, REAL, where_they_are

from tasks.crm.readers.cell import NOT_CALCULATED, ErrorCell
from tasks.crm.readers.file_kinds import DOCUMENT
from tasks.crm.readers.workbook import WorkbookError, open_workbook
from tasks.crm.worker_protocol import ReadRequest

pytestmark = where_they_are

# File -> sheets -> cells that are not blank.
CELLS: dict[str, dict[str, int]] = {
    "atomic-crm/contacts_export.csv": {"contacts_export": 49},
    "crm-public/CRM Data.xlsx": {"Sheet1": 3361},
    "crm-public/CRM_leads_3000.xlsx": {"CRM_data": 44099, "Dictionary": 47},
    "crm-public/CallEntry_CRM.xlsm": {"CallEntry": 74, "CheckBoxValues": 2, "CallData": 26},
    "crm-public/Northwind_Sales_CRM.xlsm": {
        "Sheet1": 0,
        "Home": 17,
        "Dashboard": 39,
        "Lists": 34,
        "Settings": 6,
        "Leads": 16,
        "Activities": 9,
        "Quotations": 7,
    },
    "febrl/dataset1.csv": {"dataset1": 11011},
    "febrl/dataset2.csv": {"dataset2": 55011},
    "febrl/dataset3.csv": {"dataset3": 55011},
    "febrl/dataset4a.csv": {"dataset4a": 55011},
    "febrl/dataset4b.csv": {"dataset4b": 55011},
    "maven-crm/accounts.csv": {"accounts": 532},
    "maven-crm/sales_teams.csv": {"sales_teams": 108},
    "messy-contacts/contactclean.xlsx": {"Sheet1": 22740},
    "northwind/Northwind_7sheets.xlsx": {
        "Categories": 9,
        "Customers": 928,
        "Employees": 165,
        "Orders Details": 2156,
        "Orders": 11087,
        "Product": 780,
        "Suppliers": 298,
    },
    "odoo/oca_partner_list.xlsx": {"Partner List": 5},
    "odoo/res_partner_import_template.xlsx": {"Contacts": 48, "Instructions": 25},
    "odoo/res_partner_import_template_v12.xls": {"Sheet 1": 91},
    "openrefine/csv-with-bom.csv": {"csv-with-bom": 6},
    "openrefine/dates.xls": {"Test Sheet 0": 2, "Test Sheet 1": 30, "Test Sheet 2": 35},
    "openrefine/example-linebreaks-in-cells.csv": {"example-linebreaks-in-cells": 9},
    "openrefine/example-utf16le-bom.tsv": {"example-utf16le-bom": 27},
    "openrefine/excel95.xls": {"Sheet1": 1, "Sheet2": 0, "Sheet3": 0},
    "openrefine/films.ods": {"Films": 23, "Sheet3": 0},
    "openrefine/government_contracts.csv": {"government_contracts": 58975},
    "openrefine/persons_with_empty_column.csv": {"persons_with_empty_column": 9},
    "openrefine/sample.ods": {"Feuille1": 6, "Feuille2": 6},
    "salesforce-dataloader/20kRows.csv": {"20kRows": 20001},
    "salesforce-dataloader/accountData.csv": {"accountData": 6825},
    "salesforce-dataloader/csvEscapedQuotes.csv": {"csvEscapedQuotes": 6},
    "salesforce-dataloader/csvtext_BOM_UTF16BE.csv": {"csvtext_BOM_UTF16BE": 9},
    "salesforce-dataloader/csvtext_BOM_UTF16LE.csv": {"csvtext_BOM_UTF16LE": 9},
    "salesforce-dataloader/csvtext_BOM_UTF8.csv": {"csvtext_BOM_UTF8": 9},
    "salesforce-dataloader/opportunityData.csv": {"opportunityData": 1015},
    "salesforce-dataloader/timeZoneFormatTestingWithErrors.csv": {"timeZoneFormatTestingWithErrors": 14},
    "salesforce-dataloader/upsertAccountCsvTemplate.csv": {"upsertAccountCsvTemplate": 707},
    "tough-calamine/any_sheets.ods": {"Visible": 7, "Hidden": 0, "VeryHidden": 0, "Chart": 0},
    "tough-calamine/any_sheets.xlsb": {"Visible": 7, "Hidden": 0, "VeryHidden": 0},
    "tough-calamine/biff5-rich-text-string.xls": {"Sheet1": 97},
    "tough-calamine/biff5_write.xls": {"SheetJS": 12},
    "tough-calamine/capitalized_wbook_stream.xls": {"Sheet1": 0},
    "tough-calamine/column_row_ranges.xlsx": {"Column ranges": 15, "Row ranges": 15},
    "tough-calamine/covered.ods": {"sheet1": 3},
    "tough-calamine/date.ods": {"Sheet1": 8},
    "tough-calamine/date.xls": {"Sheet1": 6},
    "tough-calamine/date_1904.xls": {"Sheet1": 6},
    "tough-calamine/date_1904.xlsx": {"Sheet1": 6},
    "tough-calamine/date_iso.xlsx": {"Sheet": 6},
    "tough-calamine/date_quoted_format.xlsx": {"Sheet1": 4},
    "tough-calamine/empty_s_attribute.xlsx": {"Sheet1": 10},
    "tough-calamine/empty_shared_string.xlsx": {"Sheet1": 1},
    "tough-calamine/errors.xlsx": {"Feuil1": 7, "Feuil2": 0, "Feuil3": 0},
    "tough-calamine/has_x000D_.xlsx": {"Sheet1": 1},
    "tough-calamine/has_x000D_inline.xlsx": {"Sheet1": 1},
    "tough-calamine/header-row.xlsx": {"Sheet1": 9},
    "tough-calamine/inlineStr_cdata.xlsx": {"Sheet1": 4},
    "tough-calamine/inlineStr_with_value.xlsx": {"Requirements": 14},
    "tough-calamine/inventory-table.xlsx": {"Sheet1": 15},
    "tough-calamine/issue221.xlsm": {"Sheet1": 4},
    "tough-calamine/issue3.xlsm": {"Sheet1": 2, "Sheet2": 0, "Sheet3": 0},
    "tough-calamine/issue_666_panic.xlsb": {"Sheet1": 0},
    "tough-calamine/malformed_format.xls": {"2014": 683},
    "tough-calamine/merge_cells.xls": {"Sheet1": 4},
    "tough-calamine/merged_cells.ods": {"Sheet1": 7},
    "tough-calamine/merged_range.xlsx": {"Sheet1": 21, "Sheet2": 10},
    "tough-calamine/minimal_package.xlsx": {"Sheet1": 5083},
    "tough-calamine/multi-empty.ods": {"Test": 6},
    "tough-calamine/no-header.xlsx": {"Feuille 1": 4},
    "tough-calamine/non_monotonic_si.xlsx": {"Sheet1": 18},
    "tough-calamine/nonstandard-xml-ns-prefix.xlsx": {"Sheet1": 6},
    "tough-calamine/number_rows_repeated.ods": {"Sheet1": 10, "Sheet2": 10, "Sheet3": 10},
    "tough-calamine/picture.xlsx": {"Sheet1": 0, "Sheet2": 0},
    "tough-calamine/pivots.xlsx": {
        "PivotSheet1": 18,
        "PivotSheet2": 33,
        "PivotSheet3": 13,
        "PivotSheet4": 16,
        "DataSheet": 99,
        "DataSheet2": 99,
    },
    "tough-calamine/richtext_issue.ods": {
        "datatypes": 1,
        "Sheet1": 1,
        "issue2": 6,
        "issue5": 1,
        "issue6": 4,
        "spc_chrs": 8,
    },
    "tough-calamine/rph.xlsx": {"Sheet1": 1},
    "tough-calamine/special_cells.ods": {"sheet1": 5},
    "tough-calamine/strict_iso_paths.xlsx": {"ml_out": 1368},
    "tough-calamine/string-ref.xlsx": {"Sheet1": 2, "Sheet2": 2},
    "tough-calamine/table-multiple.xlsx": {"Sheet1": 15, "Sheet2": 10, "Sheet3": 20},
    "tough-closedxml/GoogleSheets_file1.xlsx": {"Sheet1": 3},
    "tough-closedxml/InlineStrings_inputfile.xlsx": {"Sheet1": 122},
    "tough-closedxml/Protection_protectstructurewithpassword.xlsx": {"Sheet1": 1},
    "tough-closedxml/TryToLoad_Date1904System.xlsx": {"DateSystems": 3},
    "tough-closedxml/TryToLoad_EmptyCellValue.xlsx": {"Sheet1": 1},
    "tough-closedxml/TryToLoad_EscapedApostrophe.xlsx": {"L'E": 0},
    "tough-frictionless/adjust-floating-point-error.xlsx": {"Sheet1": 24},
    "tough-frictionless/cast-int-to-string-issue-1251.xlsx": {"Feuille1": 15},
    "tough-frictionless/multiline-headers.xlsx": {"Лист1": 10},
    "tough-frictionless/skip-rows.xlsx": {"Sheet 1": 6},
    "tough-phpspreadsheet/1904_Calendar.xls": {"Sheet1": 4},
    "tough-phpspreadsheet/56_MixedDateFormats.ods": {"Sheet1": 12},
    "tough-phpspreadsheet/HiddenMergeCellsTest.ods": {"Sheet1": 4},
    "tough-phpspreadsheet/HiddenSheet.xls": {"Sheet1": 0, "Sheet2": 0},
    "tough-phpspreadsheet/HiddenSheet2.ods": {"Sheet1": 1, "Sheet2": 1},
    "tough-phpspreadsheet/line_break_in_enclosure_with_escaped_quotes.csv": {
        "line_break_in_enclosure_with_escaped_quotes": 15
    },
    "tough-phpspreadsheet/linend.mac.csv": {"linend.mac": 4},
    "tough-phpspreadsheet/premiere.utf16le.csv": {"premiere.utf16le": 9},
    "tough-phpspreadsheet/premiere.win1252.csv": {"premiere.win1252": 6},
    "tough-phpspreadsheet/semicolon_separated.csv": {"semicolon_separated": 9},
    "tough-poi/57893-many-merges.xlsx": {"Sheet1": 0},
    "tough-poi/ExcelWithAttachments.xlsm": {"Страница 1": 6, "Page 1": 0, "Бетўўў 1": 0},
    "tough-poi/SimpleMacro.xlsm": {"Sheet1": 1, "Sheet2": 0, "Sheet3": 0},
    "tough-poi/TwoSheetsOneHidden.xls": {"Sheet1": 1, "Sheet2": 1},
    "tough-poi/TwoSheetsOneHidden.xlsx": {"Sheet1": 1, "Sheet2": 1},
    "tough-poi/duprich1.xls": {"Control": 10, "Time Spent": 390, "OT": 105},
    "tough-poi/sheetProtection_allLocked.xlsx": {"Foglio1": 0, "Foglio2": 0, "Foglio3": 0},
    "tough-poi/workbookProtection-workbook_password-2013.xlsx": {"Sheet1": 1},
    "tough-poi/xlsx-corrupted.xlsx": {"Sheet1": 11, "Sheet2": 7},
    "tough-readxl/65536-rows-xls.xls": {"Sheet1": 2},
    "tough-readxl/Ekaterinburg_IP_9.xlsx": {"СПАРК - Список": 20149},
    "tough-readxl/big-texty-numbers-xlsx.xlsx": {"Sheet1": 21},
    "tough-readxl/dates-1904.xls": {"Sheet1": 5},
    "tough-readxl/dates-leap-year-1900-xlsx.xlsx": {"for_testing": 24, "for_human_eyes": 33},
    "tough-readxl/datetime-rounding.xlsx": {"Sheet1": 10},
    "tough-readxl/deaths.xls": {"arts": 82, "other": 81},
    "tough-readxl/embedded-chartsheet.xlsx": {"iris": 755, "mtcars": 363, "chickwts": 144, "quakes": 5005},
    "tough-readxl/empty-named-column.xlsx": {"Sheet1": 9},
    "tough-readxl/inlineStr2.xlsx": {"Requirements": 14},
    "tough-readxl/iris-google-doc.xlsx": {"iris": 755},
    "tough-readxl/los-angeles-arrests-xlsx.xlsx": {"Sheet1": 5083},
    "tough-readxl/names-need-repair-xlsx.xlsx": {"Sheet1": 11},
    "tough-readxl/new_line_errors.xlsx": {"Blad1": 3, "Blad2": 0, "Blad3": 0},
    "tough-readxl/no-styles-or-sharedStrings-parts.xlsx": {"Sheet1": 36},
    "tough-readxl/numbers-as-na-and-shared-strings-xlsx.xlsx": {"Sheet1": 4},
    "tough-readxl/richtext-coloured.xlsx": {"Sheet1": 8, "Sheet2": 0, "Sheet3": 0},
    "tough-readxl/style-only-cells.xlsx": {"Data": 13},
    "tough-readxl/texty-dates-xlsx.xlsx": {"Sheet1": 3},
    "tough-readxl/unnamed-duplicated-columns.xlsx": {"Sheet1": 10},
    "tough-readxl/utf8-sheet-names.xlsx": {"µ": 2, "∂": 2},
    "tough-readxl/vietnamese-utf8.xls": {"Sheet1": 7},
    "tough-readxl/vietnamese-utf8.xlsx": {"Sheet1": 7},
    "tough-readxl/whitespace-xlsx.xlsx": {"whitespace": 7, "logical_and_NA": 3},
    "tough-roo/1904_base.xlsm": {"Prices": 2},
    "tough-roo/Bibelbund.ods": {"Bibelbund_Abfrage": 26985},
    "tough-roo/Pfand_from_windows_phone.xlsx": {"Blatt1": 14, "Blatt2": 0, "Blatt3": 0},
    "tough-roo/advanced_header.ods": {"Sheet1": 3, "Sheet2": 6, "Sheet3": 0},
    "tough-roo/apostrophe.ods": {"Sheet1": 1},
    "tough-roo/bug-numbered-sheet-names.xlsx": {"Sheet2": 0},
    "tough-roo/formula_string_error.xlsx": {"Tabelle1": 4, "Tabelle2": 0, "Tabelle3": 0},
    "tough-xlrd/biff4_no_format_no_window2.xls": {"Sheet 1": 69},
    "tough-xlrd/corrupted_error.xls": {
        "Трубы ВГП": 100,
        "Трубы эл.св": 261,
        "Трубы профильные": 478,
        "УГОЛОК": 163,
        "ШВЕЛЛЕР": 79,
        "ЛИСТ": 65,
        "КВАДРАТ": 30,
        "КРУГ,АРМАТУРА": 114,
        "ПОЛОСА": 51,
    },
    "tough-xlrd/invalid_formula.xls": {"Sheet1": 1, "Sheet2": 0, "Sheet3": 0},
    "tough-xlrd/profiles.xls": {
        "PROFILEDEF": 195,
        "AXISDEF": 45,
        "TRAVERSALCHAINAGE": 194,
        "AXISDATUMLEVELS": 44,
        "PROFILELEVELS": 450,
    },
    "tough-xlrd/ragged.xls": {"Sheet1": 12, "Sheet2": 0, "Sheet3": 0},
}
ERRORS = {
    "crm-public/CRM Data.xlsx": {"Sheet1!B129": "#REF!"},
    "tough-calamine/errors.xlsx": {
        f"Feuil1!A{row}": text
        for row, text in enumerate(("#DIV/0!", "#NAME?", "#VALUE!", "#NULL!", "#REF!", "#NUM!", "#N/A"), 1)
    },
    "tough-calamine/pivots.xlsx": {
        f"{sheet}!{place}": "#DIV/0!" for sheet in ("DataSheet", "DataSheet2") for place in ("J5", "G8")
    },
    "tough-xlrd/invalid_formula.xls": {"Sheet1!A1": "#REF!"},
}

_LOCKED = "is password-protected"
_DAMAGED = "is damaged"
REFUSED = {  # how the message goes on after the name of the file
    "openrefine/NoData_NoSpreadsheet.ods": DOCUMENT,
    # one word is all that differs: Béjaïa or Béjaďa
    "openrefine/example-latin1.tsv": "is text in Windows-1252 or Windows-1250;",
    # its byte order mark is that of UTF-16, the other way round
    "salesforce-dataloader/csvtext_BOM_UTF32LE.csv": "begins as UTF-16 text",
    "tough-calamine/issue_594_dos.ods": "has merged or repeated cells that make more than 4,194,304 cells",
    "tough-calamine/pass_protected.ods": _LOCKED,
    "tough-corrupt/crm_lead_textmangled2.xls": _DAMAGED,
    "tough-corrupt/res_partner_TSD_DRM_encrypted.xlsx": "is neither a workbook nor",
    "tough-msoffcrypto/rc4cryptoapi_password.xls": _LOCKED,
    "tough-msoffcrypto/xor_password_123456789012345.xls": _LOCKED,
    "tough-poi/invalid_22bytes.xlsx": _DAMAGED,
    "tough-poi/protected_passtika.xlsx": _LOCKED,
    "tough-poi/protected_sha512.xlsx": _LOCKED,
    "tough-poi/xor-encryption-abc.xls": _LOCKED,
    "tough-python-calamine/empty_file.ods": "is empty",
    "tough-python-calamine/empty_file.xlsx": "is empty",
    "tough-python-calamine/password.ods": _LOCKED,
    "tough-python-calamine/password.xlsx": _LOCKED,
    "tough-roo/encrypted-letmein.ods": _LOCKED,
}

# Understood, but nothing to import: a template of headings, a list of leads that is still empty.
NO_ROWS = {"odoo/oca_partner_list.xlsx": "Partner List", "crm-public/Northwind_Sales_CRM.xlsm": "Leads"}


FILES = sorted(str(path.relative_to(REAL)) for path in REAL.rglob("*") if path.is_file())


def test_every_file_is_in_the_table() -> None:
    assert set(FILES) == set(CELLS) | set(REFUSED)
    assert not set(CELLS) & set(REFUSED)


def is_refusal(message: str, name: str) -> bool:
    """Whether the message is the one line about this file, and says what to do."""
    before, _, advice = message.partition(": ")
    return (
        before.startswith(f"{Path(name).name} {REFUSED[name].partition(':')[0]}")
        and bool(advice)
        and "\n" not in message
    )


@pytest.mark.parametrize("name", FILES)
def test_every_cell_is_read_or_the_file_is_refused_in_one_sentence(name: str) -> None:
    path = REAL / name
    cells: dict[str, int] = {}
    errors = {}
    try:
        with open_workbook(path, path.name) as book:
            for sheet in book.sheets:
                cells[sheet.name] = 0
                for number, row in shown_rows(book.blocks(sheet.name)):
                    for column, cell in enumerate(row):
                        cells[sheet.name] += cell is not None and cell != ErrorCell(NOT_CALCULATED)
                        if isinstance(cell, ErrorCell) and cell.text != NOT_CALCULATED:
                            errors[f"{sheet.name}!{chr(65 + column)}{number}"] = cell.text
    except WorkbookError as refused:
        assert is_refusal(str(refused), name)  # noqa: PT017 - most are read
    else:
        assert cells == CELLS[name]
        assert errors == ERRORS.get(name, {})


MISREAD = {
    "tough-calamine/biff5-rich-text-string.xls",  # calamine makes control characters of its bullets and quotes
    "tough-xlrd/biff4_no_format_no_window2.xls",  # of Excel 4, which calamine does not open
}


@pytest.mark.parametrize("name", [n for n in CELLS if n.endswith((".xls", ".ods")) and n not in MISREAD])
def test_xls_and_ods_are_read_as_calamine_reads_them(name: str) -> None:
    """It loses error cells and what number formats say, but values it knows: another reading than ours."""
    path = REAL / name
    theirs = calamine.CalamineWorkbook.from_path(path)
    with open_workbook(path, path.name) as book:
        for sheet in book.sheets:
            ours = {
                (number, column): cell
                for number, row in book.rows(sheet.name)
                for column, cell in enumerate(row)
                if cell is not None and not isinstance(cell, ErrorCell)
            }
            there = theirs.get_sheet_by_name(sheet.name)
            rows, start = there.to_python(), there.start or (0, 0)
            for (number, column), cell in ours.items():
                other = rows[number - 1 - start[0]][column - start[1]]
                if isinstance(cell, str) and isinstance(other, float | int):
                    other = f"{100 * other:g}%"
                assert cell == other, (sheet.name, number, column)


@pytest.mark.parametrize("name", FILES)
def test_an_import_has_these_rows_or_says_why_not_in_one_sentence(tmp_path: Path, name: str) -> None:
    path = REAL / name
    into = tmp_path / "into"
    into.mkdir()
    result = result_of(answers_of(ReadRequest(str(path), path.name, str(into), None, {}, 10_000, 2048)))
    if name in IMPORTED:
        sheet, row, rows, rejected = IMPORTED[name]
        assert (result.headings["sheet"], result.headings["row"]) == (sheet, row)
        assert (result.end["rows"], result.end["rejected"]) == (rows, rejected)
        if name in FIELDS:
            assert result.headings["fields"] == FIELDS[name]
        return
    assert "\n" not in result.refused
    if name in REFUSED:
        assert is_refusal(result.refused, name)
    elif name in NO_ROWS:
        assert result.refused.startswith(f"{path.name} has headings but no rows on sheet {NO_ROWS[name]!r}")
    elif not any(CELLS[name].values()):
        assert result.refused.startswith(f"{path.name} has no rows")
    else:
        assert result.refused.startswith(f"{path.name}: ")
        assert not result.headings
