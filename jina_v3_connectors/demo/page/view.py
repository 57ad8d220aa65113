"""Answers for the page, as plain values for JSON. Positions in texts are UTF-16 code units, as in JavaScript."""

from __future__ import annotations

import time
from typing import Any

from jina_v3_encoder.config import MATRYOSHKA
from jina_v3_encoder.task import Task, offered
from jina_v3_encoder.vectors import FloatArray

from ... import demo
from ...chunking.lines import Utf16
from ...documents import Document, Hit
from ...fusion import Words
from ..collections import Collections
from ..corpus import Mode
from .schemas import SearchRequest


class View:
    """The page's answers over one corpus and its collections."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections
        self._corpus = collections.corpus
        self._numbers = {document.id: number for number, document in enumerate(self._corpus.documents)}
        self._units = [Utf16(document.text) for document in self._corpus.documents]

    def about(self) -> dict[str, Any]:
        """Everything that does not depend on a question."""
        encoder, corpus = self._corpus.encoder, self._corpus
        known = {document.id for document in corpus.documents}
        sizes = [size for size in MATRYOSHKA if size < encoder.dimensions and encoder.info.can_be_shortened]
        return {
            "model": encoder.model_id,
            "fingerprint": encoder.fingerprint,
            "dimensions": [*sizes, encoder.dimensions],
            "dimension": corpus.dimensions,
            "tasks": list(encoder.tasks),
            "stores": self._collections.stores,
            "chunks": corpus.chunks,
            "documents": [self._document(*pair) for pair in enumerate(corpus.documents)],
            "maps": {mode.value: _rounded(corpus.maps[mode].points) for mode in Mode},
            "questions": [
                {"text": question.text, "language": question.language}
                for question in demo.QUESTIONS
                if question.document_id in known
            ],
            "first": demo.LATE_QUESTION.text if demo.LATE_QUESTION.document_id in known else None,
        }

    async def started(self) -> dict[str, bool]:
        """Of each store, whether its server accepts connections now."""
        return await self._collections.started()

    def search(self, request: SearchRequest) -> dict[str, Any]:
        """Hits of all modes from a store, and the question's cosines and its position on the map.

        Raises:
            InvalidInput: an unknown store or task, dimensions out of range, or a question that is too long.
            StoreError: the store cannot be reached or refuses.
        """
        encoder = self._corpus.encoder
        start = time.perf_counter()
        size = encoder.info.check_dimensions(request.dimensions)
        given = "task" in request.model_fields_set
        task = request.task if given else offered(Task.RETRIEVAL_QUERY, encoder.tasks)
        answer = self._corpus.ask(request.question, task, size)
        encoded = time.perf_counter()
        hits = {mode.value: [self._hit(hit) for hit in self._answers(request, answer.vector, mode)] for mode in Mode}
        return {
            "tokens": encoder.count_tokens(request.question, task),
            "dimensions": size,
            "encode_seconds": encoded - start,
            "search_seconds": time.perf_counter() - encoded,
            "hits": hits,
            "cosines": {mode.value: _rounded(answer.cosines[mode]) for mode in Mode},
            "points": {mode.value: _rounded(answer.points[mode]) for mode in Mode},
        }

    def _answers(self, request: SearchRequest, vector: FloatArray, mode: Mode) -> list[Hit]:
        """Of one mode; the words of a question count where the page asks for it."""
        words = None if request.hybrid is None else Words([request.question], request.hybrid)
        return self._collections.nearest(request.store, vector, request.limit, mode, words)

    def _document(self, number: int, document: Document) -> dict[str, Any]:
        units = self._units[number]
        spans = self._corpus.spans[number]
        return {
            "id": document.id,
            "title": str(document.metadata.get("title", document.id)),
            "language": str(document.metadata.get("lang", "")),
            "text": document.text,
            "chunks": [[units.position(start), units.position(end)] for start, end in spans],
        }

    def _hit(self, hit: Hit) -> dict[str, Any]:
        number = self._numbers[hit.chunk.document_id]
        units = self._units[number]
        span = [units.position(hit.chunk.start), units.position(hit.chunk.end)]
        return {"score": round(hit.score, 4), "document": number, "chunk": hit.chunk.number, "span": span}


def _rounded(values: Any) -> Any:
    return [[round(float(part), 4) for part in row] if row.ndim else round(float(row), 4) for row in values]
