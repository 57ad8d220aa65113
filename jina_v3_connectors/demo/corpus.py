"""Documents in memory, cut, encoded and mapped. The page shows them beside the answers of a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import Task
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.late_chunking import Span
from jina_v3_encoder.vectors import FloatArray, finish

from ..chunking import Chunker
from ..documents import Document
from .projection import Projection, project

MAX_CHUNKS = 5000
MODES = (False, True)
"""Late chunking off and on."""


@dataclass(frozen=True)
class MappedQuestion:
    """An encoded question: its cosine with every chunk and its position on the map, by mode."""

    vector: FloatArray
    """(dimensions,), normalised."""
    cosines: Mapping[bool, FloatArray]
    """(chunks,) each."""
    points: Mapping[bool, FloatArray]
    """(2,) each."""


class Corpus:
    """Documents with all their chunks' vectors, made with `retrieval.passage` and, for the map, `separation`."""

    def __init__(self, encoder: TextEncoder, documents: Iterable[Document], chunker: Chunker) -> None:
        """Cut the documents. Vectors are made at their first use.

        Raises:
            InvalidInput: no text at all, two documents of one id, or more than `MAX_CHUNKS` chunks.
        """
        self.encoder, self.chunker = encoder, chunker
        self.documents: list[Document] = []
        self.spans: list[list[Span]] = []
        for document in documents:
            if spans := list(chunker.spans(document.text, document.format)):
                self.documents.append(document)
                self.spans.append(spans)
                self._check()
        if not self.documents:
            raise InvalidInput("there is no text in these documents")
        if len({document.id for document in self.documents}) < len(self.documents):
            raise InvalidInput("two of these documents have the same id")

    @cached_property
    def maps(self) -> dict[bool, Projection]:
        """All chunks on a plane, by mode."""
        return {late: self._map(late=late) for late in MODES}

    @cached_property
    def _passages(self) -> dict[bool, FloatArray]:
        return {late: self._encode(Task.RETRIEVAL_PASSAGE, late=late) for late in MODES}

    @property
    def chunks(self) -> int:
        return sum(map(len, self.spans))

    @property
    def name(self) -> str:
        """Eight digits that change with the texts, the chunks, or the model."""
        parts = [self.encoder.fingerprint, self.chunker.description]
        parts += [
            f"{document.id}\x1f{document.text}\x1f{spans}"
            for document, spans in zip(self.documents, self.spans, strict=True)
        ]
        return hashlib.sha256("\x1e".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:8]

    def ask(self, text: str, task: str | None, dimensions: int) -> MappedQuestion:
        """Encode a question with `task`, compare it with every chunk, and put it on the map.

        Raises:
            InvalidInput: unknown task, dimensions out of range, or a text that is too long.
        """
        question_vector, mapped = self.encoder.encode([text, text], task=[task, Task.SEPARATION], normalize=False)
        vector = _unit(question_vector[None], dimensions)[0]
        cosines = {late: _unit(passages, dimensions) @ vector for late, passages in self._passages.items()}
        mapped_unit = _unit(mapped[None], len(mapped))
        return MappedQuestion(
            vector, cosines, {late: projection.place(mapped_unit)[0] for late, projection in self.maps.items()}
        )

    def _check(self) -> None:
        if self.chunks > MAX_CHUNKS:
            raise InvalidInput(
                f"these documents have more than {MAX_CHUNKS:,} chunks, and the page keeps all of them in memory: "
                "show fewer here, and use jina-v3 ingest and jina-v3 search for the rest"
            )

    def _encode(self, task: Task, *, late: bool) -> FloatArray:
        """(chunks, all dimensions), not normalised."""
        texts = [document.text for document in self.documents]
        if late:
            return np.concatenate(self.encoder.encode_documents(texts, self.spans, task=task, normalize=False))
        pieces = [text[start:end] for text, spans in zip(texts, self.spans, strict=True) for start, end in spans]
        return self.encoder.encode(pieces, task=task, normalize=False)

    def _map(self, *, late: bool) -> Projection:
        vectors = self._encode(Task.SEPARATION, late=late)
        owners = np.repeat(np.arange(len(self.spans)), list(map(len, self.spans)))
        return project(_unit(vectors, vectors.shape[1]), owners)


def _unit(vectors: FloatArray, dimensions: int) -> FloatArray:
    return finish(vectors[:, :dimensions].copy(), normalize=True)
