"""Prints the rows of a table as JSON, for table_file.py. The only module of the monitor that uses the import's readers.

python -m tasks.mofa.table_reader FILE [SHEET]
"""

import json
import resource
import sys
from pathlib import Path

from tasks.crm.readers.workbook import WorkbookError, open_workbook

_MEMORY = 2 << 30  # bytes of address space


def rows(path: Path, sheet: str) -> list[tuple[int, list[str | None]]]:
    """The rows of the sheet, or of the only visible one. Raises WorkbookError."""
    encoding = None if path.read_bytes()[:4] in {b"PK\x03\x04", b"\xd0\xcf\x11\xe0"} else "utf-8"
    with open_workbook(path, "the table", encoding) as workbook:
        visible = [each.name for each in workbook.sheets if each.visible]
        if sheet and sheet not in visible:
            raise WorkbookError(f"there is no sheet {sheet!r}, only {', '.join(visible)}")
        if not sheet and len(visible) != 1:
            raise WorkbookError(f"one sheet was expected: name one of {', '.join(visible)} as missions.sheet")
        found: list[tuple[int, list[str | None]]] = []
        for block in workbook.blocks(sheet or visible[0]):
            if block.faults:
                fault = block.faults[0]
                raise WorkbookError(f"row {block.numbers[fault.row].as_py()} {fault.reason}")
            found += block.rows()
        return found


def main() -> None:
    """Carry out the request of the command line."""
    if sys.platform != "darwin":  # macOS has no limit of this kind that works
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    try:
        answer: dict[str, object] = {"rows": rows(Path(sys.argv[1]), sys.argv[2])}
    except WorkbookError as error:
        answer = {"refused": str(error)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
