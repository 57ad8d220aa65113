"""What late chunking and changing adapters cost: the sides do what their names say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors.bench import costs as module
from jina_v3_connectors.bench.costs import CHUNK_CHARACTERS, bench_late, bench_tasks
from jina_v3_connectors.bench.setting import Setting
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.task import TASK_NAMES

SETTING = Setting(layers=1, runs=2)


@pytest.fixture
def calls(original_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, int]]:
    """Every call of the encoder: method, task, texts. A small checkpoint stands in for the full widths."""

    @contextmanager
    def small(setting: Setting) -> Iterator[Path]:
        yield original_folder

    made: list[tuple[str, Any, int]] = []
    encode, documents = Encoder.encode, Encoder.encode_documents

    def counted(self: Encoder, texts: Any, **settings: Any) -> Any:
        made.append(("encode", settings.get("task"), len(texts)))
        return encode(self, texts, **settings)

    def counted_documents(self: Encoder, texts: Any, spans: Any, **settings: Any) -> Any:
        made.append(("encode_documents", settings.get("task"), len(texts)))
        return documents(self, texts, spans, **settings)

    monkeypatch.setattr(module, "random_model", small)
    monkeypatch.setattr(Encoder, "encode", counted)
    monkeypatch.setattr(Encoder, "encode_documents", counted_documents)
    return made


def test_late_chunking_is_compared_with_the_same_documents(calls: list[tuple[str, Any, int]]) -> None:
    report = bench_late(SETTING, corpus="short", documents=3, number_format="float32")
    assert [row.name for row in report.rows] == ["whole documents", "late chunks"]
    assert report.rows[1].against == "whole documents"
    assert len(report.rows[1].ratios) == SETTING.runs
    rounds = SETTING.runs + 1
    task = "retrieval.passage"
    assert calls == [("encode", task, 3), ("encode_documents", task, 3)] * rounds
    assert report.conditions["chunks"] >= 3


def test_documents_are_cut_without_gaps() -> None:
    text = "x" * (2 * CHUNK_CHARACTERS + 5)
    assert module._spans(text) == [(0, 600), (600, 1200), (1200, 1205)]
    assert module._spans("") == []


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
    assert against == {
        "one task, a batch": None,
        "five tasks in the batch": "one task, a batch",
        "one task, 4 texts a call": None,
        "another task with each call": "one task, 4 texts a call",
        "no adapter, a batch": "one task, a batch",
    }
    assert all(row.per_second and row.per_second > 0 for row in report.rows)
