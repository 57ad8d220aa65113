"""Prepacked weights multiply as plain ones and come back unchanged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jina_v3_encoder.network import linear as module
from jina_v3_encoder.network.linear import PackedProduct, PlainProduct, can_pack, has_packed_product, product_of


@pytest.fixture(autouse=True)
def probe_afresh() -> Iterator[None]:
    has_packed_product.cache_clear()
    yield
    has_packed_product.cache_clear()


def skip_unless_packed(dtype: torch.dtype) -> None:
    """Float32 is packed everywhere; bfloat16 needs AVX-512."""
    if dtype is torch.bfloat16 and not can_pack(torch.zeros(4, 4, dtype=dtype)):
        pytest.skip("this processor packs no bfloat16")


@pytest.mark.parametrize("rows", [1, 2, 15, 64, 333])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_the_same_product(rows: int, dtype: torch.dtype, tolerance: float) -> None:
    skip_unless_packed(dtype)
    torch.manual_seed(rows)
    x, weight, bias = torch.randn(rows, 96), torch.randn(40, 96) / 10, torch.randn(40)
    wanted = F.linear(x.to(dtype).double(), weight.to(dtype).double(), bias.to(dtype).double())
    with torch.inference_mode():
        product = PackedProduct.of(weight.to(dtype))(x.to(dtype), bias.to(dtype))
    assert product.dtype == dtype
    assert torch.allclose(product.double(), wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (48, 32), (300, 1024)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_weight_comes_back_bit_by_bit(shape: tuple[int, int], dtype: torch.dtype) -> None:
    skip_unless_packed(dtype)
    weight = torch.randn(*shape).to(dtype)
    assert torch.equal(PackedProduct.of(weight).plain(), weight)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int8])
def test_other_formats_stay_plain(dtype: torch.dtype) -> None:
    assert not can_pack(torch.zeros(4, 4, dtype=dtype))
    assert can_pack(torch.zeros(4, 4))


@pytest.mark.parametrize("error", [AttributeError, RuntimeError])
def test_without_the_operators(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def absent(weight: Tensor) -> PackedProduct:
        raise error("no such operator")

    monkeypatch.setattr(module.PackedProduct, "of", absent)
    assert not can_pack(torch.zeros(4, 4))


def test_an_operator_that_computes_something_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.PackedProduct, "__call__", lambda self, x, bias: F.linear(x, self.plain()))
    assert not has_packed_product(torch.float32)


def test_a_processor_that_packs_no_bfloat16_multiplies_it_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    of = PackedProduct.of

    def float32_only(weight: Tensor) -> PackedProduct:
        if weight.dtype is torch.bfloat16:
            raise RuntimeError("bf16 path needs the cpu support avx512bw")
        return of(weight)

    monkeypatch.setattr(module.PackedProduct, "of", float32_only)
    assert can_pack(torch.zeros(4, 4))
    assert isinstance(product_of(torch.zeros(4, 4, dtype=torch.bfloat16)), PlainProduct)
