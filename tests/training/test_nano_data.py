"""Batches of both stages: right targets on right tokens, and the same ones for the same step."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from jina_v3_encoder.network.jina_v3 import JinaV3Model
from jina_v3_encoder.task import Task
from jina_v3_encoder.testing import tiny_config
from training.nano import backbone
from training.nano.adapter_data import AdapterData, document_ids
from training.nano.adapters import SHARES, AdapterLosses
from training.nano.backbone import BackboneData, encode_all
from training.nano.corpus import Corpus, Pair
from training.nano.teacher import Targets, distillation_texts
from training.nano.textbooks import Document

WORDS = "tea ice sea sun moon wind fire iron salt wood rain sand".split()


def sentence(seed: int, words: int = 6) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words)) + f" {seed % 10}"


def asked(source: str, number: int) -> str:
    """Reading questions are in Chinese: the teacher has no vector for them."""
    return "問" if source == "reading" else f"{source} {number}?"


def small_corpus() -> Corpus:
    documents = [
        Document(f"subject {n}", [sentence(100 * n + k, 12) for k in range(8)], [(f"what is {n}?", 2), ("why?", 5)])
        for n in range(4)
    ]
    corpus = Corpus(documents=documents)
    corpus.translations = [(f"x{n} {sentence(n)}", sentence(n), "de" if n % 2 else "ja") for n in range(200)]
    for source in ("textbooks", "medicine", "terms", "commands", "reading", "abstracts", "trivia"):
        corpus.pairs += [
            Pair(asked(source, n), f"is {sentence(n, 60 if n % 2 else 8)}", f"{source}{n}", source, str(n // 3))
            for n in range(60)
        ]
    corpus.near = [(sentence(n), sentence(n + 1)) for n in range(100)]
    for names, table in ((("clinc150", "hwu64", "goemotions", "sib200"), corpus.labelled),):
        table.update({name: [(f"{name} {n}", str(n % 5)) for n in range(100)] for name in names})
    for name in ("trivia", "sections", "sib200"):
        corpus.clusters[name] = [(f"{name} {n}", str(n % 5)) for n in range(100)]
    return corpus


def small_tokenizer(corpus: Corpus) -> Tokenizer:
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    texts = [*WORDS, *(str(n) for n in range(10)), "what", "is", "subject", "?", ":", ".", "Represent", "the", "for"]
    tokenizer = Tokenizer(models.WordLevel({token: n for n, token in enumerate([*specials, *texts])}, "<unk>"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


@dataclass
class Stage:
    corpus: Corpus
    tokenizer: Tokenizer
    targets: Targets
    model: JinaV3Model


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder: Path = tmp_path_factory.mktemp("targets")
    corpus = small_corpus()
    texts = distillation_texts(corpus, 100)
    vectors = np.random.default_rng(0).normal(size=(len(texts), 384))
    half = len(texts) // 2
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    np.save(folder / "targets-0000000.npy", unit[:half])
    np.save(folder / "targets-0020000.npy", unit[half:])
    torch.manual_seed(0)
    config = tiny_config(hidden_size=384, num_attention_heads=6, vocab_size=64, num_hidden_layers=1)
    model = JinaV3Model(config)
    model.initialize()
    return Stage(corpus, small_tokenizer(corpus), Targets(folder), model)


@pytest.fixture(scope="module")
def data(stage: Stage) -> BackboneData:
    return BackboneData(stage.corpus, stage.tokenizer, stage.targets, torch.eye(384))


@pytest.fixture(autouse=True)
def small_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.nano.adapter_data.CONTEXTS", {150: 1.0})
    monkeypatch.setattr("training.nano.adapters.BATCH_DOCUMENT_TOKENS", 400)


@pytest.fixture(scope="module")
def adapters(stage: Stage) -> AdapterData:
    return AdapterData(stage.model.config, stage.corpus, stage.tokenizer, stage.targets)


def test_shards_are_read_in_order(stage: Stage) -> None:
    assert len(stage.targets.vectors) == len(stage.targets.texts)
    assert stage.targets.row[stage.targets.texts[-1]] == len(stage.targets.texts) - 1


def test_the_basis_is_orthonormal_and_sorted(stage: Stage) -> None:
    basis = stage.targets.basis(0)
    assert np.allclose(basis.T @ basis, np.eye(384), atol=1e-4)
    energy = ((stage.targets.vectors.astype(np.float32) @ basis) ** 2).sum(0)
    assert (np.diff(energy) < 1e-3).all()


def test_cut_texts_keep_their_end(stage: Stage) -> None:
    (ids,) = encode_all(stage.tokenizer, ["tea " * 50], 10)
    assert len(ids) == 10
    assert (ids[0], ids[-1]) == (0, 2)


@pytest.mark.parametrize("kind", backbone.SHARES)
def test_every_kind_of_batch(data: BackboneData, kind: str) -> None:
    readings, rows = data.kinds[kind](random.Random(1))
    owners = np.concatenate([reading.owners for reading in readings])
    assert sorted(set(owners)) == list(range(len(rows))), "each target has tokens, each token a target"
    assert all(len(reading.ids) == len(reading.owners) for reading in readings)
    tokens = sum(len(reading.ids) for reading in readings)
    assert 0 < tokens <= max(backbone.BATCH_TOKENS + backbone.TEXT_TOKENS * 2, max(backbone.CONTEXTS))


def test_a_batch_depends_on_its_step_alone(data: BackboneData) -> None:
    for step in range(6):
        (first, targets), (again, same) = data.batch(step), data.batch(step)
        assert torch.equal(targets, same)
        assert all(np.array_equal(a.ids, b.ids) for a, b in zip(first, again, strict=True))


def test_translations_have_the_english_target(data: BackboneData) -> None:
    readings, rows = data.kinds["translations"](random.Random(2))
    known = {(tuple(ids), row) for pairs in data.translations.values() for ids, row in pairs}
    foreign = [(tuple(r.ids), row) for n, (r, row) in enumerate(zip(readings, rows, strict=True)) if n % 4 != 3]
    assert set(foreign) <= known


def test_chunks_are_pooled_inside_their_document(data: BackboneData, stage: Stage) -> None:
    """The tokens of each vector are those of the chunk whose named text is the target."""
    readings, rows = data.kinds["documents"](random.Random(3))
    row = 0
    for reading in readings:
        assert (reading.ids[0], reading.ids[-1]) == (0, 2)
        for number in range(reading.owners.min(), reading.owners.max() + 1):
            pooled_ids = reading.ids[(reading.owners == number)]
            named = stage.targets.texts[rows[row]]
            (chunk,) = encode_all(stage.tokenizer, [named.split(". ", 1)[1]], 288, specials=False)
            assert np.array_equal(pooled_ids[(pooled_ids != 0) & (pooled_ids != 2)], chunk)
            row += 1
    assert row == len(rows)


def test_pairs_of_a_batch_share_source_and_clusters(adapters: AdapterData) -> None:
    queries, passages = adapters.pairs_of(random.Random(0), 12)
    assert [text.group for text in queries] == [text.group for text in passages]
    clusters = [int(text.group.lstrip("abcdefghijklmnopqrstuvwxyz")) // 3 for text in queries]
    assert len(set(clusters)) < len(clusters), "hard negatives of the same cluster"


def test_prompts_come_first(adapters: AdapterData, stage: Stage) -> None:
    for task in (Task.RETRIEVAL_QUERY, Task.RETRIEVAL_PASSAGE, Task.SEPARATION):
        (example,) = adapters.examples(["tea"], task, 64)
        (wanted,) = encode_all(stage.tokenizer, [stage.model.config.prompt(task) + "tea"], 64)
        assert np.array_equal(example.ids, wanted)


def test_a_translated_pair_has_one_target(adapters: AdapterData, stage: Stage) -> None:
    queries, passages = adapters.crossing_pairs(random.Random(0), 20)
    for query, passage in zip(queries, passages, strict=True):
        assert query.row == passage.row == stage.targets.row[query.group]


def test_document_questions_point_at_their_chunk(adapters: AdapterData, stage: Stage) -> None:
    document = adapters.chunked(random.Random(0))
    assert document.asked
    for query, number in document.asked:
        assert query.group == document.chunks[number].group
    ids, owners = document_ids(document, adapters.prompt, 7)
    assert len(ids) == len(owners)
    assert (ids[0], ids[-1]) == (0, 2)
    assert (owners[0], owners[-1]) == (7, 7 + len(document.chunks) - 1)
    assert np.array_equal(ids[owners == 8], document.chunks[1].ids)
    prompt = stage.model.config.prompt(Task.RETRIEVAL_PASSAGE)
    assert np.array_equal(adapters.prompt, encode_all(stage.tokenizer, [prompt], 64, specials=False)[0])


def test_a_long_context_runs_over_several_sections(adapters: AdapterData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.nano.adapter_data.CONTEXTS", {300: 1.0})
    document = adapters.chunked(random.Random(1))
    sections = list(dict.fromkeys(chunk.group.split("#")[0] for chunk in document.chunks))
    assert len(sections) > 1
    assert {query.group.split("#")[0] for query, _ in document.asked} == set(sections), "each is asked about"
    assert sum(len(chunk.ids) for chunk in document.chunks) <= 300


def test_label_batches_have_partners(adapters: AdapterData) -> None:
    texts, labels = adapters.labelled_texts(random.Random(0), Task.SEPARATION, 4, 3)
    assert len(texts) == len(labels)
    assert all(labels.count(label) > 1 for label in labels)


@pytest.mark.parametrize("name", SHARES)
def test_each_loss_trains_its_own_adapter_only(adapters: AdapterData, stage: Stage, name: str) -> None:
    losses = AdapterLosses(stage.model, adapters, torch.eye(384))
    for parameter_name, parameter in stage.model.named_parameters():
        parameter.requires_grad_("lora" in parameter_name and not parameter_name.startswith("pooler"))
        parameter.grad = None
    with torch.no_grad():
        for parameter_name, parameter in stage.model.named_parameters():
            if "lora" in parameter_name:
                parameter.normal_(0, 0.02)
    for step in range(4):
        loss, tokens = losses.of(name)(step)
        assert torch.isfinite(loss)
        assert tokens > 0
        loss.backward()  # type: ignore[no-untyped-call]
    tasks = [Task.RETRIEVAL_QUERY, Task.RETRIEVAL_PASSAGE] if name == "retrieval" else [Task(name)]
    trained_banks = {stage.model.config.bank(task) for task in tasks}
    gradient = stage.model.get_parameter("layers.0.qkv.lora_B").grad
    assert gradient is not None
    assert {bank for bank in range(5) if gradient[bank].abs().sum() > 0} == trained_banks


def test_the_late_loss_counts_all_chunks(adapters: AdapterData, stage: Stage) -> None:
    """Readings of documents come first, then queries; every vector has tokens."""
    losses = AdapterLosses(stage.model, adapters, torch.eye(384))
    loss, tokens = losses._late(random.Random(0))
    assert torch.isfinite(loss)
    assert tokens >= 400
