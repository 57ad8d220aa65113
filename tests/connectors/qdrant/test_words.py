"""BM25 word weights: what they count, and what they must not."""

from __future__ import annotations

import pytest

from jina_v3_connectors.qdrant.words import WordWeights, document_words, query_words


def weights(word_weights: WordWeights) -> dict[int, float]:
    return dict(zip(word_weights.indices, word_weights.values, strict=True))


@pytest.mark.parametrize("text", ["", "   ", "... !?"])
def test_no_words_no_weights(text: str) -> None:
    assert document_words(text) == query_words(text) == ([], [])


def test_a_question_finds_the_words_that_a_document_has() -> None:
    document, query = weights(document_words("the lighthouse warns ships")), weights(query_words("which LIGHTHOUSE?"))
    assert len(document) == 4
    assert len(set(document) & set(query)) == 1, "case does not count"


def test_a_word_that_comes_often_weighs_more_but_not_as_often_more() -> None:
    once = weights(document_words("sea stone stone stone"))
    (sea,) = (once[index] for index in weights(query_words("sea")))
    (stone,) = (once[index] for index in weights(query_words("stone")))
    assert sea < stone < 3 * sea


def test_words_are_not_stemmed_nor_left_out() -> None:
    """Both would belong to one language, and a collection may hold 89."""
    assert not set(query_words("ships").indices) & set(query_words("ship").indices)
    assert len(query_words("the and der und les et").indices) == 6


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Das Brot ist frisch", "brot"),
        ("маяк стоит у моря", "маяк"),
        ("灯台は船を導く", "灯台"),
        ("الخبز طازج", "الخبز"),
    ],
)
def test_many_scripts_have_words(text: str, word: str) -> None:
    assert set(query_words(word).indices) & set(document_words(text).indices)


def test_the_same_text_has_the_same_words() -> None:
    assert document_words("a stable choice of words") == document_words("a stable choice of words")
