"""The figures of the model card mean what they say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.train_nano.evaluate import (
    medical_questions,
    reading_questions,
    retrieval,
    similarity,
    squad_questions,
    translation,
)
from jina_v3_encoder.encoder import Encoder


class Fixed:
    """Vectors by text."""

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors

    def encode(self, texts: list[str], **_: Any) -> np.ndarray:
        return np.array([self.vectors[text] for text in texts])


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_ndcg_is_one_for_the_first_rank_and_falls_after() -> None:
    encoder: Any = Fixed({"q": [1, 0], "a": [1, 0], "b": [0.5, 0], "c": [0.1, 0]})
    assert retrieval(encoder, (["q"], ["a", "b", "c"], [0]), None) == 1.0
    assert retrieval(encoder, (["q"], ["a", "b", "c"], [1]), None) == pytest.approx(1 / np.log2(3))
    assert retrieval(encoder, (["q"], ["a", "b", "c"], [2]), None) == pytest.approx(0.5)


def test_ranks_past_ten_count_nothing() -> None:
    encoder: Any = Fixed({"q": [1.0], **{str(n): [1 - n / 100] for n in range(12)}})
    assert retrieval(encoder, (["q"], [str(n) for n in range(12)], [10]), None) == 0.0


def test_similarity_is_a_rank_correlation() -> None:
    encoder: Any = Fixed({"a": [1.0], "x": [0.1], "y": [0.5], "z": [0.9]})
    pairs: list[dict[str, Any]] = [
        {"en": ["a", text], "score": score} for text, score in (("x", 1), ("y", 2), ("z", 5))
    ]
    assert similarity(encoder, pairs, "en", None) == pytest.approx(1.0)
    assert similarity(encoder, [row | {"score": -row["score"]} for row in pairs], "en", None) == pytest.approx(-1.0)


def test_translation_counts_nearest_neighbours() -> None:
    encoder: Any = Fixed({"x": [1, 0], "y": [0, 1], "X": [1, 0], "Y": [0, 1]})
    assert translation(encoder, [("x", "X"), ("y", "Y")]) == 1.0
    assert translation(encoder, [("x", "Y"), ("y", "X")]) == 0.0


def test_questions_point_at_their_paragraphs(tmp_path: Path) -> None:
    write(
        tmp_path,
        "xquad_eval",
        [
            {"lang": "de", "pid": "p0", "context": "null", "qas": [["1", "frage?", "x"]]},
            {"lang": "en", "pid": "p1", "context": "one", "qas": []},
            {"lang": "en", "pid": "p0", "context": "zero", "qas": [["2", "question?", "x"]]},
        ],
    )
    write(tmp_path, "medquad_eval", [{"q": "a?", "a": "A"}, {"q": "b?", "a": "B"}, {"q": "again?", "a": "A"}])
    write(tmp_path, "squad_dev_eval", [{"title": "t", "paras": [{"t": "p", "qas": [["1", "q?", []]]}]}])
    assert reading_questions(tmp_path, "de", "en") == (["frage?"], ["one", "zero"], [1])
    assert medical_questions(tmp_path) == (["a?", "b?", "again?"], ["A", "B"], [0, 1, 0])
    assert squad_questions(tmp_path) == (["q?"], ["p"], [0])


def test_a_real_model_can_be_measured(nano: Encoder) -> None:
    cases = (["Where do bees live?"], ["Bees live in a hive.", "The stock market fell."], [0])
    assert retrieval(nano, cases, 128) == 1.0
