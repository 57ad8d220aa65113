"""From a request's texts to vectors: checks, tokens, the queue, waiting, clients that go away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.config import PROMPTS
from jina_v3_encoder.task import as_tasks
from jina_v3_encoder.texts.late_chunking import (
    Span,
    WindowSize,
    check_spans,
    join_chunks,
    tokens_read,
    window_starts,
)

from .batcher import Batcher
from .clients import Client, Gone
from .errors import ApiError
from .jobs import Document, IdArray, Job, ReadsIds, ReadsInSteps, Steps
from .models import Model
from .records import Record
from .settings import ServerSettings

if TYPE_CHECKING:
    from jina_v3_encoder.network.late_document import LateDocument

POLL_SECONDS = 0.5
TOKENIZING_THREADS = 2
"""The tokenizer itself uses all cores for long lists; two let a short one pass."""
AT_ONCE_CHARACTERS = 1000
"""Tokenized in a fraction of a millisecond, so not handed to a thread where longer ones may be in line."""
SLICE_CHARACTERS = 100_000
"""Longer lists of texts are tokenized in parts, longer texts one at a time; in between, others have their turn."""
WINDOW_TOKENS = 64
"""What a window costs at least: a pass of the network over fewer tokens takes no less time."""
PIECE_SHARE = 0.5
"""Of a batch: windows of a document that are read together."""
WINDOW_COST = "tokens in overlapping windows"
SPAN_LAYERS = 8
"""How often a document's spans may cover it, on average: each time takes memory for all its tokens."""
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Question:
    """Texts to encode, all with one model and one task."""

    model: Model
    texts: list[str]
    task: str | None
    is_told: bool = True
    """Whether the request chose the task. Otherwise the texts may, by the instruction that they begin with."""
    truncate: bool = False
    late_chunking: bool = False
    """The texts are the chunks of one document, in their order; with `spans` the only text is the document."""
    spans: list[Span] | None = None
    window: int | None = None
    overlap: int | None = None


@dataclass(frozen=True)
class Encoded:
    """Vectors (n, all dimensions), not normalised, and the tokens they took."""

    vectors: NDArray[np.float32]
    tokens: int


class Service:
    """What all routes share."""

    def __init__(self, settings: ServerSettings, batcher: Batcher) -> None:
        self.models, self.settings, self._batcher = batcher.models, settings, batcher
        self._short = ThreadPoolExecutor(TOKENIZING_THREADS, "jina-v3-tokenize")
        self._long = ThreadPoolExecutor(1, "jina-v3-tokenize-long")

    @property
    def has_failed(self) -> bool:
        """Whether nothing will be answered any more."""
        return self._batcher.has_failed

    async def admit(self, question: Question, client: Client) -> Job:
        """Check a question against the limits and queue it; its vectors are held until the client is answered.

        Raises:
            ApiError: too many texts, characters or tokens, a text too long, a full queue, or too many vectors; 499 when
                nobody is there.
        """
        self.check_size(question.texts)
        question = self._with_task(question, client.record)
        job = await self._job(question, client.gone)
        self._batcher.submit(job)
        client.answered.callback(self._batcher.release, job)
        client.record.read(job.model.name, job.task, job.read)
        return job

    def check_size(self, texts: Sequence[str], name: str = "input") -> None:
        """What can be told before anything is tokenized.

        Raises:
            ApiError: too many texts or characters.
        """
        limit, most = self.settings.max_items, self.settings.max_request_characters
        if len(texts) > limit:
            raise ApiError(422, "VALIDATION_ERROR", f"{name}: {len(texts):,} texts, the limit is {limit:,}")
        if (characters := sum(map(len, texts))) > most:
            message = f"{name}: {characters:,} characters in one request, the limit is {most:,}: send several requests"
            raise ApiError(400, "INPUT_TOKEN_LIMIT_EXCEEDED", message)

    def check_tokens(self, tokens: int, told: str = "tokens in one request") -> None:
        """What can be told once it is tokenized.

        Raises:
            ApiError: too many tokens.
        """
        if tokens > (most := self.settings.max_request_tokens):
            message = f"input: {tokens:,} {told}, the limit is {most:,}: send several requests"
            raise ApiError(400, "INPUT_TOKEN_LIMIT_EXCEEDED", message)

    async def count(self, model: Model, texts: Sequence[str], task: str | None, gone: Gone) -> list[int]:
        """Tokens of each text for a model, prompt and specials included.

        Raises:
            ApiError: too many tokens; 499 when nobody is there to be answered.
        """
        counts: list[int] = []
        for part in slices(texts):
            counted = await self.in_pool(sum(map(len, part)), gone, model.encoder.count_tokens, part, task)
            counts += counted if isinstance(counted, list) else [counted]
            self.check_tokens(sum(counts))
        return counts

    async def in_pool(self, characters: int, gone: Gone, work: Callable[..., Answer], *arguments: object) -> Answer:
        """Work on so many characters, in a thread unless they are few; what nobody waits for is not begun.

        Raises:
            ApiError: 499 when nobody is there to be answered.
        """
        if characters <= AT_ONCE_CHARACTERS:
            return work(*arguments)
        pool = self._short if characters <= SLICE_CHARACTERS else self._long
        return await self.wait_while_there(
            asyncio.get_running_loop().run_in_executor(pool, partial(work, *arguments)), gone
        )

    async def wait(self, job: Job) -> Encoded:
        """The vectors of a job; a job that is cancelled meanwhile leaves the queue."""
        try:
            return Encoded(await asyncio.wrap_future(job.result), job.read)
        except asyncio.CancelledError:
            job.result.cancel()
            raise

    async def admit_all(self, questions: Sequence[Question], client: Client) -> list[Job]:
        """`admit` the questions of one request, all or none."""
        jobs: list[Job] = []
        try:
            for question in questions:
                job = await self.admit(question, client)
                jobs.append(job)
        except BaseException:
            for job in jobs:
                job.result.cancel()
            raise
        return jobs

    async def wait_all(self, jobs: Sequence[Job]) -> list[Encoded]:
        """`wait` for several. If one fails, or the wait is cancelled, the others leave the queue."""
        try:
            return [await self.wait(job) for job in jobs]
        finally:
            for job in jobs:
                job.result.cancel()

    async def ask(self, question: Question, client: Client) -> Encoded:
        """`admit` and `wait`, until the client hangs up.

        Raises:
            ApiError: as `admit`; 499 when nobody is there to be answered.
        """
        job = await self.admit(question, client)
        return await self.wait_while_there(asyncio.ensure_future(self.wait(job)), client.gone)

    async def wait_while_there(self, waiting: asyncio.Future[Answer], gone: Gone) -> Answer:
        """What is waited for, given up when the client hangs up or the wait is cancelled.

        Raises:
            ApiError: 499 when nobody is there to be answered.
        """
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=POLL_SECONDS)
                if not waiting.done() and await gone():
                    raise ApiError(499, "CLIENT_CLOSED_REQUEST", "the client hung up")
            return waiting.result()
        finally:
            waiting.cancel()

    async def _job(self, question: Question, gone: Gone) -> Job:
        model, texts, task = question.model, question.texts, question.task
        if question.late_chunking:
            return await self._late_job(question, gone)
        if not texts:
            raise ApiError(422, "VALIDATION_ERROR", "input: there is no text")
        tokens, ids = await self._tokenized(question, gone)
        most = model.encoder.max_tokens
        if not question.truncate and (longest := max(tokens)) > most:
            raise too_long(tokens.index(longest), longest, model)
        return Job(model, texts, [min(count, most) for count in tokens], task, ids=ids)

    def _with_task(self, question: Question, record: Record) -> Question:
        """The question with the task that its texts ask for, or the server's default, where the request chose none."""
        if question.is_told or not question.model.encoder.tasks:
            return question
        if self.settings.recognize_prompts:
            if (asked := recognized(question)) is not question:
                record.note(f"the texts begin with v3's instruction for {asked.task}: read with that task")
                return asked
            if prompted(question):
                record.note("some texts begin with an instruction of v3's, and not all with one: read as they are")
        return replace(question, task=self.settings.default_task)

    async def _tokenized(self, question: Question, gone: Gone) -> tuple[list[int], list[IdArray]]:
        """Tokens of each text as `count` tells them, and their ids where the engine reads these, cut to what fits.

        Raises:
            ApiError: as `count`.
        """
        texts, task, engine = question.texts, question.task, question.model.encoder.engine
        if not isinstance(engine, ReadsIds):
            return await self.count(question.model, texts, task, gone), []

        def tokenized(part: Sequence[str]) -> list[tuple[int, IdArray]]:
            part_ids = engine.text_ids(part, as_tasks(task, len(part)), prompt=True)
            return [(len(text_ids), engine.cut_ids(text_ids).astype(np.int32)) for text_ids in part_ids]

        counts: list[int] = []
        ids: list[IdArray] = []
        for part in slices(texts):
            for count, text_ids in await self.in_pool(sum(map(len, part)), gone, tokenized, part):
                counts.append(count)
                ids.append(text_ids)
            self.check_tokens(sum(counts))
        return counts, ids

    async def _late_job(self, question: Question, gone: Gone) -> Job:
        text, spans = join_chunks(question.texts, " ")
        if question.spans is not None:
            if len(question.texts) > 1:
                raise ApiError(422, "VALIDATION_ERROR", f"spans: they belong to one text, got {len(question.texts)}")
            spans = check_spans(question.spans, len(text), 0)
            check_layers(spans, len(text))
        encoder = question.model.encoder
        size = encoder.info.window_size(question.window, question.overlap)
        if not isinstance(encoder, ReadsInSteps) or not spans:
            return await self._whole_document_job(replace(question, texts=[text], spans=spans), size, gone)
        overlap = min(size.overlap, most_overlap(size))
        opening = partial(encoder.open_document, task=question.task, window=question.window, overlap=overlap)
        opened: LateDocument = await self.in_pool(len(text), gone, opening, text, spans)
        check_overlap(size, opened.windows)
        read = opened.tokens(0, opened.windows)
        self.check_tokens(cost(read, opened.windows), WINDOW_COST)
        budget = self._batcher.budgets[question.model]
        steps = in_steps(opened, max(1, round(budget * PIECE_SHARE) // size.tokens))
        costs = [cost(opened.tokens(start, stop), stop - start) for start, stop in steps.windows]
        document = Document(spans, read, question.window, size.overlap, steps)
        return Job(question.model, [text], costs, question.task, document)

    async def _whole_document_job(self, question: Question, size: WindowSize, gone: Gone) -> Job:
        """For encoders that read a document in one go: its windows are counted here, and read out of sight."""
        spans = question.spans or []
        (tokens,) = await self.count(question.model, question.texts, question.task, gone)
        windows = len(window_starts(tokens, size.tokens, min(size.overlap, most_overlap(size))))
        check_overlap(size, windows)
        read = tokens_read(tokens, *size)
        self.check_tokens(cost(read, windows), WINDOW_COST)
        document = Document(spans, read, question.window, size.overlap)
        return Job(question.model, question.texts, [cost(read, windows)], question.task, document)


def most_overlap(size: WindowSize) -> int:
    """How much neighbouring windows may share."""
    return size.tokens // 2


def check_overlap(size: WindowSize, windows: int) -> None:
    """Keep tokens from being read over and over; where one window is enough, any overlap will do.

    Raises:
        ApiError: windows share more than half.
    """
    most = most_overlap(size)
    if windows > 1 and size.overlap > most:
        raise ApiError(
            422,
            "VALIDATION_ERROR",
            f"overlap: {size.overlap:,} of {size.tokens:,} tokens, the limit is half a window, {most:,}: each token "
            f"would be read {size.tokens / max(1, size.tokens - size.overlap):,.0f} times; lower overlap or raise "
            "window",
        )


def cost(read: int, windows: int) -> int:
    """What windows that read so many tokens together take, in tokens."""
    return max(read, windows * WINDOW_TOKENS) if windows > 1 else read


def in_steps(opened: LateDocument, windows: int) -> Steps:
    """So many windows in each."""
    starts = range(0, opened.windows, windows)
    return Steps(opened, [(start, min(start + windows, opened.windows)) for start in starts])


def slices(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Neighbours of SLICE_CHARACTERS together; a longer text is alone."""
    start = characters = 0
    for index, text in enumerate(texts):
        if index > start and characters + len(text) > SLICE_CHARACTERS:
            yield texts[start:index]
            start, characters = index, 0
        characters += len(text)
    yield texts[start:]


def check_layers(spans: Sequence[Span], length: int) -> None:
    """Keep spans from lying on one another by the thousand.

    Raises:
        ApiError: they do.
    """
    if (covered := sum(end - start for start, end in spans)) > SPAN_LAYERS * length:
        message = (
            f"spans: together {covered:,} characters, {covered / length:.0f} times the text; the limit is "
            f"{SPAN_LAYERS} times: send a text again with the rest of them"
        )
        raise ApiError(422, "VALIDATION_ERROR", message)


def recognized(question: Question) -> Question:
    """The question with the task whose instruction all its texts begin with, and without the instruction."""
    if question.late_chunking:
        return question
    for task, prompt in PROMPTS.items():
        if prompt and all(text.startswith(prompt) for text in question.texts):
            return replace(question, task=task, texts=[text.removeprefix(prompt) for text in question.texts])
    return question


def prompted(question: Question) -> bool:
    """Whether any text begins with an instruction."""
    prompts = tuple(prompt for prompt in PROMPTS.values() if prompt)
    return any(text.startswith(prompts) for text in question.texts)


def too_long(index: int, tokens: int, model: Model) -> ApiError:
    """The refusal of a text, in the words of a request."""
    return ApiError(
        400,
        "INPUT_TOKEN_LIMIT_EXCEEDED",
        f"input: text {index} has {tokens:,} tokens with its prompt, the limit of {model.name} is "
        f'{model.encoder.max_tokens:,}: send "truncate": true to cut it, or cut it into chunks and send them with '
        '"late_chunking": true, which reads a document of any length',
    )
