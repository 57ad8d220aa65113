"""Attention over packed texts: each text sees itself only, no mask and no padding.

Shapes: N tokens of all texts in a row, H heads, D head size.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

EXPLICIT_TRAINING_LENGTH = 512
"""On CPUs the fused kernel's backward pass is slow for short texts. Plain products make a training step 1.4 × as
fast."""


VARLEN_DTYPES = (torch.bfloat16, torch.float16)
TILE = 2**20
"""Attention weights that are held at a time: 2 MiB of bfloat16, about what the caches keep."""
MIN_TILE_ROWS = 64
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
    qk: Tensor, v: Tensor, groups: tuple[EqualTexts, ...], starts: Tensor, choice: AttentionChoice = ALL_TILES
) -> Tensor:
    """Softmax attention within each text. Shapes: qk (N, 2, H, D), v (N, H, D), starts (texts + 1,) -> (N, H * D)."""
    heads, size = v.shape[1:]
    if qk.device.type == "cuda" and qk.dtype in VARLEN_DTYPES and not torch.is_grad_enabled() and has_varlen():
        return _varlen_attention(qk, v, groups, starts)
    lengths = [texts * length for _, texts, length in groups]
    outputs = []
    for (_, texts, length), group_qk, group_v in zip(
        groups, torch.split(qk, lengths), torch.split(v, lengths), strict=True
    ):
        query, key = group_qk.view(texts, length, 2, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        value = group_v.view(texts, length, heads, size).transpose(1, 2)
        mixed = _kernel(query, length, choice)(query, key, value)
        outputs.append(mixed.transpose(1, 2).reshape(texts * length, heads * size))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def attend_rows(query: Tensor, key: Tensor, value: Tensor, choice: AttentionChoice) -> Tensor:
    """Softmax attention of some rows of one text. Shapes: query (R, H, D), key and value (H, N, D) -> (R, H * D)."""
    query = query.transpose(0, 1)[None]
    mixed = _kernel(query, key.shape[1], choice)(query, key[None], value[None])
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


def _kernel(query: Tensor, length: int, choice: AttentionChoice) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The fastest for query (texts, H, R, D) and keys (texts, H, length, D)."""
    if torch.is_grad_enabled():
        return _explicit_attention if length <= EXPLICIT_TRAINING_LENGTH else F.scaled_dot_product_attention
    if query.device.type == "cpu" and choice.tiled(length):
        return _tiled_attention
    return F.scaled_dot_product_attention


def _explicit_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Shapes: all (texts, H, length, D). Holds the length × length weights, so for short texts only."""
    weights = torch.softmax((query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2), dim=-1)
    return weights @ value


def _tiled_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Shapes: query (texts, H, R, D), key and value (texts, H, length, D) -> as query.

    Holds at most `TILE` weights at a time: several heads, or rows of one head. bfloat16 lengths are filled up to one of
    few (`round_up`), with keys that get no weight.
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
    for first in range(0, len(query), heads):
        these_heads = slice(first, first + heads)
        keys, values = key[these_heads].transpose(1, 2), value[these_heads]
        for start in range(0, rows_filled, rows):
            part = slice(start, start + rows)
            scores = torch.baddbmm(unused, query[these_heads, part], keys, beta=0, alpha=scale)
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
