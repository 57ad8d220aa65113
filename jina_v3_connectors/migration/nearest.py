"""Exact search over records that stream by: each is seen once, and only the best documents of a question are kept.

No index of a backend is asked. So it works on every collection that can be read, and two collections differ by
their vectors alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.vectors import FloatArray

DIGITS = 6
"""Scores are rounded before they are compared. The same vector can score 1e-7 higher beside other neighbours, and
documents with the same vector would then be ranked by chance, differently in the two collections."""
SCORES_AT_ONCE = 8_000_000
Rows = NDArray[np.int64]


class Ranked(NamedTuple):
    """A document that answers a question, by its best record."""

    document: str
    key: str
    """Of the record."""
    score: float


class Nearest:
    """The `depth` best documents of each question, by the cosine of a document's best record.

    Memory depends on the number of questions and `depth` alone. A document that was let go had no record among the
    best; if a better record of it comes later, that is its best one, so nothing is lost.
    """

    def __init__(self, questions: FloatArray, depth: int) -> None:
        """`questions` are unit vectors (n, dimensions)."""
        self._questions, self._depth = questions, depth
        self._kept: list[dict[str, tuple[float, str]]] = [{} for _ in questions]
        self._floors = np.full(len(questions), -np.inf, dtype=np.float32)

    @property
    def rows_at_once(self) -> int:
        """How many vectors to `add` at once, so that their scores are not too many."""
        return max(1, min(4096, SCORES_AT_ONCE // max(1, len(self._questions))))

    def add(self, documents: Sequence[str], keys: Sequence[str], vectors: FloatArray) -> None:
        """Score records. `vectors` are unit vectors (m, dimensions)."""
        scores = np.round(self._questions @ vectors.T, DIGITS)
        promising = scores >= self._floors[:, None]
        named = sorted(range(len(documents)), key=lambda row: (documents[row], keys[row]))
        by_name = np.argsort(named)
        for question in np.flatnonzero(promising.any(axis=1)):
            rows = np.flatnonzero(promising[question])
            rows = rows[np.lexsort((by_name[rows], -scores[question, rows]))]
            self._take(int(question), rows, scores[question], documents, keys)

    def _take(
        self, question: int, rows: Rows, scores: FloatArray, documents: Sequence[str], keys: Sequence[str]
    ) -> None:
        """Merge some records, the best first, and let go what is past the depth."""
        kept = self._kept[question]
        new: set[str] = set()
        for row in rows:
            document, rank = documents[row], (-float(scores[row]), keys[row])
            if document not in new and len(new) == self._depth:
                break
            new.add(document)
            kept[document] = min(kept.get(document, rank), rank)
        if len(kept) >= self._depth:
            best = sorted(kept.items(), key=lambda entry: (entry[1][0], entry[0]))[: self._depth]
            self._kept[question] = dict(best)
            self._floors[question] = -best[-1][1][0]

    def rankings(self) -> list[list[Ranked]]:
        """The best documents of each question, best first. Equal scores stand in the order of the names."""
        return [
            [
                Ranked(document, key, -score)
                for document, (score, key) in sorted(kept.items(), key=lambda entry: (entry[1][0], entry[0]))
            ]
            for kept in self._kept
        ]
