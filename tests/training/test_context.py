"""The last stage: documents whose chunks do not name their subject, and what their vectors should be."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from jina_v3_encoder import Encoder
from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint, load_model
from jina_v3_encoder.network.jina_v3 import JinaV3Model
from jina_v3_encoder.task import Task
from jina_v3_encoder.testing import tiny_config, write_random_checkpoint
from training.nano.adapter_data import AdapterData
from training.nano.context import ContextLosses, between, rate_of
from training.nano.context_data import (
    TEXTS_OF_A_TOKEN,
    basis_of,
    neighbours,
    reduced,
    teacher_texts,
    texts_with_new_tokens,
    wanted_of,
)
from training.nano.corpus import Corpus, read_corpus
from training.nano.teacher import Targets
from training.nano.textbooks import Document
from training.nano.titled import Titled, hide_title, in_paragraphs, read_titled
from training.nano.warm_start import tokenizer_from

SENTENCE = (
    "The flu makes people ill for a week or two, and it comes back every winter in all the places where people meet. "
)
VOCABULARIES = ({"<unk>": 0, "tea": 1}, {"<unk>": 0, "tea": 1, "quartz": 2})
CHINESE = {"lang": "zh", "context": "甲" * 50 + "。" + "乙" * 50 + "。", "qas": [["1", "甚麼？", "乙乙"]]}


@pytest.fixture
def titled(folder: Path) -> list[Titled]:
    answers = [
        {"q": "What is flu?", "a": 3 * SENTENCE, "focus": "Flu"},
        {"q": "Who gets flu?", "a": 3 * SENTENCE + "Everybody gets this illness.", "focus": "Flu"},
        {"q": "What is gout?", "a": "Short.", "focus": "Gout"},
    ]
    for name, table in (("medquad", answers), ("cmrc2018", [CHINESE])):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in table)
    return read_titled(folder, 0, diseases=5, sections=5)


def test_documents_with_titles(titled: list[Titled]) -> None:
    documents = {each.source: each.document for each in sorted(titled, key=lambda each: len(each.document.chunks))}
    assert set(documents) == {"medicine", "textbooks", "zh"}, "too short a document is left out"
    assert len(titled) == 4, "half of the English documents come in paragraphs too"
    flu = documents["medicine"]
    assert flu.title == "Flu"
    assert [chunk for _, chunk in flu.questions] == [0, 5], "a question asks for the chunk that shares most words"
    assert "Everybody" in flu.chunks[5]
    assert documents["zh"].chunks == ["甲" * 50 + "。", "乙" * 50 + "。"]
    assert documents["zh"].questions == [("甚麼？", 1)]


def test_documents_in_paragraphs() -> None:
    document = Document("Flu", list("abcdefg"), [("Why?", 5), ("How?", 6)])
    joined = in_paragraphs(Titled(document, "medicine"))
    assert joined == Titled(Document("Flu", ["a b c", "d e f", "g"], [("Why?", 1), ("How?", 2)]), "medicine")


def test_texts_with_new_tokens() -> None:
    """Texts are taken until each new token has come often enough."""
    before, now = (
        Tokenizer(WordLevel({w: n for n, w in enumerate(["<unk>", *words])}, "<unk>")) for words in VOCABULARIES
    )
    for tokenizer in (before, now):
        tokenizer.pre_tokenizer = Whitespace()
    corpus = Corpus(loose=["tea", *(f"tea quartz {number}" for number in range(30)), "quartz"])
    assert texts_with_new_tokens(corpus, now, before) == corpus.loose[1 : 1 + TEXTS_OF_A_TOKEN]
    assert texts_with_new_tokens(corpus, now, now) == []


def test_titles_are_hidden_in_later_chunks_only() -> None:
    document = Document("Gulf War", ["The Gulf War began.", *["In the Gulf War, wars and Gulf Wars ended."] * 400], [])
    chunks, hidden = hide_title(document, random.Random(0))
    assert chunks[0] == document.chunks[0]
    assert not hidden[0]
    assert 0.7 < np.mean(hidden) < 0.8
    assert all(("Gulf" in chunk) != gone for chunk, gone in zip(chunks, hidden, strict=True))
    assert {"In the it, it and it ended.", "In the , and ended."} & {" ".join(chunk.split()) for chunk in chunks}


def test_a_document_without_a_title_stays() -> None:
    document = Document("", ["one", "two"], [])
    assert hide_title(document, random.Random(0)) == (["one", "two"], [False, False])


def test_neighbours_of_chunks() -> None:
    vectors = torch.tensor([[1.0, 0], [0, 1], [3, 0]])
    assert neighbours(vectors).tolist() == [[0, 1], [2, 0], [0, 1]]
    assert neighbours(vectors[:1]).tolist() == [[0, 0]]


def test_wanted_vectors(tmp_path: Path) -> None:
    """Alone it is the teacher's; inside, the title and the neighbours are added."""
    texts = ["a", "b", "T. a", "T. b"]
    (tmp_path / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    np.save(tmp_path / "targets-0000000.npy", np.eye(4, dtype=np.float16))
    wanted = wanted_of(Titled(Document("T", ["a", "b"], []), "s"), Targets(tmp_path), torch.eye(4))
    assert wanted.alone.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    expected = torch.nn.functional.normalize(torch.tensor([[1, 0.3, 1, 0], [0.3, 1, 0, 1]]), dim=1)
    assert torch.allclose(wanted.inside, expected)


def test_the_basis_turns_the_teachers_vectors_to_the_models(tmp_path: Path) -> None:
    """A teacher that is the model itself, rotated, is turned back."""
    encoder = Encoder.from_pretrained("nano")
    texts = [f"{word} {number}" for word in ("river", "house", "tax", "cell", "song") for number in range(100)]
    vectors = encoder.encode(texts)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((384, 384)))[0].astype(np.float32)
    (tmp_path / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    np.save(tmp_path / "targets-0000000.npy", (vectors @ turn).astype(np.float16))
    basis = basis_of(Targets(tmp_path), encoder, 0).numpy()
    assert np.allclose(basis @ basis.T, np.eye(384), atol=1e-3)
    assert ((vectors @ turn @ basis) * vectors).sum(1).min() > 0.999


@pytest.mark.parametrize("of_documents", [True, False])
def test_losses_fall(folder: Path, titled: list[Titled], tmp_path: Path, *, of_documents: bool) -> None:
    start = write_random_checkpoint(tmp_path / "start", tiny_config(), layout="original")
    corpus = read_corpus(folder, 0)
    small = reduced(corpus, titled)
    texts = teacher_texts(small, titled)
    size = tiny_config().hidden_size
    random_vectors = np.random.default_rng(0).standard_normal((len(texts), size))
    (tmp_path / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    unit = random_vectors / np.linalg.norm(random_vectors, axis=1, keepdims=True)
    np.save(tmp_path / "targets-0000000.npy", unit.astype(np.float16))
    checkpoint = find_checkpoint(start)
    model = load_model(checkpoint, torch.float32)
    assert isinstance(model, JinaV3Model)
    tokenizer = tokenizer_from(checkpoint.tokenizer_file)
    data = AdapterData(model.config, small, tokenizer, Targets(tmp_path))
    before = Encoder.from_pretrained(start, dtype="float32")
    losses = ContextLosses(model, before, data, titled, texts[:9], torch.eye(size), 0)
    model.requires_grad_(True)
    optimizer = torch.optim.Adam([{"params": [p], "lr": rate_of(name) / 4} for name, p in model.named_parameters()])
    values: list[float] = []
    for _ in range(24):
        loss, tokens = (
            losses.documents(random.Random(1)) if of_documents else losses.texts_with_new_tokens(random.Random(1))
        )
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        values.append(float(loss.detach()))
        assert tokens > 100
    assert values[-1] < values[0]


def test_adapters_learn_faster() -> None:
    assert rate_of("layers.0.qkv.lora_A") > rate_of("layers.0.qkv.weight")


def test_weights_between(tmp_path: Path) -> None:
    """Half-way, but for adapters of other tasks, which stay as they were."""
    checkpoint = find_checkpoint(write_random_checkpoint(tmp_path, tiny_config(), layout="original"))
    before, model = (load_model(checkpoint, torch.float32) for _ in range(2))
    assert isinstance(model, JinaV3Model)
    for parameter in model.parameters():
        parameter.data += 2
    between(model, before, 0.5)
    retrieval, other = (model.config.bank(task) for task in (Task.RETRIEVAL_PASSAGE, Task.SEPARATION))
    moved = {name: parameter - before.get_parameter(name) for name, parameter in model.named_parameters()}
    assert torch.allclose(moved["layers.0.fc1.weight"], torch.tensor(1.0))
    assert torch.allclose(moved["layers.0.fc1.lora_A"][retrieval], torch.tensor(1.0))
    assert not moved["layers.0.fc1.lora_A"][other].any()
