"""Texts of all waiting requests, of any task, computed together: full batches under load, no delay without."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.late_chunking import DEFAULT_OVERLAP, Span
from jina_v3_encoder.protocol import TextEncoder

from .errors import ApiError
from .metrics import Metrics

FloatArray = NDArray[np.float32]
BATCH_TOKENS = 4096
SMALL_SHARE = 0.1
"""Of a batch's tokens: a request up to this size is small."""
RATE_MEMORY = 0.9


@dataclass
class Job:
    """One request's texts, or one document with its chunks. Its vectors come back full-sized and not normalised."""

    texts: Sequence[str]
    tokens: Sequence[int]
    task: str | None
    spans: Sequence[Span] | None = None
    """Chunks of the only text, for late chunking."""
    window: int | None = None
    overlap: int = DEFAULT_OVERLAP
    result: Future[FloatArray] = field(default_factory=Future)
    rows: list[FloatArray | None] = field(default_factory=list)
    taken: int = 0
    """Texts that went into a batch."""
    missing: int = 0

    def __post_init__(self) -> None:
        self.missing = len(self.texts)
        self.rows = [None] * len(self.texts)

    def finish(self, place: int, row: FloatArray) -> None:
        self.rows[place] = row
        self.missing -= 1
        if not self.missing:
            with suppress(InvalidStateError):  # nobody waits any more
                self.result.set_result(np.concatenate([own for own in self.rows if own is not None]))

    def fail(self, error: BaseException) -> None:
        with suppress(InvalidStateError):
            self.result.set_exception(error)


Piece = tuple[Job, int]


class Batcher:
    """A queue and the one thread that computes.

    Large requests take turns by text. Small ones have a batch of their own between two of the others', so they wait for
    the batch that is under way and for no more.
    """

    def __init__(self, encoder: TextEncoder, max_waiting_tokens: int, metrics: Metrics) -> None:
        self._encoder, self._limit, self._metrics = encoder, max_waiting_tokens, metrics
        self._budget: int = getattr(encoder, "max_batch_tokens", BATCH_TOKENS)
        self._small: deque[Job] = deque()
        self._large: deque[Job] = deque()
        self._was_small = False
        self._waiting = 0
        self._rate = 0.0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="jina-v3-batcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Finish what was taken in, then stop."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def submit(self, job: Job) -> None:
        """Queue a job.

        Raises:
            ApiError: 429 with the seconds to wait when the queue is full, 503 while closing.
        """
        tokens = sum(job.tokens)
        with self._changed:
            if self._closing:
                raise ApiError(503, "SERVICE_UNAVAILABLE", "the server is shutting down", retry_after=5)
            if self._waiting and self._waiting + tokens > self._limit:
                wait = self._waiting / self._rate if self._rate else 1.0
                raise ApiError(
                    429,
                    "RATE_TOKEN_LIMIT_EXCEEDED",
                    f"{self._waiting:,} tokens are waiting and the limit is {self._limit:,}: come back in {wait:.0f} s",
                    retry_after=wait,
                )
            self._waiting += tokens
            self._metrics.waiting.set(self._waiting)
            (self._small if tokens <= self._budget * SMALL_SHARE else self._large).append(job)
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._small and not self._large and not self._closing:
                    self._changed.wait()
                if not self._small and not self._large:
                    return
                self._was_small = bool(self._small) and not (self._was_small and self._large)
                pieces = self._take(self._small if self._was_small else self._large)
                self._metrics.waiting.set(self._waiting)
            if pieces:
                self._compute(pieces)

    def _take(self, jobs: deque[Job]) -> list[Piece]:
        """Up to a batch of tokens, one text of each job in turn; jobs that nobody waits for any more are dropped."""
        pieces: list[Piece] = []
        room = self._budget
        while jobs:
            job = jobs.popleft()
            if job.result.cancelled():
                self._waiting -= sum(job.tokens[job.taken :])
                continue
            tokens = job.tokens[job.taken]
            if pieces and tokens > room:
                jobs.appendleft(job)
                break
            pieces.append((job, job.taken))
            job.taken += 1
            room -= tokens
            self._waiting -= tokens
            if job.taken < len(job.texts):
                jobs.append(job)
        return pieces

    def _compute(self, pieces: Sequence[Piece]) -> None:
        start = time.perf_counter()
        tokens = sum(job.tokens[place] for job, place in pieces)
        late = [piece for piece in pieces if piece[0].spans is not None]
        plain = [piece for piece in pieces if piece[0].spans is None]
        for group in ([plain] if plain else []) + [[piece] for piece in late]:
            try:
                self._encode(group)
            except BaseException as error:
                self._apart(group, error)
        seconds = time.perf_counter() - start
        self._metrics.batch(tokens, self._budget, len(pieces), seconds)
        self._rate = RATE_MEMORY * (self._rate or tokens / seconds) + (1 - RATE_MEMORY) * tokens / seconds

    def _encode(self, pieces: Sequence[Piece]) -> None:
        job, _ = pieces[0]
        if job.spans is not None:
            (found,) = self._encoder.encode_documents(
                [job.texts[0]], [job.spans], task=job.task, normalize=False, window=job.window, overlap=job.overlap
            )
            job.finish(0, found)
            return
        found = self._encoder.encode(
            [job.texts[place] for job, place in pieces],
            task=[job.task for job, _ in pieces],
            normalize=False,
            truncate=True,
        )
        for (job, place), row in zip(pieces, found, strict=True):
            job.finish(place, row[None])

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
