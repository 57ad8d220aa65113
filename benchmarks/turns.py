"""Sides of one measurement that take turns, each compared with the first."""

from __future__ import annotations

import time
from collections.abc import Callable

from jina_v3_connectors.bench.report import Row, take_turns
from jina_v3_connectors.bench.setting import Setting


def compare_with_first(setting: Setting, sides: dict[str, Callable[[], object]]) -> list[Row]:
    """The seconds of every side in every round, and their ratios to the first side's."""

    def timed(side: Callable[[], object]) -> Callable[[], float]:
        def measure() -> float:
            start = time.perf_counter()
            side()
            return time.perf_counter() - start

        return measure

    seconds_of = take_turns({name: timed(side) for name, side in sides.items()}, setting.runs, setting.announce)
    rows = [Row(name, seconds) for name, seconds in seconds_of.items()]
    for row in rows[1:]:
        row.compare(rows[0])
    return rows
