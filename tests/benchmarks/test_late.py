"""What late chunking costs: the sides do what their names say."""

from __future__ import annotations

from typing import Any

from benchmarks import late as module
from benchmarks.late import CHUNK_CHARACTERS, bench_late
from jina_v3_connectors.bench.setting import Setting

SETTING = Setting(layers=1, runs=2)
SIDES = ["whole documents", "late chunks", "chunks alone", "blended chunks"]


def test_late_chunking_is_compared_with_the_same_documents(calls: list[tuple[str, Any, int]]) -> None:
    report = bench_late(SETTING, corpus="short", documents=3, number_format="float32")
    assert [row.name for row in report.rows] == SIDES
    assert report.rows[1].against == "whole documents"
    assert len(report.rows[1].ratios) == SETTING.runs
    rounds = SETTING.runs + 1
    task = "retrieval.passage"
    chunks = report.conditions["chunks"]
    assert chunks >= 3
    sides = [
        ("encode", task, 3),
        ("encode_documents", task, 3),
        ("encode", task, chunks),
        ("encode_documents", task, 3),
    ]
    assert calls == sides * rounds


def test_documents_are_cut_without_gaps() -> None:
    text = "x" * (2 * CHUNK_CHARACTERS + 5)
    assert module._spans(text) == [(0, 600), (600, 1200), (1200, 1205)]
    assert module._spans("") == []


def test_late_chunks_at_the_published_widths() -> None:
    setting = Setting(layers=1, vocabulary=2000, threads=1, runs=1)
    report = bench_late(setting, corpus="long", documents=2, number_format="bfloat16")
    assert [row.name for row in report.rows] == SIDES
    assert report.rows[1].against == "whole documents"
    assert report.conditions["chunks"] > 4
