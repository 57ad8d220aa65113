"""The choice of kernels: tried once, kept, told; and every choice gives the same vectors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from jina_v3_encoder import Encoder
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.network import kernels as module
from jina_v3_encoder.network.attention import AttentionChoice
from jina_v3_encoder.network.kernels import FORMS, VARIABLE, Chosen, Kernels, default_kernels
from jina_v3_encoder.task import TASK_NAMES

TEXTS = ["word " * length for length in (1, 3, 70, 300)] * 2
TASKS = [(*TASK_NAMES, None)[number % 6] for number in range(len(TEXTS))]


@pytest.fixture
def trying(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing is told, and the state folder is an empty one. Returns the file that trials are kept in."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("JINA_V3_STATE", str(tmp_path / "state"))
    return tmp_path / "state" / module.FILE


def load(folder: Path, dtype: str = "float32") -> Encoder:
    return Encoder.from_pretrained(folder, dtype=dtype, device="cpu")


def chosen(encoder: Encoder) -> Chosen:
    assert encoder.engine.chosen is not None
    return encoder.engine.chosen


def test_a_trial_is_made_once_and_kept(trying: Path, original_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = chosen(load(original_folder))
    assert first.reason == "tried just now"
    assert set(first.times) == {"product", "batch_tokens", *(f"attention of {n} tokens" for n in (32, 128, 512, 2048))}
    assert all(milliseconds > 0 for ways in first.times.values() for milliseconds in ways.values())
    monkeypatch.setattr(module, "_try_all", None)
    again = chosen(load(original_folder))
    assert (again.kernels, again.times) == (first.kernels, first.times)
    assert again.reason == f"tried on this machine; remove {trying} to try again"


def test_another_format_or_number_of_threads_is_tried_anew(trying: Path, original_folder: Path) -> None:
    for settings in ({"dtype": "float32"}, {"dtype": "bfloat16"}, {"dtype": "float32", "threads": 3}):
        encoder = Encoder.from_pretrained(original_folder, device="cpu", **settings)
        assert chosen(encoder).reason == "tried just now"
    assert len(json.loads(trying.read_text())) == 3


@pytest.mark.parametrize("content", ["", "[1]", '{"x"', "\udcff"])
def test_what_cannot_be_read_is_tried_again(trying: Path, original_folder: Path, content: str) -> None:
    trying.parent.mkdir()
    trying.write_text(content, errors="surrogateescape")
    assert chosen(load(original_folder)).reason == "tried just now"
    assert chosen(load(original_folder)).reason.startswith("tried on this machine")


@pytest.mark.parametrize(
    "entry", [None, 3, [], {}, {"kernels": "product=fast", "times": {}}, {"kernels": "", "times": 3}]
)
def test_an_entry_that_makes_no_sense_is_tried_again(trying: Path, original_folder: Path, entry: object) -> None:
    load(original_folder)
    kept = json.loads(trying.read_text())
    trying.write_text(json.dumps(dict.fromkeys(kept, entry)))
    assert chosen(load(original_folder)).reason == "tried just now"


def test_a_user_without_a_home_loads_a_model(
    trying: Path, original_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    load(original_folder)
    assert trying.exists(), "the state folder is told, so no home is needed"
    monkeypatch.delenv("JINA_V3_STATE")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert chosen(load(original_folder)).reason == "tried just now"


def test_without_a_folder_for_it_a_trial_is_not_kept(trying: Path, original_folder: Path) -> None:
    trying.parent.write_text("a file is in the way")
    assert [chosen(load(original_folder)).reason for _ in range(2)] == ["tried just now"] * 2


@pytest.mark.parametrize("attention", ["tiles", "fused"])
@pytest.mark.parametrize("product", FORMS)
@pytest.mark.parametrize(("dtype", "least"), [("float32", 0.999999), ("bfloat16", 0.9995)])
def test_every_choice_gives_the_same_vectors(
    monkeypatch: pytest.MonkeyPatch, original_folder: Path, product: str, attention: str, dtype: str, least: float
) -> None:
    monkeypatch.setenv(VARIABLE, f"product={product},attention={attention},batch_tokens=64")
    encoder = load(original_folder, dtype)
    assert chosen(encoder) == Chosen(
        Kernels(product, AttentionChoice((attention == "tiles",) * 4), 64),  # type: ignore[arg-type]
        f"${VARIABLE}",
        {},
    )
    assert encoder.max_batch_tokens == 64
    monkeypatch.setenv(VARIABLE, "product=plain,attention=tiles")
    plain = load(original_folder)
    cosines = (encoder.encode(TEXTS, task=TASKS) * plain.encode(TEXTS, task=TASKS)).sum(axis=1)
    assert cosines.min() >= least
    assert encoder.fingerprint == load(original_folder, dtype).fingerprint, "packing keeps the weights as they were"


@pytest.mark.parametrize("product", FORMS)
def test_a_vector_does_not_depend_on_its_company(
    monkeypatch: pytest.MonkeyPatch, original_folder: Path, product: str
) -> None:
    monkeypatch.setenv(VARIABLE, f"product={product}")
    encoder = load(original_folder)
    together = encoder.encode(TEXTS, task=TASKS)
    for text, task, vector in zip(TEXTS, TASKS, together, strict=True):
        assert np.allclose(encoder.encode(text, task=task), vector, atol=1e-6)


def test_what_is_told_may_be_a_part() -> None:
    base = default_kernels(torch.float32)
    assert Kernels.parse("", base) == base
    assert Kernels.parse("batch_tokens=7", base) == Kernels(base.product, base.attention, 7)
    mixed = Kernels.parse("attention=tiles/fused/tiles/fused", base)
    assert mixed.attention.tiles == (True, False, True, False)
    assert Kernels.parse(str(mixed), base) == mixed
    assert [mixed.attention.tiled(length) for length in (1, 64, 65, 256, 1024, 1025, 99_999)] == [
        True,
        True,
        False,
        False,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "text", ["product=fast", "attention=", "attention=tiles/fused", "batch_tokens=0", "batch_tokens=x", "rubbish"]
)
def test_nonsense_is_refused_with_what_there_is(
    monkeypatch: pytest.MonkeyPatch, original_folder: Path, text: str
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(InvalidInput, match=r"unknown part .* product=packed\|extended\|plain, attention=tiles\|fused"):
        load(original_folder)


def test_a_near_draw_is_the_defaults() -> None:
    assert module._winner({"packed": 1.0, "extended": 0.96}, "packed") == "packed"
    assert module._winner({"packed": 1.0, "extended": 0.94}, "packed") == "extended"
    assert module._winner({"plain": 1.0}, "packed") == "plain"


def test_int8_that_is_slower_is_told_at_load(
    trying: Path, original_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        with warnings.catch_warnings(action="ignore"):  # it may be slower here in truth
            Encoder.from_pretrained(original_folder, device="cpu", quantize="int8")
    except InvalidInput as error:
        pytest.skip(str(error))
    for int8, told in ((2.0, True), (0.5, False)):
        kept = json.loads(trying.read_text())
        for trial in kept.values():
            trial["times"][module.INT8_TRIAL] = {"int8": int8, "not rounded": 1.0}
        trying.write_text(json.dumps(kept))
        if told:
            with pytest.warns(UserWarning, match="int8' is slower than .* for batches on this processor"):
                Encoder.from_pretrained(original_folder, device="cpu", quantize="int8")
        else:
            Encoder.from_pretrained(original_folder, device="cpu", quantize="int8")


@pytest.mark.parametrize("isa", ["AVX2", "AVX512_CORE", "SSE41"])
def test_machines_without_new_instructions_give_the_same_vectors(
    original_folder: Path, encoder: Encoder, tmp_path: Path, isa: str
) -> None:
    """oneDNN is told to use older instructions only. Kernels are tried there as well."""
    file = tmp_path / "vectors.npy"
    code = (
        "import sys, numpy as np; from jina_v3_encoder import Encoder\n"
        "encoder = Encoder.from_pretrained(sys.argv[1], dtype='float32', device='cpu')\n"
        "np.save(sys.argv[2], encoder.encode(['word ' * n for n in (1, 3, 70, 300)], task='separation'))"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa, "JINA_V3_STATE": str(tmp_path), VARIABLE: ""}
    subprocess.run([sys.executable, "-c", code, str(original_folder), str(file)], env=environment, check=True)
    assert np.allclose(np.load(file), encoder.encode(TEXTS[:4], task="separation"), atol=1e-5)
