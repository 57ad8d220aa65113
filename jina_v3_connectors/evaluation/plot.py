"""nDCG@10 over dimensions, one line per variant."""

from __future__ import annotations

from pathlib import Path

from jina_v3_encoder.errors import MissingExtra

from .report import EvalReport

SUFFIXES = (".png", ".svg", ".pdf")


def plot(report: EvalReport, file: Path) -> None:
    """Write the figure to `file`, whose suffix names the format.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "eval") from None
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for variant in dict.fromkeys(figures.variant for figures in report.figures):
        points = sorted((figures.dimensions, figures.ndcg) for figures in report.figures if figures.variant == variant)
        axes.plot(*zip(*points, strict=True), marker="o", label=str(variant))
    sizes = sorted({figures.dimensions for figures in report.figures})
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("dimensions")
    axes.set_ylabel("nDCG@10")
    axes.set_title(f"{report.model} on {report.dataset}")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=150)
