"""A dataset whose documents are cut anew, so that chunkers can be compared by the same questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.late_chunking import Span, join_chunks

from ..chunking import Chunker
from ..chunking.checked import checked_cuts
from ..documents import Document, TextFormat
from .dataset import Dataset, Passage

SEPARATOR = "\n\n"
"""Between the rows of a document: they are its paragraphs."""


def recut(dataset: Dataset, chunker: Chunker, text_format: TextFormat = "text") -> Dataset:
    """Rows of one document joined, and cut by `chunker`.

    A chunk answers a question if it shares at least half of the answer, or at least half of itself, with it. If none
    does, because the answer is cut in its middle, the one that shares most of it. The answer is the string that the
    question names, else the whole right row.

    Raises:
        InvalidInput: the chunker loses an answer.
        DocumentError: its chunks are no parts of the text, in order.
    """
    passages: list[Passage] = []
    chunks: dict[str, list[Passage]] = {}
    rows: dict[str, tuple[str, Span]] = {}
    texts: dict[str, str] = {}
    for name, document_rows in _documents(dataset):
        texts[name], row_spans = join_chunks([row.text for row in document_rows], SEPARATOR)
        rows |= {row.id: (name, span) for row, span in zip(document_rows, row_spans, strict=True)}
        cuts = checked_cuts(Document(name, texts[name], format=text_format), chunker)
        spans = enumerate((cut.start, cut.end) for cut in cuts)
        chunks[name] = [Passage(f"{name}#{number}", texts[name][slice(*span)], name, span) for number, span in spans]
        passages += chunks[name]
    relevance: dict[str, dict[str, int]] = {}
    for query, grades in dataset.relevance.items():
        relevance[query] = {}
        for row, grade in grades.items():
            name, span = rows[row]
            answer = _answer(texts[name], span, dataset.answers.get(query))
            relevance[query] |= {chunk.id: grade for chunk in _answering(chunks[name], answer)}
        if not relevance[query]:
            raise InvalidInput(f"the chunker {chunker.description!r} leaves the answer of query {query!r} out")
    return replace(dataset, passages=passages, relevance=relevance, texts=texts)


def _documents(dataset: Dataset) -> Iterator[tuple[str, list[Passage]]]:
    """Neighbouring rows of one document. A row without one is a document by itself."""
    for name, rows in groupby(dataset.passages, lambda row: row.document or row.id):
        yield name, list(rows)


def _answer(text: str, row: Span, answer: str | None) -> Span:
    start = text.find(answer, *row) if answer else -1
    return row if answer is None or start < 0 else (start, start + len(answer))


def _answering(chunks: list[Passage], answer: Span) -> list[Passage]:
    shares = [_shared(chunk.span, answer) if chunk.span else 0 for chunk in chunks]
    halves = [
        chunk
        for chunk, share in zip(chunks, shares, strict=True)
        if chunk.span and share and 2 * share >= min(chunk.span[1] - chunk.span[0], answer[1] - answer[0])
    ]
    most = max(shares, default=0)
    return halves or ([chunks[shares.index(most)]] if most else [])


def _shared(chunk: Span, answer: Span) -> int:
    """Characters in both."""
    return max(0, min(chunk[1], answer[1]) - max(chunk[0], answer[0]))
