"""`make bench`: how fast an import is, beside the floor and its peers, as ratios of one run on one machine.

Prints three tables, ready for the README, and draws the last one:

    peers    all contenders on one workbook; what the same rows in another file write
    formats  import_crm_data on a workbook of each format: the first time, and the same workbook again
    sizes    most contenders on workbooks of several sizes; time and memory against rows are drawn

Each contender runs in turn, several times; times are medians, memory is the highest peak. contend.py says what is
timed, measuring.py how memory is measured, make_workbook.py what stands in the workbooks.
"""

import argparse
import os
import shutil
import statistics
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
from measuring import Run, Written, fresh, measured, place, written  # noqa: E402
from printing import conditions, line_of_writing, table_of_formats, table_of_peers, table_of_sizes  # noqa: E402

TABLES = ("peers", "formats", "sizes")
FORMATS = (".xlsx", ".csv", ".ods")
SIZES = (10_000, 100_000, 500_000, 1_048_575)  # the last one fills a sheet
MANY = 100_000  # with more rows three runs are enough
OURS = "import_crm_data"
SCRIPT = "usual script"  # it takes minutes: one run, and none of more than MANY rows
ONE_CORE = "import_crm_data on one core"
# With these more rows would show nothing new.
PEERS_ONLY = (ONE_CORE, "import_crm_data without Prefect", "dlt rows", "dlt Arrow")
PICTURE = ROOT / "docs" / "speed.png"


@dataclass
class Bench:
    """What all tables share: a server, and each figure that was taken already."""

    room: Path
    url: str
    environment: dict[str, str]
    runs: int
    taken: dict[tuple[str, int, str], Run] = field(default_factory=dict)

    def compare(self, names: list[str], rows: int, suffix: str = ".xlsx") -> dict[str, Run]:
        """The contenders on empty databases, in turn."""
        wanted = [name for name in names if name != SCRIPT or rows <= MANY]
        took: dict[str, list[Run]] = {name: [] for name in wanted if (name, rows, suffix) not in self.taken}
        for n in range(self.runs if rows <= MANY else min(self.runs, 3)):
            for name, runs in took.items():
                if name == SCRIPT and n:
                    continue
                _say(f"{rows:,} rows, {suffix}, run {n + 1}: {name} …")
                workbook = self.workbook(rows, suffix)
                runs.append(measured(name, workbook, rows, fresh(self.url, self.environment)))
        self.taken |= {(name, rows, suffix): _middle(runs) for name, runs in took.items()}
        return {name: self.taken[name, rows, suffix] for name in wanted}

    def again(self, rows: int, suffix: str = ".xlsx") -> Run:
        """import_crm_data on a workbook that it has imported already."""
        key = ("again", rows, suffix)
        if key not in self.taken:
            _say(f"{rows:,} rows, {suffix}, again …")
            workbook, filled = self.workbook(rows, suffix), fresh(self.url, self.environment)
            measured(OURS, workbook, rows, filled)
            self.taken[key] = _middle([measured(OURS, workbook, rows, filled) for _ in range(self.runs)])
        return self.taken[key]

    def saved_again(self, rows: int) -> Written:
        """What import_crm_data writes of a workbook with the same rows in other bytes."""
        workbook, filled = self.workbook(rows, ".xlsx"), fresh(self.url, self.environment)
        _say(f"{rows:,} rows, saved again …")
        measured(OURS, workbook, rows, filled)
        another = Path(shutil.copy(workbook, workbook.with_name("saved_again.xlsx")))
        with zipfile.ZipFile(another, "a") as archive:
            archive.comment = b"saved again"
        with written(filled["DATABASE_URL"]) as what:
            measured(OURS, another, rows, filled)
        return what

    def workbook(self, rows: int, suffix: str) -> Path:
        path = self.room / f"crm_{rows}{suffix}"
        if not path.exists():
            subprocess.run([sys.executable, HERE / "make_workbook.py", str(rows), path], check=True)
        return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=TABLES, help="these tables (all)")
    parser.add_argument("--rows", type=int, default=MANY, help=f"rows of the first two tables ({MANY})")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="rows of the third table, of each size")
    parser.add_argument("--runs", type=int, default=5, help="of each contender (5); the usual script runs once")
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
        print(conditions(bench.url), flush=True)
        if "peers" in given.only:
            print(table_of_peers(given.rows, bench.compare(names, given.rows), bench.again(given.rows)), flush=True)
            print(line_of_writing(given.rows, bench.saved_again(given.rows)), flush=True)
        if "formats" in given.only:
            took = {
                suffix: (bench.compare([OURS], given.rows, suffix)[OURS], bench.again(given.rows, suffix))
                for suffix in FORMATS
            }
            print(table_of_formats(given.rows, took), flush=True)
        if "sizes" in given.only:
            names = [name for name in names if name not in PEERS_ONLY]
            sizes = {rows: bench.compare(names, rows) for rows in sorted(given.sizes)}
            print(table_of_sizes(names, sizes), flush=True)
            if picture := given.picture or (PICTURE if tuple(given.sizes) == SIZES else None):
                draw(names, sizes, picture)
                _say(f"drawn: {picture}")


def _begin(stack: ExitStack, runs: int) -> Bench:
    room, url, environment = place(stack)
    dlt = {"DLT_DATA_DIR": str(room / "dlt"), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    return Bench(room, url, environment | dlt, runs)


def _middle(runs: list[Run]) -> Run:
    return Run(statistics.median(run.seconds for run in runs), max(run.megabytes for run in runs))


def _say(what: str) -> None:
    print(what, file=sys.stderr)


if __name__ == "__main__":
    main()
