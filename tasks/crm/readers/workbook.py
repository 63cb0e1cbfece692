"""A workbook as blocks of text columns, and the one plain sentence when it cannot be read.

The format is told from the content, never from the name: people rename files, and systems export web pages as .xls.
Each format has a reader of its own beside this module.
"""

import mmap
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, cast

from db.errors import UserError
from tasks.crm.readers import ods, xls, xlsb, xlsx, xlsx_package
from tasks.crm.readers.archives import unpacked_gzip, unpacked_zip
from tasks.crm.readers.cell import Cell, ErrorCell, Merge, Row, SheetInfo
from tasks.crm.readers.file_kinds import COMPRESSED, DOCUMENT, GZIP, HTML, SAVE_AS, VCARD, XML_SPREADSHEET, kind_of
from tasks.crm.readers.refused import UnreadableError
from tasks.crm.readers.table import Block, blocks_of


class WorkbookError(UserError):
    """A workbook that cannot be fetched or read: one plain sentence that says what to do. Trying again is no use."""


_LARGEST_MEMBER = 4_000_000_000  # bytes; a sheet as long as Excel allows, and sixty columns wide, has three billion
_OPEN_DOCUMENT = "content.xml"  # the member of the archive by which an .ods is known

_DAMAGED = f"is damaged or incomplete: fetch it again, or {SAVE_AS}"
_LOCKED = "is password-protected: save it without a password and import it again"
_NUMBERS = (
    "is an Apple Numbers document, not a workbook that can be read: in Numbers, export it to Excel and import that"
)
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# An OLE container is an encrypted .xlsx or an .xls; before Excel 5 an .xls was a bare stream.
_OLD_EXCEL = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00", b"\x09\x08\x10\x00", b"\x09\x08\x08\x00")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Workbook:
    """An open workbook, a context manager. Made by `open_workbook`."""

    sheets: list[SheetInfo]  # in the workbook's order
    height = 0  # last row, as Excel shows it, of the sheet that is read; 0 where only reading to the end would tell
    encoding: str | None = None  # of text, where its bytes do not prove it: any of 8 bits would have fitted
    merged: Sequence[Merge] = ()  # its merged cells, as far as `blocks` has come
    totals: frozenset[int] = frozenset()  # of the sheet that is read: rows that sum up a table, by the workbook's word
    hidden_rows: int = 0  # of the sheet that is read, as far as `blocks` has come
    hidden_columns: frozenset[int] = frozenset()  # of the sheet that is read, from 0
    assumptions: Sequence[str] = ()  # what was decided about the file and not proven by it, one clause each

    def blocks(self, sheet: str) -> Iterator[Block]:
        """Rows of a sheet from the top, wholly blank ones left out. Raises WorkbookError, also half-way."""
        return blocks_of(self.rows(sheet))

    def rows(self, sheet: str) -> Iterator[Row]:
        """The same cell by cell, where a format is read so."""
        raise NotImplementedError

    def width_of(self, row: int) -> int | None:  # noqa: ARG002 - for those that know
        """How many cells the row has by the file's word, where a further one has slipped out of its column; of text."""
        return None

    def line_of(self, row: int) -> int | None:  # noqa: ARG002 - for those that know
        """In which line of the file the record of a row begins, where people see no rows."""
        return None

    def close(self) -> None:
        """Let go of the file; `blocks` is of no use afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_workbook(path: Path, name: str, encoding: str | None = None) -> Workbook:
    """The workbook at `path` (a private copy); `name` is what people call it, in messages.

    `encoding` is that of a text, where the user says it; without it it is found. What is compressed is unpacked beside
    `path`.

    Raises WorkbookError: empty, password-protected, damaged, of a format that is not read, or not a workbook at all.
    """
    return _opened(path, name, encoding)


def _opened(path: Path, name: str, encoding: str | None, inside: str = "") -> Workbook:
    """`inside`: the name of the archive that the file was in."""
    try:
        with path.open("rb") as file:
            beginning = file.read(4096)
    except OSError as error:
        raise WorkbookError(f"{name} cannot be read: {error.strerror}") from error
    if not beginning.strip() and path.stat().st_size == len(beginning):
        raise WorkbookError(f"{name} is empty: export it again")
    if beginning.startswith(_ZIP):
        return _zipped(path, name, encoding, inside)
    if beginning.startswith(_OLE) and (what := _what_else_ole_is(path)):
        raise WorkbookError(f"{name} {what}")
    if beginning.startswith((_OLE, *_OLD_EXCEL)):
        return _Other(lambda: xls.OldExcel(path), name)
    kind = kind_of(beginning)
    if kind == GZIP and not inside:
        return _unpacked(lambda: unpacked_gzip(path, name, _LARGEST_MEMBER), name, encoding)
    readers: dict[str | None, Callable[[], _TextReader]] = {
        None: lambda: _delimited(path, name, encoding),
        HTML: lambda: _html(path, name, encoding),
        XML_SPREADSHEET: lambda: _xml(path),
        VCARD: lambda: _vcards(path, name, encoding),
    }
    if kind not in readers:
        raise WorkbookError(f"{name} {COMPRESSED if kind == GZIP else kind}")
    return _Text(readers[kind], name)


def _unpacked(unpack: Callable[[], tuple[Path, str]], name: str, encoding: str | None) -> Workbook:
    try:
        path, inside = unpack()
    except UnreadableError as error:
        raise WorkbookError(f"{name} {error}") from error
    except OSError as error:
        raise WorkbookError(f"{name} cannot be unpacked: {error.strerror}") from error
    return _opened(path, inside, encoding, inside=name)


def _delimited(path: Path, name: str, encoding: str | None) -> "_TextReader":
    from tasks.crm.readers.delimited import DelimitedText  # noqa: PLC0415 - see the module's docstring

    return DelimitedText(path, name, encoding)


def _html(path: Path, name: str, encoding: str | None) -> "_TextReader":
    from tasks.crm.readers.html_tables import HtmlTables  # noqa: PLC0415 - see the module's docstring

    return HtmlTables(path, name, encoding)


def _xml(path: Path) -> "_TextReader":
    from tasks.crm.readers.xml_spreadsheet import XmlSpreadsheet  # noqa: PLC0415 - see the module's docstring

    return XmlSpreadsheet(path)


def _vcards(path: Path, name: str, encoding: str | None) -> "_TextReader":
    from tasks.crm.readers.vcards import VCards  # noqa: PLC0415 - see the module's docstring

    return VCards(path, name, encoding)


def _what_else_ole_is(path: Path) -> str | None:
    """What an OLE container is if not an .xls."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find("EncryptedPackage".encode("utf-16-le")) >= 0:
            return _LOCKED
        if content.find("WordDocument".encode("utf-16-le")) >= 0:
            return DOCUMENT
    return None


def _zipped(path: Path, name: str, encoding: str | None, inside: str) -> Workbook:
    with _in_our_words(f"{name} {_DAMAGED}"):
        archive = zipfile.ZipFile(path)
        what = _what_else_zip_is(archive)
        if what == COMPRESSED and not inside:
            with archive:
                return _unpacked(lambda: unpacked_zip(path, archive, _LARGEST_MEMBER), name, encoding)
        if what:
            archive.close()
            raise WorkbookError(f"{name} {what}")
        if _OPEN_DOCUMENT in archive.namelist():
            archive.close()
            return _Other(lambda: ods.OpenDocument(path), name)
        if xlsb.WORKBOOK in archive.namelist():
            archive.close()
            return _Other(lambda: xlsb.BinaryExcel(path), name)
        return _Excel(path, name, archive)


def _what_else_zip_is(archive: zipfile.ZipFile) -> str | None:  # noqa: PLR0911 - one for each kind
    """What a zip is if not a workbook that can be read."""
    names = archive.namelist()
    for member in archive.infolist():
        if member.file_size > _LARGEST_MEMBER:
            return f"would unpack to {member.file_size / 1e9:,.0f} GB: divide it, or ask who made it what it is"
    if any(name.lower().startswith(("xl/", "xl\\", "_rels/")) for name in names):
        return DOCUMENT if any(name.startswith(("word/", "ppt/")) for name in names) else None
    if any(name.startswith(("word/", "ppt/")) for name in names):
        return DOCUMENT
    if "encrypted-package" in names:
        return _LOCKED
    if _OPEN_DOCUMENT in names:
        manifest = archive.read("META-INF/manifest.xml") if "META-INF/manifest.xml" in names else b""
        return _LOCKED if b"encryption-data" in manifest else None
    if any(name.lower().endswith(".iwa") or name == "Index.zip" for name in names):
        return _NUMBERS
    return COMPRESSED if names else _DAMAGED


@contextmanager
def _in_our_words(sentence: str) -> Iterator[None]:
    """One sentence for whatever a reader raises: its own words tell people nothing.

    A panic in calamine's Rust arrives as PanicException, which is a BaseException. MemoryError is not about the file.
    """
    try:
        yield
    except (WorkbookError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise WorkbookError(sentence) from error


class _Excel(Workbook):
    """An .xlsx or .xlsm."""

    def __init__(self, path: Path, name: str, archive: zipfile.ZipFile) -> None:
        self._path, self._name, self._archive = path, name, archive
        package = xlsx_package.package_of(archive)
        self._sheets, self.sheets = xlsx.Sheets(archive, package), package.sheets

    def close(self) -> None:
        self._archive.close()

    def blocks(self, sheet: str) -> Iterator[Block]:
        _check(sheet, self.sheets, self._name)
        with _in_our_words(f"{self._name}: sheet {sheet!r} {_DAMAGED}"):
            said = self._sheets.survey(sheet)
            self.height, self.merged, self.hidden_columns = said.height, said.merged, said.hidden_columns
            self.totals, self.hidden_rows = self._sheets.totals(sheet), 0
            for block in self._sheets.blocks(sheet):
                self.hidden_rows = self._sheets.hidden_rows
                yield block


def _check(sheet: str, sheets: list[SheetInfo], name: str) -> None:
    if sheet not in {info.name for info in sheets}:
        raise WorkbookError(f"{name} has no sheet {sheet!r}: {', '.join(info.name for info in sheets)}")


class _Reader(Protocol):
    """A reader of one format, which knows nothing of our sentences but the ends of some."""

    sheets: list[SheetInfo]
    merged: list[Merge]

    def rows(self, sheet: str) -> Iterator[Row]: ...
    def close(self) -> None: ...


class _Other(Workbook):
    """An .ods, .xls or .xlsb."""

    def __init__(self, opened: Callable[[], _Reader], name: str) -> None:
        self._name = name
        with self._in_our_words(f"{name} {_DAMAGED}"):
            self._reader = opened()
        self.sheets = self._reader.sheets

    def close(self) -> None:
        self._reader.close()

    def rows(self, sheet: str) -> Iterator[Row]:
        _check(sheet, self.sheets, self._name)
        with self._in_our_words(f"{self._name}: sheet {sheet!r} {_DAMAGED}"):
            for row in self._reader.rows(sheet):
                self.merged = self._reader.merged
                yield row

    @contextmanager
    def _in_our_words(self, sentence: str) -> Iterator[None]:
        with _in_our_words(sentence):
            try:
                yield
            except xls.PasswordProtectedError as error:
                raise WorkbookError(f"{self._name} {_LOCKED}") from error
            except ods.OpenDocumentError as error:
                raise WorkbookError(f"{self._name} {error}") from error


class _TextReader(Protocol):
    """A reader of a text format, which knows nothing of our sentences but the ends of some."""

    sheets: list[SheetInfo]
    encoding: str | None

    @property
    def assumptions(self) -> Sequence[str]: ...
    @property
    def merged(self) -> Sequence[Merge]: ...
    @property
    def hidden_rows(self) -> int: ...
    @property
    def hidden_columns(self) -> frozenset[int]: ...
    def blocks(self, sheet: str) -> Iterator[Block]: ...


class _Text(Workbook):
    """Delimited text, a web page, an XML Spreadsheet or cards of people."""

    def __init__(self, opened: Callable[[], _TextReader], name: str) -> None:
        self._name = name
        with self._in_our_words():
            self._reader = opened()
        self.sheets, self.encoding = self._reader.sheets, self._reader.encoding
        self.assumptions = self._reader.assumptions

    def width_of(self, row: int) -> int | None:
        find: Callable[[int], int | None] | None = getattr(self._reader, "width_of", None)
        return find(row) if find else None

    def line_of(self, row: int) -> int | None:
        find: Callable[[int], int | None] | None = getattr(self._reader, "line_of", None)
        return find(row) if find else None

    def blocks(self, sheet: str) -> Iterator[Block]:
        _check(sheet, self.sheets, self._name)
        with self._in_our_words():
            for block in self._reader.blocks(sheet):
                self.merged, self.hidden_rows = self._reader.merged, self._reader.hidden_rows
                self.hidden_columns = self._reader.hidden_columns
                yield block

    def rows(self, sheet: str) -> Iterator[Row]:
        for block in self.blocks(sheet):
            faults = {(fault.row, fault.column): fault for fault in block.faults}
            for row, (number, cells) in enumerate(block.rows()):
                shown = [ErrorCell(cell or "") if (row, at) in faults else cell for at, cell in enumerate(cells)]
                yield number, cast("list[Cell]", shown)

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        with _in_our_words(f"{self._name} {_DAMAGED}"):
            try:
                yield
            except UnreadableError as error:
                raise WorkbookError(f"{self._name} {error}") from error
