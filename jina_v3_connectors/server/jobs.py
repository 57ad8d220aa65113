"""What is computed for a request, in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.task import Task, TaskLike
from jina_v3_encoder.texts.late_chunking import Span
from jina_v3_encoder.vectors import FloatArray

from .models import Model

if TYPE_CHECKING:
    from jina_v3_encoder.network.late_document import LateDocument

FLOAT_BYTES = 4
IdArray = NDArray[np.integer[Any]]


@runtime_checkable
class ReadsInSteps(Protocol):
    """An encoder that can stop inside a document, as `Encoder` can; each method is documented there."""

    def open_document(
        self,
        text: str,
        spans: Sequence[Span],
        *,
        task: TaskLike = None,
        prompt: bool = True,
        window: int | None = None,
        overlap: int | None = None,
    ) -> LateDocument: ...

    def read_windows(self, document: LateDocument, start: int, stop: int) -> None: ...


@runtime_checkable
class ReadsIds(Protocol):
    """An engine that reads what was tokenised before, as `LocalEngine` can; each method is documented there."""

    def text_ids(self, texts: Sequence[str], tasks: Sequence[Task | None], *, prompt: bool) -> list[IdArray]: ...

    def cut_ids(self, ids: IdArray) -> IdArray: ...

    def id_means(self, ids: Sequence[IdArray], tasks: Sequence[Task | None]) -> FloatArray: ...


@dataclass(frozen=True)
class Steps:
    """An opened document, and which windows [start, stop) each piece of its job reads."""

    opened: LateDocument
    windows: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Document:
    """A text with its chunks, for late chunking in windows."""

    spans: Sequence[Span]
    read: int
    """Tokens that the network reads for it, those of overlaps each time."""
    window: int | None = None
    overlap: int | None = None
    steps: Steps | None = None
    """None where the encoder reads documents in one go only."""


@dataclass
class Job:
    """One request's texts, or one document with its chunks. Its vectors come back full-sized and not normalised.

    It is computed in pieces, one for each of `tokens`: a text, or some windows of the document.
    """

    model: Model
    texts: Sequence[str]
    tokens: Sequence[int]
    task: str | None
    document: Document | None = None
    """What the only text is read as."""
    ids: Sequence[IdArray] = ()
    """Token ids of each text; empty where the engine takes texts only."""
    result: Future[FloatArray] = field(default_factory=Future)
    rows: list[FloatArray | None] = field(default_factory=list)
    missing: int = 0

    def __post_init__(self) -> None:
        self.missing = len(self.tokens)
        self.rows = [None] * len(self.tokens)

    @property
    def size(self) -> int:
        """Tokens to be computed: of all texts, or of all windows."""
        return sum(self.tokens)

    @property
    def read(self) -> int:
        """Tokens that the network reads, for the answer."""
        return self.size if self.document is None else self.document.read

    @property
    def vector_bytes(self) -> int:
        """What its vectors take."""
        vectors = len(self.texts) if self.document is None else len(self.document.spans)
        return vectors * self.model.encoder.dimensions * FLOAT_BYTES

    def finish(self, index: int, row: FloatArray) -> None:
        """Piece `index` was read and gave `row`; the last one to come completes the vectors."""
        self.rows[index] = row
        if self._last():
            self._give(np.concatenate([piece_rows for piece_rows in self.rows if piece_rows is not None]))

    def finish_windows(self, opened: LateDocument) -> None:
        """One piece of a document was read; the last one completes its vectors."""
        if self._last():
            self._give(opened.vectors())

    def _last(self) -> bool:
        self.missing -= 1
        return not self.missing

    def _give(self, vectors: FloatArray) -> None:
        with suppress(InvalidStateError):  # nobody waits any more
            self.result.set_result(vectors)

    def fail(self, error: BaseException) -> None:
        with suppress(InvalidStateError):
            self.result.set_exception(error)


Piece = tuple[Job, int]
"""A job, and which of its texts or windows."""
