"""The rows of a CSV file or a workbook that a ministry publishes.

The readers of the import read it, in a process of its own with a limit of memory and time and without secrets: what a
server sends is not trusted. A page is text; a workbook stands in it as base64 (`as_text`).
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tasks.mofa.page import Page, PageError

_PREFIX: Final = "data:application/octet-stream;base64,"
_MAGIC: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")  # zip (.xlsx, .ods) and OLE (.xls)
_SECONDS: Final = 120
_ENVIRONMENT: Final = {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "VIRTUAL_ENV"}


def as_text(body: bytes) -> str | None:
    """A workbook as the text of a page; None: the body is no workbook."""
    return _PREFIX + base64.b64encode(body).decode() if body.startswith(_MAGIC) else None


def rows_of(page: Page, sheet: str | None) -> list[tuple[int, list[str]]]:
    """Number and cells of each row that has any. Raises PageError."""
    if page.text.startswith(_PREFIX):
        body = base64.b64decode(page.text.removeprefix(_PREFIX))
    else:
        body = page.text.encode("utf-8", "replace")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "table")
        path.write_bytes(body)
        try:
            done = subprocess.run(  # noqa: S603 - our own module
                [sys.executable, "-m", "tasks.mofa.table_reader", str(path), sheet or ""],
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
                env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT or name[:6] == "PYTHON"},
            )
        except subprocess.TimeoutExpired:
            raise PageError(page.url, f"the table cannot be read within {_SECONDS} seconds") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise PageError(page.url, f"the table cannot be read: its reader ended with {done.returncode}") from None
    if "refused" in answer:
        raise PageError(page.url, answer["refused"])
    return [(number, [cell or "" for cell in cells]) for number, cells in answer["rows"]]
