"""Whether stored vectors are a model's vectors of the stored texts: a sample is encoded again.

Nothing else can tell. Two models of one size give vectors of one shape and one length, and the name that a collection
carries is what somebody wrote there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from jina_v3_encoder.vectors import FloatArray

from .recipe import Recipe, rebuilt
from .records import Record

FITS = 0.99
"""A vector fits from this cosine on. Half precision and int8 weights stay above; another task of a model does not."""
ENOUGH = 0.95
"""The share of a sample that has to fit. A few may not: texts that were cut elsewhere, or edited since."""
SAMPLE = 64
DOCUMENTS = 16
LARGEST_DOCUMENT = 400_000
"""Characters. Longer documents are not sampled for late chunking, since all of their chunks would be kept."""
FILLERS = (" ", "\n")
"""What may have stood between two chunks. Not every tokenizer reads both alike."""


def key_hash(text: str) -> int:
    """63 bits that the text decides, the same on every machine."""
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()) >> 1


class RecordSample:
    """The records whose keys have the lowest hashes: spread over the collection, the same ones at each reading.

    Only records with a text and a vector that has a length count.
    """

    def __init__(self, size: int = SAMPLE) -> None:
        self._size = size
        self._heap: list[tuple[int, str, Record]] = []

    def add(self, record: Record) -> None:
        if not has_both(record):
            return
        entry = (-key_hash(record.key), record.key, record)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
        elif entry[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, entry)

    @property
    def records(self) -> list[Record]:
        return [record for _, _, record in sorted(self._heap, key=lambda entry: entry[:2])]


class DocumentSample:
    """Whole documents, all of their chunks, chosen as `RecordSample` does by the hash of the document's id.

    One pass is enough: a document that is among the lowest in the end was so from its first chunk on.
    """

    def __init__(self, size: int = DOCUMENTS) -> None:
        self._size = size
        self._chunks: dict[tuple[int, str], list[Record]] = {}
        self._characters: dict[tuple[int, str], int] = {}

    def add(self, record: Record) -> None:
        if record.document_id is None:
            return
        entry = (key_hash(record.document_id), record.document_id)
        if entry not in self._chunks:
            if len(self._chunks) == self._size:
                last = max(self._chunks)
                if entry > last:
                    return
                del self._chunks[last], self._characters[last]
            self._chunks[entry], self._characters[entry] = [], 0
        self._characters[entry] += len(record.text or "")
        if self._characters[entry] > LARGEST_DOCUMENT:
            self._chunks[entry] = []  # stays, empty, so that its later chunks are not taken for a whole document
        else:
            self._chunks[entry].append(record)

    @property
    def documents(self) -> list[list[Record]]:
        """Each with its chunks in their order. Documents in which a chunk has no text or no vector are left out."""
        whole = [chunks for _, chunks in sorted(self._chunks.items()) if chunks and all(map(has_both, chunks))]
        return [sorted(chunks, key=_position) for chunks in whole]


def _position(record: Record) -> tuple[int, int]:
    return (record.order if record.order is not None else 0, record.start if record.start is not None else 0)


class Sample:
    """What a pass over a collection keeps, so that any recipe can be checked afterwards."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.alone, self.whole = RecordSample(), DocumentSample()
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        self.alone.add(record)
        self.whole.add(record)

    def cosines(self, recipe: Recipe) -> dict[str, float]:
        """For each sampled key the cosine of the stored vector and of the recipe's."""
        return cosines_of(self.parts(late=bool(recipe.late_chunking)), recipe)

    def parts(self, *, late: bool) -> list[list[Record]]:
        """What is read at once: whole documents with all of their chunks, or each record by itself."""
        return self.whole.documents if late else [[record] for record in self.alone.records]


def cosines_of(parts: Sequence[Sequence[Record]], recipe: Recipe) -> dict[str, float]:
    """For each key in `parts` the cosine of the stored vector and of the recipe's; see `Sample.parts`."""
    records = [record for part in parts for record in part]
    if not recipe.late_chunking:
        return _cosines(records, recipe.passages([record.text or "" for record in records]))
    best: dict[str, float] = {}
    same = all(rebuilt(part, FILLERS[0]) == rebuilt(part, FILLERS[1]) for part in parts)
    for filler in FILLERS[: 1 if same else None] if parts else ():
        for key, cosine in _cosines(records, recipe.documents(parts, filler)).items():
            best[key] = max(cosine, best.get(key, -1.0))
    return best


def _cosines(records: Sequence[Record], vectors: FloatArray) -> dict[str, float]:
    return {record.key: _cosine(record.vector, vector) for record, vector in zip(records, vectors, strict=True)}


def _cosine(stored: FloatArray | None, vector: FloatArray) -> float:
    """0 for vectors of different sizes, which are not the same vector."""
    if stored is None or stored.shape != vector.shape:
        return 0.0
    return float(stored @ vector / (np.linalg.norm(stored) * np.linalg.norm(vector)))


def has_both(record: Record) -> bool:
    """Whether a record has a text and a vector that can be compared."""
    vector = record.vector
    return bool(record.text and record.text.strip()) and vector is not None and usable(vector[None])[0]


def usable(vectors: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows have a direction: no NaN, not infinite, not zero."""
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(vectors.astype(np.float32, copy=False), axis=1)
    good: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.isfinite(norms) & (norms > 0)
    return good


@dataclass(frozen=True)
class Fit:
    """How many of the sampled vectors are those of a recipe."""

    recipe: str
    sampled: int
    fitting: int
    median: float
    """Of the cosines."""

    @property
    def enough(self) -> bool:
        return self.sampled > 0 and self.fitting >= ENOUGH * self.sampled


def fit_of(recipe: Recipe, cosines: Sequence[float]) -> Fit:
    values = np.asarray(cosines, dtype=np.float64)
    median = float(np.median(values)) if len(values) else 0.0
    return Fit(recipe.name, len(values), int((values >= FITS).sum()), median)
