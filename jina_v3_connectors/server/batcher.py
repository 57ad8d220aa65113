"""Texts of all waiting requests, of any task, computed together: full batches under load, no delay without."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

from jina_v3_encoder.engine import EncoderInfo
from jina_v3_encoder.task import as_task
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.vectors import FloatArray

from .errors import ApiError
from .jobs import Document, Job, Piece, ReadsIds
from .metrics import Metrics
from .settings import ServerSettings
from .waiting import Batch, Waiting

BATCH_TOKENS = 4096
RATE_MEMORY = 0.9
FLOAT_BYTES = 4
Answer = TypeVar("Answer")


class Batcher:
    """A queue and the one thread that uses the engine. It reads one batch at a time, on all cores."""

    def __init__(
        self,
        encoder: TextEncoder,
        max_waiting_tokens: int,
        metrics: Metrics,
        max_vector_bytes: int = ServerSettings.max_vector_bytes,
    ) -> None:
        self.encoder, self.metrics, self._limit = encoder, metrics, max_waiting_tokens
        self._max_vector_bytes = max_vector_bytes
        self.budget = _budget(encoder.info)
        self._jobs = Waiting(self.budget)
        self._calls: deque[Callable[[], None]] = deque()
        self._waiting = 0
        self._vector_bytes = 0
        self._rate = 0.0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="jina-v3-batcher", daemon=True)

    @classmethod
    def loading(cls, load: Callable[[], TextEncoder], settings: ServerSettings) -> Batcher:
        """A queue that runs, over the encoder that `load` gives. It is loaded in the thread that computes."""
        loaded: Future[Batcher] = Future()

        def work() -> None:
            try:
                encoder = load()
                encoder.fingerprint  # noqa: B018 - computed here, not at the first question for it
                batcher = cls(encoder, settings.max_waiting_tokens, Metrics(), settings.max_vector_bytes)
                batcher._thread = threading.current_thread()
            except BaseException as error:
                loaded.set_exception(error)
                return
            loaded.set_result(batcher)
            batcher._run()

        threading.Thread(target=work, name="jina-v3-batcher", daemon=True).start()
        return loaded.result()

    def start(self) -> None:
        """Begin to compute, where that is not so already."""
        if not self._thread.is_alive():
            self._thread.start()

    def close(self) -> None:
        """Finish what was taken in, then stop."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def submit(self, job: Job) -> None:
        """Queue a job. Its tokens count until they are computed, the bytes of its vectors until `release`.

        Raises:
            ApiError: 429 with the seconds to wait when the queue or the vectors are too much, 503 while closing; 422
                where the job's own vectors are more than may ever be held.
        """
        tokens, vector_bytes = job.size, self._bytes_of(job)
        with self._changed:
            self._check_open()
            self._check_vectors(vector_bytes)
            if self._waiting and self._waiting + tokens > self._limit:
                wait = self._wait_seconds()
                raise ApiError(
                    429,
                    "RATE_TOKEN_LIMIT_EXCEEDED",
                    f"{self._waiting:,} tokens are waiting and the limit is {self._limit:,}: come back in {wait:.0f} s",
                    retry_after=wait,
                )
            self._waiting += tokens
            self.metrics.waiting.set(self._waiting)
            self._hold_vectors(vector_bytes)
            self._jobs.add(job)
            self._changed.notify_all()

    def run(self, work: Callable[[], Answer]) -> Answer:
        """Have something done in the queue's thread, before its next batch, and wait for it.

        For what is not a request: its size is not known, so a caller with much to do should call again and again. It
        runs in the caller's context, so that the tokens it reads are counted there (`jina_v3_encoder.usage`).

        Raises:
            ApiError: 503 while closing. Errors of `work` rise here.
        """
        result: Future[Answer] = Future()
        context = copy_context()

        def call() -> None:
            try:
                result.set_result(context.run(work))
            except BaseException as error:
                result.set_exception(error)

        with self._changed:
            self._check_open()
            self._calls.append(call)
            self._changed.notify_all()
        return result.result()

    def release(self, job: Job) -> None:
        """The vectors of a job that was queued are not needed any more; to be called once for each."""
        with self._changed:
            self._hold_vectors(-self._bytes_of(job))

    def _check_open(self) -> None:
        if self._closing:
            raise ApiError(503, "SERVICE_UNAVAILABLE", "the server is shutting down", retry_after=5)

    def _bytes_of(self, job: Job) -> int:
        return job.vector_count * self.encoder.dimensions * FLOAT_BYTES

    def _hold_vectors(self, size: int) -> None:
        self._vector_bytes += size
        self.metrics.vector_bytes.set(self._vector_bytes)

    def _check_vectors(self, size: int) -> None:
        """Keep all vectors that are waited for or being sent within their limit.

        Raises:
            ApiError: they would pass it.
        """
        most = self._max_vector_bytes
        if size > most:
            message = f"the vectors take {size:,} bytes, the limit is {most:,}: send fewer texts or spans at a time"
            raise ApiError(422, "VALIDATION_ERROR", message)
        if self._vector_bytes + size > most:
            wait = max(1.0, self._wait_seconds())
            raise ApiError(
                429,
                "RATE_CONCURRENCY_LIMIT_EXCEEDED",
                f"vectors of {self._vector_bytes:,} bytes are waited for or being sent, these would take {size:,} and "
                f"the limit is {most:,}: come back in {wait:.0f} s, or send fewer texts or spans at a time",
                retry_after=wait,
            )

    def _wait_seconds(self) -> float:
        """How long it takes to compute what is waiting."""
        return self._waiting / self._rate if self._rate else 1.0

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._calls or self._jobs or self._closing)
                calls = list(self._calls)
                self._calls.clear()
                if not calls and not self._jobs:
                    return
            for call in calls:
                call()
            with self._changed:
                batch = self._jobs.take()
                self._waiting -= batch.gone
                self.metrics.waiting.set(self._waiting)
            if batch.pieces:
                self._compute(batch)

    def _compute(self, batch: Batch) -> None:
        start = time.perf_counter()
        pieces, tokens = batch.pieces, batch.tokens
        late = [piece for piece in pieces if piece[0].document is not None]
        plain = [piece for piece in pieces if piece[0].document is None]
        for group in ([plain] if plain else []) + [[piece] for piece in late]:
            try:
                self._encode(group)
            except BaseException as error:
                self._apart(group, error)
        seconds = time.perf_counter() - start
        self.metrics.batch(batch.kind, tokens, self.budget, len(pieces), seconds)
        self._rate = RATE_MEMORY * (self._rate or tokens / seconds) + (1 - RATE_MEMORY) * tokens / seconds

    def _encode(self, pieces: Sequence[Piece]) -> None:
        job, index = pieces[0]
        if job.document is not None:
            self._read(job, index, job.document)
            return
        for (job, index), row in zip(pieces, self._means(pieces), strict=True):
            job.finish(index, row[None])

    def _means(self, pieces: Sequence[Piece]) -> FloatArray:
        """A row for each text."""
        tasks = [as_task(job.task) for job, _ in pieces]
        if isinstance(self.encoder.engine, ReadsIds) and all(job.ids for job, _ in pieces):
            return self.encoder.engine.id_means([job.ids[index] for job, index in pieces], tasks)
        texts = [job.texts[index] for job, index in pieces]
        return self.encoder.encode(texts, task=tasks, normalize=False, truncate=True)

    def _read(self, job: Job, index: int, document: Document) -> None:
        """One piece of a document: some of its windows, or all at once where the encoder cannot stop in between."""
        if document.steps is not None:
            self.encoder.read_windows(document.steps.opened, *document.steps.windows[index])  # type: ignore[attr-defined]
            job.finish_windows(document.steps.opened)
            return
        (vectors,) = self.encoder.encode_documents(
            [job.texts[0]],
            [document.spans],
            task=job.task,
            normalize=False,
            window=document.window,
            overlap=document.overlap,
        )
        job.finish(index, vectors)

    def _apart(self, pieces: Sequence[Piece], error: BaseException) -> None:
        """After a failed batch each text alone, so that one request's trouble is not another's."""
        if len(pieces) == 1:
            pieces[0][0].fail(error)
            return
        for piece in pieces:
            try:
                self._encode([piece])
            except BaseException as piece_error:
                piece[0].fail(piece_error)


def _budget(info: EncoderInfo) -> int:
    """Tokens of a batch: half of what the engine's threads compute at a time, so that small requests wait less."""
    return (info.max_batch_tokens or BATCH_TOKENS) * max(1, (info.threads or 1) // 2)
