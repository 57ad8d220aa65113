"""What changing adapters costs: the sides do what their names say."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import bench_tasks
from jina_v3_connectors.bench.setting import Setting
from jina_v3_encoder.task import TASK_NAMES

SETTING = Setting(layers=1, runs=2)
COMPARED = {
    "one task, a batch": None,
    "five tasks in the batch": "one task, a batch",
    "one task, 4 texts a call": None,
    "another task with each call": "one task, 4 texts a call",
    "no adapter, a batch": "one task, a batch",
}


def test_tasks_differ_between_calls_and_inside_a_batch(calls: list[tuple[str, Any, int]]) -> None:
    report = bench_tasks(SETTING, corpus="short", texts=10, number_format="float32")
    one_round = calls[: len(calls) // (SETTING.runs + 1)]
    assert one_round[0] == ("encode", "retrieval.passage", 10)
    assert one_round[1] == ("encode", [TASK_NAMES[number % 5] for number in range(10)], 10)
    parts = [4, 4, 2]
    assert [call[2] for call in one_round[2:5]] == parts
    assert {call[1] for call in one_round[2:5]} == {"retrieval.passage"}
    assert [call[1] for call in one_round[5:8]] == list(TASK_NAMES[:3])
    assert one_round[8] == ("encode", None, 10)
    assert len(one_round) == 9
    against = {row.name: row.against for row in report.rows}
    assert against == COMPARED
    assert all(row.per_second and row.per_second > 0 for row in report.rows)


def test_tasks_at_the_published_widths() -> None:
    setting = Setting(layers=1, vocabulary=2000, threads=1, runs=1)
    report = bench_tasks(setting, corpus="short", texts=10, number_format="bfloat16")
    assert {row.name: row.against for row in report.rows} == COMPARED
