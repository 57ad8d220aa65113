"""jina-embeddings-v2 as graphs: both variants, by every runtime that computes here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from jina_v3_encoder import Encoder, export_model
from jina_v3_encoder.errors import InvalidInput, UnknownTask
from jina_v3_encoder.export.formats import ONNX_FILE, OPENVINO_FILE, ROUNDED_ONNX_FILE
from jina_v3_encoder.export.subject import Subject
from jina_v3_encoder.jina_bert_config import VARIANTS
from jina_v3_encoder.testing import tiny_jina_bert_config, write_random_checkpoint
from jina_v3_encoder.texts.tokenizer import IntArray
from jina_v3_encoder.vectors import FloatArray, finish
from tests.support.exports import padded_ids, texts_of_lengths

LENGTHS = (1, 2, 17, 128, 512)


@pytest.fixture(scope="module", params=VARIANTS)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """One layer, since the exporter takes seconds for each."""
    config = tiny_jina_bert_config(request.param, num_hidden_layers=1)
    folder = write_random_checkpoint(tmp_path_factory.mktemp("small"), config)
    return Encoder.from_pretrained(folder, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def onnx(small: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "onnx"
    export_model(small, folder, task=None, quantize="int8")
    return folder


def texts_and_vectors(encoder: Encoder) -> tuple[list[IntArray], FloatArray]:
    texts = texts_of_lengths(LENGTHS, encoder.config.vocab_size)
    return texts, finish(encoder.engine.id_means(texts, [None] * len(texts)), normalize=True)


def test_the_padded_forward_gives_the_vectors_of_the_packed_network(small: Encoder) -> None:
    texts, wanted = texts_and_vectors(small)
    ids, mask = (torch.from_numpy(array) for array in padded_ids(texts))
    states, vectors = Subject.of(small, None).network()(ids, mask)
    assert states.shape == (len(texts), max(LENGTHS), small.dimensions)
    assert np.abs(vectors.numpy() - wanted).max() <= 2e-6


@pytest.mark.parametrize(("file", "least"), [(ONNX_FILE, 0.999999), (ROUNDED_ONNX_FILE, 0.99)])
def test_onnxruntime(small: Encoder, onnx: Path, file: str, least: float) -> None:
    import onnxruntime

    texts, wanted = texts_and_vectors(small)
    ids, mask = padded_ids(texts)
    session = onnxruntime.InferenceSession(onnx / file)
    (vectors,) = session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": mask})
    assert (vectors * wanted).sum(axis=1).min() >= least


def test_openvino(small: Encoder, tmp_path: Path) -> None:
    export_model(small, tmp_path / "openvino", task=None, file_format="openvino")
    assert (tmp_path / "openvino" / OPENVINO_FILE).is_file(), "it was compared with the encoder before"


def test_companions(small: Encoder, onnx: Path) -> None:
    config, tokens = (json.loads((onnx / name).read_text()) for name in ("config.json", "special_tokens_map.json"))
    assert (config["model_type"], config["position_embedding_type"]) == ("bert", "alibi")
    assert (config["max_position_embeddings"], config["hidden_size"]) == (small.max_tokens, small.dimensions)
    assert config["jina_v3_export"]["prompts"] == {}
    byte_level = small.config.variant != "plain"  # type: ignore[union-attr]
    wanted = ("<s>", "</s>", "<pad>", "<mask>") if byte_level else ("[CLS]", "[SEP]", "[PAD]", "[MASK]")
    assert tuple(tokens[name] for name in ("cls_token", "sep_token", "pad_token", "mask_token")) == wanted
    card = (onnx / "README.md").read_text()
    for text in (
        "jina-embeddings-v2]",
        "they cannot be cut",
        "There is none: texts are read",
        "| task | none |",
    ):
        assert text in card
    assert "jina-embeddings-v3" not in card


@pytest.mark.parametrize("task", ["all", "separation"])
def test_there_are_no_tasks(small: Encoder, tmp_path: Path, task: str) -> None:
    with pytest.raises(UnknownTask, match="jina-embeddings-v2 has no tasks"):
        export_model(small, tmp_path / "out", task=task)
    assert list(tmp_path.iterdir()) == []


def test_transformers_has_no_class_for_it(small: Encoder, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"has no class for it: export .* as onnx or openvino"):
        export_model(small, tmp_path / "out", task=None, file_format="sentence-transformers")
    assert list(tmp_path.iterdir()) == []
