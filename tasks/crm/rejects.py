"""The command `python -m tasks.crm.rejects IMPORT_ID OUT.xlsx`: writes the rejected rows of an import to a workbook."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from db.contacts import rejects_of
from db.display import printable
from db.engine import DatabaseError, engine, explain
from db.errors import UserError
from tasks.counts import counted
from tasks.crm.rejects_workbook import write

_LARGEST_ID = 2**31 - 1  # of a serial in PostgreSQL


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m tasks.crm.rejects IMPORT_ID OUT.xlsx`, which writes the rejects of an import to a workbook.

    Returns:
        The exit code: 0 if the workbook was written, 1 if not. One line says what was written, or what is wrong.
    """
    try:
        print(_run(sys.argv[1:] if argv is None else list(argv)))
    except UserError as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


def _run(arguments: Sequence[str]) -> str:
    for problem in _problems(arguments):
        raise UserError(problem)
    number, out = int(arguments[0]), Path(arguments[1])
    try:
        with engine().connect() as connection:
            found = list(rejects_of(connection, number))
        if not found:
            raise UserError(f"Import {number} has no rejected rows, or there is no such import: nothing was written.")
        count = write(out, found)
    except DatabaseError as error:
        raise UserError(str(error)) from error
    except SQLAlchemyError as error:
        raise UserError(str(explain(error))) from error
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}.") from error
    return f"{counted(count, 'row')} written to {printable(out)}"


def _problems(arguments: Sequence[str]) -> Iterator[str]:
    """The problems of the command line, the first one first."""
    match arguments:
        case [number, name]:
            out = Path(name)
        case _:
            yield "Usage: python -m tasks.crm.rejects IMPORT_ID OUT.xlsx"
            return
    if not (number.isdecimal() and int(number) <= _LARGEST_ID):
        yield f"{number!r} is not the number of an import: give the one in the report of the import."
    if out.suffix.lower() != ".xlsx":
        yield f"{out} does not end in .xlsx: give the name of a workbook to write."
    if not out.parent.is_dir():
        yield f"There is no directory {out.parent}: create it first."
    if out.exists():
        yield f"{out} exists: give another name, or remove it first."


if __name__ == "__main__":
    sys.exit(main())
