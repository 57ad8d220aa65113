"""What late chunking and changing adapters cost on top of plain encoding with one task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from jina_v3_encoder import Encoder
from jina_v3_encoder.task import TASK_NAMES

from .corpus import texts_of
from .report import BenchReport, Row, take_turns
from .setting import Setting, load, random_model

TASK = "retrieval.passage"
CHUNK_CHARACTERS = 600
"""About a hundred words."""
TEXTS_PER_CALL = 4


def bench_late(setting: Setting, *, corpus: str, documents: int, number_format: str) -> BenchReport:
    """Encode documents once as wholes, and once late-chunked into pieces of about a hundred words."""
    texts = texts_of(corpus, documents)
    spans = [_spans(text) for text in texts]
    with random_model(setting) as folder:
        encoder = load(folder, number_format, setting.device)
        sides: dict[str, Callable[[], object]] = {
            "whole documents": lambda: encoder.encode(texts, task=TASK),
            "late chunks": lambda: encoder.encode_documents(texts, spans, task=TASK),
        }
        rows = _measure(setting, sides)
        tokens = sum(encoder.count_tokens(texts, TASK))
    for row in rows:
        row.per_second = tokens / row.median
    chunks = sum(map(len, spans))
    title = f"{documents} documents ({corpus}), {tokens:,} tokens, {chunks:,} chunks, {number_format}; {setting.told()}"
    return BenchReport(title, {**setting.conditions(), "tokens": tokens, "chunks": chunks}, rows)


def bench_tasks(setting: Setting, *, corpus: str, texts: int, number_format: str) -> BenchReport:
    """One task throughout, another with each call, and five in one batch. Without prompts: like with like."""
    items = texts_of(corpus, texts)
    mixed = [TASK_NAMES[index % len(TASK_NAMES)] for index in range(texts)]
    parts = [slice(start, start + TEXTS_PER_CALL) for start in range(0, texts, TEXTS_PER_CALL)]
    with random_model(setting) as folder:
        encoder = load(folder, number_format, setting.device)
        one, many = [TASK] * len(parts), [TASK_NAMES[number % len(TASK_NAMES)] for number in range(len(parts))]
        sides: dict[str, Callable[[], object]] = {
            "one task, a batch": lambda: encoder.encode(items, task=TASK, prompt=False),
            "five tasks in the batch": lambda: encoder.encode(items, task=mixed, prompt=False),
            f"one task, {TEXTS_PER_CALL} texts a call": lambda: _calls(encoder, items, parts, one),
            "another task with each call": lambda: _calls(encoder, items, parts, many),
            "no adapter, a batch": lambda: encoder.encode(items, task=None),
        }
        rows = _measure(setting, sides)
        tokens = sum(encoder.count_tokens(items))
    rows[3].compare(rows[2])
    rows[2].against, rows[2].ratios = None, []
    for row in rows:
        row.per_second = tokens / row.median
    title = f"{texts} texts ({corpus}), {tokens:,} tokens, {number_format}; {setting.told()}"
    return BenchReport(title, {**setting.conditions(), "tokens": tokens}, rows)


def _measure(setting: Setting, sides: dict[str, Callable[[], object]]) -> list[Row]:
    """Every side against the first."""

    def timed(side: Callable[[], object]) -> Callable[[], float]:
        def measure() -> float:
            start = time.perf_counter()
            side()
            return time.perf_counter() - start

        return measure

    found = take_turns({name: timed(side) for name, side in sides.items()}, setting.runs, setting.announce)
    rows = [Row(name, seconds) for name, seconds in found.items()]
    for row in rows[1:]:
        row.compare(rows[0])
    return rows


def _calls(encoder: Encoder, texts: Sequence[str], parts: Sequence[slice], tasks: Sequence[str]) -> None:
    for part, task in zip(parts, tasks, strict=True):
        encoder.encode(texts[part], task=task, prompt=False)


def _spans(text: str) -> list[tuple[int, int]]:
    return [(start, min(start + CHUNK_CHARACTERS, len(text))) for start in range(0, len(text), CHUNK_CHARACTERS)]
