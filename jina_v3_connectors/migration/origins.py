"""Which model and task made the vectors of a sample: every named model is asked in every way it can be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from jina_v3_encoder.task import TaskLike
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import Blend

from .findings import Finding, Origin, Sampled, Severity
from .fit import ENOUGH, FITS, Sample, cosines_of
from .progress import Advance, silent
from .recipe import Recipe, task_recipe
from .records import Record

QUERY = "retrieval.query"
ALIKE = 1e-4
"""Cosines that are told apart by no more than this may come from one vector in another number format."""
EXPLAINED = 0.999
"""From this cosine on, no other recipe is looked for: another may come near, as with and without a prompt."""
PROBED, PROBED_DOCUMENTS = 16, 3
"""Vectors, and whole documents, that are tried in every way."""
CHARACTERS = 100_000
"""Of the documents that are read as a whole. At least one is."""
ENCODING = "encoding the sample"
Part: TypeAlias = Sequence[Record]
"""What is read at once: a record by itself, or all chunks of a document."""


def recipes_of(encoder: TextEncoder, dimensions: int) -> Iterator[Recipe]:
    """Every way in which a model can make vectors of this size from texts that are read alone."""
    tasks: tuple[TaskLike, ...] = (*encoder.tasks, None)
    for task in tasks:
        recipe = task_recipe(encoder, dimensions, task and str(task))
        yield recipe
        if task and encoder.info.prompts.get(task) and encoder.info.can_leave_prompts_out:
            yield replace(recipe, prompts=False)


def late_recipes_of(encoder: TextEncoder, dimensions: int) -> Iterator[Recipe]:
    """The same with late chunking, each with its prompt."""
    for recipe in recipes_of(encoder, dimensions):
        if recipe.prompts:
            yield replace(recipe, late_chunking=True)
            yield replace(recipe, late_chunking=Blend())


def origins(
    sample: Sample, encoders: Sequence[TextEncoder], dimensions: int, advance: Advance = silent
) -> list[Sampled]:
    """Where the sampled vectors come from: single records first, then, if these do not tell, whole documents.

    `advance` is called with the texts that are encoded.
    """
    able = [encoder for encoder in encoders if encoder.dimensions >= dimensions]
    search = _Search(advance)
    ways = [way for encoder in able for way in recipes_of(encoder, dimensions)]
    alone = search.sampled("sampled vectors", sample.parts(late=False), ways, PROBED)
    documents = _some(sample.parts(late=True))
    if _told(alone) or not any(len(chunks) > 1 for chunks in documents):
        return [alone]
    readers = [encoder for encoder in able if encoder.info.can_read_windows]
    late = [way for encoder in readers for way in late_recipes_of(encoder, dimensions)]
    return [alone, search.sampled("vectors of whole sampled documents", documents, late, PROBED_DOCUMENTS)]


def _some(documents: Sequence[Sequence[Record]]) -> list[Sequence[Record]]:
    """The first documents, of about `CHARACTERS` together, in the order in which they are best to try.

    Where a document has one chunk, most ways give one vector. Short ones cost less.
    """
    chosen, characters = [], 0
    for chunks in documents:
        if characters >= CHARACTERS:
            break
        chosen.append(chunks)
        characters += _length(chunks)
    return sorted(chosen, key=lambda chunks: (len(chunks) == 1, _length(chunks)))


def _length(chunks: Sequence[Record]) -> int:
    return sum(len(chunk.text or "") for chunk in chunks)


class _Search:
    """Finds the recipes of a sample without encoding all of it in every way.

    A few vectors are tried in all ways. Ways that made any of these are tried on the whole sample, and so on with the
    vectors that are not explained yet.
    """

    def __init__(self, advance: Advance) -> None:
        self._advance, self._done, self._total = advance, 0, 0

    def sampled(self, name: str, parts: Sequence[Part], recipes: Sequence[Recipe], probed: int) -> Sampled:
        """Each vector belongs to the recipe with the highest cosine, if that is high enough.

        Recipes may give one vector, as late chunking and a blend of a document's only chunk. Then that counts which
        explains most of the others.

        Args:
            name: What is sampled, for people.
            parts: What is read at once; the first ones are tried in every way.
            recipes: The ways that are tried.
            probed: How many these are.
        """
        cosines: dict[str, dict[str, float]] = {record.key: {} for part in parts for record in part}
        unexplained, untried = list(parts), list(recipes)
        while unexplained and untried:
            probe, others = unexplained[:probed], unexplained[probed:]
            likely = []
            for recipe, tried in self._tried(probe, untried):
                _note(cosines, recipe, tried)
                if max(tried.values()) >= FITS:
                    likely.append(recipe)
            if not likely:
                break
            for recipe, tried in self._tried(others, likely):
                _note(cosines, recipe, tried)
            untried = [recipe for recipe in untried if recipe not in likely]
            unexplained = [
                part
                for part in others
                if any(max(cosines[record.key].values(), default=0.0) < EXPLAINED for record in part)
            ]
        return _summary(name, cosines)

    def _tried(self, parts: Sequence[Part], recipes: Sequence[Recipe]) -> Iterator[tuple[Recipe, dict[str, float]]]:
        if not parts:
            return
        texts = sum(map(len, parts))
        self._total += texts * len(recipes)
        for recipe in recipes:
            self._advance(ENCODING, self._done, self._total)
            yield recipe, cosines_of(parts, recipe)
            self._done += texts
        self._advance(ENCODING, self._done, self._total)


def _note(cosines: dict[str, dict[str, float]], recipe: Recipe, tried: dict[str, float]) -> None:
    for key, cosine in tried.items():
        cosines[key][recipe.name] = cosine


def _summary(name: str, cosines: dict[str, dict[str, float]]) -> Sampled:
    best = {key: max(by_recipe.values(), default=0.0) for key, by_recipe in cosines.items()}
    fitting = [
        [name for name, cosine in by_recipe.items() if cosine >= best[key] - ALIKE]
        for key, by_recipe in cosines.items()
        if best[key] >= FITS
    ]
    explained = Counter(name for names in fitting for name in names)
    counts = Counter(max(names, key=lambda name: explained[name]) for names in fitting)
    return Sampled(name, len(best), tuple(Origin(recipe, count) for recipe, count in counts.most_common()))


def _told(sampled: Sampled) -> bool:
    """Whether one recipe made the sample."""
    return bool(sampled.origins) and sampled.origins[0].vectors >= ENOUGH * sampled.vectors


def origin_findings(samples: Sequence[Sampled], encoders: Sequence[TextEncoder], dimensions: int) -> Iterator[Finding]:
    """What the origins of the vectors mean."""
    for encoder in encoders:
        if encoder.dimensions < dimensions:
            yield Finding(
                Severity.NOTE,
                "smaller-model",
                f"{encoder.model_id} has {encoder.dimensions} dimensions, the stored vectors {dimensions}: not one is "
                "this model's",
                "name the model that made them",
            )
    if not samples or not samples[0].vectors:
        yield Finding(
            Severity.WARNING,
            "nothing-to-encode",
            "no record has both a text and a vector, so no model could be tried",
            "name the field of the text (--text-field)",
        )
        return
    what = "; ".join(map(str, samples))
    figures = {origin.recipe: origin.vectors for sample in samples for origin in sample.origins}
    for sample in samples:
        if _told(sample):
            yield _one_origin(sample, what, figures)
            return
    if figures:
        yield Finding(
            Severity.ERROR,
            "several-origins",
            what,
            "vectors that were made in different ways cannot be compared with one question: encode all with one model "
            "and task. If you know of another model that was used here, name it too",
            figures,
        )
        return
    yield Finding(
        Severity.ERROR,
        "unknown-origin",
        what,
        "none of these models made them, or another text than this one was encoded (--text-field): do not search this "
        "collection with questions of these models",
    )


def _one_origin(sample: Sampled, what: str, figures: dict[str, int]) -> Finding:
    if QUERY in sample.origins[0].recipe:
        return Finding(
            Severity.WARNING,
            "stored-as-questions",
            what,
            "retrieval.query is for questions. Stored texts belong to retrieval.passage: encode them again with it",
            figures,
        )
    return Finding(Severity.NOTE, "origin", what, "nothing to do", figures)
