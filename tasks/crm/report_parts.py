"""The parts of an import's report: each is a function that returns a heading, a table and a note, or None.

To add a part: write such a function and name it in PARTS, which is the order on the page. Tables hold values as they
are; `markdown_table` formats and escapes them. Notes are Markdown: what comes from a cell passes `safe` there.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import NamedTuple

import pandas as pd

from tasks.crm.import_report import ImportReport, counted, safe
from tasks.markdown import markdown_table

_SHOWN = 20  # rows of a long table


class Part(NamedTuple):
    """One section of the report; empty ones of its three are left out."""

    heading: str = ""
    table: pd.DataFrame | None = None
    note: str = ""  # Markdown, under the table

    def __str__(self) -> str:
        table = "" if self.table is None else markdown_table(self.table, safe)
        return "\n\n".join(filter(None, [self.heading and f"## {self.heading}", table, self.note]))


def parts(report: ImportReport) -> list[str]:
    """The parts that this import has, each as Markdown."""
    return [str(part) for each in PARTS if (part := each(report))]


def verdicts(report: ImportReport) -> Part:
    """The books: every row read has one verdict."""
    books = report.model_dump(include={"rows", "inserted", "updated", "unchanged", "duplicate", "rejected"})
    return Part(table=pd.DataFrame([books]).rename(columns={"rows": "rows read"}))


def rejected_rows(report: ImportReport) -> Part | None:
    """Why rows were rejected, and the command that writes them into a workbook."""
    if not report.rejected:
        return None
    reasons = pd.DataFrame(report.reject_reasons, columns=["column", "reason", "cells"])
    return Part(
        "Rejected rows",
        reasons.assign(column=reasons["column"].fillna("").replace("", "(row)")),
        "This writes them into a workbook, with reasons, to be corrected and imported again:\n\n"
        f"```\npython -m tasks.crm.rejects {report.import_id} rejects.xlsx\n```",
    )


def columns(report: ImportReport) -> Part:
    """What became of each column, with its fill rate."""
    told = []
    if others := [heading for heading in report.extra if heading not in report.unused_ids]:
        told.append(
            "Headings without a field of their own are kept in `extra`. "
            'To give one a field: parameter `columns`, for example `{"' + safe(others[0]) + '": "notes"}`.'
        )
    if report.unused_ids:
        ids = ", ".join(f'"{safe(heading)}"' for heading in report.unused_ids)
        told.append(
            f"{ids} is called an id and tells nobody apart. If it is the id of the person in another system, name that "
            'system with the parameter `system` and the column with `columns`, for example `{"'
            + safe(report.unused_ids[0])
            + '": "external_id"}`.'
        )
    return Part("Columns", fill_rates(report), "\n\n".join(told))


def fill_rates(report: ImportReport) -> pd.DataFrame:
    """heading, field and filled (per cent of the accepted rows) of every column, and of names made from a full name."""
    mapped = [(heading, field) for field, heading in report.fields.items()]
    if "full_name" in report.fields:
        derived = [field for field in ("first_name", "last_name") if field in report.filled]
        mapped += [(f"(from {report.fields['full_name']})", field) for field in derived]
    # A full name is not counted: whoever has one has a last name.
    counts = {**report.filled, "full_name": report.filled.get("last_name", 0)}
    rates = pd.DataFrame(mapped, columns=["heading", "field"])
    rates["filled"] = rates["field"].map(counts)
    extra = pd.DataFrame({"heading": report.extra, "field": "extra"}, dtype=object)
    extra["filled"] = extra["heading"].map(report.filled_extra)
    rates = pd.concat([rates, extra])
    rates["filled"] = 100 * rates["filled"].fillna(0).astype(float) / max(report.accepted, 1)
    return rates


def reading(report: ImportReport) -> Part | None:
    """What was assumed of the file, and what of it was not read or stands above the headings."""
    told = [*report.assumptions]
    if report.system and "external_id" in report.fields:
        told.append(f"the ids are those of {report.system}")
    if report.above:
        told.append(f"{counted(report.above, 'row')} above the headings left out")
    if report.hidden_rows:
        told.append(f"{counted(report.hidden_rows, 'hidden row')} read like the others")
    if report.hidden_columns:
        told.append(f"{counted(report.hidden_columns, 'hidden column')} read like the others")
    if not told and not report.not_read:
        return None
    table = None
    if report.not_read:
        sheets = pd.DataFrame(map(asdict, report.not_read))
        alike = sheets["same_headings"].map({True: "the same", False: "others"})
        table = pd.DataFrame({"sheet not read": sheets["sheet"], "rows at most": sheets["rows"], "headings": alike})
    return Part("How the file was read", table, "\n".join(f"- {safe(each)}" for each in told))


def repeated_rows(report: ImportReport) -> Part | None:
    """Rows that were taken for a person of another row, and what they say differently."""
    if not report.duplicates:
        return None
    shown = pd.DataFrame(report.duplicates[:_SHOWN])
    table = pd.DataFrame(
        {
            "row": _place(shown["sheet"], shown["row"]),
            "is the person of row": _place(shown["of_sheet"], shown["of_row"]),
            "differing in": shown["differs"].str.join(", ").replace("", "nothing"),
        }
    )
    more = report.duplicate - len(table)
    return Part("Rows that repeat a person", table, f"… and {more:,} more." if more > 0 else "")


def _place(sheets: pd.Series, rows: pd.Series) -> pd.Series:
    """Sheet and row; a sheet of a text file is named after the file, and the row must not be cut off."""
    return sheets.str.slice(stop=150) + " " + rows.astype(str)


def weak_updates(report: ImportReport) -> Part | None:
    """Stored contacts that were changed although only a weak identity ties the row to them."""
    if not report.weak_updates:
        return None
    shown = pd.DataFrame(report.weak_updates[:_SHOWN])
    table = pd.DataFrame(
        {
            "row": _place(shown["sheet"], shown["row"]),
            "known by": shown["basis"],
            "replaced": shown["fields"].str.join(", ").replace("", "nothing"),
        }
    )
    more = len(report.weak_updates) - len(table)
    note = f"… and {more:,} more. " if more > 0 else ""
    note += "Neither an id nor an e-mail with a name proves that they are the same. "
    note += "What was replaced is kept in `contact_changes`."
    return Part("Contacts updated by a name or an e-mail alone", table, note)


def shared_emails(report: ImportReport) -> Part | None:
    """E-mail addresses that several people have."""
    if not report.shared_emails:
        return None
    table = pd.DataFrame(report.shared_emails[:_SHOWN], columns=["e-mail", "people"])
    return Part("E-mail addresses of several people", table, "All of them are kept.")


PARTS: tuple[Callable[[ImportReport], Part | None], ...] = (
    verdicts,
    rejected_rows,
    reading,
    columns,
    repeated_rows,
    weak_updates,
    shared_emails,
)
