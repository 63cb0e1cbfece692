"""dlt, from calamine into its destination postgres: from rows, and from an Arrow table; all as text, no rules.

Both are set as its documentation says for speed: rows are given by the page, files between its steps are not packed
(bench.py sets that), and Arrow and rows alike go by parquet and ADBC, which was faster than by CSV and COPY, and
than by the default, INSERT.
"""

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import islice
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


def load(pages: Callable[[], Iterator[Any]]) -> Landed:
    """Run a pipeline with nothing behind it, as the databases of the bench have nothing in them."""
    url = os.environ["DATABASE_URL"]
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=f"{ROOM}/{url.split('/')[3].split('?')[0]}",
        # dlt insists on a host and a password; of two hosts libpq takes the last, which is the socket
        destination=dlt.destinations.postgres(credentials=url.replace("@/", ":none@localhost/")),
        dataset_name="dlt",
    )
    pipeline.run(dlt.resource(pages, name="people"), loader_file_format="parquet")
    return Landed("dlt.people")


def pages_of(workbook: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The headings, and the cells of PAGE rows as text, again and again."""
    rows = CalamineWorkbook.from_path(workbook).get_sheet_by_index(0).iter_rows()
    headings = [str(cell) for cell in next(rows)]
    while page := [[str(cell) for cell in row] for row in islice(rows, PAGE)]:
        yield headings, page


def rows(workbook: str) -> Landed:
    return load(lambda: ([dict(zip(head, row, strict=True)) for row in page] for head, page in pages_of(workbook)))


def arrow(workbook: str) -> Landed:
    return load(lambda: (pa.table(list(zip(*page, strict=True)), head) for head, page in pages_of(workbook)))
