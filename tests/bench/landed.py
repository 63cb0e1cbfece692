"""What a contender says that it did, held against the database: the time of one that lost rows means nothing."""

import os
from dataclasses import dataclass

import psycopg


@dataclass(frozen=True)
class Landed:
    """Where the rows of a workbook are to be, once their contender is done."""

    table: str  # as SQL names it
    aside: int = 0  # rows that it refused, or that speak of somebody who is in the table already
    late: float = 0.0  # seconds from its end until it could say so: not of its time

    def check(self, rows: int) -> None:
        """Look for the rows in the database of DATABASE_URL.

        Args:
            rows: of the workbook, without the headings.

        Raises:
            SystemExit: there are more or fewer in the table than there have to be.
        """
        with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
            [found] = connection.execute(f"SELECT count(*) FROM {self.table}").fetchone() or [0]
        if found != rows - self.aside:
            raise SystemExit(
                f"{found:,} rows are in the table {self.table} and {self.aside:,} were put aside, of {rows:,} in the "
                "workbook: the time is worth nothing"
            )
