"""Attention over packed texts: each text sees itself only, no mask and no padding.

Shapes: N tokens of all texts in a row, H heads, D head size.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from .alibi import Alibi

EXPLICIT_TRAINING_LENGTH = 512
"""On CPUs the fused kernel's backward pass is slow for short texts. Plain products make a training step 1.4 × as
fast."""


VARLEN_DTYPES = (torch.bfloat16, torch.float16)
TILE = 2**20
"""Attention weights that are held at a time: 2 MiB of bfloat16, about what the caches keep."""
MIN_TILE_ROWS = 64
GPU_TILE = 2**26
"""Values of ALiBi that are held at a time on a GPU, which wants large operations: 128 MiB of bfloat16."""
LENGTHS_PER_OCTAVE = 16
LENGTH_BOUNDS = (64, 256, 1024)
"""The longest text of each class of lengths. Longer texts are one more class."""


class AttentionChoice(NamedTuple):
    """For each class of lengths (`LENGTH_BOUNDS`): True for tiles of plain products, False for torch's fused kernel.

    Tiles win on processors that multiply bfloat16 in AVX512, and for short float32 texts. The fused kernel wins where
    there are AMX tiles. `kernels` tries both.
    """

    tiles: tuple[bool, ...]

    def tiled(self, length: int) -> bool:
        return self.tiles[bisect_left(LENGTH_BOUNDS, length)]

    @classmethod
    def everywhere(cls, *, tiles: bool) -> AttentionChoice:
        """The same for all lengths."""
        return cls((tiles,) * (len(LENGTH_BOUNDS) + 1))


ALL_TILES = AttentionChoice.everywhere(tiles=True)


class EqualTexts(NamedTuple):
    """Neighbouring texts of equal length, which one kernel call can serve."""

    start: int
    texts: int
    length: int


def rotary_table(length: int, head_size: int, base: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Cosines and sines (2, length, D/2) of rotate-half RoPE, computed in float32 (RoFormer, eq. 34)."""
    frequencies = base ** (-torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
    angles = torch.arange(length, dtype=torch.float32)[:, None] * frequencies
    return torch.stack((angles.cos(), angles.sin())).to(device=device, dtype=dtype)


def rotate(qk: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate queries and keys. Shapes: qk (N, 2, H, D), cos and sin (N, 1, 1, D/2)."""
    first, second = qk.chunk(2, dim=-1)
    if torch.is_grad_enabled():
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    rotated = qk * torch.cat((cos, cos), dim=-1)
    rotated_first, rotated_second = rotated.chunk(2, dim=-1)
    rotated_first.addcmul_(second, sin, value=-1)
    rotated_second.addcmul_(first, sin)
    return rotated


def attend(
    qk: Tensor,
    v: Tensor,
    groups: tuple[EqualTexts, ...],
    starts: Tensor,
    choice: AttentionChoice = ALL_TILES,
    alibi: Alibi | None = None,
) -> Tensor:
    """Softmax attention within each text. Shapes: qk (N, 2, H, D), v (N, H, D), starts (texts + 1,) -> (N, H * D)."""
    heads, size = v.shape[1:]
    short = qk.dtype in VARLEN_DTYPES and alibi is None  # the kernel for packed texts takes no bias
    if qk.device.type == "cuda" and short and not torch.is_grad_enabled() and has_varlen():
        return _varlen_attention(qk, v, groups, starts)
    lengths = [texts * length for _, texts, length in groups]
    outputs = []
    for (_, texts, length), group_qk, group_v in zip(
        groups, torch.split(qk, lengths), torch.split(v, lengths), strict=True
    ):
        query, key = group_qk.view(texts, length, 2, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        value = group_v.view(texts, length, heads, size).transpose(1, 2)
        mixed = _mixed(query, key, value, choice, alibi)
        outputs.append(mixed.transpose(1, 2).reshape(texts * length, heads * size))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def attend_rows(
    query: Tensor, key: Tensor, value: Tensor, choice: AttentionChoice, alibi: Alibi | None = None
) -> Tensor:
    """Softmax attention of some rows of one text. Shapes: query (R, H, D), key and value (H, N, D) -> (R, H * D)."""
    query = query.transpose(0, 1)[None]
    mixed = _mixed(query, key[None], value[None], choice, alibi)
    return mixed[0].transpose(0, 1).reshape(query.shape[2], -1)


@cache
def has_varlen() -> bool:
    """Whether torch's attention over packed texts works on this GPU; it is private to some versions and chips."""
    qk, v = torch.randn(2, 7, 2, 2, 64, device="cuda").to(torch.bfloat16), torch.ones(7, 2, 64, device="cuda")
    groups, starts = (
        (EqualTexts(0, 1, 3), EqualTexts(3, 1, 4)),
        torch.tensor([0, 3, 7], dtype=torch.int32, device="cuda"),
    )
    try:
        mixed = _varlen_attention(qk[0], v.to(torch.bfloat16), groups, starts)
        return bool(torch.allclose(mixed.float(), torch.ones_like(mixed).float(), atol=1e-2))
    except (ImportError, AttributeError, RuntimeError, TypeError):
        return False


def _varlen_attention(qk: Tensor, v: Tensor, groups: tuple[EqualTexts, ...], starts: Tensor) -> Tensor:
    """One kernel for all texts. Keys are not split, so a text's result does not depend on the other texts."""
    from torch.nn.attention.varlen import varlen_attn

    longest = max(group.length for group in groups)
    query, key = qk.unbind(1)
    mixed = varlen_attn(query, key, v, starts, starts, longest, longest, num_splits=1)
    return cast(Tensor, mixed).flatten(1)


def _mixed(query: Tensor, key: Tensor, value: Tensor, choice: AttentionChoice, alibi: Alibi | None) -> Tensor:
    """By the fastest way. Shapes: query (texts, H, R, D), key and value (texts, H, length, D) -> as query."""
    length = key.shape[2]
    if torch.is_grad_enabled() and length <= EXPLICIT_TRAINING_LENGTH:
        return _explicit_attention(query, key, value, alibi)
    if not torch.is_grad_enabled() and query.device.type == "cpu" and choice.tiled(length):
        return _tiled_attention(query, key, value, alibi)
    if alibi is None:
        return F.scaled_dot_product_attention(query, key, value)
    return _masked_attention(query, key, value, alibi)


def _explicit_attention(query: Tensor, key: Tensor, value: Tensor, alibi: Alibi | None = None) -> Tensor:
    """Shapes: all (texts, H, length, D). Holds the length × length weights, so for short texts only."""
    length, scores = key.shape[2], (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if alibi is not None:
        scores = scores + alibi.falls(query) * alibi.distances(0, scores.shape[2], length, query)
    return torch.softmax(scores, dim=-1) @ value


def _masked_attention(query: Tensor, key: Tensor, value: Tensor, alibi: Alibi) -> Tensor:
    """The fused kernel of torch, with ALiBi as a mask of some heads and rows at a time. Shapes as `_mixed`."""
    heads, known, length = query.shape[1], query.shape[2], key.shape[2]
    room = TILE if query.device.type == "cpu" else GPU_TILE
    heads_at_once = max(1, room // (known * length))
    rows = known if heads_at_once > 1 else max(MIN_TILE_ROWS, room // length)
    falls, parts = alibi.falls(query), []
    for start in range(0, known, rows):
        queries = query[:, :, start : start + rows]
        distances = alibi.distances(start, queries.shape[2], length, query)
        some = (slice(head, head + heads_at_once) for head in range(0, heads, heads_at_once))
        mixed = [
            F.scaled_dot_product_attention(
                queries[:, some_heads], key[:, some_heads], value[:, some_heads], (falls[some_heads] * distances)[None]
            )
            for some_heads in some
        ]
        parts.append(torch.cat(mixed, dim=1))
    return torch.cat(parts, dim=2)


def _tiled_attention(query: Tensor, key: Tensor, value: Tensor, alibi: Alibi | None) -> Tensor:
    """Shapes: query (texts, H, R, D), key and value (texts, H, length, D) -> as query.

    Holds at most `TILE` weights at a time: several heads, or rows of one head. bfloat16 lengths are filled up to one of
    few (`round_up`), with keys that get no weight.

    Each tile's distances are a part of one table: a row further down has the same distances, one key further on.
    """
    texts, heads_in, rows_in, size = query.shape
    known = key.shape[2]
    few = query.dtype is torch.bfloat16
    rows_filled, length = (round_up(n, LENGTHS_PER_OCTAVE) if few else n for n in (rows_in, known))
    query = _filled(query, rows_filled).view(-1, rows_filled, size)
    key, value = (_filled(part, length).view(-1, length, size) for part in (key, value))
    mixed, scale = torch.empty_like(query), size**-0.5
    heads = max(1, TILE // (length * rows_filled))
    rows = rows_filled if heads > 1 else max(MIN_TILE_ROWS, TILE // length)
    unused = query.new_empty(1, 1, 1)
    last = (rows_filled - 1) // rows * rows
    if alibi is not None:
        falls = alibi.falls(query).repeat(texts, 1, 1)
        distances = alibi.distances(last, rows, length + last, query)
    for first in range(0, len(query), heads):
        these_heads = slice(first, first + heads)
        keys, values = key[these_heads].transpose(1, 2), value[these_heads]
        for start in range(0, rows_filled, rows):
            part = slice(start, start + rows)
            scores = torch.baddbmm(unused, query[these_heads, part], keys, beta=0, alpha=scale)
            if alibi is not None:
                of_tile = distances[: scores.shape[1], last - start : last - start + length]
                scores.addcmul_(of_tile, falls[these_heads])
            if length > known:
                scores[:, :, known:] = -torch.inf
            mixed[these_heads, part] = torch.bmm(torch.softmax(scores, dim=-1), values)
    return mixed.view(texts, heads_in, rows_filled, size)[:, :, :rows_in]


def _filled(part: Tensor, length: int) -> Tensor:
    """A contiguous (texts, H, length, D) tensor, with zeros after the old end."""
    texts, heads, known, size = part.shape
    if length == known:
        return part.contiguous()
    filled = part.new_empty(texts, heads, length, size)
    filled[:, :, :known] = part
    filled[:, :, known:] = 0
    return filled


def round_up(length: int, per_octave: int) -> int:
    """Round up to one of `per_octave` lengths between two powers of two. The result is at most 1 / `per_octave` longer.

    oneDNN makes one kernel for each shape and keeps a thousand. Each takes about a megabyte and a millisecond.
    """
    step = max(1, (1 << (length.bit_length() - 1)) // per_octave)
    return -(-length // step) * step
