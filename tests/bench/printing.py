"""The tables of `make bench`, in Markdown, as docs/benchmarks.md shows them."""

import datetime as dt
import os
import platform
import statistics
from importlib.metadata import version

import psycopg
from contend import CONTENDERS
from measuring import Run, Written

PACKAGES = (
    *("prefect", "psycopg", "python-calamine", "openpyxl", "pydantic", "sqlalchemy", "pandas"),
    *("dlt", "pyarrow", "adbc-driver-postgresql"),
)
OURS = "import_crm_data"
Runs = dict[str, list[Run]]


def conditions(url: str) -> str:
    """What the figures hold for: the day, the machine, the versions."""
    with psycopg.connect(url) as connection:
        server = f"PostgreSQL {connection.info.server_version // 10_000}.{connection.info.server_version % 10_000}"
    machine = f"{dt.date.today():%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}, {server}"
    return f"\n{machine}, {', '.join(f'{name} {version(name)}' for name in PACKAGES)}"


def table_of_peers(rows: int, took: Runs, few: int, small: Runs) -> str:
    """One line for each contender, the last for import_crm_data on a workbook of `few` rows.

    The contenders that do the same work stand first, each with what it does.
    """
    lines = [
        f"| {rows:,} rows, .xlsx | does | time, of the floor | of `{OURS}` | rows in the table | peak memory |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in took.items():
        ratios = f"{_paired(runs, took['floor'])} | {_paired(runs, took[OURS])}"
        lines.append(f"| {_named(name)} | {CONTENDERS[name].does} | {ratios} | {runs[-1].people:,} | {_memory(runs)} |")
    ours = small[OURS]
    lines.append(
        f"| {_named(OURS)}, {few:,} rows | the same | {_paired(ours, small['floor'])}, on as many rows | | "
        f"{ours[-1].people:,} | {_memory(ours)} |"
    )
    return _table(lines) + (
        "\n\nEach number of rows is what the workbook has by the rules of the contender: looser checks, or none, leave "
        "other numbers."
    )


def table_of_changed(change: float, first: Runs, changed: Runs, again: list[Run]) -> str:
    """One line for each contender on a table that it has filled, and one for import_crm_data on the same workbook."""
    heading = (
        f"| again, {100 * change:g} % changed | time, of the floor | of `{OURS}` | of the first time | changed | "
        "peak memory |"
    )
    lines = [heading, "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for name, runs in changed.items():
        ratios = " | ".join(_paired(runs, of) for of in (first["floor"], changed[OURS], first[name]))
        lines.append(f"| {_named(name)} | {ratios} | {runs[-1].changed or 0:,} | {_memory(runs)} |")
    bases = (first["floor"], changed[OURS], first[OURS])
    of_middles = " | ".join(_ratio(middle(again).seconds / middle(of).seconds) for of in bases)
    lines.append(f"| {_named(OURS)}, the same workbook again | {of_middles} | | {_memory(again)} |")
    return _table(lines)


def line_of_writing(rows: int, what: Written) -> str:
    """What import_crm_data writes of rows that are all there."""
    return (
        f"\nThe same {rows:,} rows in another file: {what.contacts:,} rows of contacts written, {what.wal:.1f} MB of "
        f"WAL, of them {what.rejects:.1f} MB for the rejected rows, which are kept for each workbook"
    )


def table_of_formats(rows: int, took: dict[str, tuple[list[Run], list[Run]]]) -> str:
    """One line for each format: import_crm_data the first time, and the same workbook again."""
    xlsx = middle(took[".xlsx"][0]).seconds
    lines = [
        f"| `{OURS}`, {rows:,} rows | time, of .xlsx | peak memory | again, of the first time |",
        "| --- | ---: | ---: | ---: |",
    ]
    for suffix, (first, again) in took.items():
        seconds = middle(first).seconds
        lines.append(
            f"| {suffix} | {_ratio(seconds / xlsx)} | {_memory(first)} | {_ratio(middle(again).seconds / seconds)} |"
        )
    return _table(lines)


def table_of_sizes(names: list[str], sizes: dict[int, Runs]) -> str:
    """One line for each contender, one column for each size; a contender that was left out at a size has no figure."""
    lines = [
        f"| rows, .xlsx: time of the floor, peak memory | {' | '.join(f'{rows:,}' for rows in sizes)} |",
        f"| --- |{' ---: |' * len(sizes)}",
    ]
    for name in names:
        cells = [
            f"{_ratio(_median(took[name], took['floor']))}, {_memory(took[name])}" if name in took else ""
            for took in sizes.values()
        ]
        lines.append(f"| {_named(name)} | {' | '.join(cells)} |")
    smallest = next(iter(sizes))
    for name in ("floor", OURS):
        of = middle(sizes[smallest][name]).seconds
        grown = [_ratio(middle(took[name]).seconds / of) for took in sizes.values()]
        lines.append(f"| {_named(name)}: time, of that of {smallest:,} rows | {' | '.join(grown)} |")
    return _table(lines)


def middle(runs: list[Run]) -> Run:
    """The median of the times and the highest of the peaks."""
    seconds, megabytes = statistics.median(run.seconds for run in runs), max(run.megabytes for run in runs)
    return Run(seconds, megabytes, runs[-1].people, runs[-1].changed)


def _pairs(runs: list[Run], of: list[Run]) -> list[float]:
    """The ratios of the runs of each round; a contender that runs once has one."""
    return [one.seconds / other.seconds for one, other in zip(runs, of, strict=False)]


def _median(runs: list[Run], of: list[Run]) -> float:
    return statistics.median(_pairs(runs, of))


def _paired(runs: list[Run], of: list[Run]) -> str:
    ratios = _pairs(runs, of)
    spread = f" ({_digits(min(ratios))} to {_digits(max(ratios))})" if len(ratios) > 1 and runs is not of else ""
    return f"{_ratio(statistics.median(ratios))}{spread}"


def _ratio(value: float) -> str:
    return f"{_digits(value)} ×"


def _digits(value: float) -> str:
    return f"{value:.{2 if value < 10 else 0}f}"


def _memory(runs: list[Run]) -> str:
    return f"{middle(runs).megabytes:,.0f} MB"


def _named(name: str) -> str:
    return name.replace(OURS, f"`{OURS}`")


def _table(lines: list[str]) -> str:
    return "\n" + "\n".join(lines)
