"""Cells that are merged over several rows: each of these rows means what the first of them says."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from tasks.crm.readers.cell import Cell, Merge, Row


def filled_down(rows: Iterable[Row], merged: Callable[[], Sequence[Merge]], below: int) -> Iterator[Row]:
    """The rows, with the content of a merged cell in every row that it covers.

    Args:
        rows: in their order; all those that a merged cell covers, or none.
        merged: the merged cells of the sheet, as far as the last row that was given.
        below: the row of the headings; what is merged from there or above is no data.
    """
    known = 0
    waiting: list[Merge] = []  # the uppermost last
    covering: dict[int, tuple[int, Cell]] = {}  # column -> last row, content
    for number, cells in rows:
        if len(now := merged()) > known:
            waiting += [merge for merge in now[known:] if below < merge[0] < merge[1]]
            waiting.sort(reverse=True)
            known = len(now)
        if covering:
            covering = {column: (last, content) for column, (last, content) in covering.items() if last >= number}
            _fill(cells, covering)
        while waiting and waiting[-1][0] <= number:
            first, last, column, _ = waiting.pop()
            if first == number and column < len(cells) and cells[column] is not None:
                covering[column] = (last, cells[column])
        yield number, cells


def _fill(cells: list[Cell], covering: dict[int, tuple[int, Cell]]) -> None:
    for column, (_, content) in covering.items():
        cells.extend([None] * (column + 1 - len(cells)))
        if cells[column] is None:
            cells[column] = content
