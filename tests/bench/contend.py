"""Run one contender of bench.py, in this process.

    python contend.py NAME WORKBOOK ROWS    (in the environment that bench.py makes)

Prints its seconds from the moment it has its imports, as a long-running worker has them, to the moment the rows are
committed; import_crm_data's to the moment its run is Completed, report and all. (Prefect then waits up to a second for
the thread of its heartbeat.) A contender whose rows are not all in the database fails.
"""

import sys
import time
from importlib import import_module

CONTENDERS = {  # name -> module and function, which takes the workbook's path
    "floor": "contenders.floor:run",
    "import_crm_data": "contenders.ours:run",
    "import_crm_data on one core": "contenders.ours:on_one_core",
    "import_crm_data without Prefect": "contenders.ours:without_prefect",
    "usual script": "contenders.usual_script:run",
    "pandas.to_sql": "contenders.pandas_to_sql:inserted",
    "pandas.to_sql by ADBC": "contenders.pandas_to_sql:copied",
    "dlt rows": "contenders.dlt_postgres:rows",
    "dlt rows by ADBC": "contenders.dlt_postgres:rows_by_adbc",
    "dlt Arrow": "contenders.dlt_postgres:arrow",
    "dlt Arrow by ADBC": "contenders.dlt_postgres:arrow_by_adbc",
}

if __name__ == "__main__":
    name, workbook, rows = sys.argv[1:]
    module, function = CONTENDERS[name].split(":")
    run = getattr(import_module(module), function)
    begun = time.perf_counter()
    landed = run(workbook)
    seconds = time.perf_counter() - begun - landed.late
    landed.check(int(rows))
    print("seconds", seconds)
