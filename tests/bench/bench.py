"""`make bench`: how fast an import is, beside the floor and its peers, as ratios of one run on one machine.

Prints four tables, ready for docs/benchmarks.md, and draws the last one:

    peers    all contenders on one workbook, the first time; and import_crm_data on a small one
    changed  the contenders that bring a workbook in again, on one of which 1 % is changed; what import_crm_data writes
    formats  import_crm_data on a workbook of each format: the first time, and the same workbook again
    sizes    most contenders on workbooks of several sizes; time and memory against rows are drawn

Each contender runs in turn, several times, so that a ratio is of two runs of one round, which had the same load beside
them: a ratio is the median of the rounds, with the least and the greatest of them in brackets. Memory is the highest
peak. contend.py says what is timed, measuring.py how memory is measured, make_workbook.py what stands in the workbooks.
Whatever a contender leaves in the database is counted; expecting.py says how many rows have to be there.
"""

import argparse
import os
import shutil
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from contend import CONTENDERS  # noqa: E402
from drawing import draw  # noqa: E402
from expecting import expected  # noqa: E402
from measuring import Run, Written, fresh, measured, place, settle, written  # noqa: E402
from printing import (  # noqa: E402
    conditions,
    line_of_writing,
    middle,
    table_of_changed,
    table_of_formats,
    table_of_peers,
    table_of_sizes,
)

TABLES = ("peers", "changed", "formats", "sizes")
FORMATS = (".xlsx", ".csv", ".ods")
SIZES = (10_000, 100_000, 500_000, 1_048_575)  # the last one fills a sheet
MANY = 100_000  # with more rows three runs are enough
FEW = 10_000
CHANGE = 0.01  # of the rows of the second workbook
OURS = "import_crm_data"
SCRIPT = "row-by-row script"  # it takes minutes: one run, and none of more than MANY rows
ONE_CORE = "import_crm_data on one core"
# These bring the same workbook in again without having everybody twice.
AGAIN = (OURS, "pandas upsert", "dlt merge of pydantic rows by ADBC", "dlt merge of Arrow by ADBC")
SIZED = ("floor", *AGAIN, "pandas.to_sql by ADBC", SCRIPT)  # with the others more rows would show nothing new
PICTURE = ROOT / "docs" / "speed.png"


@dataclass
class Bench:
    """What all tables share: a server, and each figure that was taken already."""

    directory: Path
    url: str
    environment: dict[str, str]
    runs: int
    results: dict[tuple[str, int, str], list[Run]] = field(default_factory=dict)

    def compare(
        self, names: list[str], rows: int, suffix: str = ".xlsx", *, change: bool = False
    ) -> dict[str, list[Run]]:
        """The runs of the contenders on empty databases, taken in turn; those of each in the order of the rounds.

        With `change` those of AGAIN then bring in the changed workbook, in the same round: `changed` has these runs.
        """
        selected = [name for name in names if name != SCRIPT or rows <= MANY]
        missing = [name for name in selected if (name, rows, suffix) not in self.results]
        for n in range(self.runs if rows <= MANY else min(self.runs, 3)):
            for name in missing:
                if name != SCRIPT or n == 0:
                    _say(f"{rows:,} rows, {suffix}, run {n + 1}: {name} …")
                    self._measure(name, rows, suffix, change=change and name in AGAIN)
        return {name: self.results[name, rows, suffix] for name in selected}

    def _measure(self, name: str, rows: int, suffix: str, *, change: bool) -> None:
        environment = fresh(self.url, self.environment)
        expectation = expected(rows, CONTENDERS[name].rules)
        run = measured(name, self.workbook(rows, suffix), expectation, environment)
        self.results.setdefault((name, rows, suffix), []).append(run)
        if change:
            settle(self.url)
            expectation = expected(rows, CONTENDERS[name].rules, CHANGE)
            run = measured(name, self.workbook(rows, suffix, CHANGE), expectation, environment)
            self.results.setdefault((name, rows, "changed"), []).append(run)

    def changed(self, names: list[str], rows: int) -> dict[str, list[Run]]:
        """The runs of the contenders on a database that they have filled, with the changed workbook."""
        return {name: self.results[name, rows, "changed"] for name in names if name in AGAIN}

    def again(self, rows: int, suffix: str = ".xlsx") -> list[Run]:
        """import_crm_data on a workbook that it has imported already."""
        key = (f"{OURS} again", rows, suffix)
        if key not in self.results:
            _say(f"{rows:,} rows, {suffix}, again …")
            workbook, filled = self.workbook(rows, suffix), fresh(self.url, self.environment)
            expectation = expected(rows, CONTENDERS[OURS].rules)
            measured(OURS, workbook, expectation, filled)
            self.results[key] = [measured(OURS, workbook, expectation, filled) for _ in range(self.runs)]
        return self.results[key]

    def saved_again(self, rows: int) -> Written:
        """What import_crm_data writes of a workbook with the same rows in other bytes."""
        workbook, filled = self.workbook(rows, ".xlsx"), fresh(self.url, self.environment)
        _say(f"{rows:,} rows, saved again …")
        expectation = expected(rows, CONTENDERS[OURS].rules)
        measured(OURS, workbook, expectation, filled)
        another = Path(shutil.copy(workbook, workbook.with_name("saved_again.xlsx")))
        with zipfile.ZipFile(another, "a") as archive:
            archive.comment = b"saved again"
        with written(filled["DATABASE_URL"]) as what:
            measured(OURS, another, expectation, filled)
        return what

    def workbook(self, rows: int, suffix: str, change: float = 0.0) -> Path:
        path = self.directory / f"crm_{rows}{'_changed' if change else ''}{suffix}"
        if not path.exists():
            maker = str(HERE / "make_workbook.py")
            subprocess.run([sys.executable, maker, str(rows), str(path), "--change", str(change)], check=True)
        return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=TABLES, help="these tables (all)")
    parser.add_argument("--rows", type=int, default=MANY, help=f"rows of the first three tables ({MANY})")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="rows of the last table, of each size")
    parser.add_argument("--runs", type=int, default=5, help="of each contender (5); the row-by-row script runs once")
    peers = [name for name in CONTENDERS if name not in ("floor", OURS)]
    parser.add_argument(
        "--without", nargs="+", choices=peers, default=(), metavar="PEER", help=f"leave out, of: {', '.join(peers)}"
    )
    parser.add_argument("--picture", type=Path, help="where to draw (docs/speed.png, if the sizes are the usual ones)")
    given = parser.parse_args()
    missing = () if hasattr(os, "sched_setaffinity") else (ONE_CORE,)
    names = [name for name in CONTENDERS if name not in (*given.without, *missing)]
    with ExitStack() as stack:
        bench = _begin(stack, given.runs)
        change = "changed" in given.only
        print(conditions(bench.url), flush=True)
        if "peers" in given.only:
            took = bench.compare(names, given.rows, change=change)
            print(table_of_peers(given.rows, took, FEW, bench.compare(["floor", OURS], FEW)), flush=True)
        if change:
            first = bench.compare([name for name in names if name in ("floor", *AGAIN)], given.rows, change=True)
            changed = bench.changed(names, given.rows)
            print(table_of_changed(CHANGE, first, changed, bench.again(given.rows)), flush=True)
            print(line_of_writing(given.rows, bench.saved_again(given.rows)), flush=True)
        if "formats" in given.only:
            formats = {
                suffix: (bench.compare([OURS], given.rows, suffix)[OURS], bench.again(given.rows, suffix))
                for suffix in FORMATS
            }
            print(table_of_formats(given.rows, formats), flush=True)
        if "sizes" in given.only:
            names = [name for name in names if name in SIZED]
            sizes = {rows: bench.compare(names, rows) for rows in sorted(given.sizes)}
            print(table_of_sizes(names, sizes), flush=True)
            if picture := given.picture or (PICTURE if tuple(given.sizes) == SIZES else None):
                middles = {rows: {name: middle(runs) for name, runs in of.items()} for rows, of in sizes.items()}
                draw(names, middles, picture)
                _say(f"drawn: {picture}")


def _begin(stack: ExitStack, runs: int) -> Bench:
    directory, url, environment = place(stack)
    dlt = {"DLT_DATA_DIR": str(directory / "dlt"), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    return Bench(directory, url, environment | dlt, runs)


def _say(what: str) -> None:
    print(what, file=sys.stderr)


if __name__ == "__main__":
    main()
