"""Documents in memory, cut, encoded and mapped. The page shows them beside the answers of a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import Task, offered
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import Blend, blend_of
from jina_v3_encoder.texts.late_chunking import Span
from jina_v3_encoder.vectors import FloatArray, finish

from .. import demo
from ..chunking import Chunker
from ..documents import Document
from .projection import Projection, project

MAX_CHUNKS = 5000


class Mode(StrEnum):
    """How the vectors of chunks are made, by the name that the page has for it."""

    PLAIN = "plain"
    LATE = "late"
    BLEND = "blend"

    @property
    def late_chunking(self) -> bool | Blend:
        """As a connector takes it."""
        return Blend() if self is Mode.BLEND else self is Mode.LATE


@dataclass(frozen=True)
class MappedQuestion:
    """An encoded question: its cosine with every chunk and its position on the map, by mode."""

    vector: FloatArray
    """(dimensions,), normalised."""
    cosines: Mapping[Mode, FloatArray]
    """(chunks,) each."""
    points: Mapping[Mode, FloatArray]
    """(2,) each."""


class Corpus:
    """Documents with all their chunks' vectors, made with `retrieval.passage` and, for the map, `separation`.

    A model without tasks makes both without one.
    """

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
    def maps(self) -> dict[Mode, Projection]:
        """All chunks on a plane, by mode."""
        return {mode: self._map(mode) for mode in Mode}

    @cached_property
    def _passages(self) -> dict[Mode, FloatArray]:
        return {mode: self._encode(Task.RETRIEVAL_PASSAGE, mode) for mode in Mode}

    @property
    def dimensions(self) -> int:
        """The size of vectors that is shown first."""
        encoder = self.encoder
        return min(demo.DIMENSIONS, encoder.dimensions) if encoder.info.can_be_shortened else encoder.dimensions

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
        tasks = [task, self._task(Task.SEPARATION)]
        question_vector, mapped = self.encoder.encode([text, text], task=tasks, normalize=False)
        vector = _unit(question_vector[None], dimensions)[0]
        cosines = {mode: _unit(passages, dimensions) @ vector for mode, passages in self._passages.items()}
        mapped_unit = _unit(mapped[None], len(mapped))
        return MappedQuestion(
            vector, cosines, {mode: projection.place(mapped_unit)[0] for mode, projection in self.maps.items()}
        )

    def _task(self, task: Task) -> str | None:
        return offered(task, self.encoder.tasks)

    def _check(self) -> None:
        if self.chunks > MAX_CHUNKS:
            raise InvalidInput(
                f"these documents have more than {MAX_CHUNKS:,} chunks, and the page keeps all of them in memory: "
                "show fewer here, and use jina-v3 ingest and jina-v3 search for the rest"
            )

    def _encode(self, task: Task, mode: Mode) -> FloatArray:
        """(chunks, all dimensions), not normalised."""
        texts = [document.text for document in self.documents]
        if mode.late_chunking:
            document_vectors = self.encoder.encode_documents(
                texts, self.spans, task=self._task(task), normalize=False, blend=blend_of(mode.late_chunking)
            )
            return np.concatenate(document_vectors)
        pieces = [text[start:end] for text, spans in zip(texts, self.spans, strict=True) for start, end in spans]
        return self.encoder.encode(pieces, task=self._task(task), normalize=False)

    def _map(self, mode: Mode) -> Projection:
        vectors = self._encode(Task.SEPARATION, mode)
        owners = np.repeat(np.arange(len(self.spans)), list(map(len, self.spans)))
        return project(_unit(vectors, vectors.shape[1]), owners)


def _unit(vectors: FloatArray, dimensions: int) -> FloatArray:
    return finish(vectors[:, :dimensions].copy(), normalize=True)
