"""What nano is compared with: its teacher, and BM25."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jina_v3_connectors.evaluation.dataset import Dataset
from jina_v3_connectors.evaluation.ranking import DEPTH, measure

from .teacher import teacher_folder


class MiniLM:
    """all-MiniLM-L6-v2; knows no tasks."""

    def __init__(self) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"
        from sentence_transformers import SentenceTransformer

        self.model = SentenceTransformer(str(teacher_folder()), device="cpu")

    def encode(self, texts: Sequence[str], *, task: str | None = None, truncate: bool = False) -> NDArray[np.float32]:
        """Unit vectors (n, 384); texts are cut at 256 tokens."""
        vectors = self.model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)


def bm25(dataset: Dataset) -> float:
    """nDCG@10 of BM25 with English stop words."""
    import bm25s

    tokens = bm25s.tokenize([passage.text for passage in dataset.passages], show_progress=False)
    index = bm25s.BM25()
    index.index(tokens, show_progress=False)
    asked = bm25s.tokenize(list(dataset.queries.values()), show_progress=False)
    depth = min(DEPTH, len(dataset.passages))
    rows, scores = index.retrieve(asked, k=depth, show_progress=False)
    run = {
        query: {dataset.passages[row].id: float(score) for row, score in zip(*ranked, strict=True)}
        for query, *ranked in zip(dataset.queries, rows, scores, strict=True)
    }
    return measure(dataset.relevance, run)["ndcg"]
