"""What is special about the network of jina-embeddings-v2: memory, training, and the trial of kernels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.jina_bert_config import VARIANTS, JinaBertConfig, Variant
from jina_v3_encoder.network import kernels
from jina_v3_encoder.network.batching import Reading, pack
from jina_v3_encoder.network.jina_bert import JinaBertModel
from jina_v3_encoder.network.kernels import VARIABLE
from jina_v3_encoder.testing import tiny_jina_bert_config, write_random_checkpoint
from jina_v3_encoder.texts.tokenizer import IntArray

CPU = torch.device("cpu")
MEMORY = 600 * 2**20
MEASURE = """
import sys
import numpy as np
from jina_v3_encoder import Encoder

def kilobytes(name):
    return int(next(line for line in open("/proc/self/status") if line.startswith(name)).split()[1])

encoder = Encoder.from_pretrained(sys.argv[1], dtype="float32", device="cpu", threads=2)
encoder.encode("warm up")
before = kilobytes("VmRSS")
ids = np.random.default_rng(0).integers(5, 2000, encoder.max_tokens)
assert len(ids) == 8192
encoder.engine.id_means([ids], [None])
print(1024 * (kilobytes("VmHWM") - before))
"""


def ids_of(length: int) -> IntArray:
    return np.random.default_rng(length).integers(5, 4096, length)


def reading(length: int) -> Reading:
    return Reading(ids_of(length), None, np.zeros(length, dtype=np.int64))


def random_model(variant: Variant) -> JinaBertModel:
    torch.manual_seed(0)
    model = JinaBertModel(tiny_jina_bert_config(variant))
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if "norm" in name and name.endswith("weight") else 0.0, 0.1)
    return model


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("attention", ["tiles", "fused"])
def test_memory_at_8192_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attention: str) -> None:
    """At base-en's width. Seen: 171 MB in tiles, 330 MB fused. A bias of all heads would take 3.2 GB in float32."""
    monkeypatch.setenv(VARIABLE, f"attention={attention}")
    folder = write_random_checkpoint(tmp_path, JinaBertConfig(vocab_size=4096, num_hidden_layers=1))
    command = [sys.executable, "-c", MEASURE, str(folder)]
    taken = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 0 < taken < MEMORY


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_and_inference_agree_and_every_weight_learns(variant: Variant) -> None:
    model, batch = random_model(variant), pack([reading(9), reading(9), reading(30)], CPU)
    with torch.inference_mode():
        fused = model(batch)
    states = model(batch)
    assert torch.allclose(states, fused, atol=1e-5)
    (states * torch.randn_like(states)).sum().backward()
    for name, parameter in model.named_parameters():
        if name.startswith("pooler"):
            assert parameter.grad is None
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("variant", VARIANTS)
def test_order_of_words_matters(variant: Variant) -> None:
    """ALiBi is all that the network knows of positions."""
    model, ids = random_model(variant), ids_of(12)
    with torch.inference_mode():
        forward, backward = (
            model(pack([Reading(some_ids, None, np.zeros(12, dtype=np.int64))], CPU))
            for some_ids in (ids, ids[::-1].copy())
        )
    assert torch.allclose(forward, backward.flip(0), atol=1e-5), "symmetric: a text read backwards has the same states"
    shuffled = ids[np.random.default_rng(0).permutation(12)]
    with torch.inference_mode():
        other = model(pack([Reading(shuffled, None, np.zeros(12, dtype=np.int64))], CPU))
    assert (forward.mean(0) - other.mean(0)).abs().max() > 1e-3


def test_a_trial_times_the_networks_own_operations(
    tmp_path: Path, v2_folder: Path, original_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("JINA_V3_STATE", str(tmp_path))
    for folder in (v2_folder, original_folder):
        chosen = Encoder.from_pretrained(folder, dtype="float32", device="cpu").engine.chosen
        assert chosen is not None
        assert chosen.reason == "tried just now"
        extended = folder == original_folder
        assert set(chosen.times["product"]) == {"plain", "packed", *(["extended"] if extended else [])}
    assert len(json.loads((tmp_path / kernels.FILE).read_text())) == 2
    again = Encoder.from_pretrained(v2_folder, dtype="float32", device="cpu").engine.chosen
    assert again is not None
    assert again.reason.startswith("tried on this machine")


@pytest.mark.parametrize("product", kernels.FORMS)
def test_every_form_gives_the_same_vectors(
    v2_folder: Path, v2: Encoder, monkeypatch: pytest.MonkeyPatch, product: str
) -> None:
    monkeypatch.setenv(VARIABLE, f"product={product}")
    encoder = Encoder.from_pretrained(v2_folder, dtype="float32", device="cpu")
    texts = ["word " * length for length in (1, 3, 70)]
    assert np.abs(encoder.encode(texts) - v2.encode(texts)).max() <= 1e-6
    assert encoder.fingerprint == v2.fingerprint
