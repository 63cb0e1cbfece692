"""What a contender says that it did, held against the database: the time of one that lost rows means nothing."""

import os
from dataclasses import dataclass
from typing import Literal

import psycopg

# By which a contender's rows are counted: it says itself what it put aside, or as in expecting.py.
Rules = Literal["own", "key", "checks"]


@dataclass(frozen=True)
class Expected:
    """What has to be in the database when a contender is done."""

    rows: int  # of the workbook, without the headings
    people: int | None = None  # rows of the table; None: it is known from what the contender puts aside
    changed: tuple[int, int] | None = None  # at least and at most that many rows of the table have a changed note


@dataclass(frozen=True)
class Found:
    """What is in the database."""

    people: int  # rows of the table
    changed: int | None = None  # of them with a changed note; None: nobody asked


@dataclass(frozen=True)
class Loaded:
    """Where the rows of a workbook are to be, once their contender is done."""

    table: str  # as SQL names it
    # Rows that it refused, or that speak of somebody who is in the table already; None: it does not count them.
    aside: int | None = 0
    late: float = 0.0  # seconds from its end until it could say so: not of its time

    def check(self, expected: Expected) -> Found:
        """Look for the rows in the database of DATABASE_URL.

        Raises:
            SystemExit: there are more or fewer in the table than there have to be, or its notes are not the changed
                ones.
        """
        changed = None
        with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
            [people] = connection.execute(f"SELECT count(*) FROM {self.table}").fetchone() or [0]
            if expected.changed:
                query = f"SELECT count(*) FROM {self.table} WHERE notes LIKE 'changed note %'"
                [changed] = connection.execute(query).fetchone() or [0]
        if self.aside is None and expected.people is None:
            raise SystemExit(f"nobody knows how many rows the table {self.table} has to have")
        # Of a changed workbook a row may be refused whose person is in the table already.
        missing = self.aside is not None and people < expected.rows - self.aside
        if missing or (self.aside is not None and not expected.changed and people > expected.rows - self.aside):
            raise SystemExit(
                f"{people:,} rows are in the table {self.table} and {self.aside:,} were put aside, of "
                f"{expected.rows:,} in the workbook: the time is worth nothing"
            )
        if expected.people not in (None, people):
            raise SystemExit(
                f"{people:,} rows are in the table {self.table}, but by its rules the workbook has "
                f"{expected.people:,} people: the time is worth nothing"
            )
        if expected.changed and changed is not None and not expected.changed[0] <= changed <= expected.changed[1]:
            raise SystemExit(
                f"{changed:,} rows of the table {self.table} have a changed note, not {expected.changed[0]:,} to "
                f"{expected.changed[1]:,}: the time is worth nothing"
            )
        return Found(people, changed)
