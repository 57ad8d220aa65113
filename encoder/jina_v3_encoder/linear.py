"""Matrix products on the CPU through oneDNN where torch would take a slower library.

For float32 torch calls its BLAS, which reaches less than half of oneDNN's speed on AMD processors (measured there on
1024 × 4096: 190 against 440 GFLOP/s); for bfloat16 both are oneDNN and equal. The operator is torch's own but private,
so it is tried once and left alone where it is absent or differs.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

ONEDNN_DTYPES = (torch.float32, torch.bfloat16)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`F.linear`. Shapes: x (N, in), weight (out, in), bias (out,) -> (N, out)."""
    suits = x.device.type == "cpu" and x.dtype in ONEDNN_DTYPES and not torch.is_grad_enabled()
    if suits and has_onednn_linear():
        return _onednn_linear(x, weight, bias)
    return F.linear(x, weight, bias)


@cache
def has_onednn_linear() -> bool:
    """Whether the operator is there and computes what `F.linear` does."""
    x, weight, bias = torch.linspace(-1, 1, 48).view(3, 16), torch.linspace(-2, 1, 128).view(8, 16), torch.arange(8.0)
    try:
        with torch.no_grad():
            return bool(torch.allclose(_onednn_linear(x, weight, bias), F.linear(x, weight, bias), atol=1e-5))
    except (AttributeError, RuntimeError):
        return False


def _onednn_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product
