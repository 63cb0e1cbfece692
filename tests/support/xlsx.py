"""An .xlsx whose XML the test decides."""

import zipfile
from pathlib import Path

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def workbook_with_rows_xml(
    path: Path, rows: str, *, before: str = "", prefix: str = "", encoding: str = "utf-8"
) -> Path:
    """An .xlsx with one sheet "S" whose XML is exactly this."""
    p = f"{prefix}:" if prefix else ""
    sheet = (
        f'<?xml version="1.0" encoding="{encoding}"?><{p}worksheet xmlns{p and ":" + prefix}="{MAIN}">'
        f"{before}<{p}sheetData>{rows}</{p}sheetData></{p}worksheet>"
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-xlsx_package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="a" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">'
        '<sheets><sheet name="S" sheetId="1" r:id="b"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="b" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
        archive.writestr("xl/worksheets/sheet1.xml", sheet.encode(encoding))
    return path


def workbook_with_sheet_xml(path: Path, sheet: str) -> Path:
    """A workbook whose one sheet has exactly this XML."""
    workbook_with_rows_xml(path, "")
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(path.with_name("made"), "w", zipfile.ZIP_DEFLATED) as made:
        for name in whole.namelist():
            made.writestr(name, sheet if "sheet1" in name else whole.read(name))
    return path.with_name("made").rename(path)
