"""Asks two collections the same questions, and says what changes for those who search.

Overlap is a meter of change, not of quality: a better model changes answers too. Only judgements say which is better.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.vectors import FloatArray

from ..errors import StoreError
from ..evaluation.intervals import Floats, bootstrap
from ..evaluation.ranking import load_measures, measure_each
from .comparison import (
    CHANGED,
    MEASURES,
    SHOWN_HITS,
    Answer,
    Changed,
    Comparison,
    Histogram,
    Judged,
    Language,
    Measured,
    Percentile,
    SideFigures,
)
from .fit import FITS, Fit, Sample, fit_of, key_hash, usable
from .nearest import Nearest, Ranked
from .progress import Advance, silent
from .questions import Judgements, Question
from .ranking import decide, matching_threshold, overlap, percentiles, rank_biased_overlap
from .rebuild import document_id_of
from .recipe import Recipe
from .records import Record, Source

DEPTH = 50
"""Documents of a question that are kept. At p = .9 the ranks behind have half a per cent of the weight."""
LIMIT = 10
TOLERANCE = 0.01
FIRST_LOOK = 16
"""Records that are checked before a long pass, so that a wrong model is told at once."""
BINS = 40
UNIT = 1e-3


@dataclass(frozen=True)
class Side:
    """A collection, and the recipe that is believed to have made it."""

    name: str
    """For people: the store and the collection."""
    source: Source
    recipe: Recipe


@dataclass(frozen=True)
class _Reading:
    """What one pass over a collection gave."""

    figures: SideFigures
    rankings: list[list[Ranked]]
    held: set[str]
    """The judged documents that it holds."""
    documents: NDArray[np.int64]
    """Hashes of the ids of its documents, each once: 8 bytes for each, whatever their ids are."""


def compare(
    questions: Sequence[Question],
    old: Side,
    new: Side,
    *,
    judgements: Judgements | None = None,
    limit: int = LIMIT,
    tolerance: float = TOLERANCE,
    thresholds: Sequence[float] = (),
    checked: bool = True,
    advance: Advance = silent,
) -> Comparison:
    """Ask both collections, each in one pass, without an index.

    Args:
        questions: At least one.
        old, new: The two collections, with the recipes that made them.
        judgements: Which documents answer which questions; without them there is no verdict.
        limit: How many documents of a question the overlap looks at, up to `DEPTH`.
        tolerance: The loss of nDCG@10 that is accepted.
        thresholds: Scores of the old model, for which those of the new one are wanted.
        checked: Encode a sample of both again first, and refuse if the vectors are not those that are stored.
        advance: Called as the passes go on.

    Raises:
        InvalidInput: a number out of range, no question, or judgements of other questions.
        MissingExtra: judgements need `ir-measures`.
        StoreError: stored vectors are not their recipe's; a collection is empty, or holds none of the judged documents.
    """
    if not questions:
        raise InvalidInput("there is no question to ask")
    if not 1 <= limit <= DEPTH:
        raise InvalidInput(f"limit must be from 1 to {DEPTH}, got {limit}")
    if not tolerance >= 0:
        raise InvalidInput(f"tolerance must be 0 or more, such as 0.01, got {tolerance}")
    if judgements is not None:
        load_measures()  # before the passes, since it may be missing
        judgements = {question.id: judgements[question.id] for question in questions if question.id in judgements}
        if not judgements:
            raise InvalidInput("the judgements are of other questions than those that are asked")
    judged_documents = {document for grades in (judgements or {}).values() for document in grades}
    before, after = (_read(side, questions, judged_documents, checked=checked, advance=advance) for side in (old, new))
    pairs = list(zip(before.rankings, after.rankings, strict=True))
    documents = [([hit.document for hit in mine], [hit.document for hit in theirs]) for mine, theirs in pairs]
    overlaps = np.array([overlap(mine, theirs, limit) for mine, theirs in documents])
    rbos = np.array([rank_biased_overlap(mine, theirs) for mine, theirs in documents])
    each = None if judgements is None else [_measured(judgements, questions, side.rankings) for side in (before, after)]
    scores = [np.array([hit.score for hits in side.rankings for hit in hits[:limit]]) for side in (before, after)]
    return Comparison(
        old=before.figures,
        new=after.figures,
        questions=len(questions),
        limit=limit,
        overlap=float(overlaps.mean()),
        rbo=float(rbos.mean()),
        overlaps=tuple(np.bincount(np.rint(overlaps * limit).astype(int), minlength=limit + 1).tolist()),
        percentiles=_percentiles(*scores),
        histogram=_histogram(*scores),
        thresholds=tuple(matching_threshold(threshold, *scores) for threshold in thresholds),
        languages=_languages(questions, overlaps, rbos, each),
        changed=_changed(questions, pairs, overlaps, rbos, old.source, new.source),
        judged=None if each is None else _judged(each, tolerance, judged_documents, (before, after)),
        notes=tuple(_notes(before, after, judged_documents)),
    )


def _read(
    side: Side, questions: Sequence[Question], judged_documents: set[str], *, checked: bool, advance: Advance
) -> _Reading:
    """One pass: the best documents of all questions, the sample, and what is odd about the vectors."""
    if checked and not side.recipe.late_chunking:  # late chunks need whole documents, which the first records are not
        _check(side, Sample(islice(side.source.records(vectors=True), FIRST_LOOK)), may_be_empty=True)
    advance(f"encoding questions for {side.name}", 0, 0)
    nearest = Nearest(side.recipe.questions([question.text for question in questions]), DEPTH)
    sample, held, documents = Sample(), set[str](), array("q")
    records = without_direction = 0
    shortest, longest = np.inf, 0.0
    total = side.source.count()
    for page in _pages(side.source.records(vectors=True), nearest.rows_at_once):
        for record in page:
            sample.add(record)
            document = document_id_of(record)
            documents.append(key_hash(document))
            if document in judged_documents:
                held.add(document)
        comparable, vectors = _directions(page, side)
        lengths = np.linalg.norm(vectors, axis=1)
        if len(lengths):
            shortest, longest = min(shortest, float(lengths.min())), max(longest, float(lengths.max()))
            nearest.add(
                [document_id_of(record) for record in comparable],
                [record.key for record in comparable],
                vectors / lengths[:, None],
            )
        records += len(page)
        without_direction += len(page) - len(comparable)
        advance(f"reading {side.name}", records, max(total, records))
    if records == without_direction:
        raise StoreError(f"{side.name}: none of its {records:,} records has a vector that can be compared")
    fit = _check(side, sample) if checked else None
    recipe, document_hashes = side.recipe, np.unique(np.frombuffer(documents, dtype=np.int64))
    figures = SideFigures(
        side.name,
        recipe.encoder.model_id,
        recipe.query_task,
        recipe.dimensions,
        records,
        len(document_hashes),
        without_direction,
        float(shortest),
        longest,
        fit,
    )
    return _Reading(figures, nearest.rankings(), held, document_hashes)


def _pages(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    while page := list(islice(records, size)):
        yield page


def _directions(page: Sequence[Record], side: Side) -> tuple[list[Record], FloatArray]:
    """The records whose vectors can be compared, and these vectors."""
    with_vector = [record for record in page if record.vector is not None]
    sizes = {len(record.vector) for record in with_vector if record.vector is not None}
    if sizes - {side.recipe.dimensions}:
        shown = ", ".join(map(str, sorted(sizes)))
        raise StoreError(f"{side.name}: its vectors have {shown} dimensions, its model gives {side.recipe.dimensions}")
    if not with_vector:
        return [], np.zeros((0, side.recipe.dimensions), dtype=np.float32)
    vectors = np.array([record.vector for record in with_vector], dtype=np.float32)
    good = usable(vectors)
    return [record for record, is_good in zip(with_vector, good, strict=True) if is_good], vectors[good]


def _check(side: Side, sample: Sample, *, may_be_empty: bool = False) -> Fit | None:
    """Compare a sample with the recipe.

    Raises:
        StoreError: the vectors are another model's or another text's, or nothing can be checked.
    """
    cosines = sample.cosines(side.recipe)
    if not cosines:
        if may_be_empty:
            return None
        missing = "document with all of its texts and vectors" if side.recipe.late_chunking else "text with a vector"
        raise StoreError(
            f"{side.name}: no {missing} was found, so it cannot be checked which model made its vectors: name the "
            "field of the text (--text-field), or compare unchecked (--unchecked)"
        )
    fit = fit_of(side.recipe, list(cosines.values()))
    if not fit.enough:
        raise StoreError(
            f"{side.name}: only {fit.fitting} of {fit.sampled} sampled vectors are those of {fit.recipe} (the middle "
            f"cosine is {fit.median:.3f}, {FITS} and more is the same vector). Questions that this model encodes find "
            "nothing of use there, so nothing was compared. Name the model and the task that filled the collection "
            "(--old-model, --old-task; jina-v3 migrate doctor --model tries several), or the field of the text that "
            "was encoded (--text-field). If you know better, compare unchecked (--unchecked)"
        )
    return fit


def _measured(
    judgements: Judgements, questions: Sequence[Question], rankings: Sequence[Sequence[Ranked]]
) -> dict[str, dict[str, float]]:
    """The measures of each judged question. The score that counts is the rank, so that equal scores stay in order."""
    run = {
        question.id: {hit.document: 1 / rank for rank, hit in enumerate(hits, 1)}
        for question, hits in zip(questions, rankings, strict=True)
        if question.id in judgements
    }
    return measure_each(judgements, run)


def _judged(
    each: Sequence[dict[str, dict[str, float]]], tolerance: float, judged_documents: set[str], sides: Sequence[_Reading]
) -> Judged:
    for side in sides:
        if not side.held:
            raise StoreError(
                f"{side.figures.collection} holds none of the {len(judged_documents):,} judged documents, such as "
                f"{min(judged_documents)!r}: judgements must name the ids of documents (--document-field says which "
                "field holds them; without one a record's own key counts)"
            )
    values = [np.array([[measured[name] for name in MEASURES] for measured in side.values()]) for side in each]
    intervals = bootstrap(values[1] - values[0])
    measures = tuple(
        Measured(name, float(values[0][:, column].mean()), float(values[1][:, column].mean()), intervals[column])
        for column, name in enumerate(MEASURES)
    )
    verdict, reason = decide(intervals[0], tolerance, len(each[0]))
    missing = [len(judged_documents - side.held) for side in sides]
    return Judged(len(each[0]), measures, tolerance, verdict, reason, *missing)


def _percentiles(old: Floats, new: Floats) -> tuple[Percentile, ...]:
    new_scores = percentiles(new)
    return tuple(Percentile(percent, score, new_scores[percent]) for percent, score in percentiles(old).items())


def _histogram(old: Floats, new: Floats) -> Histogram:
    low, high = min(old.min(), new.min()), max(old.max(), new.max())
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    old_counts, new_counts = (np.histogram(scores, edges)[0].tolist() for scores in (old, new))
    return Histogram(tuple(edges.tolist()), tuple(old_counts), tuple(new_counts))


def _languages(
    questions: Sequence[Question],
    overlaps: Floats,
    rbos: Floats,
    each: Sequence[dict[str, dict[str, float]]] | None,
) -> tuple[Language, ...]:
    """The languages that questions name, those with the most questions first. None where no question names one."""
    rows: dict[str, list[int]] = {}
    for row, question in enumerate(questions):
        rows.setdefault(question.language or "", []).append(row)
    if set(rows) == {""}:
        return ()
    languages = []
    for language, members in sorted(rows.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        judged = [questions[row].id for row in members if each and questions[row].id in each[0]]
        old, new = (
            [float(np.mean([side[name]["ndcg"] for name in judged])) for side in each]
            if each and judged
            else (None, None)
        )
        languages.append(
            Language(
                language,
                len(members),
                float(overlaps[members].mean()),
                float(rbos[members].mean()),
                len(judged),
                old,
                new,
            )
        )
    return tuple(languages)


def _changed(
    questions: Sequence[Question],
    pairs: Sequence[tuple[list[Ranked], list[Ranked]]],
    overlaps: Floats,
    rbos: Floats,
    old: Source,
    new: Source,
) -> tuple[Changed, ...]:
    """The questions with the least rank-biased overlap, with their first answers. Their texts are read for this."""
    rows = [row for row in np.argsort(rbos, kind="stable")[:CHANGED].tolist() if rbos[row] < 1 - 1e-9]
    first = [[pairs[row][side][:SHOWN_HITS] for row in rows] for side in (0, 1)]
    texts = [_texts(source, answers) for source, answers in zip((old, new), first, strict=True)]
    return tuple(
        Changed(
            questions[row],
            float(overlaps[row]),
            float(rbos[row]),
            *(
                tuple(Answer(hit.document, hit.score, texts[side].get(hit.key, "")) for hit in first[side][number])
                for side in (0, 1)
            ),
        )
        for number, row in enumerate(rows)
    )


def _texts(source: Source, answers: Sequence[Sequence[Ranked]]) -> dict[str, str]:
    keys = list(dict.fromkeys(hit.key for hits in answers for hit in hits))
    return {record.key: record.text or "" for record in source.read(keys)} if keys else {}


def _notes(before: _Reading, after: _Reading, judged_documents: set[str]) -> Iterator[str]:
    for side, other in ((before, after), (after, before)):
        if alone := len(np.setdiff1d(side.documents, other.documents, assume_unique=True)):
            yield (
                f"{alone:,} of the {len(side.documents):,} documents in {side.figures.collection} are not in "
                f"{other.figures.collection}"
            )
    for side in (before, after):
        figures = side.figures
        if figures.without_direction:
            yield (
                f"{figures.collection}: {figures.without_direction:,} of {figures.records:,} records have no vector, "
                "or zeros or NaN in its place; no search finds them (jina-v3 migrate doctor names the reason)"
            )
        if not 1 - UNIT < figures.shortest <= figures.longest < 1 + UNIT:
            yield (
                f"{figures.collection}: its vectors are from {figures.shortest:.3g} to {figures.longest:.3g} long. "
                "They are compared by cosine here; a search by dot products or distances ranks in another way"
            )
        if figures.fit is None:
            yield f"{figures.collection}: nobody checked that {figures.model} made its vectors (--unchecked)"
        if judged_documents - side.held:
            missing = sorted(judged_documents - side.held)
            yield (
                f"{figures.collection}: {len(missing):,} of {len(judged_documents):,} judged documents are not there, "
                f"such as {missing[0]!r}; they count as not found"
            )
