"""import_crm_data: imports a CRM workbook into PostgreSQL, once, and all of it or nothing.

python -m flows.import_crm_data WORKBOOK [--sheet S] [--heading-row N] [--column HEADING=FIELD] [--encoding E]
    [--system S] [--key K] [--preview]
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from prefect import State, flow
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from db.display import is_address, redacted, redacted_in
from db.errors import JobError
from flows.admission import admission
from flows.foreground import bar, run_in_foreground
from tasks.crm import reporting, steps
from tasks.crm.progress import interface, listener
from tasks.crm.settings import import_settings
from tasks.crm.worker_client import reading_process
from tasks.crm.worker_protocol import ReadOptions
from tasks.json_log import describe_run, describing_run
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
        workbook: path, glob (each file is imported separately), http(s):// or s3:// address; empty: CRM_WORKBOOK.
        sheet: name of the sheet; "*": all visible sheets, which need the same headings; empty: the sheet that is most
            clearly a list of contacts.
        columns: heading -> field, for headings that are unknown or mean something else; the field "extra" keeps the
            column out of all fields, "ignore" leaves it out of the import.
        idempotency_key: import at most once for this key, instead of once for each version of the workbook.
        preview: show what an import would do, and change no contact.
        heading_row: row of the headings, as Excel shows it; empty: it is detected.
        encoding: of a text file, such as "cp1250"; empty: it is detected.
        system: The system that exported the file ("salesforce", "hubspot", …). Its ids are unique in it. Empty:
            detected from the headings.
    """
    try:
        addresses = steps.find_workbooks(workbook, idempotency_key)
    except JobError as error:
        reporting.report_failure(workbook, str(error), unit_started=False)
        return Failed(message=str(error))
    options = ReadOptions(sheet or None, columns or {}, heading_row, encoding or None, system or None)
    outcomes = [_import(address, options, idempotency_key, preview) for address in addresses]
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if unexpected := [error for error in errors if not isinstance(error, JobError)]:
        raise unexpected[0]  # only now: every file is tried
    reporting.report_pattern_done(workbook, addresses)
    message = " · ".join(str(outcome) for outcome in outcomes)
    if errors:
        return Failed(message=message)
    return Completed(message=message, data=[outcome.report for outcome in outcomes])


def _import(address: str, options: ReadOptions, key: str | None, preview: bool) -> Any:
    """The outcome of one workbook, or the error that ended its import."""
    with describing_run(flow_run.id, subject=redacted(address)):
        return _imported(address, options, key, preview)


def _imported(address: str, options: ReadOptions, key: str | None, preview: bool) -> Any:
    unit_started = False
    try:
        with reading_process() as process:
            copy = run(steps.fetch_workbook, address, process.directory)
            unit_started = True
            with steps.unit_of_work(copy, options, key, preview) as unit:
                describe_run(flow_run.id, import_id=unit.id)
                if unit.done:
                    return reporting.report_earlier_import(copy, unit)
                staged = steps.stage_workbook(copy, unit.claim, options, process)
                unit.result = run(steps.evaluate_and_commit, staged, unit.claim, preview)
            return reporting.report_import(unit.result)
    except JobError as error:
        reporting.report_failure(address, str(error), unit_started=unit_started)
        return error
    except Exception as error:  # noqa: BLE001 - unexpected: it is reported, and raised after the other files
        reporting.report_failure(address, f"{type(error).__name__}: {redacted_in(error)}", unit_started=unit_started)
        return error


def _without_secrets(workbook: str | None) -> str | None:
    """The parameter; an address with a secret goes into CRM_WORKBOOK instead, because Prefect shows parameters."""
    if workbook is None or not is_address(workbook) or redacted(workbook) == workbook:
        return workbook
    os.environ["CRM_WORKBOOK"] = workbook
    os.environ.pop("CRM_WORKBOOK_FILE", None)
    import_settings.cache_clear()
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m flows.import_crm_data", description="Import a CRM workbook, once.")
    parser.add_argument("workbook", nargs="?", help="path, glob, http(s):// or s3:// address (CRM_WORKBOOK)")
    parser.add_argument("--sheet", help="name of the sheet, if not the detected one; '*': all visible sheets")
    parser.add_argument("--key", help="import at most once for this key, instead of once for each version")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="HEADING=FIELD",
        help='map a heading to a field; "extra" keeps the column out of all fields, "ignore" leaves it out entirely',
    )
    parser.add_argument("--heading-row", type=int, metavar="N", help="row of the headings, if they are not detected")
    parser.add_argument("--encoding", help="encoding of a text file (cp1250, shift_jis, …), if it is not detected")
    parser.add_argument("--system", help="system that exported the file (salesforce, hubspot, …), for its ids")
    parser.add_argument("--preview", action="store_true", help="show what an import would do, and change no contact")
    given = parser.parse_args(arguments)
    if wrong := [pair for pair in given.column if "=" not in pair]:
        parser.error(f"--column {wrong[0]}: write it as HEADING=FIELD")
    parameters = {
        "workbook": _without_secrets(given.workbook),
        "sheet": given.sheet,
        "columns": dict(pair.rsplit("=", 1) for pair in given.column) or None,
        "idempotency_key": given.key,
        "preview": given.preview,
        "heading_row": given.heading_row,
        "encoding": given.encoding,
        "system": given.system,
    }
    interface.set("command line")
    return run_in_foreground(
        import_crm_data,
        parameters,
        listening=lambda: bar(listener, lambda progress: progress.workbook),
        show=reporting.reports_as_text if given.preview else lambda _result: None,
    )


if __name__ == "__main__":
    sys.exit(main())
