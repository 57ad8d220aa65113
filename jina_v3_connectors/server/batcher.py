"""Texts of all waiting requests of a model, of any task, computed together.

Under load batches are full. Without load there is no delay.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

from jina_v3_encoder.engine import EncoderInfo
from jina_v3_encoder.task import as_task
from jina_v3_encoder.vectors import FloatArray

from .errors import ApiError
from .jobs import Document, Job, Piece, ReadsIds
from .metrics import Metrics
from .models import Model, Models
from .settings import ServerSettings
from .waiting import Batch, Waiting

BATCH_TOKENS = 4096
RATE_MEMORY = 0.9
Answer = TypeVar("Answer")


class Batcher:
    """A queue and the one thread that uses the engines. It reads one batch at a time, on all cores."""

    def __init__(
        self,
        models: Models,
        max_waiting_tokens: int,
        metrics: Metrics,
        max_vector_bytes: int = ServerSettings.max_vector_bytes,
    ) -> None:
        self.models, self.metrics, self._limit = models, metrics, max_waiting_tokens
        self._max_vector_bytes = max_vector_bytes
        self.budgets = {model: _budget(model.encoder.info) for model in models}
        """Tokens of a batch of each model."""
        self._jobs = Waiting(self.budgets)
        self._calls: deque[Callable[[], None]] = deque()
        self._waiting = Counter(dict.fromkeys(models, 0))
        self._vector_bytes = 0
        self._rates: dict[Model, float] = {}
        """Tokens a second of the models that were asked so far."""
        self._changed = threading.Condition()
        self._closing = False
        self.has_failed = False
        """Whether the thread that computes has ended by an error: nothing will be answered any more."""
        self._thread = threading.Thread(target=self._run, name="jina-v3-batcher", daemon=True)

    @classmethod
    def loading(cls, load: Callable[[], Models], settings: ServerSettings) -> Batcher:
        """A queue that runs, over the models that `load` gives. They are loaded in the thread that computes."""
        loaded: Future[Batcher] = Future()

        def work() -> None:
            try:
                models = load()
                for model in models:
                    model.encoder.fingerprint  # noqa: B018 - computed here, not at the first question for it
                batcher = cls.over(models, settings)
                batcher._thread = threading.current_thread()
            except BaseException as error:
                loaded.set_exception(error)
                return
            loaded.set_result(batcher)
            batcher._run()

        threading.Thread(target=work, name="jina-v3-batcher", daemon=True).start()
        return loaded.result()

    @classmethod
    def over(cls, models: Models, settings: ServerSettings) -> Batcher:
        """A queue within the limits of a server."""
        metrics = Metrics(by_model=len(models) > 1)
        return cls(models, settings.max_waiting_tokens, metrics, settings.max_vector_bytes)

    @property
    def waiting_tokens(self) -> int:
        """Tokens of all requests that were taken in and not computed yet."""
        return self._waiting.total()

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
        tokens, vector_bytes = job.size, job.vector_bytes
        with self._changed:
            self._check_open()
            self._check_vectors(vector_bytes)
            waiting = self._waiting.total()
            if waiting and waiting + tokens > self._limit:
                wait = self._wait_seconds()
                raise ApiError(
                    429,
                    "RATE_TOKEN_LIMIT_EXCEEDED",
                    f"{waiting:,} tokens are waiting and the limit is {self._limit:,}: come back in {wait:.0f} s",
                    retry_after=wait,
                )
            self._waiting[job.model] += tokens
            self.metrics.wait(job.model.name, self._waiting[job.model])
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
            self._hold_vectors(-job.vector_bytes)

    def _check_open(self) -> None:
        if self._closing:
            raise ApiError(503, "SERVICE_UNAVAILABLE", "the server is shutting down", retry_after=5)

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
        """How long it takes to compute what is waiting, as far as that is known."""
        return sum(self._waiting[model] / rate for model, rate in self._rates.items()) or 1.0

    def _run(self) -> None:
        try:
            self._take_turns()
        except BaseException:
            self.has_failed = True
            raise

    def _take_turns(self) -> None:
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
                self._waiting.subtract(batch.gone)
                for model in batch.gone:
                    self.metrics.wait(model.name, self._waiting[model])
            if batch.pieces:
                self._compute(batch)

    def _compute(self, batch: Batch) -> None:
        start = time.perf_counter()
        pieces, tokens, model = batch.pieces, batch.tokens, batch.pieces[0][0].model
        late = [piece for piece in pieces if piece[0].document is not None]
        plain = [piece for piece in pieces if piece[0].document is None]
        for group in ([plain] if plain else []) + [[piece] for piece in late]:
            try:
                self._encode(group)
            except BaseException as error:
                self._apart(group, error)
        seconds = time.perf_counter() - start
        self.metrics.batch(model.name, batch.kind, tokens, self.budgets[model], len(pieces), seconds)
        self._learn(model, tokens / seconds)

    def _learn(self, model: Model, rate: float) -> None:
        """Remember how many tokens a second a model reads, and what its tokens cost beside those of the others."""
        with self._changed:
            self._rates[model] = RATE_MEMORY * self._rates.get(model, rate) + (1 - RATE_MEMORY) * rate
            first = next(iter(self._rates.values()))
            self._jobs.costs |= {known: first / its_rate for known, its_rate in self._rates.items()}

    def _encode(self, pieces: Sequence[Piece]) -> None:
        job, index = pieces[0]
        if job.document is not None:
            self._read(job, index, job.document)
            return
        for (job, index), row in zip(pieces, self._means(pieces), strict=True):
            job.finish(index, row[None])

    def _means(self, pieces: Sequence[Piece]) -> FloatArray:
        """A row for each text. All are of one model."""
        tasks = [as_task(job.task) for job, _ in pieces]
        encoder = pieces[0][0].model.encoder
        if isinstance(encoder.engine, ReadsIds) and all(job.ids for job, _ in pieces):
            return encoder.engine.id_means([job.ids[index] for job, index in pieces], tasks)
        texts = [job.texts[index] for job, index in pieces]
        return encoder.encode(texts, task=tasks, normalize=False, truncate=True)

    def _read(self, job: Job, index: int, document: Document) -> None:
        """One piece of a document: some of its windows, or all at once where the encoder cannot stop in between."""
        encoder = job.model.encoder
        if document.steps is not None:
            encoder.read_windows(document.steps.opened, *document.steps.windows[index])  # type: ignore[attr-defined]
            job.finish_windows(document.steps.opened)
            return
        (vectors,) = encoder.encode_documents(
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
