"""Throughput and latency of this encoder in its number formats, and of other libraries, on the same weights."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder import Encoder
from jina_v3_encoder.task import Task

from .corpus import QUERY_WORDS, texts_of
from .peers import PEERS, EncodeTexts
from .report import BenchReport, Row, take_turns
from .setting import INT8, Roof, Setting, company, load, operations_per_token, random_model

OURS = "jina-v3"
EXACT = "float32"
QUERY_REPEATS = 20
"""Queries timed in one round; their median counts."""


@dataclass
class _Side:
    encode: EncodeTexts
    encoder: Encoder | None = None
    vectors: NDArray[np.float32] | None = None


def bench_encode(
    setting: Setting, *, corpus: str, texts: int, formats: Sequence[str], against: Sequence[str], task: Task | None
) -> BenchReport:
    """Encode one corpus with every side. Measure the roof of each of our formats in the same rounds."""
    texts_to_encode = texts_of(corpus, texts)
    with random_model(setting) as folder:
        sides = _sides(folder, setting, formats, against, task)
        roofs = {
            name: Roof(name.removeprefix(f"{OURS} "), side.encoder.max_batch_tokens, setting.device, setting.threads)
            for name, side in sides.items()
            if side.encoder is not None
        }
        timed: dict[str, Callable[[], float]] = {
            name: partial(_timed, side, texts_to_encode) for name, side in sides.items()
        }
        timed |= {f"roof of {name}": roof.seconds for name, roof in roofs.items()}
        with company(setting):
            seconds_of = take_turns(timed, setting.runs, setting.announce)
        tokens = _tokens(sides, texts_to_encode)
        rows = _rows(sides, seconds_of, folder, texts_to_encode, task, setting)
    for row in rows:
        row.per_second = tokens / row.median
        if (roof := roofs.get(row.name)) is not None:
            operations = tokens * operations_per_token(setting.layers)
            each = zip(row.seconds, seconds_of[f"roof of {row.name}"], strict=True)
            row.roof = statistics.median(
                (operations / seconds) / (roof.operations / at_roof) for seconds, at_roof in each
            )
    title = f"{texts} texts ({corpus}), {tokens:,} tokens, task {task.value if task else None}; {setting.summary()}"
    return BenchReport(title, {**setting.conditions(), "corpus": corpus, "texts": texts, "tokens": tokens}, rows)


def bench_query(setting: Setting, *, formats: Sequence[str], against: Sequence[str], task: Task | None) -> BenchReport:
    """The time of one short text, alone in its call."""
    query = texts_of("short", 1)[0].split()
    texts = [" ".join((query * QUERY_WORDS)[:QUERY_WORDS])]
    with random_model(setting) as folder:
        sides = _sides(folder, setting, formats, against, task)
        timed = {name: partial(_median_of_many, side, texts) for name, side in sides.items()}
        with company(setting):
            seconds_of = take_turns(timed, setting.runs, setting.announce)
        tokens = _tokens(sides, texts)
        rows = _rows(sides, seconds_of, folder, texts, task, setting)
    title = f"one text of {tokens} tokens, task {task.value if task else None}; {setting.summary()}"
    return BenchReport(title, {**setting.conditions(), "tokens": tokens}, rows)


def _sides(
    folder: Path, setting: Setting, formats: Sequence[str], against: Sequence[str], task: Task | None
) -> dict[str, _Side]:
    sides: dict[str, _Side] = {}
    for name in formats:
        setting.announce(f"loading {name}")
        encoder = load(folder, name, setting.device, setting.threads)
        sides[f"{OURS} {name}"] = _Side(partial(encoder.encode, task=task, prompt=False), encoder)
        for peer in against:
            if name in PEERS[peer].formats:
                setting.announce(f"loading {peer} {name}")
                sides[f"{peer} {name}"] = _Side(PEERS[peer].open(folder, name, task, setting.device))
    return sides


def _timed(side: _Side, texts: Sequence[str]) -> float:
    start = time.perf_counter()
    side.vectors = side.encode(texts)
    return time.perf_counter() - start


def _median_of_many(side: _Side, texts: Sequence[str]) -> float:
    return statistics.median(_timed(side, texts) for _ in range(QUERY_REPEATS))


def _tokens(sides: dict[str, _Side], texts: Sequence[str]) -> int:
    encoder = next(side.encoder for side in sides.values() if side.encoder is not None)
    return sum(encoder.count_tokens(texts))


def _rows(
    sides: dict[str, _Side],
    seconds_of: dict[str, list[float]],
    folder: Path,
    texts: Sequence[str],
    task: Task | None,
    setting: Setting,
) -> list[Row]:
    setting.announce("float32 vectors to compare with")
    exact = load(folder, EXACT, setting.device, setting.threads).encode(texts, task=task, prompt=False)
    rows = {name: Row(name, seconds_of[name]) for name in sides}
    for name, row in rows.items():
        number_format = name.split()[-1]
        other = f"{OURS} {'bfloat16' if name == f'{OURS} {INT8}' else number_format}"
        if other in rows and other != name:
            row.compare(rows[other])
        vectors = sides[name].vectors
        if vectors is not None:
            cosines = (vectors * exact).sum(axis=1) / np.linalg.norm(vectors, axis=1)
            row.mean_cosine, row.worst_cosine = float(cosines.mean()), float(cosines.min())
    return list(rows.values())
