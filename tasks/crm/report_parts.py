"""The parts of the page of a report: functions that return a heading, a table and a note, or None.

To add a part, write such a function and add it to PARTS, in the order of the page. `markdown_table` formats and escapes
the values of tables. Notes are Markdown: use `escape` for texts of cells.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import NamedTuple

import pandas as pd

from tasks.counts import counted
from tasks.crm.import_report import ImportReport
from tasks.markdown import escape, markdown_table

_SHOWN = 20  # rows of a long table


class Part(NamedTuple):
    """One section of the page. Empty fields are left out."""

    heading: str = ""
    table: pd.DataFrame | None = None
    note: str = ""  # Markdown, under the table

    def __str__(self) -> str:
        table = "" if self.table is None else markdown_table(self.table)
        return "\n\n".join(filter(None, [self.heading and f"## {self.heading}", table, self.note]))


def parts(report: ImportReport) -> list[str]:
    """The parts that this report has, each as Markdown."""
    return [str(part) for each in PARTS if (part := each(report))]


def verdicts(report: ImportReport) -> Part:
    """How many rows have each verdict."""
    counts = report.model_dump(include={"rows", "inserted", "updated", "unchanged", "duplicate", "rejected"})
    return Part(table=pd.DataFrame([counts]).rename(columns={"rows": "rows read"}))


def rejected_rows(report: ImportReport) -> Part | None:
    """The reasons of rejects, and the command that writes them to a workbook."""
    if not report.rejected:
        return None
    reasons = pd.DataFrame(report.reject_reasons, columns=["column", "reason", "cells"])
    not_kept = f"Not kept: the last {counted(report.not_kept, 'row')} of them (IMPORT_REJECTS).\n\n"
    return Part(
        "Rejected rows",
        reasons.assign(column=reasons["column"].fillna("").replace("", "(row)")),
        f"{not_kept if report.not_kept else ''}"
        "This command writes them to a workbook with their reasons. Correct the cells and import it:\n\n"
        f"```\npython -m tasks.crm.rejects {report.import_id} rejects.xlsx\n```",
    )


def columns(report: ImportReport) -> Part:
    """The mapping of each column, and how many rows fill it."""
    notes = []
    if others := [heading for heading in report.extra if heading not in report.unused_ids]:
        notes.append(
            "Columns without a field are kept in `extra`. "
            'To map one to a field, use the parameter `columns`, for example `{"' + escape(others[0]) + '": "notes"}`.'
        )
    if report.unused_ids:
        ids = ", ".join(f'"{escape(heading)}"' for heading in report.unused_ids)
        notes.append(
            f"{ids} is called an id but identifies no contact, because its system is not known. If it is the id of the "
            'person in another system, give the parameter `system`, and map the column with `columns`, for example `{"'
            + escape(report.unused_ids[0])
            + '": "external_id"}`.'
        )
    return Part("Columns", fill_rates(report), "\n\n".join(notes))


def fill_rates(report: ImportReport) -> pd.DataFrame:
    """Columns heading, field and filled (per cent of the accepted rows), also for names split from full names."""
    mapped = [(heading, field) for field, heading in report.fields.items()]
    if "full_name" in report.fields:
        derived = [field for field in ("first_name", "last_name") if field in report.filled]
        mapped += [(f"(from {report.fields['full_name']})", field) for field in derived]
    # Full names are not counted: each gives a last name.
    counts = {**report.filled, "full_name": report.filled.get("last_name", 0)}
    rates = pd.DataFrame(mapped, columns=["heading", "field"])
    rates["filled"] = rates["field"].map(counts)
    extra = pd.DataFrame({"heading": report.extra, "field": "extra"}, dtype=object)
    extra["filled"] = extra["heading"].map(report.filled_extra)
    rates = pd.concat([rates, extra])
    rates["filled"] = 100 * rates["filled"].fillna(0).astype(float) / max(report.accepted, 1)
    return rates


def reading(report: ImportReport) -> Part | None:
    """What was assumed about the file, and what of it was not read."""
    notes = [*report.assumptions]
    if report.system and "external_id" in report.fields:
        notes.append(f"the ids are those of {report.system}")
    if report.above:
        notes.append(f"{counted(report.above, 'row')} above the headings left out")
    if report.hidden_rows:
        notes.append(f"{counted(report.hidden_rows, 'hidden row')} read like the others")
    if report.hidden_columns:
        notes.append(f"{counted(report.hidden_columns, 'hidden column')} read like the others")
    if not notes and not report.not_read:
        return None
    table = None
    if report.not_read:
        sheets = pd.DataFrame(map(asdict, report.not_read))
        alike = sheets["same_headings"].map({True: "the same", False: "others"})
        table = pd.DataFrame({"sheet not read": sheets["sheet"], "rows at most": sheets["rows"], "headings": alike})
    return Part("How the file was read", table, "\n".join(f"- {escape(each)}" for each in notes))


def repeated_rows(report: ImportReport) -> Part | None:
    """Rows that describe the person of another row, and the fields in which they differ."""
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
    """Sheet and row. A long name is cut before the row is added: a text file is a sheet with the name of the file."""
    return sheets.str.slice(stop=150) + " " + rows.astype(str)


def weak_updates(report: ImportReport) -> Part | None:
    """Stored contacts that were changed by a row with a weak identity."""
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
    note += "These rows have no id, and no e-mail address with a name, that proves who they are. "
    note += "The replaced values are kept in `contact_changes`."
    return Part("Contacts updated by a name or an e-mail alone", table, note)


def shared_emails(report: ImportReport) -> Part | None:
    """E-mail addresses that several people share."""
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
