from __future__ import annotations

import pytest
import torch

from jina_v3_encoder.config import ModelConfig
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.network import device as module
from jina_v3_encoder.network.device import default_batch_tokens, resolve_device, resolve_dtype

CPU = torch.device("cpu")


def test_auto_device_is_there() -> None:
    assert resolve_device("auto").type in ("cpu", "cuda")
    assert resolve_device("cpu") == CPU


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "", None, "meta:x"])
def test_devices_that_are_not_here(device: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be used here"):
        resolve_device(device)


@pytest.mark.parametrize(("fast", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_dtype_follows_the_cpu(monkeypatch: pytest.MonkeyPatch, fast: bool, expected: torch.dtype) -> None:
    monkeypatch.setattr(module, "has_fast_bfloat16", lambda: fast)
    assert resolve_dtype("auto", CPU) == expected


def test_auto_dtype_on_cuda_is_bfloat16() -> None:
    assert resolve_dtype("auto", torch.device("cuda")) == torch.bfloat16


def test_dtypes_by_name_or_value() -> None:
    assert resolve_dtype("float32", CPU) == torch.float32
    assert resolve_dtype(torch.bfloat16, CPU) == torch.bfloat16


@pytest.mark.parametrize("dtype", ["int8", "bf16", "", None, torch.int64])
def test_unknown_dtypes(dtype: str) -> None:
    with pytest.raises(InvalidInput, match="unknown dtype"):
        resolve_dtype(dtype, CPU)


def test_batches_shrink_with_width_and_with_wider_numbers() -> None:
    narrow = ModelConfig(hidden_size=384, num_attention_heads=12, intermediate_size=1536)
    half, full = torch.bfloat16, torch.float32
    assert default_batch_tokens(narrow, CPU, half) > default_batch_tokens(ModelConfig(), CPU, half) == 2048
    assert default_batch_tokens(ModelConfig(), CPU, full) == 1024
    assert default_batch_tokens(ModelConfig(), torch.device("cuda"), half) > default_batch_tokens(narrow, CPU, half)


@pytest.mark.parametrize("device", ["mps", "mps:0"])
def test_a_device_that_was_never_tried_is_refused_with_the_reason(device: str) -> None:
    with pytest.raises(InvalidInput, match=r"'mps' is not offered: this network was never run on it.*use device='cpu'"):
        resolve_device(device)
