"""From a request's texts to vectors: checks, tokens, the queue, waiting, clients that go away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.config import PROMPTS
from jina_v3_encoder.errors import InputTooLong
from jina_v3_encoder.late_chunking import Span, check_spans, join_chunks, resolve_window
from jina_v3_encoder.protocol import TextEncoder

from .batcher import Batcher
from .errors import ApiError
from .jobs import Job
from .settings import ServerSettings

POLL_SECONDS = 0.5
TOKENIZING_THREADS = 2
"""The tokenizer itself uses all cores for long lists; two let a short one pass."""
AT_ONCE_CHARACTERS = 1000
"""Tokenized in a fraction of a millisecond, so not handed to a thread where longer ones may be in line."""
Gone = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Question:
    """Texts to encode, all with one task."""

    texts: list[str]
    task: str | None
    truncate: bool = False
    late_chunking: bool = False
    """The texts are the chunks of one document, in their order; with `spans` the only text is the document."""
    spans: list[Span] | None = None
    window: int | None = None
    overlap: int | None = None


@dataclass(frozen=True)
class Found:
    """Vectors (n, all dimensions), not normalised, and the tokens they took."""

    vectors: NDArray[np.float32]
    tokens: int


class Service:
    """What all routes share."""

    def __init__(self, encoder: TextEncoder, settings: ServerSettings, batcher: Batcher) -> None:
        self.encoder, self.settings, self._batcher = encoder, settings, batcher
        self._tokenizing = ThreadPoolExecutor(TOKENIZING_THREADS, "jina-v3-tokenize")

    async def admit(self, question: Question) -> Job:
        """Check a question against the limits and queue it.

        Raises:
            ApiError: too many texts or tokens, a text too long, or a full queue.
        """
        limit = self.settings.max_items
        if len(question.texts) > limit:
            raise ApiError(422, "VALIDATION_ERROR", f"input: {len(question.texts):,} texts, the limit is {limit:,}")
        if self.settings.recognize_prompts:
            question = recognized(question)
        if sum(map(len, question.texts)) <= AT_ONCE_CHARACTERS:
            job = self._job(question)
        else:
            job = await asyncio.get_running_loop().run_in_executor(self._tokenizing, self._job, question)
        tokens = job.size
        if tokens > self.settings.max_request_tokens:
            most = self.settings.max_request_tokens
            message = f"input: {tokens:,} tokens in one request, the limit is {most:,}: send several requests"
            raise ApiError(400, "INPUT_TOKEN_LIMIT_EXCEEDED", message)
        self._batcher.submit(job)
        return job

    async def wait(self, job: Job) -> Found:
        """The vectors of a job; a job that is cancelled meanwhile leaves the queue."""
        try:
            return Found(await asyncio.wrap_future(job.result), job.size)
        except asyncio.CancelledError:
            job.result.cancel()
            raise

    async def ask(self, question: Question, gone: Gone) -> Found:
        """`admit` and `wait`, until the client hangs up.

        Raises:
            ApiError: as `admit`; 499 when nobody is there to be answered.
        """
        job = await self.admit(question)
        return await self.wait_while_there(asyncio.ensure_future(self.wait(job)), gone)

    async def wait_while_there(self, waiting: asyncio.Task[Found], gone: Gone) -> Found:
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=POLL_SECONDS)
            if not waiting.done() and await gone():
                waiting.cancel()
                raise ApiError(499, "CLIENT_CLOSED_REQUEST", "the client hung up")
        return waiting.result()

    def _job(self, question: Question) -> Job:
        texts, task = question.texts, question.task
        if question.late_chunking:
            return self._late_job(question)
        tokens, most = self.count(texts, task), self.encoder.max_tokens
        if not question.truncate and (longest := max(tokens)) > most:
            raise InputTooLong(tokens.index(longest), longest, most)
        return Job(texts, [min(count, most) for count in tokens], task)

    def _late_job(self, question: Question) -> Job:
        text, spans = join_chunks(question.texts, " ")
        if question.spans is not None:
            if len(question.texts) > 1:
                raise ApiError(422, "VALIDATION_ERROR", f"spans: they belong to one text, got {len(question.texts)}")
            spans = check_spans(question.spans, len(text), 0)
        most = self.encoder.max_tokens
        window = resolve_window(question.window, question.overlap, most)
        return Job([text], self.count([text], question.task), question.task, spans, *window)

    def count(self, texts: list[str], task: str | None) -> list[int]:
        """Tokens of each text, prompt and specials included."""
        counts = self.encoder.count_tokens(texts, task)
        return counts if isinstance(counts, list) else [counts]


def recognized(question: Question) -> Question:
    """The question with the task whose instruction all its texts begin with, and without the instruction."""
    if question.task is not None or question.late_chunking:
        return question
    for task, prompt in PROMPTS.items():
        if prompt and all(text.startswith(prompt) for text in question.texts):
            return replace(question, task=task, texts=[text.removeprefix(prompt) for text in question.texts])
    return question
