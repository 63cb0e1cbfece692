"""Rows imported into a real database without Prefect, and what is stored then."""

import csv
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text

from db import contacts, matching, staging
from db.engine import engine, owner_connection, transaction
from db.matching import VERDICTS
from db.tables import CONTACT_FIELDS
from tasks.crm.reading import read
from tasks.crm.worker_protocol import Batch, End, Headings, ReadRequest

Row = Mapping[str, str]
ADA = {"organization": "ACME", "first_name": "Ada", "last_name": "Lovelace"}


def staged(
    rows: Sequence[Row], *, columns: Sequence[str] = (), batch_rows: int = 1000, system: str | None = "crm"
) -> tuple[int, Headings, End]:
    """Read the rows as the import does and stage them; returns the id of the import, the headings and the totals."""
    names = list(columns) or list(dict.fromkeys(name for row in rows for name in row))
    with TemporaryDirectory() as directory:
        path = Path(directory, "rows.csv")
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        columns_given = {"external_id": "external_id"} if "external_id" in names else {}
        request = ReadRequest(str(path), "rows.csv", directory, None, columns_given, batch_rows, 2048, system=system)
        return staged_file(request)


def staged_file(request: ReadRequest) -> tuple[int, Headings, End]:
    """Read a file as the import does and stage its rows; returns the same as `staged`."""
    with transaction() as connection:
        import_id = connection.scalar(
            text("INSERT INTO task_runs (name, idempotency_key) VALUES ('test', gen_random_uuid()) RETURNING id")
        )
        staging.prepare_staging(connection, import_id)
        for event in read(request):
            if isinstance(event, Headings):
                headings = event
            elif isinstance(event, Batch):
                staging.stage(connection, import_id, event.first, event.last, [Path(event.path).read_bytes()])
            else:
                end = event
    return import_id, headings, end


def imported(rows: Sequence[Row], **how: Any) -> dict[str, Any]:
    """Import the rows; returns how many have each verdict, and the details of the report."""
    counts = applied(*staged(rows, **how))
    assert counts["rows"] == len(rows)
    return counts


def imported_file(request: ReadRequest) -> dict[str, Any]:
    """Import a file; returns the same as `imported`."""
    return applied(*staged_file(request))


def applied(import_id: int, headings: Headings, end: End) -> dict[str, Any]:
    """Apply a staged import; returns how many rows have each verdict, and the details of the report."""
    with transaction() as connection:
        if end.reject_name_only_rows:
            staging.reject_name_only_rows(connection, import_id)
        if end.reject_organization_only_rows:
            staging.reject_organization_only_rows(connection, import_id)
        staging.resolve_ambiguous_dates(connection, import_id, end.day_first, headings.date_columns)
        evaluation = matching.evaluate(connection, import_id, headings.fields)
        contacts.merge(connection, import_id)
        contacts.keep_rejects(connection, import_id, limit=10_000)
        connection.execute(text("UPDATE task_runs SET status = 'completed' WHERE id = :id"), {"id": import_id})
        staging.drop_staging(connection, import_id)
    counts = evaluation.counts
    assert counts["rows"] == sum(counts[verdict] for verdict in VERDICTS)
    others = {
        "rejected_later": evaluation.rejected,
        "distinguishing": evaluation.distinguishing,
        "import_id": import_id,
    }
    return {**counts, **evaluation.details, **others}


def verdicts(counts: Mapping[str, Any]) -> dict[str, int]:
    return {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]}


def stored() -> list[dict[str, Any]]:
    """All contacts without ids, hashes and clocks; only what is filled."""
    with engine().connect() as connection:
        rows = connection.execute(
            text(f"SELECT {', '.join(CONTACT_FIELDS)}, extra FROM contacts ORDER BY import_id, source_row")
        ).mappings()
        return [
            {name: str(value) if isinstance(value, dt.date) else value for name, value in row.items() if value}
            for row in rows
        ]


def people() -> list[tuple[tuple[str, str], ...]]:
    return flat(stored())


def flat(everybody: Sequence[Mapping[str, Any]]) -> list[tuple[tuple[str, str], ...]]:
    """Contacts as they can be compared and sorted; the order of `extra` is nothing."""
    return sorted(
        tuple(sorted((k, str(sorted(v.items())) if k == "extra" else str(v)) for k, v in each.items()))
        for each in everybody
    )


def rejects(import_id: int) -> list[contacts.Reject]:
    with engine().connect() as connection:
        return contacts.rejects_of(connection, import_id)


def empty_tables() -> None:
    with owner_connection() as connection:
        connection.execute(text("TRUNCATE contacts, contact_changes, import_rejects"))
        connection.commit()


def partitions() -> set[str]:
    with engine().connect() as connection:
        return set(
            connection.scalars(
                text(
                    "SELECT relname FROM pg_class JOIN pg_inherits ON oid = inhrelid "
                    "WHERE inhparent = 'import_staging'::regclass AND relkind = 'r'"
                )
            )
        )
