"""Opens a workbook of any format, or raises one plain sentence if it cannot be read.

The format is detected from the content, not from the name: people rename files, and systems export web pages as .xls.
Each format has a reader of its own beside this module. Readers of rare formats are imported only when they are needed,
because their imports take time.
"""

import mmap
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, cast

from db.errors import UserError
from tasks.crm.readers import ods, xls, xlsb, xlsx, xlsx_package
from tasks.crm.readers.archives import unpacked_gzip, unpacked_zip
from tasks.crm.readers.budget import Budget, BudgetError
from tasks.crm.readers.cell import Cell, ErrorCell, Merge, Row, SheetInfo
from tasks.crm.readers.file_kinds import COMPRESSED, DOCUMENT, SAVE_AS, Kind, kind_of
from tasks.crm.readers.refused import UnreadableError
from tasks.crm.readers.table import Block, blocks_of


class WorkbookError(UserError):
    """A workbook cannot be fetched or read. The message is one plain sentence with the next action."""


_LARGEST_MEMBER = 4_000_000_000  # bytes; a sheet of the greatest length and sixty columns has three billion
_OPEN_DOCUMENT = "content.xml"  # the archive of an .ods has this member

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

    _name: str  # of the file, for messages
    budget: Budget
    sheets: list[SheetInfo]  # in the workbook's order
    height = 0  # last row of the current sheet, as Excel shows it; 0 if the format does not state it
    encoding: str | None = None  # of text, if it was detected and its bytes do not prove it
    merged: Sequence[Merge] = ()  # merged cells of the rows that `blocks` has yielded so far
    totals: frozenset[int] = frozenset()  # rows of the current sheet that the workbook declares as totals rows
    hidden_rows: int = 0  # of the current sheet, among the rows that `blocks` has yielded so far
    hidden_columns: frozenset[int] = frozenset()  # of the current sheet, from 0
    assumptions: Sequence[str] = ()  # what was assumed about the file, one clause each

    def blocks(self, sheet: str) -> Iterator[Block]:
        """The rows of a sheet from the top, without blank ones. Raises WorkbookError, also after some blocks."""
        return blocks_of(self.rows(sheet))

    def rows(self, sheet: str) -> Iterator[Row]:
        """The same as cells, for readers that yield cells."""
        raise NotImplementedError

    def width_of(self, row: int) -> int | None:  # noqa: ARG002 - formats that know it override this
        """How many cells the row has in a text file, if a row with more cells is faulty; None for other formats."""
        return None

    def line_of(self, row: int) -> int | None:  # noqa: ARG002 - formats that know it override this
        """The line of the file in which the record of a row begins, if the format has no rows; None for others."""
        return None

    def close(self) -> None:
        """Close the file. `blocks` cannot be called afterwards."""

    def _begin(self, sheet: str) -> None:
        """Begin to read a sheet. Raises WorkbookError if there is no such sheet."""
        if sheet not in self._names:
            names = ", ".join(info.name for info in self.sheets)
            raise WorkbookError(f"{self._name} has no sheet {sheet!r}; its sheets: {names}")
        self.budget.begin_sheet()

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(info.name for info in self.sheets)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_workbook(path: Path, name: str, encoding: str | None = None, budget: Budget | None = None) -> Workbook:
    """The workbook at `path`. A compressed file is unpacked beside it.

    Args:
        path: a private copy.
        name: for messages.
        encoding: of a text file, if the user gave it; None: it is detected.
        budget: None: the default limits.

    Raises:
        WorkbookError: it is empty, password-protected, damaged, of a format that is not read, or not a workbook.
    """
    return _opened(path, name, encoding, budget or Budget(name))


def _opened(path: Path, name: str, encoding: str | None, budget: Budget, inside: str = "") -> Workbook:
    """The workbook at `path`; `inside` is the name of the archive that contained it."""
    try:
        with path.open("rb") as file:
            beginning = file.read(4096)
    except OSError as error:
        raise WorkbookError(f"{name} cannot be read: {error.strerror}") from error
    if not beginning.strip() and path.stat().st_size == len(beginning):
        raise WorkbookError(f"{name} is empty: export it again")
    if beginning.startswith(_ZIP):
        return _zipped(path, name, encoding, budget, inside)
    if beginning.startswith(_OLE) and (what := _why_ole_is_refused(path)):
        raise WorkbookError(f"{name} {what}")
    if beginning.startswith((_OLE, *_OLD_EXCEL)):
        return _Cells(lambda: xls.OldExcel(path), name, budget)
    try:
        kind = kind_of(beginning)
    except UnreadableError as error:
        raise WorkbookError(f"{name} {error}") from error
    if kind == Kind.GZIP:
        if inside:
            raise WorkbookError(f"{name} {COMPRESSED}")
        return _unpacked(lambda: unpacked_gzip(path, name, _LARGEST_MEMBER, budget), name, encoding, budget)
    readers: dict[Kind | None, Callable[[], _TextReader]] = {
        None: lambda: _delimited(path, name, encoding),
        Kind.HTML: lambda: _html(path, name, encoding, budget),
        Kind.XML_SPREADSHEET: lambda: _xml(path, budget),
        Kind.VCARD: lambda: _vcards(path, name, encoding),
    }
    return _Text(readers[kind], name, budget)


def _unpacked(unpack: Callable[[], tuple[Path, str]], name: str, encoding: str | None, budget: Budget) -> Workbook:
    try:
        path, inside = unpack()
    except BudgetError as error:
        raise WorkbookError(str(error)) from error
    except UnreadableError as error:
        raise WorkbookError(f"{name} {error}") from error
    except OSError as error:
        raise WorkbookError(f"{name} cannot be unpacked: {error.strerror}") from error
    return _opened(path, inside, encoding, budget, inside=name)


def _delimited(path: Path, name: str, encoding: str | None) -> "_TextReader":
    from tasks.crm.readers.delimited import DelimitedText  # noqa: PLC0415 - see the module's docstring

    return DelimitedText(path, name, encoding)


def _html(path: Path, name: str, encoding: str | None, budget: Budget) -> "_TextReader":
    from tasks.crm.readers.html_tables import HtmlTables  # noqa: PLC0415 - see the module's docstring

    return HtmlTables(path, name, budget, encoding)


def _xml(path: Path, budget: Budget) -> "_TextReader":
    from tasks.crm.readers.xml_spreadsheet import XmlSpreadsheet  # noqa: PLC0415 - see the module's docstring

    return XmlSpreadsheet(path, budget)


def _vcards(path: Path, name: str, encoding: str | None) -> "_TextReader":
    from tasks.crm.readers.vcards import VCards  # noqa: PLC0415 - see the module's docstring

    return VCards(path, name, encoding)


def _why_ole_is_refused(path: Path) -> str | None:
    """Why an OLE container is refused, as the rest of a sentence; None if it can be an .xls."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find("EncryptedPackage".encode("utf-16-le")) >= 0:
            return _LOCKED
        if content.find("WordDocument".encode("utf-16-le")) >= 0:
            return DOCUMENT
    return None


def _zipped(path: Path, name: str, encoding: str | None, budget: Budget, inside: str) -> Workbook:
    with _as_workbook_error(f"{name} {_DAMAGED}"):
        archive = zipfile.ZipFile(path)
        what = _why_zip_is_refused(archive)
        if what == COMPRESSED and not inside:
            with archive:
                return _unpacked(lambda: unpacked_zip(path, archive, _LARGEST_MEMBER, budget), name, encoding, budget)
        if what:
            archive.close()
            raise WorkbookError(f"{name} {what}")
        if _OPEN_DOCUMENT in archive.namelist():
            archive.close()
            return _Cells(lambda: ods.OpenDocument(path, budget), name, budget)
        if xlsb.WORKBOOK in archive.namelist():
            archive.close()
            return _Cells(lambda: xlsb.BinaryExcel(path), name, budget)
        return _Excel(name, archive, budget)


def _why_zip_is_refused(archive: zipfile.ZipFile) -> str | None:  # noqa: PLR0911 - one return for each kind
    """Why a zip is refused, as the rest of a sentence; None if it can be a workbook."""
    names = archive.namelist()
    for member in archive.infolist():
        if member.file_size > _LARGEST_MEMBER:
            return (
                f"would unpack to {member.file_size / 1e9:,.0f} GB: split the file, or ask the person who made it what "
                "it is"
            )
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
def _as_workbook_error(sentence: str) -> Iterator[None]:
    """Raise a WorkbookError with this sentence for any exception of a reader, whose message does not help a user.

    A panic in calamine's Rust is a PanicException, which is a BaseException. A MemoryError is not about the file.
    """
    try:
        yield
    except BudgetError as error:
        raise WorkbookError(str(error)) from error
    except (WorkbookError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise WorkbookError(sentence) from error


class _Excel(Workbook):
    """An .xlsx or .xlsm."""

    def __init__(self, name: str, archive: zipfile.ZipFile, budget: Budget) -> None:
        self._name, self._archive, self.budget = name, archive, budget
        package = xlsx_package.package_of(archive)
        self._sheets, self.sheets = xlsx.Sheets(archive, package), package.sheets

    def close(self) -> None:
        self._archive.close()

    def blocks(self, sheet: str) -> Iterator[Block]:
        self._begin(sheet)
        with _as_workbook_error(f"{self._name}: sheet {sheet!r} {_DAMAGED}"):
            survey = self._sheets.survey(sheet)
            self.height, self.merged, self.hidden_columns = survey.height, survey.merged, survey.hidden_columns
            self.totals, self.hidden_rows = self._sheets.totals(sheet), 0
            for block in self._sheets.blocks(sheet):
                self.hidden_rows = self._sheets.hidden_rows
                yield block


class _Reader(Protocol):
    """A reader that yields cells. Its own exceptions are the rest of a sentence that begins with the file's name."""

    sheets: list[SheetInfo]
    merged: list[Merge]

    def rows(self, sheet: str) -> Iterator[Row]: ...
    def close(self) -> None: ...


class _Cells(Workbook):
    """An .ods, .xls or .xlsb."""

    def __init__(self, opened: Callable[[], _Reader], name: str, budget: Budget) -> None:
        self._name, self.budget = name, budget
        with self._as_workbook_error(f"{name} {_DAMAGED}"):
            self._reader = opened()
        self.sheets = self._reader.sheets

    def close(self) -> None:
        self._reader.close()

    def rows(self, sheet: str) -> Iterator[Row]:
        self._begin(sheet)
        with self._as_workbook_error(f"{self._name}: sheet {sheet!r} {_DAMAGED}"):
            for row in self._reader.rows(sheet):
                self.merged = self._reader.merged
                yield row

    @contextmanager
    def _as_workbook_error(self, sentence: str) -> Iterator[None]:
        with _as_workbook_error(sentence):
            try:
                yield
            except xls.PasswordProtectedError as error:
                raise WorkbookError(f"{self._name} {_LOCKED}") from error
            except ods.OpenDocumentError as error:
                raise WorkbookError(f"{self._name} {error}") from error


class _TextReader(Protocol):
    """A reader of a text format. Its UnreadableError is the rest of a sentence that begins with the file's name."""

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
    """Delimited text, a web page, an XML Spreadsheet or vCards."""

    def __init__(self, opened: Callable[[], _TextReader], name: str, budget: Budget) -> None:
        self._name, self.budget = name, budget
        with self._as_workbook_error():
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
        self._begin(sheet)
        with self._as_workbook_error():
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
    def _as_workbook_error(self) -> Iterator[None]:
        with _as_workbook_error(f"{self._name} {_DAMAGED}"):
            try:
                yield
            except UnreadableError as error:
                raise WorkbookError(f"{self._name} {error}") from error
