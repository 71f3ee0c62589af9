"""Tables and charts of what `benchmarks/training.py` printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

STEPS = ("workload", "trainer", "step, ms", "trxc ÷ it", "spread", "first step, s", "temporaries, MB", "peak, MB")
RATES = (*STEPS[:5], "a second", "of a product", *STEPS[5:])
"""Of GPUs: tokens or examples a second, and the share of what a product of matrices reaches."""
FIRST = ("workload", "trainer", "first step, s", "trxc ÷ it", "spread", "second run, s", "trxc ÷ it", "spread")


def read(files: Iterable[Path]) -> list[Row]:
    """The rows of some files; of two for the same, the later one counts."""
    found: dict[tuple[str, ...], Row] = {}
    for file in files:
        for line in filter(None, file.read_text().splitlines()):
            row = json.loads(line)
            found[(name(row), row["trainer"], row["measured"])] = row
    return list(found.values())


def name(row: Row) -> str:
    """The workload, and what was set in it."""
    return " ".join([row["workload"], *(f"`{path} = {value}`" for path, value in row["settings"].items())])


def table(rows: Sequence[Row]) -> str:
    """In Markdown: tables of steps on CPUs, of those on GPUs, and of first steps, where there are any."""
    raced = [row for row in rows if row["measured"] == "steps"]
    steps = [step_cells(row) for row in raced if row.get("kind") != "gpu"]
    rates = [rate_cells(row) for row in raced if row.get("kind") == "gpu"]
    first = [first_cells(row) for row in rows if row["measured"] == "first"]
    parts = [markdown(head, cells) for head, cells in ((STEPS, steps), (RATES, rates), (FIRST, first)) if cells]
    return "\n\n".join(parts)


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines))


def step_cells(row: Row) -> list[str]:
    """Of a race."""
    temporaries = "" if row["temporaries_mb"] is None else f"{row['temporaries_mb']:,.0f}"
    step, first = f"{1000 * row['step_seconds']:,.2f}", f"{row['first_seconds']:.1f}"
    ratio = ratio_cells(row, "ratio", "spread")
    return [name(row), row["trainer"], step, *ratio, first, temporaries, f"{row['peak_mb']:,.0f}"]


def rate_cells(row: Row) -> list[str]:
    """Of a race on a GPU."""
    cells = step_cells(row)
    rate, reached = f"{row['items_per_second']:,.0f} {row['items']}", f"{100 * row['reached']:.0f} %"
    return [*cells[:5], rate, reached, *cells[5:]]


def first_cells(row: Row) -> list[str]:
    """Of first steps, cold and in a second run."""
    cold, warm = (ratio_cells(row, *names) for names in (("ratio", "spread"), ("second_ratio", "second_spread")))
    return [name(row), row["trainer"], f"{row['first_seconds']:.1f}", *cold, f"{row['second_seconds']:.1f}", *warm]


def ratio_cells(row: Row, ratio: str, spread: str) -> list[str]:
    """The ratio and its spread; of trxc itself, nothing."""
    if row["trainer"] == "trxc":
        return ["", ""]
    return [f"{row[ratio]:.2f}", "{:.2f}–{:.2f}".format(*row[spread])]


def plot(rows: Sequence[Row], file: Path) -> None:
    """A chart of the ratios of steps with their spreads: a group of ranges for each workload, one for each trainer.

    Raises ``ModuleNotFoundError`` without matplotlib, and ``ValueError`` where nothing is compared or the file's name
    says no format.
    """
    from matplotlib import pyplot

    others = [row for row in rows if row["measured"] == "steps" and row["trainer"] != "trxc"]
    if not others:
        raise ValueError("no line compares steps")
    workloads, trainers = (list(dict.fromkeys(values)) for values in zip(*map(series, others), strict=True))
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.17 * (len(others) + len(workloads))), layout="constrained")
    gap = 0.8 / len(trainers)
    for number, trainer in enumerate(trainers):
        ours = [row for row in others if row["trainer"] == trainer]
        heights = [workloads.index(name(row)) + gap * (number - (len(trainers) - 1) / 2) for row in ours]
        middles = [row["ratio"] for row in ours]
        reach = [[row["ratio"] - row["spread"][0] for row in ours], [row["spread"][1] - row["ratio"] for row in ours]]
        axes.errorbar(middles, heights, xerr=reach, fmt="o", markersize=4, capsize=2, linewidth=1, label=trainer)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(workloads)), [workload.replace("`", "") for workload in workloads])
    axes.invert_yaxis()
    ticks = [tick for tick in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if inside(tick, others)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("step time of trxc ÷ the other's: median and spread of rounds; left of 1, trxc is faster")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(file, dpi=160)


def series(row: Row) -> tuple[str, str]:
    """Where a row goes in the chart."""
    return name(row), row["trainer"]


def inside(tick: float, rows: Sequence[Row]) -> bool:
    """Whether the ranges come near it."""
    low, high = min(row["spread"][0] for row in rows), max(row["spread"][1] for row in rows)
    return tick == 1 or low / 1.5 <= tick <= high * 1.5
