"""The stages of the training script on data small enough for a test; the teacher's own weights are not needed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from examples.train_nano.adapters import rank_by_score, same_group, same_label
from examples.train_nano.corpus import Corpus, Document, Pair, read_corpus
from examples.train_nano.dictionary import align, translated_rows
from examples.train_nano.training import Trainer, contrast, imitate, pooled
from examples.train_nano.vocabulary import train_tokenizer
from jina_v3_encoder.batching import Reading
from jina_v3_encoder.model import JinaV3Model
from jina_v3_encoder.testing import tiny_config

ROWS: dict[str, list[dict[str, Any]]] = {
    "openstax_docs": [
        {"id": "s", "lang": "en", "book": "b", "title": "T", "paras": [["H", "one"], ["", "two"], ["H", "three"]]},
        {"id": "es", "lang": "es", "book": "b", "title": "T", "paras": [["", "uno"], ["", "dos"], ["", "tres"]]},
    ],
    "openstax_questions": [
        {"id": "s", "q": "why?", "para": 1, "bm25": 20.0},
        {"id": "s", "q": "weak?", "para": 0, "bm25": 1.0},
        {"id": "s", "q": "unlabelled?"},
    ],
    "openstax_terms": [
        {"id": "s", "term": "Term", "definition": "what it means", "para": 2},
        {"id": "s", "term": "Void", "definition": None, "para": None},
    ],
    "medquad": [{"q": "What is flu?", "a": "An illness."}],
    "scitldr": [{"id": "p", "abstract": "Long.", "tldr": ["Short.", "Brief."]}],
    "tldr_pages": [{"cmd": "ls", "d": "List.", "ex": [["Show all", "ls -a"]], "tr": {"de": {"d": "Liste."}}}],
    "arcd": [],
    "cmrc2018": [{"lang": "zh", "context": "文", "qas": [["1", "问？"]]}],
    "jsquad": [],
    "opentrivia": [{"q": "Which?", "a": "That", "cat": "animals"}],
    "parallel_tatoeba": [
        {"lang": "de", "x": "Hallo.", "en": "Hello."},
        {"lang": "tr", "x": "Merhaba.", "en": "Hello."},
    ],
    "parallel_openstax": [],
    "parallel_ntrex": [{"en": "News.", "fr": "Nouvelles.", "hi": "…"}],
    "parallel_tico19": [],
    "sib200_flores": [{"label": "sports", "en": "Run.", **dict.fromkeys(["de", "es", "fr", "it", "ja"], "x")}],
    "stsb_multi_train": [{"score": 2.5, "en": ["a", "b"], "de": ["c", "d"]}],
    "jsts_train": [{"s1": "あ", "s2": "い", "score": 5.0}],
    "clinc150": [{"text": "hi", "label": "greet"}],
    "hwu64": [],
    "goemotions": [],
    "wordnet_glosses": [{"m": ["able"], "d": "capable", "e": ["able to swim"]}, {"m": ["x"], "d": "y"}],
    "questions_paralex": [{"q": "How?"}],
}
ROWS["sib200_flores"][0].update(dict.fromkeys(["nl", "pt", "ru", "zh"], "x"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, rows in ROWS.items():
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return tmp_path


def test_reading_the_folder(folder: Path) -> None:
    corpus = read_corpus(folder, 0)
    assert ("Hallo.", "Hello.", "de") in corpus.translations
    assert ("Liste.", "List.", "de") in corpus.translations
    assert not any(language in ("tr", "hi") for _, _, language in corpus.translations)
    assert corpus.documents == [Document(["one", "two", "three"], ["T. H. one", "T. two", "T. H. three"])]
    assert Pair("why?", "two", "s#1") in corpus.pairs
    assert Pair("what it means", "three", "s#2") in corpus.pairs
    assert Pair("Show all", "ls: List. ls -a", "ls") in corpus.pairs
    assert not any(pair.query == "weak?" or pair.passage is None for pair in corpus.pairs)
    assert sorted(item.score for item in corpus.scored) == [0.5, 0.5, 1.0]
    assert corpus.labelled["clinc150"] == [("hi", "greet")]
    assert len(corpus.labelled["sib200"]) == 10
    assert "able: capable" in corpus.english
    assert "文" not in corpus.english


def test_the_order_depends_on_the_seed_alone(folder: Path) -> None:
    assert read_corpus(folder, 3) == read_corpus(folder, 3)


def test_a_tokenizer_of_the_right_kind(tmp_path: Path) -> None:
    corpus = Corpus(english=[f"The school number {n} is in town {n % 7}." for n in range(400)])
    corpus.translations = [(f"Die Schule Nummer {n} ist groß.", "", "de") for n in range(400)]
    for language in ("ja", "zh"):
        corpus.translations += [(f"学校{n}番", "", language) for n in range(50)]
    tokenizer = train_tokenizer(corpus, 150, tmp_path / "tokenizer.json", 0)
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


def test_losses_fall_with_agreement() -> None:
    torch.manual_seed(0)
    right, noise = torch.randn(8, 384), torch.randn(8, 384)
    unit = torch.nn.functional.normalize(right, dim=1)
    nothing = torch.zeros(8, 8, dtype=torch.bool)
    assert imitate(right, unit) < imitate(right + noise, unit) < imitate(noise, unit)
    assert contrast(right, right, nothing, 0.05) < contrast(right, right + noise, nothing, 0.05)
    assert contrast(right, right, nothing, 0.05) < contrast(right, noise, nothing, 0.05)
    labels = torch.arange(8) // 2
    paired = right[labels] + 0.1 * noise
    assert same_label(paired, labels) < same_label(noise, labels)
    scores = torch.linspace(0, 1, 8)
    graded = right * scores[:, None] + noise * (1 - scores[:, None])
    assert rank_by_score(right, graded, scores) < rank_by_score(right, graded, scores.flip(0))


def test_passages_of_one_group_are_not_negatives() -> None:
    assert same_group(["a", "b", "a"]).nonzero().tolist() == [[0, 2], [2, 0]]


def trainer(seconds: float, path: Path) -> tuple[JinaV3Model, Trainer]:
    torch.manual_seed(0)
    model = JinaV3Model(tiny_config(hidden_size=384, num_attention_heads=6, vocab_size=100, num_hidden_layers=1))
    model.initialize()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora" not in name and not name.startswith("pooler"))
    return model, Trainer(model, seconds, 1e-3, 0.0, path)


def test_training_stops_and_resumes(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    model, first = trainer(0.3, path)
    readings = [Reading(np.arange(5, 25), None, np.zeros(20, dtype=np.int64))]
    target = torch.nn.functional.normalize(torch.ones(1, 384), dim=1)
    losses: list[float] = []

    def loss_of(step: int) -> tuple[torch.Tensor, int]:
        loss = imitate(pooled(model, readings, 1), target)
        losses.append(float(loss.detach()))
        return loss, 20

    first.run("test", loss_of)
    assert losses[-1] < losses[0]
    assert first.elapsed >= 0.3
    _, second = trainer(0.3, path)
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
