"""dlt, from calamine into its destination postgres: rows and Arrow tables, appended as text or merged by a key.

Appended as it comes, a dict a row or a table a page: dlt then writes INSERTs for rows, CSV for tables. And once set as
its documentation says for speed: rows are given by the page, files between its steps are not packed, and both go by
parquet and ADBC. The merges are all set for speed.

Merged rows are validated by a pydantic model, which `columns=` takes; dlt discards the rows that the model refuses and
keeps no reason. An Arrow table is merged without checks. The strategy is dlt's default, delete-insert, which keeps one
row of each key. The other one, upsert, needs keys that are unique in what is loaded, as its documentation says: on a
workbook that names somebody twice it stops at the second import, "MERGE command cannot affect row a second time". With
repeats removed before it was no faster.
"""

import datetime as dt
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import chain, islice
from typing import Annotated, Any, Self

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.runtime import run_context
from loaded import Loaded
from pydantic import BaseModel, BeforeValidator, StringConstraints, model_validator
from python_calamine import CalamineWorkbook

PAGE = 10_000
ROOM = os.environ["DLT_DATA_DIR"]
MERGE = {"write_disposition": "merge", "primary_key": "identity"}
DISCARD = {"tables": "evolve", "columns": "discard_value", "data_type": "discard_row"}

# dlt imports these when a pipeline first needs them.
for module in (
    "adbc_driver_postgresql.dbapi",
    "dlt.common.libs.pyarrow",
    "dlt.common.libs.pydantic",
    "dlt.destinations.impl.postgres.postgres",
    "dlt.pipeline.platform",
    "dlt.sources.helpers.requests",
    "pyarrow.dataset",
    "sqlalchemy",
):
    import_module(module)

# It makes an id for its telemetry although that is switched off, in the home directory or, as root, in /var.
run_context.global_dir = lambda: ROOM


# ---------------------------------------------------------------------- pipelines


def load(given: Callable[[], Iterator[Any]], hints: dict[str, Any] | None = None, **settings: Any) -> Loaded:
    """Run a pipeline; it remembers the schema of a database that it has loaded into before."""
    url = os.environ["DATABASE_URL"]
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=f"{ROOM}/{url.split('/')[3].split('?')[0]}",
        # dlt insists on a host and a password; of two hosts libpq takes the last, which is the socket
        destination=dlt.destinations.postgres(credentials=url.replace("@/", ":none@localhost/")),
        dataset_name="dlt",
    )
    pipeline.run(dlt.resource(given, name="people", **(hints or {})), **settings)
    return Loaded("dlt.people", aside=None if hints else 0)


def load_by_adbc(given: Callable[[], Iterator[Any]], hints: dict[str, Any] | None = None) -> Loaded:
    os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"
    return load(given, hints, loader_file_format="parquet")


# ---------------------------------------------------------------------- appended


def pages_of(workbook: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The headings, and the cells of PAGE rows as text, again and again."""
    rows = CalamineWorkbook.from_path(workbook).get_sheet_by_index(0).iter_rows()
    headings = [str(cell) for cell in next(rows)]
    while page := [[str(cell) for cell in row] for row in islice(rows, PAGE)]:
        yield headings, page


def dicts_of(workbook: str) -> Iterator[list[dict[str, str]]]:
    return ([dict(zip(head, row, strict=True)) for row in page] for head, page in pages_of(workbook))


def tables_of(workbook: str) -> Iterator[pa.Table]:
    return (pa.table(list(zip(*page, strict=True)), head) for head, page in pages_of(workbook))


def rows(workbook: str) -> Loaded:
    return load(lambda: chain.from_iterable(dicts_of(workbook)))


def rows_by_adbc(workbook: str) -> Loaded:
    return load_by_adbc(lambda: dicts_of(workbook))


def arrow(workbook: str) -> Loaded:
    return load(lambda: tables_of(workbook))


def arrow_by_adbc(workbook: str) -> Loaded:
    return load_by_adbc(lambda: tables_of(workbook))


# ---------------------------------------------------------------------- merged


def _day(text: str | None) -> str | dt.date | None:
    """Days of the form DD/MM/YYYY; pydantic reads the others."""
    if text and "/" in text:
        return dt.datetime.strptime(text, "%d/%m/%Y").date()
    return text


# Checked in pydantic's compiled core, where it can do so.
Line = Annotated[str, StringConstraints(strip_whitespace=True)]
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        pattern=r"^[^\s@<>()\[\],;:]+@(?:[^\s@<>()\[\],;:.]+\.)+[^\s@<>()\[\],;:.\d]{2,}$",
    ),
]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"\d\D*\d\D*\d")]
Day = Annotated[dt.date | None, BeforeValidator(_day)]


class Person(BaseModel):
    """A row that is fit to be loaded."""

    organization: Line | None
    first_name: Line | None
    last_name: Line | None
    title: Line | None
    email: Email | None
    phone: Phone | None
    street: Line | None
    city: Line | None
    country: Line | None
    tags: Line | None
    notes: Line | None
    last_contacted: Day
    identity: str = ""  # e-mail and name, or, without an e-mail, organisation and name; case does not matter

    @model_validator(mode="after")
    def is_somebody(self) -> Self:
        if self.last_name is None and self.first_name is not None:
            raise ValueError("last_name is blank although there is a first name")
        if self.last_name is None and self.email is None and self.organization is None:
            raise ValueError("there is no name, no e-mail and no organisation")
        who = self.email or self.organization or ""
        self.identity = f"{who}\x1f{self.first_name or ''} {self.last_name or ''}".lower()
        return self


FIELDS = [field for field in Person.model_fields if field != "identity"]


def merged_rows(workbook: str) -> Loaded:
    def given() -> Iterator[list[dict[str, str | None]]]:
        for _, page in pages_of(workbook):
            yield [{field: text or None for field, text in zip(FIELDS, row, strict=True)} for row in page]

    return load_by_adbc(given, {**MERGE, "columns": Person, "schema_contract": DISCARD})


def merged_arrow(workbook: str) -> Loaded:
    return load_by_adbc(lambda: (_with_identity(table.rename_columns(FIELDS)) for table in tables_of(workbook)), MERGE)


def _with_identity(table: pa.Table) -> pa.Table:
    email, organization = (pc.utf8_trim_whitespace(table[field]) for field in ("email", "organization"))
    who = pc.if_else(pc.equal(email, ""), organization, email)
    whole = pc.binary_join_element_wise(who, table["first_name"], table["last_name"], "\x1f")
    return table.append_column("identity", pc.utf8_lower(whole))
