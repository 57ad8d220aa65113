"""Attention over packed texts: each text sees itself only, no mask and no padding.

Shapes: N tokens of all texts in a row, H heads, D head size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

EXPLICIT_TRAINING_LENGTH = 512
"""On CPUs the fused kernel's backward pass is slow for short texts: spelled out, a training step is 1.4 × as fast."""


VARLEN_DTYPES = (torch.bfloat16, torch.float16)
TILED_FLOAT32_LENGTH = 128
"""On CPUs the fused kernel is slow for short texts, and for bfloat16 of any length: tiles take half its time."""
TILE = 2**20
"""Attention weights that are held at a time: 2 MiB of bfloat16, about what the caches keep."""
MIN_TILE_ROWS = 64
LENGTHS_PER_OCTAVE = 16


class Group(NamedTuple):
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
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def attend(qk: Tensor, v: Tensor, groups: tuple[Group, ...], starts: Tensor) -> Tensor:
    """Softmax attention within each text. Shapes: qk (N, 2, H, D), v (N, H, D), starts (texts + 1,) -> (N, H * D)."""
    heads, size = v.shape[1:]
    if qk.device.type == "cuda" and qk.dtype in VARLEN_DTYPES and not torch.is_grad_enabled() and has_varlen():
        return _varlen_attention(qk, v, groups, starts)
    lengths = [texts * length for _, texts, length in groups]
    outputs = []
    for (_, texts, length), own_qk, own_v in zip(
        groups, torch.split(qk, lengths), torch.split(v, lengths), strict=True
    ):
        query, key = own_qk.view(texts, length, 2, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        value = own_v.view(texts, length, heads, size).transpose(1, 2)
        mixed = _kernel(query)(query, key, value)
        outputs.append(mixed.transpose(1, 2).reshape(texts * length, heads * size))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


@cache
def has_varlen() -> bool:
    """Whether torch's attention over packed texts works on this GPU; it is private to some versions and chips."""
    qk, v = torch.randn(2, 7, 2, 2, 64, device="cuda").to(torch.bfloat16), torch.ones(7, 2, 64, device="cuda")
    groups, starts = (Group(0, 1, 3), Group(3, 1, 4)), torch.tensor([0, 3, 7], dtype=torch.int32, device="cuda")
    try:
        mixed = _varlen_attention(qk[0], v.to(torch.bfloat16), groups, starts)
        return bool(torch.allclose(mixed.float(), torch.ones_like(mixed).float(), atol=1e-2))
    except (ImportError, AttributeError, RuntimeError, TypeError):
        return False


def _varlen_attention(qk: Tensor, v: Tensor, groups: tuple[Group, ...], starts: Tensor) -> Tensor:
    """One kernel for all texts. No split over keys, so that a text's result does not depend on its company."""
    from torch.nn.attention.varlen import varlen_attn

    longest = max(group.length for group in groups)
    query, key = qk.unbind(1)
    mixed = varlen_attn(query, key, v, starts, starts, longest, longest, num_splits=1)
    return cast(Tensor, mixed).flatten(1)


def _kernel(query: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The fastest for (texts, H, length, D)."""
    length = query.shape[2]
    if torch.is_grad_enabled():
        return _explicit_attention if length <= EXPLICIT_TRAINING_LENGTH else F.scaled_dot_product_attention
    if query.device.type == "cpu" and (length <= TILED_FLOAT32_LENGTH or query.dtype is torch.bfloat16):
        return _tiled_attention
    return F.scaled_dot_product_attention


def _explicit_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Shapes: all (texts, H, length, D). Holds the length × length weights, so for short texts only."""
    weights = torch.softmax((query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2), dim=-1)
    return weights @ value


def _tiled_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Shapes: all (texts, H, length, D). Holds at most `TILE` weights at a time: several heads, or rows of one head.

    bfloat16 lengths are filled up to one of few (`round_up`), with keys that get no weight.
    """
    texts, heads_in, known, size = query.shape
    length = round_up(known, LENGTHS_PER_OCTAVE) if query.dtype is torch.bfloat16 else known
    query, key, value = (_filled(part, length).view(-1, length, size) for part in (query, key, value))
    mixed, scale = torch.empty_like(query), size**-0.5
    heads = max(1, TILE // length**2)
    rows = length if heads > 1 else max(MIN_TILE_ROWS, TILE // length)
    unused = query.new_empty(1, 1, 1)
    for first in range(0, len(query), heads):
        some_heads = slice(first, first + heads)
        keys, values = key[some_heads].transpose(1, 2), value[some_heads]
        for start in range(0, length, rows):
            part = slice(start, start + rows)
            scores = torch.baddbmm(unused, query[some_heads, part], keys, beta=0, alpha=scale)
            if length > known:
                scores[:, :, known:] = -torch.inf
            mixed[some_heads, part] = torch.bmm(torch.softmax(scores, dim=-1), values)
    return mixed.view(texts, heads_in, length, size)[:, :, :known]


def _filled(part: Tensor, length: int) -> Tensor:
    """(texts, H, length, D) in one piece, zeros behind what is there."""
    texts, heads, known, size = part.shape
    if length == known:
        return part.contiguous()
    filled = part.new_empty(texts, heads, length, size)
    filled[:, :, :known] = part
    filled[:, :, known:] = 0
    return filled


def round_up(length: int, per_octave: int) -> int:
    """The next of `per_octave` lengths between two powers of two, so at most a `per_octave`-th longer.

    oneDNN makes a kernel of its own for each shape, about a megabyte and a millisecond, and keeps a thousand of them.
    """
    step = max(1, (1 << (length.bit_length() - 1)) // per_octave)
    return -(-length // step) * step
