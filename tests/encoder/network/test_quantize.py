"""int8: rounding, products, whole models, saved checkpoints, and machines that cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import CheckpointError, CheckpointMismatch, InvalidInput
from jina_v3_encoder.network import quantize as module
from jina_v3_encoder.network.quantize import (
    VECTOR_INSTRUCTIONS,
    Int8Product,
    check_int8,
    has_int8_product,
    quantize_rows,
    quantize_weight,
)
from jina_v3_encoder.task import TASK_NAMES

CPU = torch.device("cpu")
TEXTS = [
    "A lighthouse warns ships of rocks.",
    "Das Brot ist frisch.",
    "Why is the sky blue?",
    "The recipe asks for two eggs, flour and a little patience. " * 12,
]


@pytest.fixture(autouse=True)
def probe_afresh() -> Iterator[None]:
    has_int8_product.cache_clear()
    yield
    has_int8_product.cache_clear()


needs_bytes = pytest.mark.skipif(
    not any(torch.cpu.get_capabilities().get(name) for name in VECTOR_INSTRUCTIONS),
    reason="this processor multiplies no bytes",
)


def int8(folder: str | Path, dtype: str = "float32") -> Encoder:
    return Encoder.from_pretrained(folder, device="cpu", dtype=dtype, quantize="int8")


def test_weights_keep_a_scale_for_each_output() -> None:
    weight = torch.tensor([[1.0, -127.0], [0.5, 0.25], [0.0, 0.0]])
    values, scales = quantize_weight(weight)
    assert values.tolist() == [[1, -127], [127, 64], [0, 0]]
    assert torch.allclose(values * scales[:, None], weight, atol=0.002)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 3), (700, 1024), (5, 4096)])
def test_each_row_is_rounded_by_its_own_scale(dtype: torch.dtype, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = (torch.randn(shape) * torch.logspace(-3, 3, shape[0])[:, None]).to(dtype)
    rows, scales = quantize_rows(x)
    assert rows.dtype is torch.uint8
    back = (rows.float() - 128) * scales.float()
    step = x.float().abs().amax(1, keepdim=True) / 127
    assert ((back - x.float()).abs() <= step * (0.51 if dtype is torch.float32 else 1.1)).all()


def test_zero_rows_stay_zero() -> None:
    rows, scales = quantize_rows(torch.zeros(2, 8))
    assert (rows == 128).all()
    assert torch.isfinite(scales).all()


@needs_bytes
@pytest.mark.parametrize("rows", [1, 16, 333])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_right_to_about_a_percent(rows: int, dtype: torch.dtype) -> None:
    torch.manual_seed(rows)
    x, weight, bias = torch.randn(rows, 256).to(dtype), torch.randn(96, 256) / 16, torch.randn(96).to(dtype)
    values, scales = quantize_weight(weight)
    product = Int8Product.of(values, scales)
    wanted = x.float() @ weight.T + bias.float()
    rounded = product(x, bias)
    assert rounded.dtype is dtype
    assert (rounded.float() - wanted).norm() <= 0.02 * wanted.norm()
    assert torch.equal(product.plain(), values)


@needs_bytes
def test_close_to_float32_on_the_bundled_model() -> None:
    exact = Encoder.from_pretrained("nano", device="cpu", dtype="float32")
    rounded = int8("nano", "auto")
    for task in (*TASK_NAMES, None):
        cosines = (exact.encode(TEXTS, task=task) * rounded.encode(TEXTS, task=task)).sum(1)
        assert cosines.mean() >= 0.999
        assert cosines.min() >= 0.998


@needs_bytes
def test_a_vector_does_not_depend_on_its_company() -> None:
    encoder = int8("nano")
    loud = ["!!! ??? ### " * 50, "0" * 200]
    alone = np.stack([encoder.encode(text, task="separation") for text in TEXTS])
    among = encoder.encode([*loud, *TEXTS], task="separation")[2:]
    assert (alone * among).sum(1).min() >= 0.9999


@needs_bytes
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_saved_and_loaded(original_folder: Path, tmp_path: Path, dtype: str) -> None:
    encoder = int8(original_folder, dtype)
    encoder.save_pretrained(tmp_path / "saved")
    again = Encoder.from_pretrained(tmp_path / "saved", device="cpu", dtype=dtype)
    assert again.quantization == encoder.quantization == "int8"
    assert np.array_equal(again.encode(TEXTS[:3], task="separation"), encoder.encode(TEXTS[:3], task="separation"))
    assert again.fingerprint == encoder.fingerprint
    assert "int8" in repr(again)
    assert int8(tmp_path / "saved", dtype).fingerprint == encoder.fingerprint, "asked for once more"
    with safe_open(tmp_path / "saved" / "model.safetensors", framework="pt") as file:
        name = "roberta.encoder.layers.0.mlp.fc1.parametrizations.weight"
        assert file.get_slice(f"{name}.original").get_dtype() == "I8"
        assert file.get_slice(f"{name}.scale").get_dtype() == "F32"
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["quantization"] == "int8"


@needs_bytes
def test_another_fingerprint_than_the_exact_model(original_folder: Path, encoder: Encoder) -> None:
    assert int8(original_folder).fingerprint != encoder.fingerprint
    assert encoder.quantization is None


@needs_bytes
def test_not_in_the_hf_layout(original_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no int8 weights: save as 'original'"):
        int8(original_folder).save_pretrained(tmp_path, "hf")


@needs_bytes
def test_bytes_where_floats_are_announced_and_the_reverse(original_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    int8(original_folder).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization": None}))
    with pytest.raises(CheckpointMismatch, match="holds I8, expected floating point"):
        Encoder.from_pretrained(folder, device="cpu")
    (folder / "config.json").write_text(json.dumps(config))
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    changed = {name: tensor.float() if tensor.dtype is torch.int8 else tensor for name, tensor in tensors.items()}
    save_file(changed, weights)
    with pytest.raises(CheckpointMismatch, match=r"holds F32, expected bytes \(I8\)"):
        Encoder.from_pretrained(folder, device="cpu")


@pytest.mark.parametrize("value", ["int4", "", 8, True])
def test_unknown_forms(original_folder: Path, value: object) -> None:
    with pytest.raises(InvalidInput, match="quantize must be one of"):
        Encoder.from_pretrained(original_folder, quantize=value)  # type: ignore[arg-type]


def test_an_unknown_form_in_a_checkpoint(original_folder: Path, tmp_path: Path) -> None:
    config = json.loads((original_folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "quantization": "int3"}))
    with pytest.raises(CheckpointError, match="quantization 'int3' is none of"):
        Encoder.from_pretrained(tmp_path)


def test_machines_that_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="works on CPUs, not on cuda"):
        check_int8(torch.device("cuda"), torch.bfloat16)
    with pytest.raises(InvalidInput, match="bfloat16 or float32, not in"):
        check_int8(CPU, torch.float16)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_vnni": False})
    with pytest.raises(InvalidInput, match="needs a processor with one of avx512_vnni"):
        check_int8(CPU, torch.bfloat16)


@pytest.mark.parametrize("error", [AttributeError, RuntimeError])
def test_a_torch_without_the_operators(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def absent(*_: object) -> Int8Product:
        raise error("no such operator")

    monkeypatch.setattr(module.Int8Product, "of", absent)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_vnni": True})
    with pytest.raises(InvalidInput, match="no int8 product that works here"):
        check_int8(CPU, torch.float32)
