"""The floor: calamine straight into COPY, no rules, no index, no memory of what was done."""

import io
import os

import psycopg
from loaded import Loaded
from python_calamine import CalamineWorkbook


def run(workbook: str) -> Loaded:
    rows = CalamineWorkbook.from_path(workbook).get_sheet_by_index(0).iter_rows()
    columns = len(next(rows))
    table = ", ".join(f"c{n} text" for n in range(columns))
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE floor ({table})")
        with cursor.copy("COPY floor FROM STDIN") as copy:
            block = io.StringIO()
            for row in rows:
                line = "\t".join([str(cell) for cell in row])
                block.write((line.replace("\\", "\\\\") if "\\" in line else line) + "\n")
                if block.tell() > 1 << 18:
                    copy.write(block.getvalue())
                    block = io.StringIO()
            copy.write(block.getvalue())
    return Loaded("floor")
