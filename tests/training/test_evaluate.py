"""The figures of the model card mean what they say."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from jina_v3_connectors.evaluation.dataset import Dataset, Passage, read_dataset
from jina_v3_encoder.encoder import Encoder
from training.nano import evaluate, measures
from training.nano.baselines import bm25
from training.nano.eval_sets import medquad, passkey, squad_chunks, squad_paragraphs, write_folder, xquad
from training.nano.measures import clusters, ndcg, probe, similarity, translation


class Fixed:
    """Vectors by text, and the tasks they were asked with."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors
        self.tasks: list[str | None] = []

    def encode(self, texts: Sequence[str], *, task: str | None = None, truncate: bool = False) -> np.ndarray:
        self.tasks.append(task)
        return np.array([self.vectors[text] for text in texts], dtype=np.float32)


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    others = [
        {"lang": language, "pid": "p0", "context": language, "qas": [["3", f"{language}?", "x"]]}
        for language in ("es", "zh")
    ]
    english: list[dict[str, Any]] = [
        {"lang": "en", "pid": "p1", "context": "one", "qas": []},
        {"lang": "en", "pid": "p0", "context": "zero", "qas": [["2", "question?", "x"]]},
    ]
    german = {"lang": "de", "pid": "p0", "context": "null", "qas": [["1", "frage?", "x"]]}
    xquad_rows = [german, *english, *others]
    write(tmp_path, "xquad_eval", xquad_rows)
    write(tmp_path, "medquad_eval", [{"q": "a?", "a": "A"}, {"q": "b?", "a": "B"}, {"q": "again?", "a": "A"}])
    long = " ".join(["word"] * 39)
    text = f"{long} one. Then came two. And {long} three."
    squad = {"t": text, "qas": [["1", "when?", ["came two", "absent"]], ["2", "who?", ["nobody"]]]}
    write(tmp_path, "squad_dev_eval", [{"title": "t", "paras": [{"t": "First.", "qas": []}, squad]}])
    filler = [["", " ".join(f"w{n}" for n in range(300))]]
    write(tmp_path, "openstax_eval_docs", [{"paras": filler}])
    return tmp_path


def test_ndcg_is_one_for_the_first_rank_and_falls_after() -> None:
    encoder = Fixed({"q": [1, 0], "a": [1, 0.1], "b": [0.5, 0.5], "c": [0.1, 1]})
    passages = [Passage(name, name) for name in "abc"]
    for right, wanted in (("a", 1.0), ("b", 1 / math.log2(3)), ("c", 0.5)):
        dataset = Dataset("d", passages, {"1": "q"}, {"1": {right: 1}})
        assert ndcg(encoder, dataset) == [pytest.approx(wanted)]
    assert encoder.tasks[:2] == ["retrieval.query", "retrieval.passage"]
    assert len(ndcg(encoder, dataset, sizes=(2, 1))) == 2


def test_similarity_is_a_rank_correlation(tmp_path: Path) -> None:
    encoder = Fixed({"a": [1.0], "x": [0.1], "y": [0.5], "z": [0.9]})
    pairs = [{"en": ["a", text], "score": score} for text, score in (("x", 1), ("y", 2), ("z", 5))]
    write(tmp_path, "stsb_multi_test", pairs)
    assert similarity(encoder, tmp_path, "en", None) == pytest.approx(1.0)
    write(tmp_path, "stsb_multi_test", [row | {"score": -float(str(row["score"]))} for row in pairs])
    assert similarity(encoder, tmp_path, "en", None) == pytest.approx(-1.0)


def test_translation_counts_nearest_neighbours(tmp_path: Path) -> None:
    encoder = Fixed({"x": [1, 0], "y": [0, 1], "X": [1, 0], "Y": [0, 1]})
    right = [{"lang": "de", "x": "x", "en": "X"}, {"lang": "de", "x": "y", "en": "Y"}]
    write(tmp_path, "tatoeba_bitext", [*right, {"lang": "fr", "x": "x", "en": "Y"}])
    assert translation(encoder, tmp_path, "de") == 1.0
    write(tmp_path, "tatoeba_bitext", [{**right[0], "en": "Y"}, {**right[1], "en": "X"}])
    assert translation(encoder, tmp_path, "de") == 0.0


def test_the_probe_learns_from_the_training_part_only(tmp_path: Path) -> None:
    rows = [
        {"split": split, "text": f"{label}{n}", "label": label}
        for split, count in (("train", 30), ("test", 5))
        for label in ("a", "b")
        for n in range(count)
    ]
    write(tmp_path, "banking77", rows)
    vectors = {row["text"]: [1.0, 0.0] if row["label"] == "a" else [0.0, 1.0] for row in rows}
    encoder = Fixed(vectors)
    assert probe(encoder, tmp_path, "classification") == 1.0
    assert encoder.tasks == ["classification"]


def test_clusters_are_compared_with_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "CLUSTER_SEEDS", 1)
    rows = [{"text": f"{label}{n}", "label": label} for label in "abc" for n in range(6)]
    write(tmp_path, "opentrivia_clustering", rows)
    random = np.random.default_rng(0)
    apart = {row["text"]: (np.eye(3)["abc".index(row["label"])]).tolist() for row in rows}
    mixed = {row["text"]: random.normal(size=3).tolist() for row in rows}
    assert clusters(Fixed(apart), tmp_path, None) == pytest.approx(1.0)
    assert clusters(Fixed(mixed), tmp_path, None) < 0.6


def test_questions_point_at_their_paragraphs(data: Path) -> None:
    dataset = xquad(data, "de", "en")
    assert [passage.text for passage in dataset.passages] == ["one", "zero"]
    assert (dataset.queries, dataset.relevance) == ({"q0": "frage?"}, {"q0": {"p1": 1}})
    dataset = medquad(data)
    assert [passage.text for passage in dataset.passages] == ["A", "B"], "equal answers are one passage"
    assert dataset.relevance == {"q0": {"p0": 1}, "q1": {"p1": 1}, "q2": {"p0": 1}}
    dataset = squad_paragraphs(data)
    assert sorted(dataset.queries.values()) == ["when?", "who?"]
    assert all(judgements == {"p1": 1} for judgements in dataset.relevance.values())


def test_the_right_chunk_holds_an_answer(data: Path) -> None:
    dataset = squad_chunks(data)
    assert list(dataset.queries.values()) == ["when?"], "a question without answer string is left out"
    assert {passage.document for passage in dataset.passages} == {"t"}
    (judgements,) = dataset.relevance.values()
    (right,) = [passage for passage in dataset.passages if passage.id in judgements]
    assert right.text == "Then came two."
    assert all(len(passage.text.split()) <= 41 for passage in dataset.passages)


def test_passkeys_are_inside_filler_of_the_right_length(data: Path) -> None:
    dataset = passkey(data, 100)
    assert (len(dataset.passages), len(dataset.queries)) == (100, 50)
    for query, judgements in dataset.relevance.items():
        (right,) = [passage for passage in dataset.passages if passage.id in judgements]
        name = dataset.queries[query].removeprefix("What is the pass key for ").removesuffix("?")
        assert f"{name}'s pass key is " in right.text
        assert 105 <= len(right.text.split()) <= 110
    assert passkey(data, 100) == dataset


def test_exported_folders_are_what_the_command_reads(data: Path, tmp_path: Path) -> None:
    for dataset in (xquad(data, "de", "en"), squad_chunks(data)):
        write_folder(dataset, tmp_path / "out")
        assert read_dataset(tmp_path / "out" / dataset.name) == dataset


def test_bm25_finds_words() -> None:
    pytest.importorskip("bm25s", reason="pip install 'jina-v3-connectors[train]' runs the baselines")
    passages = [Passage(f"p{n}", text) for n, text in enumerate(["tea leaves hot", "ice lakes cold", "sun star day"])]
    dataset = Dataset("d", passages, {"a": "hot tea", "b": "cold ice"}, {"a": {"p0": 1}, "b": {"p1": 1}})
    assert bm25(dataset) == 1.0


def test_the_command_prints_and_saves_figures(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nano: Encoder
) -> None:
    monkeypatch.setattr(evaluate, "PASSKEY_WORDS", (50,))
    arguments = ["--data", str(data), "--json", str(tmp_path / "f.json"), "--export", str(tmp_path / "beir")]
    parts = ["--part", "retrieval", "--part", "late", "--part", "passkey"]
    result = CliRunner().invoke(evaluate.main, arguments + parts)
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["xquad-en-en, nDCG@10, 64 dimensions"] > 0
    assert "late − naive, nDCG@10" in figures
    assert any(name.startswith("passkey, ") for name in figures)
    assert (tmp_path / "beir" / "squad-chunks" / "qrels" / "test.tsv").exists()
    assert all(0 <= value <= 1 for name, value in figures.items() if "−" not in name)
