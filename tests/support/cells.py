"""The cells that a reader returns, as a person sees them."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tasks.crm.readers.cell import ErrorCell
from tasks.crm.readers.table import Block
from tasks.crm.readers.workbook import WorkbookError, open_workbook


def rows_of(path: Path, sheet: str | None = None) -> list[tuple[int, list[object]]]:
    """The rows of a sheet with the cells as a person sees them; ErrorCell for an error."""
    with open_workbook(path, path.name) as book:
        if path.suffix in {".csv", ".txt"}:
            return [(number, list[object](cells)) for number, cells in book.rows(book.sheets[0].name)]
        return shown_rows(book.blocks(sheet or book.sheets[0].name))


def shown_rows(blocks: Iterable[Block]) -> list[tuple[int, list[object]]]:
    """The rows of blocks, up to the last cell that holds something."""
    found: list[tuple[int, list[object]]] = []
    for block in blocks:
        rows = [(number, list[object](cells)) for number, cells in block.rows()]
        for row, column, reason in block.faults:
            cells = rows[row][1]
            if column is not None and reason == f"shows {cells[column]}":
                cells[column] = ErrorCell(str(cells[column]))
        found += rows
    return found


def text_file(path: Path, content: bytes | str) -> Path:
    """A file with exactly this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path) -> str:
    """The one sentence with which a file is refused; it begins with the name of the file."""
    with pytest.raises(WorkbookError) as refused:
        rows_of(path)
    sentence = str(refused.value)
    assert sentence.startswith(path.name)
    assert "\n" not in sentence
    return sentence
