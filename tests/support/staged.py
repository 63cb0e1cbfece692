"""Rows as the import stages them, for tests: of cells, of the CSV of a batch."""

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from db.staging import STAGED_COLUMNS
from tasks.crm.batch import SheetBatches, StagedRows
from tasks.crm.headings.column_mapping import map_columns
from tasks.crm.readers.cell import Cell
from tasks.crm.readers.table import block_of

JSON_COLUMNS = ("extra", "problems", "raw")


def stage(headings: Sequence[str], *rows: Sequence[Cell], columns: Mapping[str, str] | None = None) -> StagedRows:
    """Rows below headings, numbered from 2, as the reading process stages them."""
    block = block_of([(number, list(row)) for number, row in enumerate(rows, 2)])
    batches = SheetBatches("Contacts", map_columns(list(headings), columns or {}), before=0)
    return batches.staged(block.widened(len(headings)))


def stage_cells(cells: Mapping[str, Cell], *, last_name: bool = True) -> dict[str, Any]:
    """One row whose headings are the fields themselves; `last_name`: there is such a column, blank or not."""
    given = {**({"last_name": None} if last_name else {}), **cells}
    [row] = stage(list(given), list(given.values()), columns={field: field for field in given}).table.to_pylist()
    return {name: json.loads(value) if name in JSON_COLUMNS and value else value for name, value in row.items()}


def problems(cells: Mapping[str, Cell], *, last_name: bool = True) -> dict[str | None, str]:
    """Why the row is rejected: field -> reason, without the address of the cell."""
    reasons = stage_cells(cells, last_name=last_name)["problems"] or []
    return {field: reason.partition(" ")[2] if reason[0].isupper() else reason for field, _, reason in reasons}


def rows_in(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a batch's file, all as texts but for what is JSON; None for NULL (no cell is ever "")."""
    csv.field_size_limit(sys.maxsize)
    text = Path(path).read_bytes().decode()
    rows = []
    for record in csv.reader(io.StringIO(text, newline="")):
        row: dict[str, Any] = {name: cell or None for name, cell in zip(STAGED_COLUMNS, record, strict=True)}
        rows.append({name: json.loads(cell) if name in JSON_COLUMNS and cell else cell for name, cell in row.items()})
    return rows


def texts(*values: str | None) -> pa.StringArray:
    return pa.array(values, pa.string())
