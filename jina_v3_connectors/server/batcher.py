"""Texts of all waiting requests, of any task, computed together: full batches under load, no delay without."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from jina_v3_encoder.task import as_task
from jina_v3_encoder.text_encoder import TextEncoder

from .errors import ApiError
from .jobs import Document, FloatArray, Job, LargeJobs, Piece, ReadsIds, SmallJobs, Taken
from .metrics import Metrics
from .settings import ServerSettings

BATCH_TOKENS = 4096
SMALL_SHARE, SMALL_ROOM = 0.1, 0.05
"""Of a batch's tokens: a request up to this size is small, and batches of small ones are that short."""
SHORT_SHARE, SHORT_SECONDS = 0.5, 1.0
"""The size of other batches in the second after a small request, since the next one will wait for one of them."""
RATE_MEMORY = 0.9
FLOAT_BYTES = 4
Answer = TypeVar("Answer")


class Batcher:
    """A queue and the one thread that computes: nothing else uses the engine while it runs.

    libgomp gives every thread that computes a team of threads of its own, and lets them sleep instead of spin as soon
    as all teams together are larger than the machine: nano on two cores was 10 to 35 % slower with two such threads.

    Small requests have small batches of their own, which go first until they have used as much as the large ones did.
    So a small one waits for the batch that is under way, and a large one for at most twice its time.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        max_waiting_tokens: int,
        metrics: Metrics,
        max_vector_bytes: int = ServerSettings.max_vector_bytes,
    ) -> None:
        self.encoder, self.metrics, self._limit = encoder, metrics, max_waiting_tokens
        self._max_vector_bytes = max_vector_bytes
        self.budget = encoder.info.max_batch_tokens or BATCH_TOKENS
        self._small, self._large = SmallJobs(), LargeJobs()
        self._calls: deque[Callable[[], None]] = deque()
        self._credit = self.budget
        """Tokens that small requests may still use before large ones have their turn."""
        self._small_came = -SHORT_SECONDS
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
            if tokens <= self.budget * SMALL_SHARE:
                self._small_came = time.monotonic()
                self._small.add(job)
            else:
                self._large.add(job)
            self._changed.notify_all()

    def run(self, work: Callable[[], Answer]) -> Answer:
        """Have something done in the queue's thread, before its next batch, and wait for it.

        For what is not a request: its size is not known, so a caller with much to do should call again and again.

        Raises:
            ApiError: 503 while closing. Errors of `work` rise here.
        """
        result: Future[Answer] = Future()

        def call() -> None:
            try:
                result.set_result(work())
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
                self._changed.wait_for(lambda: self._calls or self._small or self._large or self._closing)
                calls = list(self._calls)
                self._calls.clear()
                if not calls and not self._small and not self._large:
                    return
            for call in calls:
                call()
            with self._changed:
                kind, taken = self._take()
                self.metrics.waiting.set(self._waiting)
            if taken.pieces:
                self._compute(taken.pieces, kind)

    def _take(self) -> tuple[str, Taken]:
        """The next batch, and whether it is a small or a large one."""
        if not self._large:
            self._credit = self.budget
        small = self._small and self._credit > 0
        short = time.monotonic() - self._small_came < SHORT_SECONDS
        share = SMALL_ROOM if small else SHORT_SHARE if short else 1.0
        taken = (self._small if small else self._large).take(round(self.budget * share))
        change = -taken.tokens if small else taken.tokens
        self._credit = min(self.budget, self._credit + change)
        self._waiting -= taken.gone
        return "small" if small else "large", taken

    def _compute(self, pieces: Sequence[Piece], kind: str) -> None:
        start = time.perf_counter()
        tokens = sum(job.tokens[place] for job, place in pieces)
        late = [piece for piece in pieces if piece[0].document is not None]
        plain = [piece for piece in pieces if piece[0].document is None]
        for group in ([plain] if plain else []) + [[piece] for piece in late]:
            try:
                self._encode(group)
            except BaseException as error:
                self._apart(group, error)
        seconds = time.perf_counter() - start
        self.metrics.batch(kind, tokens, self.budget, len(pieces), seconds)
        self._rate = RATE_MEMORY * (self._rate or tokens / seconds) + (1 - RATE_MEMORY) * tokens / seconds

    def _encode(self, pieces: Sequence[Piece]) -> None:
        job, place = pieces[0]
        if job.document is not None:
            self._read(job, place, job.document)
            return
        for (job, place), row in zip(pieces, self._means(pieces), strict=True):
            job.finish(place, row[None])

    def _means(self, pieces: Sequence[Piece]) -> FloatArray:
        """A row for each text."""
        tasks = [as_task(job.task) for job, _ in pieces]
        if isinstance(self.encoder.engine, ReadsIds) and all(job.ids for job, _ in pieces):
            return self.encoder.engine.id_means([job.ids[place] for job, place in pieces], tasks)
        texts = [job.texts[place] for job, place in pieces]
        return self.encoder.encode(texts, task=tasks, normalize=False, truncate=True)

    def _read(self, job: Job, place: int, document: Document) -> None:
        """One piece of a document: some of its windows, or all at once where the encoder cannot stop in between."""
        if document.steps is not None:
            self.encoder.read_windows(document.steps.opened, *document.steps.windows[place])  # type: ignore[attr-defined]
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
        job.finish(place, vectors)

    def _apart(self, pieces: Sequence[Piece], error: BaseException) -> None:
        """After a failed batch each text alone, so that one request's trouble is not another's."""
        if len(pieces) == 1:
            pieces[0][0].fail(error)
            return
        for piece in pieces:
            try:
                self._encode([piece])
            except BaseException as own:
                piece[0].fail(own)
