"""BM25 word weights of a text, by the embedded engine's own tokenizer; the collection adds IDF."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, SparseVector, StopwordsSet, TokenizerType


class WordWeights(NamedTuple):
    """A sparse vector."""

    indices: list[int]
    values: list[float]


def document_words(text: str) -> WordWeights:
    return _weights(_model().embed_document(text))


def query_words(text: str) -> WordWeights:
    return _weights(_model().embed_query(text))


def _weights(vector: SparseVector) -> WordWeights:
    return WordWeights(list(vector.indices), list(vector.values))


@cache
def _model() -> Bm25:
    """No stemming and no stop words: both belong to one language, and a collection may hold 89."""
    return Bm25(Bm25Config(tokenizer=TokenizerType.Multilingual, stemmer=DisabledStemmer(), stopwords=StopwordsSet()))
