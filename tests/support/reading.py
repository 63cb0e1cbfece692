"""A workbook as the reading process reads it, and small workbooks to read."""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import xlsxwriter
from support.staged import rows_in

from tasks.crm import worker
from tasks.crm.worker_protocol import ReadRequest

COMMAND = [sys.executable, "-m", "tasks.crm.worker"]
ADA = ["ACME", "Ada", "Lovelace", "ada@x.org"]
HEADINGS = ["Company", "First Name", "Last Name", "Email"]


@dataclass
class ReadResult:
    """What the reading process answered."""

    headings: dict[str, Any] = field(default_factory=dict)
    batches: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    filled: list[dict[str, int]] = field(default_factory=list)  # of fields, of extra
    assumptions: list[str] = field(default_factory=list)
    sections: bool = False
    organizations_are_sections: bool = False
    hidden: list[int] = field(default_factory=list)  # rows, columns
    refused: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def problems(self) -> list[list[list[str]]]:
        return [row["problems"] for row in self.rows]

    def row(self, number: int = 0) -> dict[str, Any]:
        return {name: value for name, value in self.rows[number].items() if value is not None}


def request(path: Path, **parameters: Any) -> ReadRequest:
    """What the parent asks for: the usual request with these parameters."""
    into = path.parent / "into"
    into.mkdir(exist_ok=True)
    usual: dict[str, Any] = {"sheet": None, "columns": {}, "batch_rows": 1000, "memory_mb": 2048}
    return ReadRequest(path=str(path), name=path.name, into=str(into), **{**usual, **parameters})


def read(path: Path, **parameters: Any) -> ReadResult:
    """Read a workbook as the reading process does, in the process of the test: no limit of memory."""
    return result_of(answers_of(request(path, **parameters)))


def answers_of(asked: ReadRequest) -> str:
    """What the reading process prints for a request, printed in the process of the test."""
    answers = StringIO()
    with redirect_stdout(answers):
        worker.answer(asked)
    return answers.getvalue()


def read_in_child(path: Path, **parameters: Any) -> ReadResult:
    """Read a workbook in a real reading process, which must print nothing on its standard error."""
    asked = json.dumps(asdict(request(path, **parameters)))
    child = subprocess.run(COMMAND, input=asked, capture_output=True, text=True, timeout=60, check=False)
    assert not child.stderr, child.stderr
    return result_of(child.stdout)


def result_of(answers: str) -> ReadResult:
    """The answers of the reading process, one JSON object a line."""
    result = ReadResult()
    for text in answers.splitlines():
        for kind, content in json.loads(text).items():
            if kind == "batch":
                result.batches.append(content)
                result.rows += rows_in(content["path"])
            elif kind == "end":
                result.filled = [content.pop(name) for name in ("filled", "filled_extra")]
                result.assumptions = content.pop("assumptions")
                result.sections = content.pop("reject_name_only_rows")
                result.organizations_are_sections = content.pop("reject_organization_only_rows")
                result.hidden = [content.pop(name) for name in ("hidden_rows", "hidden_columns")]
                result.end = content
            else:
                setattr(result, kind, content)
    return result


def workbook(path: Path, rows: Sequence[Sequence[Any]], sheet: str = "Contacts") -> Path:
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"}) as book:
        table = book.add_worksheet(sheet)
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                table.write(number, column, cell)
    return path


def csv(path: Path, text: str) -> Path:
    path.write_text(text, newline="")
    return path


def sheets(path: Path, tables: dict[str, list[list[Any]]], hidden: str = "") -> Path:
    with xlsxwriter.Workbook(path) as book:
        for name, rows in tables.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
            if name == hidden:
                sheet.hide()
    return path
