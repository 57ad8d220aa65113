"""The result of a measurement: one row for each side, as a table, as JSON and as a plot."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jina_v3_encoder.errors import MissingExtra
from jina_v3_encoder.network.team import release_helpers


@dataclass
class Row:
    """One side of a comparison: its seconds in each round, without the one that warms up."""

    name: str
    seconds: list[float] = field(default_factory=list)
    against: str | None = None
    """The side that `ratios` compares with."""
    ratios: list[float] = field(default_factory=list)
    """This side's seconds over the other's, within each round."""
    per_second: float | None = None
    """Tokens in a second."""
    roof: float | None = None
    """Share of the roof: the speed of the linear layers alone, measured in the same rounds."""
    mean_cosine: float | None = None
    """Between this side's vectors and ours in float32."""
    worst_cosine: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def ratio(self) -> float | None:
        return statistics.median(self.ratios) if self.ratios else None

    def compare(self, other: Row) -> None:
        self.against = other.name
        self.ratios = [mine / theirs for mine, theirs in zip(self.seconds, other.seconds, strict=True)]


@dataclass
class BenchReport:
    """A title, the conditions, and the sides."""

    title: str
    conditions: dict[str, Any]
    rows: list[Row]

    def to_dict(self) -> dict[str, Any]:
        rows = [{**asdict(row), "median": row.median, "ratio": row.ratio} for row in self.rows]
        return {"title": self.title, **self.conditions, "rows": rows}

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)


def take_turns(
    sides: Mapping[str, Callable[[], float]], runs: int, announce: Callable[[str], None]
) -> dict[str, list[float]]:
    """Call every side once a round, `runs` rounds after one that warms up; each returns its seconds.

    No side finds helper threads of another one.
    """
    seconds_of: dict[str, list[float]] = {name: [] for name in sides}
    for run in range(runs + 1):
        for name, side in sides.items():
            announce(f"round {run} of {runs}: {name}" if run else f"warming up: {name}")
            release_helpers()
            seconds = side()
            if run:
                seconds_of[name].append(seconds)
    return seconds_of


def cells(report: BenchReport) -> tuple[list[str], list[list[str]]]:
    """Header and numbered rows as text, without columns that stay empty."""
    numbers = {row.name: number for number, row in enumerate(report.rows, 1)}
    columns: dict[str, Callable[[Row], str]] = {
        "": lambda row: f"{numbers[row.name]} {row.name}",
        "median": lambda row: f"{row.median:.3f} s" if row.median >= 1 else f"{row.median * 1000:.2f} ms",
        "tokens/s": lambda row: _shown(row.per_second, ",.0f"),
        "of roof": lambda row: _shown(row.roof, ".0%"),
        "time": lambda row: "" if row.ratio is None else f"{row.ratio:.2f} × ({numbers[str(row.against)]})",
        "cosine": lambda row: _shown(row.mean_cosine, ".5f"),
        "worst": lambda row: _shown(row.worst_cosine, ".5f"),
    }
    table = [[show(row) for show in columns.values()] for row in report.rows]
    used = [index for index in range(len(columns)) if any(row[index] for row in table)]
    header = list(columns)
    return [header[index] for index in used], [[row[index] for index in used] for row in table]


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def plot(report: BenchReport, file: Path) -> None:
    """Bars with the spread of the rounds, written to `file`, whose suffix names the format.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "eval") from None
    figure = Figure(figsize=(7.2, 1.2 + 0.45 * len(report.rows)), layout="constrained")
    axes = figure.add_subplot()
    rows = report.rows[::-1]
    medians = [row.median * 1000 for row in rows]
    low = [middle - min(row.seconds) * 1000 for row, middle in zip(rows, medians, strict=True)]
    high = [max(row.seconds) * 1000 - middle for row, middle in zip(rows, medians, strict=True)]
    bars = axes.barh([row.name for row in rows], medians, xerr=[low, high], color="#4477aa", ecolor="#444444")
    axes.bar_label(bars, [_label(row) for row in rows], padding=6, fontsize=8)
    axes.set_xlim(0, 1.35 * max(row_high + middle for row_high, middle in zip(high, medians, strict=True)))
    axes.set_xlabel("milliseconds, median and range of the rounds; less is better")
    axes.set_title(report.title, fontsize=9)
    figure.savefig(file, dpi=150)


def _label(row: Row) -> str:
    return f"{row.per_second:,.0f} tokens/s" if row.per_second is not None else f"{row.median * 1000:.1f} ms"
