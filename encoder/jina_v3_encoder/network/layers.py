"""Linear layers whose weight can be packed for the CPU, or rounded to bytes.

What packing and rounding do to a weight stands here once, for the layers of all networks.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .kernels import Kernels
from .linear import GatedProduct, PackedProduct, Product, WeightForm, can_gate, can_pack
from .quantize import Int8Product, quantize_weight


class WeightedLayer(nn.Module):
    """A weight (out, in), and a bias (out,) or None.

    `int8` layers hold the weight as bytes and a float32 scale for each output. They work only after `pack`.
    """

    weight: nn.Parameter
    weight_scale: nn.Parameter
    bias: nn.Parameter | None

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, int8: bool = False) -> None:
        super().__init__()
        self.product: WeightForm | None = None
        if int8:
            self.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=torch.int8), requires_grad=False)
            self.weight_scale = nn.Parameter(torch.empty(outputs), requires_grad=False)
        else:
            self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def pack(self, kernels: Kernels) -> None:
        """Bring the weight into the form that the CPU multiplies fastest. `plain_weight` still returns it as it was."""
        if self.product is not None:
            return
        if self.weight.dtype is torch.int8:
            self.product = Int8Product.of(self.weight, self.weight_scale)
        elif kernels.product != "plain" and can_pack(self.weight):
            self.product = self.packed_form(kernels)
        if self.product is not None:
            del self.weight

    def packed_form(self, kernels: Kernels) -> WeightForm:
        """The weight in oneDNN's blocks."""
        return PackedProduct.of(self.weight)

    def multiply(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out). Not for forms that do more than multiply."""
        if self.product is None:
            return F.linear(x, self.weight, self.bias)
        return cast(Product, self.product)(x, self.bias)

    def plain_weight(self) -> Tensor:
        """(out, in), as it was loaded."""
        return self.weight if self.product is None else self.product.plain()

    def quantize(self) -> None:
        """Round the weight to bytes."""
        values, scales = quantize_weight(self.weight)
        self.weight = nn.Parameter(values, requires_grad=False)
        self.weight_scale = nn.Parameter(scales, requires_grad=False)


class Linear(WeightedLayer):
    """A linear layer."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out)."""
        return self.multiply(x)


class GatedLinear(WeightedLayer):
    """GEGLU (Shazeer 2020) without bias: GELU of one half times the other half. The weight is (2 * out, in)."""

    def __init__(self, inputs: int, outputs: int, *, gate_first: bool, int8: bool = False) -> None:
        """`gate_first`: GELU is taken of the first half of the weight's rows."""
        super().__init__(inputs, 2 * outputs, bias=False, int8=int8)
        self.gate_first = gate_first

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out)."""
        if isinstance(self.product, GatedProduct):
            return self.product(x)
        first, second = self.multiply(x).chunk(2, dim=-1)
        return gelu(first) * second if self.gate_first else first * gelu(second)

    def packed_form(self, kernels: Kernels) -> WeightForm:
        """Both halves in oneDNN's blocks, with GELU and their product fused where that works."""
        return (
            GatedProduct.of(self.weight, gate_first=self.gate_first)
            if can_gate(self.weight)
            else super().packed_form(kernels)
        )


def gelu(x: Tensor) -> Tensor:
    """Exact GELU, in place if no gradient needs the input, so that the widest activation stays in the caches."""
    return F.gelu(x) if torch.is_grad_enabled() else torch.ops.aten.gelu_(x)
