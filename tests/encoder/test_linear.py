from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional as F

from jina_v3_encoder import linear as module
from jina_v3_encoder.linear import has_onednn_linear, linear


@pytest.fixture(autouse=True)
def probe_afresh() -> Iterator[None]:
    has_onednn_linear.cache_clear()
    yield
    has_onednn_linear.cache_clear()


@pytest.mark.parametrize("rows", [1, 2, 15, 64, 333])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_the_same_product(rows: int, dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(rows)
    x, weight, bias = torch.randn(rows, 96), torch.randn(40, 96) / 10, torch.randn(40)
    wanted = F.linear(x.to(dtype).double(), weight.to(dtype).double(), bias.to(dtype).double())
    with torch.inference_mode():
        found = linear(x.to(dtype), weight.to(dtype), bias.to(dtype))
    assert found.dtype == dtype
    assert torch.allclose(found.double(), wanted, rtol=tolerance, atol=tolerance)


def test_gradients_take_the_public_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_onednn_linear", lambda *_: pytest.fail("has no gradient"))
    weight = torch.ones(2, 3, requires_grad=True)
    linear(torch.ones(1, 3), weight, torch.zeros(2)).sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None


@pytest.mark.parametrize("error", [AttributeError, RuntimeError])
def test_without_the_operator(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def absent(*_: torch.Tensor) -> torch.Tensor:
        raise error("no such operator")

    monkeypatch.setattr(module, "_onednn_linear", absent)
    x, weight, bias = torch.randn(3, 4), torch.randn(5, 4), torch.randn(5)
    with torch.inference_mode():
        assert torch.equal(linear(x, weight, bias), F.linear(x, weight, bias))


def test_an_operator_that_computes_something_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_onednn_linear", lambda x, weight, bias: F.linear(x, weight))
    assert not has_onednn_linear()
