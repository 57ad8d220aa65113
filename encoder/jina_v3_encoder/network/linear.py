"""Matrix products on the CPU with prepacked weights.

oneDNN reorders a plain weight into blocks on every call. Here that is done once. A batch of 2,048 tokens is 5 to 10 %
faster, and a short query nearly twice as fast. For float32, torch would use its BLAS, which is less than half as fast
on AMD processors.
The operators are torch's own but private. They are tried once, and not used if they are absent or give other results.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

PACKED_DTYPES = (torch.float32, torch.bfloat16)
COLUMN_STEP = 32
"""Elements of bfloat16 in a row of an AMX tile."""
Runs: TypeAlias = tuple[tuple[int, slice], ...]
"""Token ranges that share an adapter, as (bank, rows); tokens in no range use the base weights."""


class WeightForm(Protocol):
    """A linear layer's weight in the form that its arithmetic wants."""

    def plain(self) -> Tensor:
        """The weight (out, in) that it was made of."""


class Product(WeightForm, Protocol):
    """A form that multiplies by the weight, and no more."""

    def __call__(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """(N, in) -> (N, out)."""


@dataclass(frozen=True)
class PackedProduct:
    """A weight in oneDNN's blocked layout; nothing is rounded."""

    packed: Tensor

    @classmethod
    def of(cls, weight: Tensor) -> PackedProduct:
        return cls(torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None))

    def __call__(self, x: Tensor, bias: Tensor | None) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, bias, "none", [], "")
        return product

    def plain(self) -> Tensor:
        return self.packed.to_dense()


@dataclass(frozen=True)
class PlainProduct:
    """A weight as it is, in torch's own product."""

    weight: Tensor

    def __call__(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, self.weight, bias)

    def plain(self) -> Tensor:
        return self.weight


@dataclass(frozen=True)
class ExtendedProduct:
    """A packed weight with the adapters' second factors as further columns.

    The input is extended by the adapters' first products, each in its task's columns, 0 elsewhere. One product then
    serves the weight and the adapters of all tasks. The columns are rounded up to a multiple of 32.
    """

    packed: Tensor
    inputs: int
    columns: int

    @classmethod
    def of(cls, weight: Tensor, second_factors: Tensor, scaling: float) -> ExtendedProduct:
        """Shapes: weight (out, in), second_factors (T, out, r)."""
        outputs, inputs = weight.shape
        tasks, _, rank = second_factors.shape
        columns = -(-tasks * rank // COLUMN_STEP) * COLUMN_STEP
        extended = weight.new_zeros(outputs, inputs + columns)
        extended[:, :inputs] = weight.detach()
        extended[:, inputs : inputs + tasks * rank] = second_factors.detach().transpose(0, 1).flatten(1) * scaling
        return cls(torch.ops.mkldnn._reorder_linear_weight(extended, None), inputs, columns)

    def extend(self, x: Tensor, runs: Runs, first_factors: Tensor) -> Tensor:
        """(N, in) -> (N, in + columns). first_factors: (T, r, in)."""
        rank = first_factors.shape[1]
        extended = x.new_empty(len(x), self.inputs + self.columns)
        extended[:, : self.inputs] = x
        extended[:, self.inputs :] = 0
        for bank, rows in runs:
            start = self.inputs + bank * rank
            extended[rows, start : start + rank] = x[rows] @ first_factors[bank].T
        return extended

    def __call__(self, extended: Tensor, bias: Tensor, *, gelu: bool) -> Tensor:
        """(N, in + columns) -> (N, out), with exact GELU after it if asked."""
        activation = "gelu" if gelu else "none"
        product: Tensor = torch.ops.mkldnn._linear_pointwise(extended, self.packed, bias, activation, [], "none")
        return product

    def plain(self) -> Tensor:
        return self.packed.to_dense()[:, : self.inputs].contiguous()


@dataclass(frozen=True)
class GatedProduct:
    """The two halves of a gated layer (GEGLU), packed. GELU and the product of both are part of the matrix products.

    So the widest activations are written once, where plain operators write them four times.
    """

    gate: Tensor
    up: Tensor
    gate_first: bool

    @classmethod
    def of(cls, weight: Tensor, *, gate_first: bool) -> GatedProduct:
        """Shapes: weight (2 * out, in)."""
        first, second = (torch.ops.mkldnn._reorder_linear_weight(half, None) for half in weight.detach().chunk(2))
        return cls(first, second, True) if gate_first else cls(second, first, False)

    def __call__(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out)."""
        gate = torch.ops.mkldnn._linear_pointwise(x, self.gate, None, "gelu", [], "none")
        product: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, gate, self.up, None, "mul")
        return product

    def plain(self) -> Tensor:
        halves = self.gate.to_dense(), self.up.to_dense()
        return torch.cat(halves if self.gate_first else halves[::-1])


def can_pack(weight: Tensor) -> bool:
    """Whether `PackedProduct` works for this weight here."""
    return weight.device.type == "cpu" and weight.dtype in PACKED_DTYPES and has_packed_product(weight.dtype)


def product_of(weight: Tensor) -> Product:
    """The packed product where it works, else the plain one."""
    return PackedProduct.of(weight) if can_pack(weight) else PlainProduct(weight)


def can_extend(weight: Tensor) -> bool:
    """Whether `ExtendedProduct` works for this weight here."""
    return can_pack(weight) and has_extended_product(weight.dtype)


def can_gate(weight: Tensor) -> bool:
    """Whether `GatedProduct` works for this weight here."""
    return can_pack(weight) and has_gated_product(weight.dtype)


@cache
def has_gated_product(dtype: torch.dtype) -> bool:
    """Whether it computes what plain products do, and gives the weight back, in this number format."""
    x, weight, _ = _probe(dtype)
    first, second = F.linear(x.float(), weight.float()).chunk(2, dim=-1)
    wanted = first * F.gelu(second)
    try:
        with torch.no_grad():
            product = GatedProduct.of(weight, gate_first=False)
            return _is_same(product(x), wanted) and torch.equal(product.plain(), weight)
    except (AttributeError, RuntimeError):
        return False


@cache
def has_extended_product(dtype: torch.dtype) -> bool:
    """Whether it computes what plain products do in this number format, GELU included."""
    x, weight, bias = _probe(dtype)
    first, second = (
        torch.linspace(-1, 2, 64).view(2, 2, 16).to(dtype),
        torch.linspace(-1, 1, 32).view(2, 8, 2).to(dtype),
    )
    sums = F.linear(x.float(), weight.float(), bias.float()) + x.float() @ first[1].T.float() @ second[1].T.float()
    try:
        with torch.no_grad():
            product = ExtendedProduct.of(weight, second, 1.0)
            states = product(product.extend(x, ((1, slice(0, 3)),), first), bias, gelu=True)
            return _is_same(states, F.gelu(sums)) and torch.equal(product.plain(), weight)
    except (AttributeError, RuntimeError):
        return False


@cache
def has_packed_product(dtype: torch.dtype) -> bool:
    """Whether the operators are there for this number format, compute what `F.linear` does, and give the weight back.

    For bfloat16 a processor needs AVX-512.
    """
    x, weight, bias = _probe(dtype)
    try:
        with torch.no_grad():
            product = PackedProduct.of(weight)
            wanted = F.linear(x.float(), weight.float(), bias.float())
            return _is_same(product(x, bias), wanted) and torch.equal(product.plain(), weight)
    except (AttributeError, RuntimeError):
        return False


def _probe(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Rows (3, 16), a weight (8, 16) and a bias."""
    x, weight = torch.linspace(-1, 1, 48).view(3, 16), torch.linspace(-2, 1, 128).view(8, 16)
    return x.to(dtype), weight.to(dtype), torch.arange(8.0).to(dtype)


def _is_same(product: Tensor, wanted: Tensor) -> bool:
    """Within the rounding of the product's number format."""
    rounding = 16 * torch.finfo(product.dtype).eps * float(wanted.abs().max())
    return torch.allclose(product.float(), wanted, atol=rounding)
