"""What a comparison of two collections says: plain values, for a table, JSON or a page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..evaluation.intervals import Interval
from .fit import Fit
from .questions import Question
from .ranking import Threshold, Verdict

MEASURES = {"ndcg": "nDCG@10", "recall": "recall@10", "mrr": "MRR@10"}
CHANGED = 20
"""How many questions are shown whose answers changed most."""
SHOWN_HITS = 3


@dataclass(frozen=True)
class SideFigures:
    """One of the two collections."""

    collection: str
    model: str
    query_task: str | None
    dimensions: int
    records: int
    documents: int
    without_direction: int
    """Records that no search can find: without a vector, or with zeros or NaN in its place."""
    shortest: float
    longest: float
    """Of the vectors, as stored."""
    fit: Fit | None
    """Whether the model's vectors are the stored ones. None where nobody checked."""


@dataclass(frozen=True)
class Percentile:
    """The scores below which `percent` of a hundred hits lie."""

    percent: int
    old: float
    new: float


@dataclass(frozen=True)
class Histogram:
    """How many hits have a score in each bin; `edges` has one number more than the counts."""

    edges: tuple[float, ...]
    old: tuple[int, ...]
    new: tuple[int, ...]


@dataclass(frozen=True)
class Language:
    """The questions of one language; nDCG@10 only where they are judged."""

    language: str
    questions: int
    overlap: float
    rbo: float
    judged: int
    old_ndcg: float | None
    new_ndcg: float | None


@dataclass(frozen=True)
class Answer:
    """A document that answers a question, and the beginning of its best record's text."""

    document: str
    score: float
    text: str


@dataclass(frozen=True)
class Changed:
    """A question whose answers changed much, with the first ones of both collections."""

    question: Question
    overlap: float
    rbo: float
    old: tuple[Answer, ...]
    new: tuple[Answer, ...]


@dataclass(frozen=True)
class Measured:
    """A measure of both collections, and new minus old with its interval."""

    name: str
    old: float
    new: float
    difference: Interval


@dataclass(frozen=True)
class Judged:
    """What judgements say."""

    questions: int
    measures: tuple[Measured, ...]
    tolerance: float
    verdict: Verdict
    reason: str
    missing_old: int
    missing_new: int
    """Judged documents that the collection does not hold."""


@dataclass(frozen=True)
class Comparison:
    """Two collections asked the same questions."""

    old: SideFigures
    new: SideFigures
    questions: int
    limit: int
    """How many documents of each question are compared by overlap."""
    overlap: float
    rbo: float
    overlaps: tuple[int, ...]
    """How many questions share 0, 1, … of the documents."""
    percentiles: tuple[Percentile, ...]
    histogram: Histogram
    thresholds: tuple[Threshold, ...]
    languages: tuple[Language, ...]
    changed: tuple[Changed, ...]
    judged: Judged | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
