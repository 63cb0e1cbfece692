"""A row at the top of a sheet, and the properties that decide whether it holds the headings."""

from collections import abc
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tasks.crm.cell_kind import Kind, cell_kind, is_address_or_number
from tasks.crm.headings.claims import find_claims
from tasks.crm.headings.table import heading_table
from tasks.crm.headings.text import clean_heading, is_known

HEADING_ROWS = 30  # headings further down are not found

NumberedRow = tuple[int, Sequence[object]]


@dataclass(frozen=True)
class SheetRow:
    """A row that is not blank."""

    number: int
    cells: Sequence[object]
    named: frozenset[str]  # the fields that its cells name as headings

    @cached_property
    def kinds(self) -> dict[int, Kind]:
        """Column -> kind of the cell, of filled cells."""
        kinds = {column: _kind(cell) for column, cell in enumerate(self.cells)}
        return {column: kind for column, kind in kinds.items() if kind != "blank"}

    @cached_property
    def all_known(self) -> bool:
        """Whether all cells are known headings."""
        return all(self._known)

    @cached_property
    def some_known(self) -> bool:
        """Whether a cell is a known heading."""
        return any(self._known)

    @cached_property
    def is_personal(self) -> bool:
        """Whether a cell is certainly data of a person."""
        return any(map(_is_personal, self.cells))

    @cached_property
    def _known(self) -> list[bool]:
        return [is_known(text, heading_table()) for cell in self.cells if (text := clean_heading(cell))]


def filled_rows(rows: Iterable[NumberedRow], overrides: abc.Mapping[str, str], system: str | None) -> list[SheetRow]:
    """The rows that are not blank, down to HEADING_ROWS."""
    filled = []
    for number, cells in rows:
        if number > HEADING_ROWS:
            break
        if any(cell is not None and cell != "" for cell in cells):
            filled.append(SheetRow(number, cells, _named_fields(cells, overrides, system)))
    return filled


def _named_fields(cells: Sequence[object], overrides: abc.Mapping[str, str], system: str | None) -> frozenset[str]:
    """The fields that this row names as headings; empty if it has data of a person or mostly numbers."""
    kinds = [kind for cell in cells if (kind := _kind(cell)) != "blank"]
    if kinds.count("word") * 2 < len(kinds) or any(map(_is_personal, cells)):
        return frozenset()
    # Without letters: an override for "Column C" would count in every row.
    texts = [clean_heading(cell) for cell in cells]
    return frozenset(find_claims(texts, overrides, system, [], letters=False).fields)


def _kind(cell: object) -> Kind:
    if cell is None:
        return "blank"
    return cell_kind(cell) if isinstance(cell, str) else "number"


def _is_personal(cell: object) -> bool:
    return isinstance(cell, str) and is_address_or_number(cell)
