"""Which model and task made the vectors of a sample: every named model is asked in every way it can be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from jina_v3_encoder.task import TaskLike
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import Blend

from .findings import Finding, Origin, Sampled, Severity
from .fit import ENOUGH, FITS, Sample
from .recipe import Recipe, task_recipe

QUERY = "retrieval.query"
ALIKE = 1e-4
"""Cosines that are told apart by no more than this may come from one vector in another number format."""


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


def origins(sample: Sample, encoders: Sequence[TextEncoder], dimensions: int) -> list[Sampled]:
    """Where the sampled vectors come from: single records first, then, if these do not tell, whole documents."""
    able = [encoder for encoder in encoders if encoder.dimensions >= dimensions]
    alone = _sampled("sampled vectors", sample, [way for encoder in able for way in recipes_of(encoder, dimensions)])
    several_chunks = any(len(chunks) > 1 for chunks in sample.whole.documents)
    if _told(alone) or not several_chunks:
        return [alone]
    readers = [encoder for encoder in able if encoder.info.can_read_windows]
    late = [way for encoder in readers for way in late_recipes_of(encoder, dimensions)]
    return [alone, _sampled("vectors of whole sampled documents", sample, late)]


def _sampled(name: str, sample: Sample, recipes: Sequence[Recipe]) -> Sampled:
    """Each vector belongs to the recipe with the highest cosine, if that is high enough.

    Recipes may give one vector, as late chunking and a blend of a document's only chunk. Then that counts which
    explains most of the others.
    """
    cosines: dict[str, dict[str, float]] = {}
    for recipe in recipes:
        for key, cosine in sample.cosines(recipe).items():
            cosines.setdefault(key, {})[recipe.name] = cosine
    best = {key: max(by_recipe.values()) for key, by_recipe in cosines.items()}
    fitting = [
        [name for name, cosine in by_recipe.items() if cosine >= best[key] - ALIKE]
        for key, by_recipe in cosines.items()
        if best[key] >= FITS
    ]
    explained = Counter(name for names in fitting for name in names)
    vectors = len(best) if recipes else len(sample.alone.records)
    counts = Counter(max(names, key=lambda name: explained[name]) for names in fitting)
    return Sampled(name, vectors, tuple(Origin(recipe, count) for recipe, count in counts.most_common()))


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
