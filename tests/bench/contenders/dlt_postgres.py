"""dlt, from calamine into its destination postgres: from rows, and from an Arrow table; all as text, no rules.

Once as it comes, a dict a row or a table a page: it then writes INSERTs for rows, CSV for tables. And once set as its
documentation says for speed: rows are given by the page, files between its steps are not packed, and both go by parquet
and ADBC.
"""

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import chain, islice
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.runtime import run_context
from landed import Landed
from python_calamine import CalamineWorkbook

PAGE = 10_000
ROOM = os.environ["DLT_DATA_DIR"]

# dlt imports these when a pipeline first needs them.
for module in (
    "adbc_driver_postgresql.dbapi",
    "dlt.common.libs.pyarrow",
    "dlt.destinations.impl.postgres.postgres",
    "dlt.pipeline.platform",
    "dlt.sources.helpers.requests",
    "pyarrow.dataset",
    "sqlalchemy",
):
    import_module(module)

# It makes an id for its telemetry although that is switched off, in the home directory or, as root, in /var.
run_context.global_dir = lambda: ROOM


def load(given: Callable[[], Iterator[Any]], **settings: Any) -> Landed:
    """Run a pipeline with nothing behind it, as the databases of the bench have nothing in them."""
    url = os.environ["DATABASE_URL"]
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=f"{ROOM}/{url.split('/')[3].split('?')[0]}",
        # dlt insists on a host and a password; of two hosts libpq takes the last, which is the socket
        destination=dlt.destinations.postgres(credentials=url.replace("@/", ":none@localhost/")),
        dataset_name="dlt",
    )
    pipeline.run(dlt.resource(given, name="people"), **settings)
    return Landed("dlt.people")


def load_by_adbc(given: Callable[[], Iterator[Any]]) -> Landed:
    os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"
    return load(given, loader_file_format="parquet")


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


def rows(workbook: str) -> Landed:
    return load(lambda: chain.from_iterable(dicts_of(workbook)))


def rows_by_adbc(workbook: str) -> Landed:
    return load_by_adbc(lambda: dicts_of(workbook))


def arrow(workbook: str) -> Landed:
    return load(lambda: tables_of(workbook))


def arrow_by_adbc(workbook: str) -> Landed:
    return load_by_adbc(lambda: tables_of(workbook))
