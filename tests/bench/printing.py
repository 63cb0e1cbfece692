"""The tables of `make bench`, in markdown, as the README shows them."""

import datetime as dt
import os
import platform
from importlib.metadata import version

import psycopg
from measuring import Run, Written

PACKAGES = (
    *("prefect", "psycopg", "python-calamine", "openpyxl", "pydantic", "sqlalchemy", "pandas"),
    *("dlt", "pyarrow", "adbc-driver-postgresql"),
)


def conditions(url: str) -> str:
    """What the figures hold for: the day, the machine, the versions."""
    with psycopg.connect(url) as connection:
        server = f"PostgreSQL {connection.info.server_version // 10_000}.{connection.info.server_version % 10_000}"
    machine = f"{dt.date.today():%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}, {server}"
    return f"\n{machine}, {', '.join(f'{name} {version(name)}' for name in PACKAGES)}"


def table_of_peers(rows: int, took: dict[str, Run], again: Run) -> str:
    """One line for each contender, and one for import_crm_data on the same workbook again."""
    floor, ours = took["floor"].seconds, took["import_crm_data"].seconds
    lines = [
        f"| {rows:,} rows, .xlsx | time, of the floor | of `import_crm_data` | peak memory |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, run in (*took.items(), ("import_crm_data, the same workbook again", again)):
        lines.append(f"| {name} | {_ratio(run.seconds / floor)} | {_ratio(run.seconds / ours)} | {_memory(run)} |")
    return _table(lines)


def line_of_writing(rows: int, what: Written) -> str:
    """What import_crm_data writes of rows that are all there."""
    return (
        f"\nThe same {rows:,} rows in another file: {what.contacts:,} rows of contacts written, {what.wal:.1f} MB of "
        f"WAL, of them {what.rejects:.1f} MB for the rejected rows, which are kept for each workbook"
    )


def table_of_formats(rows: int, took: dict[str, tuple[Run, Run]]) -> str:
    """One line for each format: import_crm_data the first time, and the same workbook again."""
    xlsx = took[".xlsx"][0].seconds
    lines = [
        f"| `import_crm_data`, {rows:,} rows | time, of .xlsx | peak memory | again, of the first time |",
        "| --- | ---: | ---: | ---: |",
    ]
    for suffix, (first, again) in took.items():
        ratio = _ratio(first.seconds / xlsx)
        lines.append(f"| {suffix} | {ratio} | {_memory(first)} | {_ratio(again.seconds / first.seconds)} |")
    return _table(lines)


def table_of_sizes(names: list[str], sizes: dict[int, dict[str, Run]]) -> str:
    """One line for each contender, one column for each size; a contender that was left out at a size has no figure."""
    lines = [
        f"| rows, .xlsx: time of the floor, peak memory | {' | '.join(f'{rows:,}' for rows in sizes)} |",
        f"| --- |{' ---: |' * len(sizes)}",
    ]
    for name in names:
        cells = [
            f"{_ratio(took[name].seconds / took['floor'].seconds)}, {_memory(took[name])}" if name in took else ""
            for took in sizes.values()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    smallest = next(iter(sizes))
    for name in ("floor", "import_crm_data"):
        grown = [_ratio(took[name].seconds / sizes[smallest][name].seconds) for took in sizes.values()]
        lines.append(f"| {name}: time, of that of {smallest:,} rows | {' | '.join(grown)} |")
    return _table(lines)


def _ratio(value: float) -> str:
    return f"{value:.{2 if value < 1 else 1 if value < 10 else 0}f} ×"


def _memory(run: Run) -> str:
    return f"{run.megabytes:,.0f} MB"


def _table(lines: list[str]) -> str:
    return "\n" + "\n".join(lines)
