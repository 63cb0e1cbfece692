"""OpenDocument spreadsheets (.ods), element by element."""

import zipfile
from pathlib import Path

NAMESPACES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in {
        "office": "office",
        "table": "table",
        "text": "text",
        "style": "style",
        "draw": "drawing",
    }.items()
)
CALC = 'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
STYLES = (
    '<style:style style:name="gone" style:family="table"><style:table-properties table:display="false"/></style:style>'
)


def document(path: Path, tables: str, *, before: str = "", body: str = "spreadsheet") -> Path:
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}<office:document-content {NAMESPACES} {CALC}>'
        f"<office:automatic-styles>{STYLES}</office:automatic-styles>"
        f"<office:body><office:{body}>{tables}</office:{body}></office:body></office:document-content>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
    return path


def table(rows: str, name: str = "S", style: str = "ta1") -> str:
    return f'<table:table table:name="{name}" table:style-name="{style}">{rows}</table:table>'


def row(*cells: str, times: int = 1) -> str:
    return f'<table:table-row table:number-rows-repeated="{times}">{"".join(cells)}</table:table-row>'


def cell(kind: str = "", shown: str | None = None, value: str = "", **attributes: str) -> str:
    stated = f'office:value-type="{kind}"' if kind else ""
    if value:
        stated += f' office:{kind if kind in ("date", "time", "boolean") else ""}-value="{value}"'.replace(":-", ":")
    stated += "".join(f' {name.replace("_", "-").replace("--", ":")}="{text}"' for name, text in attributes.items())
    inside = "" if shown is None else f"<text:p>{shown}</text:p>"
    return f"<table:table-cell {stated}>{inside}</table:table-cell>"
