"""Detects the kind of a file from its first bytes."""

import codecs
import re
from enum import Enum, auto

from tasks.crm.readers.refused import UnreadableError


class Kind(Enum):
    """A kind of file that is recognised by its first bytes and has a reader."""

    HTML = auto()
    XML_SPREADSHEET = auto()
    VCARD = auto()
    GZIP = auto()


SAVE_AS = "open it in Excel or LibreOffice, save it as .xlsx and import that"
COMPRESSED = "is a compressed file, not a workbook: unpack it and import what is inside"
DOCUMENT = "is a document, not a workbook: copy its table into a workbook and import that"
_EXPORT = "export the table as .xlsx or .csv and import that"
_IMAGE = f"is a picture, not a workbook: {_EXPORT}"
_DATABASE = f"is a database, not a workbook: {_EXPORT}"
_PROGRAM = "is a program, not a workbook: do not open it before you know where it came from"

# First bytes -> kind, or the end of a sentence that refuses the file.
_MAGIC: dict[tuple[bytes, ...], Kind | str] = {
    (b"\x1f\x8b",): Kind.GZIP,
    (b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"\x1f\x9d"): COMPRESSED,
    (b"MZ\x90\x00", b"\x7fELF"): _PROGRAM,
    (b"SQLite format 3", b"\x00\x01\x00\x00Standard Jet DB", b"\x00\x01\x00\x00Standard ACE DB"): _DATABASE,
    (
        b"PAR1",
        b"ARROW1",
        b"Obj\x01",
        b"ORC",
    ): f"is a Parquet, Arrow or Avro file, not a workbook: {_EXPORT}",
    (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM6", b"II*\x00", b"MM\x00*"): _IMAGE,
    (b"!BDN",): "is an Outlook data file, not a workbook: export the contacts from Outlook as .csv and import that",
}
# The same for text, in lower case, after blanks and a byte order mark.
_TEXTS: dict[tuple[str, ...], Kind | str] = {
    ("begin:vcard",): Kind.VCARD,
    ("%pdf-",): f"is a PDF, not a workbook: {_EXPORT}",
    ("id;p",): f"is a SYLK file (.slk), not a workbook: {SAVE_AS}",
    ("mime-version:", "from: <saved by", "content-type: multipart/"):
        f"is a web archive (MHTML), not a workbook: {SAVE_AS}",
    ("begin:vcalendar",): "is a calendar, not a list of contacts: export the contacts as .csv or .vcf and import that",
    ("{\\rtf",): DOCUMENT,
    ("-- mysql dump", "-- postgresql database dump", "insert into ", "create table "):
        f"is a script of a database (SQL), not a workbook: {_EXPORT}",
    ("dn: ", "version: 1\ndn:", "version: 1\r\ndn:"): f"is a directory export (LDIF), not a workbook: {_EXPORT}",
}  # fmt: skip
_JSON = re.compile(r'(?:\{\s*"[^"\n]*"\s*:|\[\s*(?:\{|\[|"|\]))')
_NO_JSON = re.compile(r"\[[^\]\"{]*\]\s*[,;\t]")
_JSON_SENTENCE = f"is JSON, not a workbook: {_EXPORT}"
_HTML = re.compile(
    r"(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|meta|body|table|style|div|title|form|center|font|span|p|h[1-6]|br|link"
    r"|script|tr|thead|tbody|base)\b", re.DOTALL)  # fmt: skip
_SPREADSHEET = "urn:schemas-microsoft-com:office:spreadsheet"


def kind_of(beginning: bytes) -> Kind | None:
    """The kind of a file that begins with these bytes; None if it is unknown. Raises UnreadableError: it is refused."""
    found = _recognised(beginning)
    if isinstance(found, str):
        raise UnreadableError(found)
    return found


def _recognised(beginning: bytes) -> Kind | str | None:
    for magics, kind in _MAGIC.items():
        if beginning.startswith(magics):
            return kind
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return _IMAGE
    if beginning[257:262] == b"ustar":
        return COMPRESSED
    text = as_text(beginning).lstrip("\ufeff").lstrip().lower()
    for starts, kind in _TEXTS.items():
        if text.startswith(starts):
            return kind
    if _JSON.match(text) and not _NO_JSON.match(text):
        return _JSON_SENTENCE
    return _markup(text)


def as_text(beginning: bytes) -> str:
    """The beginning of the text in any encoding, exact enough to compare ASCII."""
    if beginning.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return beginning.decode("utf-32", "replace")
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return beginning.decode("utf-16", "replace")
    if beginning[:1] == b"<" and beginning[1:2] == b"\0":
        return beginning.decode("utf-16-le", "replace")
    if beginning[:2] == b"\0<":
        return beginning.decode("utf-16-be", "replace")
    return beginning.removeprefix(codecs.BOM_UTF8).decode("latin-1")


def _markup(text: str) -> Kind | str | None:
    if not text.startswith("<"):
        return None
    if text.startswith(("<?xml", "<?mso-application", "<workbook", "<ss:workbook")) and "<html" not in text[:2048]:
        return Kind.XML_SPREADSHEET if _SPREADSHEET in text else f"is XML, not a workbook: {SAVE_AS}"
    if _HTML.match(text) or "<html" in text or "<table" in text:
        return Kind.HTML
    is_xml = text.startswith(("<?", "<!doctype")) or (
        re.match(r"<[a-z][\w:.-]*[\s/>]", text) and ("</" in text or "/>" in text)
    )
    return f"is XML, not a workbook: {SAVE_AS}" if is_xml else None
