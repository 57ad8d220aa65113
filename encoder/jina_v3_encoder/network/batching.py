"""Texts of any length to packed batches under a token budget, and results back in input order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch

from ..texts.late_chunking import Window
from ..texts.tokenizer import IntArray
from .attention import EqualTexts, round_up
from .packed import PackedBatch

BATCHES_PER_OCTAVE = 32


class Reading(NamedTuple):
    """One pass of the network over ids (n,), read by adapter `bank` (None: the base model).

    The states of `rows` (k,) are added to the vectors `owners` (k,); `rows` None stands for all n.
    """

    ids: IntArray
    bank: int | None
    owners: IntArray
    rows: IntArray | None = None


def plan_batches(lengths: Sequence[int], banks: Sequence[int | None], max_tokens: int) -> list[list[int]]:
    """Indices of the texts of each batch. Long texts come first. A batch has at most `max_tokens`, or one longer text.

    Inside a batch texts of one adapter are neighbours, and texts of one length inside those.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches: list[list[int]] = []
    room = 0
    for index in order:
        if not batches or lengths[index] > room:
            batches.append([])
            room = max_tokens
        batches[-1].append(index)
        room -= lengths[index]
    for batch in batches:
        batch.sort(key=lambda index: (-1 if banks[index] is None else banks[index], lengths[index]))
    return batches


def fill(readings: Sequence[Reading]) -> list[Reading]:
    """Add fillers that belong to no vector, so that the token counts of each adapter and of all take few values.

    See `attention.round_up`. `readings` of one adapter must be neighbours.
    """
    filled: list[Reading] = []
    for bank, run in groupby(readings, key=lambda reading: reading.bank):
        bank_readings = list(run)
        filled += [*bank_readings, *_filler(sum(len(reading.ids) for reading in bank_readings), bank)]
    return filled + _filler(sum(len(reading.ids) for reading in filled), filled[-1].bank)


def _filler(tokens: int, bank: int | None) -> list[Reading]:
    missing, none = round_up(tokens, BATCHES_PER_OCTAVE) - tokens, np.zeros(0, dtype=np.int64)
    return [Reading(np.zeros(missing, dtype=np.int64), bank, none, none)] if missing else []


def pack(readings: Sequence[Reading], device: torch.device) -> PackedBatch:
    """Lay readings end to end; positions restart at 0 for each."""
    lengths = [len(reading.ids) for reading in readings]
    ids = np.concatenate([reading.ids for reading in readings])
    positions = np.concatenate([np.arange(length) for length in lengths])
    return PackedBatch(
        ids=torch.from_numpy(ids).to(device),
        positions=torch.from_numpy(positions).to(device),
        starts=torch.from_numpy(np.cumsum([0, *lengths], dtype=np.int32)).to(device),
        groups=tuple(_groups(lengths)),
        runs=tuple(_runs(lengths, [reading.bank for reading in readings])),
    )


def window_readings(
    ids: IntArray, rows: Sequence[IntArray], plan: Sequence[Window], bank: int | None, first: int
) -> list[Reading]:
    """The passes that read the tokens of all spans. Span i becomes vector `first` + i.

    A window whose states no span uses is left out.
    """
    return owned_readings(ids, owned_tokens(rows, first), plan, bank)


class OwnedTokens(NamedTuple):
    """Tokens whose states are used, in ascending order, and the vector that each state is added to."""

    tokens: IntArray
    owners: IntArray


def owned_tokens(rows: Sequence[IntArray], first: int = 0) -> OwnedTokens:
    """The tokens of spans that become the vectors from `first` on."""
    tokens = np.concatenate(rows)
    owners = np.repeat(np.arange(first, first + len(rows)), [len(span_rows) for span_rows in rows])
    order = np.argsort(tokens, kind="stable")
    return OwnedTokens(tokens[order], owners[order])


def owned_readings(ids: IntArray, owned: OwnedTokens, plan: Sequence[Window], bank: int | None) -> list[Reading]:
    """As `window_readings`, for tokens in order. The cost of a window does not depend on the document's length."""
    readings = []
    for start, end, keep in plan:
        used = slice(*np.searchsorted(owned.tokens, (keep, end)))
        if used.start < used.stop:
            readings.append(Reading(ids[start:end], bank, owned.owners[used], owned.tokens[used] - start))
    return readings


def used_rows(readings: Sequence[Reading]) -> IntArray | None:
    """Rows of the packed batch whose states are used, None for all of them."""
    if all(reading.rows is None for reading in readings):
        return None
    starts = np.cumsum([0] + [len(reading.ids) for reading in readings[:-1]])
    rows = [np.arange(len(reading.ids)) if reading.rows is None else reading.rows for reading in readings]
    return np.concatenate([reading_rows + start for reading_rows, start in zip(rows, starts, strict=True)])


def _groups(lengths: Sequence[int]) -> Iterator[EqualTexts]:
    start = 0
    for length, run in groupby(lengths):
        texts = len(list(run))
        yield EqualTexts(start, texts, length)
        start += texts * length


def _runs(lengths: Sequence[int], banks: Sequence[int | None]) -> Iterator[tuple[int, slice]]:
    start = first = 0
    for bank, run in groupby(banks):
        texts = len(list(run))
        size = sum(lengths[first : first + texts])
        if bank is not None:
            yield bank, slice(start, start + size)
        start += size
        first += texts
