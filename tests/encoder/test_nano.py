"""The bundled checkpoint is a real one: it loads, saves, and loads elsewhere, and computes well in bfloat16."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from jina_v3_connectors import demo
from jina_v3_encoder.checkpoints.layouts import original_slots
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.task import TASK_NAMES, Task

from ..support.exports import v3_network

TEXTS = [document.text for document in demo.documents()]
TASKS: tuple[str | None, ...] = (*TASK_NAMES, None)


@pytest.fixture(scope="module")
def exact() -> Encoder:
    return Encoder.from_pretrained("nano", dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def coarse() -> Encoder:
    return Encoder.from_pretrained("nano", dtype="bfloat16", device="cpu")


def test_the_file_holds_exactly_the_original_layout(exact: Encoder) -> None:
    folder = exact.tokenizer_file.parent
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        names = {name.removeprefix("roberta.") for name in file.keys()}  # noqa: SIM118 - not a mapping
    assert names == set(original_slots(v3_network(exact).config))
    config = json.loads((folder / "config.json").read_text())
    assert config["lora_adaptations"] == list(TASK_NAMES)
    assert config["matryoshka_dimensions"] == [32, 64, 128, 256, 384]


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_bfloat16_against_float32(exact: Encoder, coarse: Encoder, task: str | None) -> None:
    cosines = (exact.encode(TEXTS, task=task) * coarse.encode(TEXTS, task=task)).sum(1)
    assert cosines.mean() >= 0.9995
    assert cosines.min() >= 0.999


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_the_same_vectors_as_transformers(exact: Encoder, task: str | None) -> None:
    from ..support.reference import Reference

    reference = Reference(exact.tokenizer_file.parent, exact.config)
    wanted = np.stack([reference.encode(text, task) for text in TEXTS])
    assert np.abs(exact.encode(TEXTS, task=task) - wanted).max() <= 2e-5


def test_late_chunks_as_the_reference(exact: Encoder) -> None:
    from ..support.reference import Reference, late_chunks

    reference = Reference(exact.tokenizer_file.parent, exact.config)
    for text in TEXTS[:4]:
        ends = [position + 2 for position in range(len(text)) if text.startswith("\n\n", position)] + [len(text)]
        spans = list(zip([0, *ends[:-1]], ends, strict=True))
        wanted = late_chunks(reference, text, spans, "retrieval.passage", window=8192, overlap=512)
        assert np.abs(exact.encode_spans(text, spans, task="retrieval.passage") - wanted).max() <= 2e-5


def test_every_adapter_was_trained(exact: Encoder) -> None:
    """Each task moves vectors away from the base model, and from every other task."""
    vectors = {task: exact.encode(TEXTS, task=task, prompt=False) for task in TASKS}
    for first in TASKS:
        for second in TASKS:
            if first != second:
                assert (vectors[first] * vectors[second]).sum(1).mean() < 0.999


def test_it_saves_in_the_other_layout_and_transformers_reads_it(exact: Encoder, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel

    exact.save_pretrained(tmp_path, "hf")
    model = AutoModel.from_pretrained(tmp_path, dtype=torch.float32)
    model.load_adapter(str(tmp_path / Task.SEPARATION.folder), adapter_name="separation")
    model.set_adapter("separation")
    ids = torch.from_numpy(exact.engine.tokenizer.encode(["hello world"])[0])[None]
    with torch.no_grad():
        mean = model.eval()(ids).last_hidden_state[0].mean(0).numpy()
    assert np.abs(mean / np.linalg.norm(mean) - exact.encode("hello world", task="separation")).max() <= 2e-5


def test_case_and_width_fold(exact: Encoder) -> None:
    plain, upper, wide = exact.encode(["hello world", "HELLO World", "Ｈｅｌｌｏ ｗｏｒｌｄ"])
    assert np.array_equal(plain, upper)
    assert np.array_equal(plain, wide)


def test_it_reads_8192_tokens(coarse: Encoder) -> None:
    text = "the lighthouse stood on the rock " * 1400
    assert coarse.count_tokens(text) > 8192
    vectors = coarse.encode([text, text[:100]], truncate=True)
    assert np.isfinite(vectors).all()


def test_long_documents_are_read_in_windows(coarse: Encoder) -> None:
    text = "the lighthouse stood on the rock. " * 400
    spans = [(0, 3000), (3000, len(text))]
    whole = coarse.encode_spans(text, spans, task="retrieval.passage")
    windowed = coarse.encode_spans(text, spans, task="retrieval.passage", window=512, overlap=64)
    assert whole.shape == windowed.shape == (2, 384)
    assert (whole * windowed).sum(1).min() > 0.8


ARABIC = "مرحبا بالعالم كيف حالك"


@pytest.mark.parametrize(
    "texts", [[ARABIC], [ARABIC, "hi"], "สวัสดี ชาวโลก วันนี้"], ids=["arabic", "most-of-a-batch", "one-text"]
)
def test_unread_texts_are_told_once(texts: list[str] | str) -> None:
    encoder = Encoder.from_pretrained("nano")
    with pytest.warns(UserWarning, match="most words of these texts have letters that nano does not know"):
        encoder.encode(texts, task="retrieval.query")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.encode_spans(ARABIC, [(0, 5)], task="retrieval.passage")


@pytest.mark.parametrize(
    "text",
    ["hello", "wow 🎉🎉", "the Arabic word مرحبا means hello", "你好 世界 今天"],
    ids=["latin", "emoji", "quoted", "han"],
)
def test_texts_with_some_unknown_letters_are_read_without_a_word(text: str, recwarn: pytest.WarningsRecorder) -> None:
    encoder = Encoder.from_pretrained("nano")
    encoder.encode(text, task="retrieval.query")
    encoder.encode_spans(text, [(0, len(text))], task="retrieval.passage")
    assert not recwarn.list
