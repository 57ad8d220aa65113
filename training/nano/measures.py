"""What is no retrieval: graded similarity, translations, a linear probe, clusters; and nDCG in one line."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jina_v3_connectors.evaluation.dataset import Dataset
from jina_v3_connectors.evaluation.encoding import Vectors
from jina_v3_connectors.evaluation.ranking import measure, rank

from .textbooks import rows

PER_CLASS = 20
PROBE_SEEDS = 3
CLUSTER_SEEDS = 3


class Encodes(Protocol):
    """What a measure asks of an encoder; `task` may be ignored."""

    def encode(self, texts: Sequence[str], *, task: str | None = None, truncate: bool = False) -> NDArray[Any]: ...


def ndcg(
    encoder: Encodes,
    dataset: Dataset,
    sizes: Sequence[int | None] = (None,),
    tasks: tuple[str | None, str | None] = ("retrieval.query", "retrieval.passage"),
) -> list[float]:
    """nDCG@10 with each passage as one vector, for each size (None: all dimensions)."""
    query_vectors = encoder.encode(list(dataset.queries.values()), task=tasks[0], truncate=True)
    texts = [passage.text for passage in dataset.passages]
    passage_vectors = Vectors(encoder.encode(texts, task=tasks[1], truncate=True), np.arange(len(texts)))
    runs = [rank(dataset, query_vectors, passage_vectors, size or query_vectors.shape[1]) for size in sizes]
    return [measure(dataset.relevance, run)["ndcg"] for run in runs]


def similarity(encoder: Encodes, data: Path, language: str, task: str | None) -> float:
    """Spearman correlation of cosines with the scores of STS-B."""
    from scipy.stats import spearmanr

    pairs = list(rows(data, "stsb_multi_test"))
    first, second = (encoder.encode([row[language][side] for row in pairs], task=task) for side in (0, 1))
    return float(spearmanr((first * second).sum(1), [row["score"] for row in pairs])[0])


def translation(encoder: Encodes, data: Path, language: str, task: str | None = "text-matching") -> float:
    """Share of Tatoeba sentences whose nearest English sentence is their translation."""
    pairs = [(row["x"], row["en"]) for row in rows(data, "tatoeba_bitext") if row["lang"] == language]
    foreign, english = (encoder.encode([pair[side] for pair in pairs], task=task) for side in (0, 1))
    return float(((foreign @ english.T).argmax(1) == np.arange(len(pairs))).mean())


def probe(encoder: Encodes, data: Path, task: str | None) -> float:
    """Accuracy on Banking77 of a logistic regression over 20 texts per class; mean of three draws."""
    from sklearn.linear_model import LogisticRegression

    table = list(rows(data, "banking77"))
    vectors = encoder.encode([row["text"] for row in table], task=task)
    by_label: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(table):
        if row["split"] == "train":
            by_label[row["label"]].append(number)
    test = [number for number, row in enumerate(table) if row["split"] != "train"]
    wanted = [table[number]["label"] for number in test]
    scores = []
    for seed in range(PROBE_SEEDS):
        order = random.Random(seed)
        shown = [n for numbers in by_label.values() for n in order.sample(numbers, min(PER_CLASS, len(numbers)))]
        model = LogisticRegression(C=10, max_iter=500).fit(vectors[shown], [table[n]["label"] for n in shown])
        scores.append(float(model.score(vectors[test], wanted)))
    return float(np.mean(scores))


def clusters(encoder: Encodes, data: Path, task: str | None) -> float:
    """V-measure of k-means over trivia questions against their categories; mean of three seeds."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import v_measure_score

    table = list(rows(data, "opentrivia_clustering"))
    vectors = encoder.encode([row["text"] for row in table], task=task)
    labels = [row["label"] for row in table]
    count = len(set(labels))
    scores = [
        v_measure_score(labels, KMeans(count, n_init=10, random_state=seed).fit_predict(vectors))
        for seed in range(CLUSTER_SEEDS)
    ]
    return float(np.mean(scores))
