"""The bundled model does what each adapter is for, on texts it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.vectors import finish

from ..support.texts import ANSWERS, GRADED, INTENTS, SUBJECTS, TRANSLATIONS

PASSAGES = [passage for _, _, passage in ANSWERS]
ENGLISH = [question for question, _, _ in ANSWERS]
GERMAN = [question for _, question, _ in ANSWERS]


def found(encoder: Encoder, questions: Sequence[str], dimensions: int | None = None) -> float:
    """Share of questions whose passage comes first."""
    asked = encoder.encode(questions, task="retrieval.query", dimensions=dimensions)
    passages = encoder.encode(PASSAGES, task="retrieval.passage", dimensions=dimensions)
    return float(((asked @ passages.T).argmax(1) == np.arange(len(questions))).mean())


def nearest_share(vectors: np.ndarray, labels: Sequence[str]) -> float:
    """Share of texts whose nearest neighbour has their label."""
    cosines = vectors @ vectors.T - 2 * np.eye(len(vectors))
    return float(np.mean([labels[int(best)] == label for best, label in zip(cosines.argmax(1), labels, strict=True)]))


def flat(groups: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    texts = [text for texts_of_label in groups.values() for text in texts_of_label]
    return texts, [label for label, texts_of_label in groups.items() for _ in texts_of_label]


def test_questions_find_their_passages(nano: Encoder) -> None:
    assert found(nano, ENGLISH) >= 0.8


def test_german_questions_find_english_passages(nano: Encoder) -> None:
    assert found(nano, GERMAN) >= 0.5, "by chance it would be 0.1"


@pytest.mark.parametrize(("dimensions", "least"), [(256, 0.8), (128, 0.8), (64, 0.7), (32, 0.5)])
def test_smaller_vectors_still_find(nano: Encoder, dimensions: int, least: float) -> None:
    assert found(nano, ENGLISH, dimensions) >= least


@pytest.mark.parametrize("language", [name for name in TRANSLATIONS if name != "en"])
def test_translations_are_nearest(nano: Encoder, language: str) -> None:
    english = nano.encode(TRANSLATIONS["en"], task="text-matching")
    foreign = nano.encode(TRANSLATIONS[language], task="text-matching")
    right = ((foreign @ english.T).argmax(1) == np.arange(len(english))).mean()
    assert right >= 0.8, f"{right:.2f}"


def test_languages_meet_without_english(nano: Encoder) -> None:
    german, spanish = (nano.encode(TRANSLATIONS[name], task="text-matching") for name in ("de", "es"))
    assert ((german @ spanish.T).argmax(1) == np.arange(len(german))).mean() >= 0.7


def test_similarity_is_graded(nano: Encoder) -> None:
    """Same in other words > something near > something else, for nearly all."""
    ordered = 0
    for texts in GRADED:
        first, same, near, other = nano.encode(texts, task="text-matching")
        assert first @ same > first @ other
        ordered += int(first @ same > first @ near > first @ other)
    assert ordered >= len(GRADED) - 1


def test_utterances_of_one_intent_are_neighbours(nano: Encoder) -> None:
    texts, labels = flat(INTENTS)
    assert nearest_share(nano.encode(texts, task="classification"), labels) >= 0.85


def test_a_few_examples_classify(nano: Encoder) -> None:
    """Nearest centre of two examples an intent."""
    centres = np.stack([nano.encode(examples[:2], task="classification").mean(0) for examples in INTENTS.values()])
    rest = [(text, n) for n, examples in enumerate(INTENTS.values()) for text in examples[2:]]
    vectors = nano.encode([text for text, _ in rest], task="classification")
    right = ((vectors @ finish(centres, normalize=True).T).argmax(1) == [n for _, n in rest]).mean()
    assert right >= 0.8


def test_questions_of_one_subject_are_neighbours(nano: Encoder) -> None:
    texts, labels = flat(SUBJECTS)
    assert nearest_share(nano.encode(texts, task="separation"), labels) >= 0.7


def test_subjects_lie_further_apart_with_their_adapter(nano: Encoder) -> None:
    """Mean cosine inside a group against that between groups, in units of spread: better than the base model's."""
    texts, labels = flat(SUBJECTS)
    same = np.equal.outer(labels, labels)
    away = ~np.eye(len(labels), dtype=bool)

    def gap(vectors: np.ndarray) -> float:
        cosines = vectors @ vectors.T
        return float((cosines[same & away].mean() - cosines[~same].mean()) / cosines[away].std())

    assert gap(nano.encode(texts, task="separation")) > gap(nano.encode(texts))


def test_sides_are_not_interchangeable(nano: Encoder) -> None:
    """A question encoded as a passage is another vector: swapping tasks is an error one can measure."""
    as_query = nano.encode(ENGLISH, task="retrieval.query")
    as_passage = nano.encode(ENGLISH, task="retrieval.passage")
    assert (as_query * as_passage).sum(1).max() < 0.99


def test_prompts_are_part_of_the_task(nano: Encoder) -> None:
    with_prompt = nano.encode(ENGLISH, task="retrieval.query")
    without = nano.encode(ENGLISH, task="retrieval.query", prompt=False)
    assert (with_prompt * without).sum(1).max() < 0.995


def test_a_slice_must_be_renormalised(nano: Encoder) -> None:
    """What peers get wrong: the slice of a unit vector is shorter than one, and by differing amounts."""
    full = nano.encode(PASSAGES, task="retrieval.passage")
    lengths = np.linalg.norm(full[:, :64], axis=1)
    assert lengths.max() < 0.98
    assert lengths.std() > 0.001
    sliced = nano.encode(PASSAGES, task="retrieval.passage", dimensions=64)
    assert np.allclose(sliced, full[:, :64] / lengths[:, None], atol=1e-6)
