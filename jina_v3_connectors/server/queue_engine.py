"""An encoder for what stands beside the interface, such as the page: it computes in the queue's thread."""

from __future__ import annotations

from collections.abc import Sequence

from jina_v3_encoder.engine import EncoderInfo, Progress, SpanRequest, TextRequest
from jina_v3_encoder.task import Task
from jina_v3_encoder.vectors import FloatArray

from .batcher import Batcher
from .models import Model


class QueueEngine:
    """The engine of a model behind a queue. Texts are read in the queue's thread, and counted in the caller's."""

    def __init__(self, batcher: Batcher, model: Model | None = None) -> None:
        """`model` is one of the queue's, by default its first."""
        self._batcher, self._engine = batcher, (model or batcher.models.default).encoder.engine

    @property
    def info(self) -> EncoderInfo:
        return self._engine.info

    def text_means(self, request: TextRequest, progress: Progress) -> FloatArray:
        return self._batcher.run(lambda: self._engine.text_means(request, progress))

    def span_means(self, request: SpanRequest, progress: Progress) -> FloatArray:
        return self._batcher.run(lambda: self._engine.span_means(request, progress))

    def token_counts(self, texts: Sequence[str], tasks: Sequence[Task | None], *, prompt: bool) -> list[int]:
        return self._engine.token_counts(texts, tasks, prompt=prompt)

    def close(self) -> None:
        """Do nothing: the engine belongs to the queue."""
