"""Gated layers: halves, packing, bytes; and what a machine without the operators does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jina_v3_encoder.network import linear as module
from jina_v3_encoder.network.attention import ALL_TILES
from jina_v3_encoder.network.kernels import FORMS, Form, Kernels
from jina_v3_encoder.network.layers import GatedLinear, Linear
from jina_v3_encoder.network.linear import GatedProduct, can_gate, has_gated_product
from jina_v3_encoder.network.quantize import has_int8_product


@pytest.fixture(autouse=True)
def probe_afresh() -> Iterator[None]:
    has_gated_product.cache_clear()
    yield
    has_gated_product.cache_clear()


def gated(gate_first: bool, dtype: torch.dtype = torch.float32) -> GatedLinear:
    torch.manual_seed(0)
    layer = GatedLinear(48, 40, gate_first=gate_first).requires_grad_(False)
    layer.weight.normal_()
    return layer.to(dtype)


def wanted(layer: GatedLinear, x: Tensor, gate_first: bool) -> Tensor:
    first, second = x.double() @ layer.plain_weight().double()[:40].T, x.double() @ layer.plain_weight().double()[40:].T
    return F.gelu(first) * second if gate_first else first * F.gelu(second)


@pytest.mark.parametrize("rows", [1, 15, 333])
@pytest.mark.parametrize("gate_first", [True, False])
@pytest.mark.parametrize("form", [None, *FORMS])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_gelu_of_the_right_half(
    rows: int, gate_first: bool, form: Form | None, dtype: torch.dtype, tolerance: float
) -> None:
    layer, x = gated(gate_first, dtype), torch.randn(rows, 48).to(dtype)
    expected = wanted(layer, x, gate_first)
    if form is not None:
        layer.pack(Kernels(form, ALL_TILES))
    with torch.inference_mode():
        y = layer(x)
    assert y.dtype is dtype
    assert torch.allclose(y.double(), expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("gate_first", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_weight_comes_back_bit_by_bit(gate_first: bool, dtype: torch.dtype) -> None:
    layer = gated(gate_first, dtype)
    if dtype is torch.bfloat16 and not can_gate(layer.weight):
        pytest.skip("this processor packs no bfloat16")
    before = layer.weight.clone()
    layer.pack(Kernels("packed", ALL_TILES))
    assert isinstance(layer.product, GatedProduct)
    assert torch.equal(layer.plain_weight(), before)
    layer.pack(Kernels("packed", ALL_TILES))
    assert torch.equal(layer.plain_weight(), before), "packing twice changes nothing"


@pytest.mark.parametrize("gate_first", [True, False])
def test_bytes(gate_first: bool) -> None:
    if not has_int8_product():
        pytest.skip("no int8 product here")
    layer, x = gated(gate_first), torch.randn(20, 48)
    expected = wanted(layer, x, gate_first)
    layer.quantize()
    layer.pack(Kernels("packed", ALL_TILES))
    with torch.inference_mode():
        y = layer(x).double()
    assert (y - expected).norm() <= 0.03 * expected.norm()


def test_gradients_reach_the_weight() -> None:
    layer = gated(True).requires_grad_(True)
    layer(torch.randn(5, 48)).sum().backward()
    assert layer.weight.grad is not None
    assert (layer.weight.grad.abs().amax(1) > 0).all()


@pytest.mark.parametrize("error", [AttributeError, RuntimeError])
def test_without_the_operators_both_halves_are_one_product(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def absent(weight: Tensor, *, gate_first: bool) -> GatedProduct:
        raise error("no such operator")

    monkeypatch.setattr(module.GatedProduct, "of", absent)
    layer, x = gated(False), torch.randn(5, 48)
    expected = wanted(layer, x, False)
    assert not can_gate(layer.weight)
    layer.pack(Kernels("packed", ALL_TILES))
    with torch.inference_mode():
        assert torch.allclose(layer(x).double(), expected, atol=1e-3)


def test_operators_that_compute_something_else_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.GatedProduct, "__call__", lambda self, x: F.linear(x, self.plain())[:, :4])
    assert not can_gate(torch.zeros(8, 4))


def test_a_linear_layer_with_and_without_a_bias() -> None:
    x = torch.randn(3, 8)
    for bias in (True, False):
        layer = Linear(8, 5, bias=bias).requires_grad_(False)
        for parameter in layer.parameters():
            parameter.normal_()
        plain = layer(x)
        layer.pack(Kernels("packed", ALL_TILES))
        with torch.inference_mode():
            assert torch.allclose(layer(x), plain, atol=1e-5)
        assert (layer.bias is not None) == bias
