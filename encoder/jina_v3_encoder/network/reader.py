"""Runs the network over readings, dealt out to the threads of the team."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..texts.tokenizer import IntArray
from ..vectors import FloatArray
from .batching import Reading, fill, pack, plan_batches, used_rows
from .pace import Pace
from .packed import PackedNetwork
from .pooling import sum_states
from .rows import read_in_rows
from .team import team_of

SHORT_WORK = 2**28
"""Tokens times squared hidden size, 256 tokens of the published model. Less is not worth dealing out."""


@dataclass(frozen=True)
class StateSums:
    """States of one batch, added up for each vector: sums (vectors, dimensions) and counts (vectors, 1), in float32.

    Each vector is named once. NumPy's arrays, so that whoever adds them up needs no operators of torch (see `Team`).
    """

    vectors: IntArray
    sums: FloatArray
    counts: FloatArray

    def add_to(self, sums: FloatArray, counts: FloatArray) -> int:
        """Add to arrays over all vectors. How many of these vectors had no state before."""
        new = len(self.vectors) - int(np.count_nonzero(counts[self.vectors]))
        sums[self.vectors] += self.sums
        counts[self.vectors] += self.counts
        return new


class Reader:
    """Reads with a model, on `threads` threads if it is on the CPU, else on the caller's."""

    def __init__(self, model: PackedNetwork, max_batch_tokens: int, threads: int) -> None:
        self.model, self.max_batch_tokens, self.threads = model, max_batch_tokens, threads
        self._short_tokens = SHORT_WORK // model.config.hidden_size**2
        self._pace: Pace | None = None

    def read(self, readings: Sequence[Reading], dimensions: int) -> Iterator[StateSums]:
        """Batch after batch, in an order that depends on the lengths alone."""
        if not readings:
            return iter(())
        if self.model.device.type != "cpu":
            return self._in_turn(readings, dimensions)
        if sum(len(reading.ids) for reading in readings) <= self._short_tokens:
            return self._short(readings, dimensions)
        return self._dealt(readings, dimensions)

    def _in_turn(self, readings: Sequence[Reading], dimensions: int) -> Iterator[StateSums]:
        for batch in _batches(readings, self.max_batch_tokens):
            yield self._sums(batch, dimensions)

    def _short(self, readings: Sequence[Reading], dimensions: int) -> Iterator[StateSums]:
        team = team_of(self.threads)
        if self._pace is None or self._pace.team is not team:
            self._pace = Pace(team)
        for batch in _batches(readings, self.max_batch_tokens):
            yield self._pace.run(partial(self._sums, batch, dimensions), sum(len(reading.ids) for reading in batch))

    def _dealt(self, readings: Sequence[Reading], dimensions: int) -> Iterator[StateSums]:
        """Long texts first, each by all threads. Then each thread reads batches of its own."""
        team = team_of(self.threads)
        part = _part(sum(len(reading.ids) for reading in readings), self.max_batch_tokens, team.threads)
        part = max(part, self._short_tokens // 2)
        longest = part if team.threads > 1 else self.max_batch_tokens
        long = [reading for reading in readings if len(reading.ids) > longest]
        for reading in sorted(long, key=lambda reading: -len(reading.ids)):
            filled = fill([reading])
            states = read_in_rows(self.model, pack(filled, self.model.device), team)
            yield team.alone(partial(_added, filled, states, dimensions))
        others = [reading for reading in readings if len(reading.ids) <= longest]
        room = part + max((len(reading.ids) for reading in others), default=0)
        batches = _batches(others, min(self.max_batch_tokens, room))
        yield from team.each(partial(self._sums, batch, dimensions) for batch in batches)

    @torch.inference_mode()
    def _sums(self, readings: Sequence[Reading], dimensions: int) -> StateSums:
        filled = fill(readings)
        return _added(filled, self.model(pack(filled, self.model.device)), dimensions)


@torch.inference_mode()
def _added(readings: Sequence[Reading], states: Tensor, dimensions: int) -> StateSums:
    """The states (N, C) of a batch, added up."""
    vectors, owners = np.unique(np.concatenate([reading.owners for reading in readings]), return_inverse=True)
    sums = sum_states(states[:, :dimensions], used_rows(readings), owners, len(vectors)).cpu()
    return StateSums(vectors, sums.numpy(), np.bincount(owners).astype(np.float32)[:, None])


def _batches(readings: Sequence[Reading], max_tokens: int) -> Iterator[list[Reading]]:
    lengths = [len(reading.ids) for reading in readings]
    for batch in plan_batches(lengths, [reading.bank for reading in readings], max_tokens):
        yield [readings[index] for index in batch]


def _part(tokens: int, max_tokens: int, threads: int) -> int:
    """Tokens of a batch, so that all threads have nearly the same number of full batches."""
    rounds = math.ceil(tokens / (max_tokens * threads))
    return math.ceil(tokens / (rounds * threads))
