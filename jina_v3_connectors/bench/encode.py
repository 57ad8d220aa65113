"""Throughput on a corpus of mixed lengths, this encoder and others in one run."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jina_v3_encoder import Encoder
from jina_v3_encoder.task import Task

from .corpus import full_geometry, mixed_texts
from .peers import PEERS, EncodeTexts

OURS = "jina-v3"


@dataclass
class Side:
    """One library's runs. `cosine` is the smallest between its vectors and ours in float32."""

    name: str
    seconds: list[float] = field(default_factory=list)
    cosine: float = 1.0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass
class EncodeReport:
    """`ratios` are medians of ours to theirs within one round: above 1 we are faster."""

    dtype: str
    threads: int
    layers: int
    task: str | None
    texts: int
    tokens: int
    sides: list[Side]
    ratios: dict[str, float]

    def tokens_per_second(self, side: Side) -> float:
        return self.tokens / side.median

    def to_dict(self) -> dict[str, Any]:
        rows = [{**asdict(side), "tokens_per_second": self.tokens_per_second(side)} for side in self.sides]
        return {**asdict(self), "sides": rows}


def bench_encode(
    *,
    against: Sequence[str],
    dtype: str,
    layers: int,
    vocabulary: int,
    texts: int,
    runs: int,
    threads: int,
    task: Task | None,
    announce: Callable[[str], None],
) -> EncodeReport:
    """Encode the same texts with the same random weights; sides take turns, the first round warms up."""
    import torch

    torch.set_num_threads(threads)
    corpus = mixed_texts(texts)
    with tempfile.TemporaryDirectory() as name:
        announce(f"writing random weights: {layers} layers of 1024, vocabulary {vocabulary}")
        folder = full_geometry(Path(name), layers, vocabulary)
        encoder = Encoder.from_pretrained(folder, dtype=dtype, device="cpu")
        encoders: dict[str, EncodeTexts] = {
            OURS: lambda items: encoder.encode(items, task=task, prompt=False),
            **{peer: PEERS[peer](folder, dtype, task) for peer in against},
        }
        sides = [Side(peer) for peer in encoders]
        announce("float32 vectors to compare with")
        exact = Encoder.from_pretrained(folder, dtype="float32", device="cpu")
        reference = exact.encode(corpus, task=task, prompt=False)
        del exact
        for run in range(runs + 1):
            announce(f"round {run} of {runs}" if run else "warming up")
            for side in sides:
                vectors = _timed(side, encoders[side.name], corpus, keep=run > 0)
                side.cosine = float((vectors * reference).sum(1).min())
    counts = encoder.count_tokens(corpus)
    ours = sides[0].seconds
    ratios = {
        side.name: statistics.median(theirs / mine for theirs, mine in zip(side.seconds, ours, strict=True))
        for side in sides[1:]
    }
    total = sum(counts) if isinstance(counts, list) else counts
    return EncodeReport(dtype, threads, layers, task and task.value, texts, total, sides, ratios)


def _timed(side: Side, encode: EncodeTexts, corpus: Sequence[str], *, keep: bool) -> np.ndarray:
    start = time.perf_counter()
    vectors = encode(corpus)
    if keep:
        side.seconds.append(time.perf_counter() - start)
    return vectors
