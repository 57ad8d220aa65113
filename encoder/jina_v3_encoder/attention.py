"""Attention over packed texts: each text sees itself only, no mask and no padding.

Shapes: N tokens of all texts in a row, H heads, D head size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

EXPLICIT_TRAINING_LENGTH = 512
"""On CPUs the fused kernel's backward pass is slow for short texts: spelled out, a training step is 1.4 × as fast."""


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


def attend(qk: Tensor, v: Tensor, groups: tuple[Group, ...]) -> Tensor:
    """Softmax attention within each text. Shapes: qk (N, 2, H, D), v (N, H, D) -> (N, H * D)."""
    heads, size = v.shape[1:]
    lengths = [texts * length for _, texts, length in groups]
    outputs = []
    for (_, texts, length), own_qk, own_v in zip(
        groups, torch.split(qk, lengths), torch.split(v, lengths), strict=True
    ):
        query, key = own_qk.view(texts, length, 2, heads, size).permute(2, 0, 3, 1, 4).unbind(0)
        value = own_v.view(texts, length, heads, size).transpose(1, 2)
        explicit = torch.is_grad_enabled() and length <= EXPLICIT_TRAINING_LENGTH
        mixed = (_explicit_attention if explicit else F.scaled_dot_product_attention)(query, key, value)
        outputs.append(mixed.transpose(1, 2).reshape(texts * length, heads * size))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _explicit_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Shapes: all (texts, H, length, D). Holds the length × length weights, so for short texts only."""
    weights = torch.softmax((query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2), dim=-1)
    return weights @ value
