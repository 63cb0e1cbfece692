"""import_crm_data: a CRM workbook into PostgreSQL, whole or not at all, once.

python -m flows.import_crm_data WORKBOOK [--sheet S] [--heading-row N] [--column HEADING=FIELD] [--encoding E]
    [--system S] [--key K] [--preview]
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from prefect import State, flow
from prefect.states import Completed, Failed

from db.errors import JobError
from flows.admission import admission
from flows.foreground import bar, run_in_foreground
from tasks.crm import steps
from tasks.crm.progress import asked_by, listener
from tasks.step import run


@flow(name="import_crm_data", flow_run_name=steps.run_name, log_prints=False)
@admission(subject=steps.subject)
def import_crm_data(
    workbook: str | None = None,
    sheet: str | None = None,
    columns: dict[str, str] | None = None,
    idempotency_key: str | None = None,
    preview: bool = False,
    heading_row: int | None = None,
    encoding: str | None = None,
    system: str | None = None,
) -> State[Any]:
    """Import a workbook of contacts into PostgreSQL.

    Args:
        workbook: path, glob (each file is imported for itself), http(s):// or s3:// address; empty: CRM_WORKBOOK.
        sheet: its name; "*": all visible ones, with the same headings; empty: the one whose headings say most.
        columns: heading -> field, where a heading is not understood or not as meant; "extra" keeps it out of any field,
            "ignore" leaves it out entirely.
        idempotency_key: done once ever for this key, instead of once for each version of the workbook.
        preview: read and judge, show the report, write nothing.
        heading_row: the row of the headings, as Excel shows it; empty: it is looked for.
        encoding: of a text file, such as "cp1250"; empty: it is detected.
        system: that the file was exported from ("salesforce", "hubspot", …), in which its ids are unique; empty: the
            headings tell.
    """
    try:
        addresses = steps.find_workbooks(workbook, idempotency_key)
    except JobError as refusal:
        steps.tell_failure(workbook, str(refusal), in_work=False)
        return Failed(message=str(refusal))
    how = steps.HowToRead(sheet or None, columns or {}, heading_row, encoding or None, system or None)
    outcomes = [_import(address, how, idempotency_key, preview) for address in addresses]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if faults := [outcome for outcome in refused if not isinstance(outcome, JobError)]:
        raise faults[0]  # now that every file had its turn
    steps.tell_run(workbook, addresses)
    told = " · ".join(str(outcome) for outcome in outcomes)
    return Failed(message=told) if refused else Completed(message=told, data=[outcome.report for outcome in outcomes])


def _import(address: str, how: steps.HowToRead, key: str | None, preview: bool) -> Any:
    in_work = False
    try:
        with steps.reading_process() as process:
            copy = run(steps.fetch_workbook, address, process.directory)
            in_work = True
            with steps.once(copy, how, key, preview) as once:
                if once.done:
                    return steps.already_done(copy, once)
                staged = steps.gather(copy, once.claim, how, process)
                once.result = run(steps.judge_and_apply, staged, once.claim, preview)
            return steps.tell(once.result)
    except JobError as refusal:
        steps.tell_failure(address, str(refusal), in_work=in_work)
        return refusal
    except Exception as error:  # noqa: BLE001 - a fault of ours: it is told, and raised with its traceback
        steps.tell_failure(address, f"{type(error).__name__}: {error}", in_work=in_work)
        return error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m flows.import_crm_data", description="Import a CRM workbook, once.")
    parser.add_argument("workbook", nargs="?", help="path, glob, http(s):// or s3:// address (CRM_WORKBOOK)")
    parser.add_argument("--sheet", help="its name, if not the one whose headings say most; '*' is all of them")
    parser.add_argument("--key", help="import once ever for this key, instead of each version once")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="HEADING=FIELD",
        help='say what a column is; "extra" keeps it out of every field, "ignore" leaves it out entirely',
    )
    parser.add_argument("--heading-row", type=int, metavar="N", help="the row of the headings, if they are not found")
    parser.add_argument("--encoding", help="of a text file (cp1250, shift_jis, …), if it is not detected")
    parser.add_argument("--system", help="that the file was exported from (salesforce, hubspot, …), for its ids")
    parser.add_argument("--preview", action="store_true", help="show what would happen, write nothing")
    given = parser.parse_args(arguments)
    if wrong := [pair for pair in given.column if "=" not in pair]:
        parser.error(f"--column {wrong[0]}: write HEADING=FIELD")
    parameters = {
        "workbook": given.workbook,
        "sheet": given.sheet,
        "columns": dict(pair.rsplit("=", 1) for pair in given.column) or None,
        "idempotency_key": given.key,
        "preview": given.preview,
        "heading_row": given.heading_row,
        "encoding": given.encoding,
        "system": given.system,
    }
    asked_by.set("command line")
    return run_in_foreground(
        import_crm_data,
        parameters,
        listening=lambda: bar(listener, lambda progress: progress.workbook),
        show=steps.shown_reports if given.preview else lambda _result: None,
    )


if __name__ == "__main__":
    sys.exit(main())
