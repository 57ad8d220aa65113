"""All of an encoder's work in one thread, whoever asks for it.

libgomp gives every thread that computes a team of threads of its own, and lets them sleep instead of spin as soon as
all teams together are larger than the machine: nano on two cores was 10 to 35 % slower with two such threads than one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from jina_v3_encoder.engine import EncoderInfo, Engine, Progress, SpanRequest, TextRequest
from jina_v3_encoder.task import Task, TaskLike
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.late_chunking import Span
from jina_v3_encoder.vectors import FloatArray

from .jobs import ReadsInSteps

if TYPE_CHECKING:
    from jina_v3_encoder.network.late_document import LateDocument


def in_one_thread(load: Callable[[], TextEncoder]) -> TextEncoder:
    """The encoder that `load` gives, loaded and used in a thread of its own; calls wait for their turn."""
    thread = ThreadPoolExecutor(1, "jina-v3-compute")

    def ready() -> TextEncoder:
        encoder = load()
        encoder.fingerprint  # noqa: B018 - computed here, not at the first question for it
        return encoder

    encoder = thread.submit(ready).result()
    if isinstance(encoder, ReadsInSteps):
        return _StepsInOneThread(encoder, encoder, thread)
    return _InOneThread(encoder, thread)


class OneThreadEngine:
    """Another engine, which computes in one thread. Tokens are counted in the caller's: that goes on meanwhile."""

    def __init__(self, engine: Engine, thread: ThreadPoolExecutor) -> None:
        self._engine, self._thread = engine, thread

    @property
    def info(self) -> EncoderInfo:
        return self._engine.info

    def text_means(self, request: TextRequest, progress: Progress) -> FloatArray:
        return self._thread.submit(self._engine.text_means, request, progress).result()

    def span_means(self, request: SpanRequest, progress: Progress) -> FloatArray:
        return self._thread.submit(self._engine.span_means, request, progress).result()

    def token_counts(self, texts: Sequence[str], tasks: Sequence[Task | None], *, prompt: bool) -> list[int]:
        return self._engine.token_counts(texts, tasks, prompt=prompt)

    def close(self) -> None:
        self._thread.submit(self._engine.close).result()


class _InOneThread(TextEncoder):
    def __init__(self, encoder: TextEncoder, thread: ThreadPoolExecutor) -> None:
        super().__init__(OneThreadEngine(encoder.engine, thread))
        self._shown = repr(encoder)

    def __repr__(self) -> str:
        return self._shown


class _StepsInOneThread(_InOneThread):
    def __init__(self, encoder: TextEncoder, steps: ReadsInSteps, thread: ThreadPoolExecutor) -> None:
        super().__init__(encoder, thread)
        self._steps, self._thread = steps, thread

    def open_document(
        self,
        text: str,
        spans: Sequence[Span],
        *,
        task: TaskLike = None,
        prompt: bool = True,
        window: int | None = None,
        overlap: int | None = None,
    ) -> LateDocument:
        """In the caller's thread: it is tokenized only."""
        return self._steps.open_document(text, spans, task=task, prompt=prompt, window=window, overlap=overlap)

    def read_windows(self, document: LateDocument, start: int, stop: int) -> None:
        self._thread.submit(self._steps.read_windows, document, start, stop).result()
