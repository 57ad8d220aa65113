"""The stages of the training script on data small enough for a test; the teacher's own weights are not needed."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from jina_v3_encoder.network.batching import Reading
from jina_v3_encoder.network.jina_v3 import JinaV3Model
from jina_v3_encoder.testing import tiny_config
from training.nano.corpus import Corpus, Pair, read_corpus
from training.nano.dictionary import align, translated_rows
from training.nano.losses import imitate
from training.nano.teacher import distillation_texts
from training.nano.textbooks import split_sentences
from training.nano.training import Trainer, pooled
from training.nano.vocabulary import train_tokenizer


def test_reading_the_folder(folder: Path) -> None:
    corpus = read_corpus(folder, 0)
    assert ("Hallo.", "Hello.", "de") in corpus.translations
    assert ("Liste.", "List.", "de") in corpus.translations
    assert not any(language in ("tr", "hi") for _, _, language in corpus.translations)
    assert Pair("why?", "two", "s#1", "textbooks", "s") in corpus.pairs
    assert Pair("what it means", "three", "s#2", "textbooks", "s") in corpus.pairs
    assert Pair("Show all", "ls: List. ls -a", "ls", "commands", "ls") in corpus.pairs
    assert Pair("What is flu?", "An illness.", "An illness.", "medicine", "flu") in corpus.pairs
    assert not any(pair.query == "weak?" or pair.passage is None for pair in corpus.pairs)
    assert corpus.near == [("a", "b")]
    assert corpus.labelled["clinc150"] == [("hi", "greet")]
    assert len(corpus.labelled["sib200"]) == 10
    assert "able: capable" in corpus.loose
    texts = distillation_texts(corpus, 100)
    assert {"able: capable", "Hello.", "us history. Two.", "What is war?", "Long."} <= set(texts)
    assert "文" not in texts, "the teacher reads English"
    assert len(texts) == len(set(texts))


def test_a_section_becomes_chunks_with_their_questions(folder: Path) -> None:
    (document,) = read_corpus(folder, 0).documents
    assert document.title == "us history", "a title that says nothing gives way to the book"
    assert document.chunks == ["The first term is war. Peace came.", "Two.", "Three.", "Four terms."]
    assert document.questions == [("What is war?", 0)]
    assert document.named(1) == "us history. Two."


def test_sentences_are_packed_whole() -> None:
    assert split_sentences("One two. Three! Four five six?", words=3) == ["One two. Three!", "Four five six?"]
    assert split_sentences("one two three four five.", words=2) == ["one two three four five."]


def test_the_order_depends_on_the_seed_alone(folder: Path) -> None:
    assert read_corpus(folder, 3) == read_corpus(folder, 3)


def test_a_tokenizer_of_the_right_kind(tmp_path: Path) -> None:
    english = [f"The school number {n} is in town {n % 7}." for n in range(400)]
    corpus = Corpus()
    corpus.translations = [(f"Die Schule Nummer {n} ist groß.", "", "de") for n in range(400)]
    for language in ("ja", "zh"):
        corpus.translations += [(f"学校{n}番", "", language) for n in range(50)]
    tokenizer = train_tokenizer(corpus, english, 150, tmp_path / "tokenizer.json", 0)
    assert [tokenizer.token_to_id(token) for token in ("<s>", "<pad>", "</s>", "<unk>")] == [0, 1, 2, 3]
    ids = tokenizer.encode("THE school.").ids
    assert (ids[0], ids[-1]) == (0, 2)
    assert ids == tokenizer.encode("Ｔhe school.").ids, "NFKC and lowercasing are part of the file"
    assert tokenizer.encode("school.").tokens[-2] == ".", "punctuation stands alone"


def test_alignment_finds_the_dictionary() -> None:
    """Sentences of random words, each translated to its number plus 50, in another order."""
    random = np.random.default_rng(0)
    english = [random.choice(50, random.integers(3, 9), replace=False) for _ in range(400)]
    foreign = [random.permutation(sentence) + 50 for sentence in english]
    links = align(foreign, english, 100)
    best: dict[int, tuple[float, int]] = {}
    for source, target, probability in links:
        best[source] = max(best.get(source, (0.0, -1)), (probability, target))
    assert all(best[word + 50][1] == word for word in range(50))
    rows = np.eye(100, dtype=np.float32)
    counts = np.repeat([1, 0], 50)
    moved = translated_rows(rows, links, counts, 1 - counts)
    assert all(moved[word + 50].argmax() == word for word in range(50))
    assert np.array_equal(moved[:50], rows[:50])


def trainer(seconds: float, path: Path) -> tuple[JinaV3Model, Trainer]:
    torch.manual_seed(0)
    model = JinaV3Model(tiny_config(hidden_size=384, num_attention_heads=6, vocab_size=100, num_hidden_layers=1))
    model.initialize()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora" not in name and not name.startswith("pooler"))
    return model, Trainer(model, seconds, lambda _: 1e-3, 0.0, path)


def test_training_stops_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which each step takes a tenth of a second, however busy the machine is."""
    monkeypatch.setattr("time.perf_counter", count(0.0, 0.1).__next__)
    path = tmp_path / "state.safetensors"
    model, first = trainer(1.5, path)
    readings = [Reading(np.arange(5, 25), None, np.zeros(20, dtype=np.int64))]
    target = torch.nn.functional.normalize(torch.ones(1, 384), dim=1)
    losses: list[float] = []

    def loss_of(step: int) -> tuple[torch.Tensor, int]:
        loss = imitate(pooled(model, readings, 1), target)
        losses.append(float(loss.detach()))
        return loss, 20

    first.run("test", loss_of)
    assert losses[-1] < losses[0]
    assert first.elapsed >= 1.5
    _, second = trainer(1.5, path)
    assert (second.step, second.tokens) == (first.step, 20 * first.step)
    for name, value in first.master.items():
        assert torch.equal(second.master[name], value), name
        if value in first.optimizer.state:
            assert torch.equal(
                second.optimizer.state[second.master[name]]["exp_avg"], first.optimizer.state[value]["exp_avg"]
            )
    steps = second.step
    second.run("test", loss_of)
    assert second.step == steps, "the time was used up"
