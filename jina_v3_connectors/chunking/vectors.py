"""Breaks where the subject changes, by the vectors of a text's sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import Task, offered
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.late_chunking import Span
from jina_v3_encoder.vectors import FloatArray

from ..documents import TextFormat
from .sizes import Sizes

Breakpoints = Literal["percentile", "peak"]
DEFAULT_PERCENTILE = 90.0
SIDE = 3
"""So many sentences on each side of a break are compared: one alone says too little."""


class VectorChunker:
    """Cuts where the sentences before and after differ most, by one reading of all sentences.

    `percentile` cuts at the breaks whose distance is among the largest, such as the largest tenth. `peak` cuts at those
    that are larger than their neighbours and clearly above the mean. A part that is too large is cut between
    sentences.
    """

    def __init__(
        self,
        sizes: Sizes,
        encoder: TextEncoder,
        breakpoints: Breakpoints = "percentile",
        percentile: float = DEFAULT_PERCENTILE,
    ) -> None:
        if breakpoints not in ("percentile", "peak"):
            raise InvalidInput(f"breakpoints are found by percentile or peak, not by {breakpoints!r}")
        if not 0 < percentile < 100:
            raise InvalidInput(f"a percentile is above 0 and below 100, got {percentile!r}")
        self._sizes, self._encoder = sizes, encoder
        self._task = offered(Task.TEXT_MATCHING, encoder.tasks)
        self._breakpoints, self._percentile = breakpoints, percentile
        how = f"percentile {percentile:g}" if breakpoints == "percentile" else "peaks"
        self.description = f"semantic by {encoder.fingerprint}, {how}, {sizes.description}"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        """Spans trimmed of surrounding white space; an empty or blank text has none."""
        sized = self._sizes.of(text)
        parts = self._parts(text, sized.sentences())
        return sized.joined(span for part in parts for span in sized.packed(part))

    def _parts(self, text: str, sentences: list[Span]) -> Iterator[list[Span]]:
        """The sentences between two breaks."""
        if len(sentences) < 2:
            yield sentences
            return
        texts = [text[start:end] for start, end in sentences]
        distances = _distances(self._encoder.encode(texts, task=self._task, truncate=True))
        start = 0
        for cut in (*(np.flatnonzero(self._breaks(distances)) + 1), len(sentences)):
            yield sentences[start:cut]
            start = int(cut)

    def _breaks(self, distances: FloatArray) -> NDArray[np.bool_]:
        """Whether there is a break after each sentence but the last."""
        if self._breakpoints == "percentile":
            least = max(float(np.percentile(distances, self._percentile)), float(np.finfo(np.float32).eps))
            return np.greater_equal(distances, least)
        before, after = np.append(-np.inf, distances[:-1]), np.append(distances[1:], -np.inf)
        least = float(distances.mean() + distances.std() / 2)
        return np.asarray((distances > before) & (distances >= after) & (distances > least), dtype=np.bool_)


def _distances(vectors: FloatArray) -> FloatArray:
    """1 minus the cosine of the means of `SIDE` sentences before and after each break: (n - 1,)."""
    sums = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0, dtype=np.float64)])
    cuts = np.arange(1, len(vectors))
    before = sums[cuts] - sums[np.maximum(cuts - SIDE, 0)]
    after = sums[np.minimum(cuts + SIDE, len(vectors))] - sums[cuts]
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    products = np.einsum("ij,ij->i", before, after)
    cosines = np.divide(products, norms, out=np.zeros_like(norms), where=norms > 0)
    return np.asarray(1 - cosines, dtype=np.float32)
