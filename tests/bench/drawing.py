"""The picture of `make bench`: time and memory against rows. The same figures give the same file, byte for byte."""

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from measuring import Run

# Colours that people who see fewer of them can tell apart (Okabe and Ito), and a mark each, for print.
LOOKS = {
    "import_crm_data": {"color": "#D55E00", "marker": "o", "linewidth": 3, "markersize": 8, "zorder": 5},
    "floor": {"color": "#777777", "marker": "", "linestyle": "--"},
    "row-by-row script": {"color": "#000000", "marker": "X"},
    "pandas upsert": {"color": "#0072B2", "marker": "s"},
    "dlt merge of pydantic rows by ADBC": {"color": "#009E73", "marker": "^"},
    "dlt merge of Arrow by ADBC": {"color": "#CC79A7", "marker": "v"},
    "pandas.to_sql by ADBC": {"color": "#56B4E9", "marker": "D"},
}


def draw(names: list[str], sizes: dict[int, dict[str, Run]], path: Path) -> None:
    """Draw a line for each contender: time on the left, memory on the right, both axes logarithmic.

    Time is in times of the floor's on the smallest workbook: a ratio holds on any machine.
    """
    mpl.use("Agg")  # no screen
    smallest = min(sizes)
    unit = sizes[smallest]["floor"].seconds
    with mpl.rc_context({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
        for name in names:
            points = [(rows, took[name]) for rows, took in sizes.items() if name in took]
            rows = [rows for rows, _ in points]
            left.plot(rows, [run.seconds / unit for _, run in points], label=name, **LOOKS[name])
            right.plot(rows, [run.megabytes for _, run in points], **LOOKS[name])
        _axes(left, f"time, of that of the floor on {smallest:,} rows", list(sizes))
        _axes(right, "peak memory in MB", list(sizes))
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, dpi=120, metadata={"Software": None})  # the version of matplotlib is not part of it
        plt.close(figure)


def _axes(axes: Axes, title: str, sizes: list[int]) -> None:
    axes.set(title=title, xlabel="rows of the workbook, in thousands", xscale="log", yscale="log")
    axes.set_xticks(sizes, [f"{rows / 1000:,.4g}" for rows in sizes])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(which="major", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
