"""Peak memory while loading; what files may hold is checked in test_checkpoint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from jina_v3_encoder.checkpoints import weights
from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint, load_model
from jina_v3_encoder.checkpoints.layouts import Layout, Slot
from jina_v3_encoder.testing import tiny_config, write_random_checkpoint

MEASURE = """
import sys, torch
from pathlib import Path
from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint, load_model

def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) * 1024

load_model(find_checkpoint(Path(sys.argv[1])), torch.float32)
before = peak()
model = load_model(find_checkpoint(Path(sys.argv[2])), getattr(torch, sys.argv[3]))
size = sum(p.numel() * p.element_size() for p in model.parameters())
print((peak() - before) / size, size)
"""


@pytest.fixture(scope="module", params=["original", "hf"])
def large_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    layout: Layout = request.param
    config = tiny_config(
        vocab_size=150_000, hidden_size=768, num_attention_heads=12, intermediate_size=3072, num_hidden_layers=8
    )
    return write_random_checkpoint(tmp_path_factory.mktemp("large"), config, layout=layout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_peak_memory_is_under_a_quarter_more_than_the_weights(
    original_folder: Path, large_folder: Path, dtype: str
) -> None:
    """A tiny model is loaded first, so that imports and pools do not count."""
    command = [sys.executable, "-c", MEASURE, str(original_folder), str(large_folder), dtype]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ratio, size = (float(value) for value in out.split())
    assert size > 300e6
    assert ratio < 1.25


def test_adapters_of_several_blocks_are_compared_with_what_was_read(
    hf_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The query's, key's and value's lora_A go into one parameter: the first fills it, whatever its size."""
    whole = load_model(find_checkpoint(hf_folder), torch.float32)
    monkeypatch.setattr(weights, "REOPEN_BYTES", 200)
    in_blocks = load_model(find_checkpoint(hf_folder), torch.float32)
    for name in whole.tensor_names():
        assert torch.equal(whole.tensor(name), in_blocks.tensor(name)), name


def test_which_tensors_repeat_another() -> None:
    slots = {
        "a": Slot("layer.lora_A", 0, 0, copies=True),
        "b": Slot("layer.lora_A", 0, 1, copies=True),
        "c": Slot("layer.lora_A", 1, 0, copies=True),
        "d": Slot("layer.lora_B", 0, 0),
    }
    assert weights._repeated(["d", "b", "a", "c"], slots) == {"a"}
    assert weights._repeated(["a", "b", "c", "d"], slots) == {"b"}
