"""Makes Arrow columns of Python objects. pyarrow's own conversion would import pandas, which takes half a second."""

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate

import pyarrow as pa


def text_column(cells: Sequence[str | None]) -> pa.StringArray:
    """A column of text; a cell that is None or "" is null."""
    encoded = [cell.encode() if cell else b"" for cell in cells]
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    filled = "".join("1" if cell else "0" for cell in reversed(cells))
    valid = int(filled or "0", 2).to_bytes((len(cells) + 7) // 8, "little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(cells), buffers)


def number_column(numbers: Iterable[int]) -> pa.Int32Array:
    """A column of row numbers."""
    values = array("i", numbers)
    return pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(values)])
