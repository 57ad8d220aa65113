"""What all measurements share: weights, threads, the roof."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jina_v3_connectors.bench import setting as module
from jina_v3_connectors.bench.setting import Roof, Setting, load, operations_per_token, random_model, usual_formats
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.network.kernels import processor
from jina_v3_encoder.network.quantize import check_int8, has_int8_product


def test_the_roof_counts_the_linear_layers_of_a_block() -> None:
    assert operations_per_token(1) == 2 * (3 * 1024**2 + 1024**2 + 2 * 1024 * 4096)
    assert operations_per_token(24) == 24 * operations_per_token(1)


@pytest.mark.parametrize("number_format", ["float32", "bfloat16", "int8"])
def test_the_roof_does_these_operations(number_format: str) -> None:
    try:
        if number_format == "int8":
            check_int8(torch.device("cpu"), torch.bfloat16)
    except InvalidInput as error:
        pytest.skip(str(error))
    roof = Roof(number_format, 8, "cpu", 1)
    assert roof.operations == 8 * operations_per_token(1)
    assert roof.seconds() > 0
    products = [(inputs, outputs) for inputs, _, outputs in roof._parts]
    assert products == [(1024, 3072), (1024, 1024), (1024, 4096), (4096, 1024)]


def test_a_random_model_is_there_for_a_while_on_the_threads_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "full_geometry", lambda folder, layers, vocabulary: folder)
    before = torch.get_num_threads()
    told: list[str] = []
    with random_model(Setting(layers=2, threads=1, announce=told.append)) as folder:
        assert folder.is_dir()
        assert torch.get_num_threads() == 1
    assert not folder.exists()
    assert torch.get_num_threads() == before
    assert told == ["writing random weights: 2 layers of 1024"]


def test_threads_are_given_back_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "full_geometry", lambda folder, layers, vocabulary: folder)
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), random_model(Setting(threads=1)):
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("number_format", ["float32", "bfloat16"])
def test_formats_are_those_of_the_encoder(original_folder: Path, number_format: str) -> None:
    assert load(original_folder, number_format).dtype is getattr(torch, number_format)


def test_usual_formats_are_those_that_the_device_multiplies() -> None:
    assert usual_formats("meta") == ("bfloat16", "float32")
    wanted = ("bfloat16", "float32", *(["int8"] if has_int8_product() else []))
    assert usual_formats("cpu") == wanted


def test_int8_is_a_format_too(original_folder: Path) -> None:
    try:
        check_int8(torch.device("cpu"), torch.bfloat16)
    except InvalidInput as error:
        pytest.skip(str(error))
    assert load(original_folder, "int8").quantization == "int8"


def test_conditions_name_everything_that_decides() -> None:
    conditions = Setting(layers=3, vocabulary=5, threads=2, runs=7, device="cpu").conditions()
    assert conditions == {
        "layers": 3,
        "vocabulary": 5,
        "threads": 2,
        "runs": 7,
        "device": "cpu",
        "processor": processor(),
        "busy": False,
        "torch": torch.__version__,
    }
    summary = Setting(layers=3, threads=2, runs=7).summary()
    assert summary == f"3 layers, cpu, 2 threads, medians of 7 rounds\n{processor()}"
