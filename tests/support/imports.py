"""The flow import_crm_data in the test's own process, and what it leaves in the database and on its page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.objects import State
from sqlalchemy import text

from db import matching
from db.engine import engine
from db.tables import CONTACT_FIELDS
from flows.import_crm_data import import_crm_data

HEADINGS = ["Company", "First Name", "Last Name", "Email", "Phone", "Zip"]
ADA = ["ACME", "Ada", "Lovelace", "ada@x.org", "111", "1"]
BOB = ["ACME", "Bob", "Bell", "bob@x.org", "222", "2"]
CYD = ["Born", "Cyd", "Cole", "", "333", "3"]


def workbook(path: Path, *rows: Sequence[Any], headings: Sequence[str] = HEADINGS) -> str:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Contacts")
        for number, row in enumerate([headings, *rows]):
            for column, cell in enumerate(row):
                sheet.write(number, column, cell)
    return str(path)


def run(workbook: str | None, **how: Any) -> State[Any]:
    state: State[Any] = import_crm_data(workbook, return_state=True, **how)
    assert state.message
    return state


def done(workbook: str | None, **how: Any) -> dict[str, Any]:
    """The report of an import that succeeds."""
    state = run(workbook, **how)
    assert state.is_completed(), state.message
    [report] = state.result()
    assert report["rows"] == sum(report[verdict] for verdict in matching.VERDICTS)
    return dict(report)


def query(statement: str) -> list[tuple[Any, ...]]:
    with engine().connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def people() -> list[tuple[Any, ...]]:
    return sorted(query(f"SELECT {', '.join(CONTACT_FIELDS)}, extra::text FROM contacts"), key=str)


def partitions() -> list[str]:
    return [name for (name,) in query("SELECT relname FROM pg_class WHERE relname ~ '^import_staging_[0-9]+$'")]


def page(state: State[Any]) -> str:
    """The report on the run's page."""
    with get_client(sync_client=True) as client:
        [artifact] = client.read_artifacts(
            artifact_filter=ArtifactFilter(
                key=ArtifactFilterKey(any_=["import-report"]),
                flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]),
            )
        )
    return str(artifact.data)


def steps_taken(caplog: pytest.LogCaptureFixture) -> set[str]:
    return {record.task_run_name for record in caplog.records if hasattr(record, "task_run_name")}


def refused(state: State[Any], *, rejects: int = 0) -> str:
    """The one plain sentence of an import that failed and left nothing behind."""
    sentence = state.message or ""
    assert state.is_failed()
    assert "\n" not in sentence
    assert "Error" not in sentence
    assert "encountered an exception" not in sentence
    assert query("SELECT count(*) FROM contacts") == [(0,)]
    assert query("SELECT count(*) FROM import_rejects") == [(rejects,)]
    assert partitions() == []
    assert all(status == "failed" and why for status, why in query("SELECT status, last_error FROM task_runs"))
    return sentence
