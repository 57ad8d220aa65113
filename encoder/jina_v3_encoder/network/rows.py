"""One long text read by all threads: each computes some of its rows, and all wait once in each layer.

A row's queries need the keys and values of the whole text, and nothing else of the other rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from .packed import PackedBatch, PackedNetwork
from .team import Team

MOST_ROWS = 512
ROW_STEP = 32
"""Parts are a multiple of it long, so that few shapes occur (see `attention.round_up`)."""


@dataclass(frozen=True)
class _Projections:
    """Queries (N, H, D), and keys and values (H, N, D), of one layer."""

    queries: Tensor
    keys: Tensor
    values: Tensor


def read_in_rows(model: PackedNetwork, batch: PackedBatch, team: Team) -> Tensor:
    """Last hidden states (N, C) of a batch whose first text is the only one that counts. The states of others are
    meaningless.
    """
    reading = team.alone(partial(_RowsReading, model, batch))
    for layer in range(len(model.layers) + 1):
        for _ in team.each(partial(reading.step, layer, rows) for rows in _parts(len(batch.ids), team.threads)):
            pass
    return reading.states


class _RowsReading:
    """The state of all rows. Steps of one layer may run at the same time, for different rows."""

    @torch.inference_mode()
    def __init__(self, model: PackedNetwork, batch: PackedBatch) -> None:
        config, tokens = model.config, len(batch.ids)
        self._model, self._batch, self._known = model, batch, batch.groups[0].length
        self._places = model.places(batch.positions)
        self.states = torch.empty(tokens, config.hidden_size, dtype=model.dtype)
        heads, size = config.num_attention_heads, config.head_size
        by_token, by_head = (tokens, heads, size), (heads, tokens, size)
        # A layer reads what the one before wrote, while the next one's is written.
        self._projections = [
            _Projections(*(torch.empty(shape, dtype=model.dtype) for shape in (by_token, by_head, by_head)))
            for _ in range(2)
        ]

    @torch.inference_mode()
    def step(self, layer: int, rows: slice) -> None:
        """Finish the layer before for these rows, and project them for this one."""
        runs = tuple((bank, slice(0, rows.stop - rows.start)) for bank, _ in self._batch.runs)
        if layer:
            before = self._projections[(layer - 1) % 2]
            keys, values = before.keys[:, : self._known], before.values[:, : self._known]
            block, choice = self._model.block(layer - 1), self._model.kernels.attention
            mixed = block.attend_rows(before.queries[rows], keys, values, rows.start, choice)
            states = block.finish(self.states[rows], mixed, runs)
        else:
            states = self._model.embed(self._batch.ids[rows], runs)
        self.states[rows] = states
        if layer < len(self._model.layers):
            qk, v = self._model.block(layer).project(states, self._places[rows], runs)
            now = self._projections[layer % 2]
            now.queries[rows] = qk[:, 0]
            now.keys[:, rows] = qk[:, 1].transpose(0, 1)
            now.values[:, rows] = v.transpose(0, 1)


def _parts(tokens: int, threads: int) -> list[slice]:
    """Equal parts, as many for each thread."""
    rounds = math.ceil(tokens / (MOST_ROWS * threads))
    rows = math.ceil(tokens / (rounds * threads) / ROW_STEP) * ROW_STEP
    return [slice(start, min(start + rows, tokens)) for start in range(0, tokens, rows)]
