"""Run one contender of bench.py, in this process.

    python contend.py NAME WORKBOOK EXPECTED    (in the environment that bench.py makes)

EXPECTED is loaded.Expected as JSON.

Prints, as JSON, its seconds from the moment it has its imports, as a long-running worker has them, to the moment the
rows are committed; import_crm_data's to the moment its run is Completed, report and all. (Prefect then waits up to a
second for the thread of its heartbeat.) And what is in the database then: a contender whose rows are not all there
fails.
"""

import json
import sys
import time
from dataclasses import asdict
from importlib import import_module
from typing import NamedTuple

from loaded import Expected, Rules


class Contender(NamedTuple):
    """One way to bring a workbook into PostgreSQL."""

    function: str  # module and function, which takes the workbook's path
    does: str  # with a row, for the table
    rules: Rules = "own"  # by which its rows are counted


TEXT = "text as it stands, no rules"
OURS = "every rule, rejects kept with reasons, rows of one person merged; exactly once"
CONTENDERS = {
    "floor": Contender("contenders.floor:run", TEXT),
    "import_crm_data": Contender("contenders.ours:run", OURS),
    "import_crm_data on one core": Contender("contenders.ours:on_one_core", "the same, both its processes on one core"),
    "import_crm_data without Prefect": Contender("contenders.ours:without_prefect", "the same as plain functions"),
    "pandas upsert": Contender(
        "contenders.pandas_upsert:run", "looser checks, rejects kept with reasons, one row of each person", "checks"
    ),
    "dlt merge of pydantic rows by ADBC": Contender(
        "contenders.dlt_postgres:merged_rows", "looser checks, rejects dropped, one row of each person", "checks"
    ),
    "dlt merge of Arrow by ADBC": Contender(
        "contenders.dlt_postgres:merged_arrow", "no checks, one row of each person", "key"
    ),
    "pandas.to_sql": Contender("contenders.pandas_to_sql:inserted", TEXT),
    "pandas.to_sql by ADBC": Contender("contenders.pandas_to_sql:copied", TEXT),
    "dlt append of rows": Contender("contenders.dlt_postgres:rows", TEXT),
    "dlt append of rows by ADBC": Contender("contenders.dlt_postgres:rows_by_adbc", TEXT),
    "dlt append of Arrow": Contender("contenders.dlt_postgres:arrow", TEXT),
    "dlt append of Arrow by ADBC": Contender("contenders.dlt_postgres:arrow_by_adbc", TEXT),
    "row-by-row script": Contender(
        "contenders.usual_script:run", "openpyxl, two checks, rejects dropped, a query and a write for each row"
    ),
}

if __name__ == "__main__":
    name, workbook, expectation = sys.argv[1:]
    module, function = CONTENDERS[name].function.split(":")
    run = getattr(import_module(module), function)
    expected = Expected(**json.loads(expectation))
    begun = time.perf_counter()
    loaded = run(workbook)
    seconds = time.perf_counter() - begun - loaded.late
    print("\n" + json.dumps({"seconds": seconds, **asdict(loaded.check(expected))}))
