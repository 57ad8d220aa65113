"""`EncoderPool`: an encoder of several processes, for corpora."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .engine import EncoderInfo, Engine, Progress, SpanRequest, TextRequest, silent
from .errors import JinaV3Error
from .task import Task
from .text_encoder import TextEncoder
from .usage import add_tokens
from .vectors import FloatArray
from .workers import Plan, Work, WorkerGroup, plan_cores

PART_CHARACTERS = 40_000
"""Size of the parts that workers get: large enough to fill batches, small enough to share evenly."""


class PoolEngine:
    """Processes that share the work of each call. It does one call at a time; others wait."""

    def __init__(self, group: WorkerGroup) -> None:
        """Waits until the model is loaded."""
        self.group = group
        self._lock = threading.Lock()
        self._closed = False
        self.info: EncoderInfo = replace(self._one(_info), threads=group.threads)

    def text_means(self, request: TextRequest, progress: Progress) -> FloatArray:
        """Part by part, as workers come free."""
        means = np.empty((len(request.texts), request.dimensions), dtype=np.float32)
        parts = list(parts_of([len(text) for text in request.texts]))

        def take(number: int, rows: FloatArray) -> None:
            means[parts[number]] = rows
            progress(len(rows))

        self._do([partial(_text_means, request.part(part)) for part in parts], take)
        return means

    def span_means(self, request: SpanRequest, progress: Progress) -> FloatArray:
        """Part by part, as workers come free."""
        means = np.empty((request.vectors, request.dimensions), dtype=np.float32)
        requests = [request.part(part) for part in parts_of([len(text) for text in request.texts])]
        starts = np.cumsum([0, *(part.vectors for part in requests)])

        def take(number: int, rows: FloatArray) -> None:
            means[starts[number] : starts[number + 1]] = rows
            progress(len(rows))

        self._do([partial(_span_means, part) for part in requests], take)
        return means

    def token_counts(self, texts: Sequence[str], tasks: Sequence[Task | None], *, prompt: bool) -> list[int]:
        """One worker counts, since counting is quick."""
        counts: list[int] = self._one(partial(_token_counts, texts, tasks, prompt))
        return counts

    def close(self) -> None:
        """End the processes; nothing can be encoded afterwards."""
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            self.group.close()

    def _one(self, work: Work) -> Any:
        values: list[Any] = []
        self._do([work], lambda _, value: values.append(value))
        return values[0]

    def _do(self, works: Sequence[Work], take: Callable[[int, Any], None]) -> None:
        """Give parts to workers. Call `take` with the number and the value of each part when it is done.

        After an error the parts before it are waited for, so that the error raised is always that of the first text.
        """
        with self._lock:
            if self._closed:
                raise JinaV3Error("this EncoderPool is closed")
            pending = set(range(len(works)))
            errors: dict[int, BaseException] = {}
            for number, answer in self.group.call(works):
                pending.discard(number)
                add_tokens(answer.tokens)
                if answer.error is not None:
                    errors[number] = answer.error
                elif not errors:
                    take(number, answer.value)
                if errors and min(errors) < min(pending, default=len(works)):
                    raise errors[min(errors)]


class EncoderPool(TextEncoder):
    """A `TextEncoder` that spreads each call over processes, each with its own cores; results keep the input order.

    On the CPU only. It pays for many texts; for single ones `Encoder` with all cores answers sooner.

    >>> with EncoderPool("nano", workers=2) as pool:
    ...     vectors = pool.encode(texts, task="retrieval.passage")
    """

    engine: PoolEngine

    def __init__(
        self,
        name: str | Path,
        *,
        workers: int | None = None,
        dtype: str = "auto",
        quantize: str | None = None,
        revision: str | None = None,
        max_batch_tokens: int | None = None,
    ) -> None:
        """Start the processes and load the model, once on Linux, once in each elsewhere.

        Args:
            workers: How many; None for one on each core.
            name, dtype, quantize, revision, max_batch_tokens: As `Encoder.from_pretrained`.

        Raises:
            InvalidInput, CheckpointError: as `Encoder.from_pretrained`, or workers out of range.
        """
        settings = {"dtype": dtype, "quantize": quantize, "revision": revision, "max_batch_tokens": max_batch_tokens}
        cores = plan_cores(workers)
        self.workers = len(cores)
        group = WorkerGroup(Plan(str(name), settings, cores))
        try:
            engine = PoolEngine(group)
        except BaseException:
            group.close()
            raise
        super().__init__(engine)

    @property
    def tokenizer_file(self) -> Path | None:
        """The tokenizer.json that the token counts come from."""
        return self.info.tokenizer_file

    def __repr__(self) -> str:
        return f"EncoderPool({self.model_id!r}, {self.dimensions} dimensions, {self.workers} workers)"


def _info(engine: Engine) -> EncoderInfo:
    return engine.info.settled()


def _text_means(request: TextRequest, engine: Engine) -> FloatArray:
    return engine.text_means(request, silent)


def _span_means(request: SpanRequest, engine: Engine) -> FloatArray:
    return engine.span_means(request, silent)


def _token_counts(texts: Sequence[str], tasks: Sequence[Task | None], prompt: bool, engine: Engine) -> list[int]:
    return engine.token_counts(texts, tasks, prompt=prompt)


def parts_of(lengths: Sequence[int]) -> Iterator[slice]:
    """Groups of neighbours with about `PART_CHARACTERS` characters each."""
    start = size = 0
    for index, length in enumerate(lengths):
        size += length
        if size >= PART_CHARACTERS:
            yield slice(start, index + 1)
            start, size = index + 1, 0
    if start < len(lengths):
        yield slice(start, len(lengths))
