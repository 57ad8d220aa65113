"""Turns, medians, ratios and what is shown of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jina_v3_connectors.bench.report import BenchReport, Row, cells, plot, take_turns
from jina_v3_encoder.errors import MissingExtra


def report() -> BenchReport:
    first, second = Row("ours", [2.0, 1.0, 9.0], per_second=1234.5), Row("theirs", [4.0, 3.0, 9.0])
    second.compare(first)
    return BenchReport("a title", {"layers": 2}, [first, second])


def test_sides_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    announcements: list[str] = []

    def side(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    seconds_of = take_turns({"a": lambda: side("a"), "b": lambda: side("b")}, 2, announcements.append)
    assert calls == ["a", "b"] * 3
    assert seconds_of == {"a": [3.0, 5.0], "b": [4.0, 6.0]}
    assert announcements[0] == "warming up: a"
    assert announcements[-1] == "round 2 of 2: b"


def test_ratios_are_medians_within_rounds() -> None:
    values = report().to_dict()
    assert values["layers"] == 2
    ours, theirs = values["rows"]
    assert (ours["median"], ours["ratio"]) == (2.0, None)
    assert theirs["ratios"] == [2.0, 3.0, 1.0]
    assert (theirs["ratio"], theirs["against"]) == (2.0, "ours")


def test_empty_columns_are_left_out() -> None:
    header, rows = cells(report())
    assert header == ["", "median", "tokens/s", "time"]
    assert rows == [["1 ours", "2.000 s", "1,234", ""], ["2 theirs", "4.000 s", "", "2.00 × (1)"]]
    assert cells(BenchReport("", {}, [Row("a", [0.0123])]))[1] == [["1 a", "12.30 ms"]]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_plot(tmp_path: Path, suffix: str) -> None:
    plot(report(), tmp_path / f"plot.{suffix}")
    assert (tmp_path / f"plot.{suffix}").stat().st_size > 1000


def test_a_plot_needs_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match="matplotlib"):
        plot(report(), tmp_path / "plot.png")
