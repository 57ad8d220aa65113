"""From questions to jobs: limits, prompts that are recognised, chunks of one document."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from jina_v3_connectors.server import service as module
from jina_v3_connectors.server.batcher import Batcher
from jina_v3_connectors.server.clients import Client
from jina_v3_connectors.server.errors import ApiError
from jina_v3_connectors.server.jobs import Document, Job
from jina_v3_connectors.server.metrics import Metrics
from jina_v3_connectors.server.models import Models
from jina_v3_connectors.server.records import Record
from jina_v3_connectors.server.service import Question, Service, recognized
from jina_v3_connectors.server.settings import ServerSettings
from jina_v3_encoder.config import PROMPTS
from jina_v3_encoder.errors import InvalidInput, InvalidSpan
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.texts.late_chunking import DEFAULT_OVERLAP

QUERY, PASSAGE = PROMPTS["retrieval.query"], PROMPTS["retrieval.passage"]
ENCODER = FakeEncoder()
MODELS = Models.of([ENCODER])
MODEL = MODELS.default


async def stays() -> bool:
    return False


def there() -> Client:
    """A client that has not hung up."""
    return Client(stays, ExitStack(), Record())


def admitted(question: Question, **settings: Any) -> Job:
    """The job that a question becomes; nothing computes it."""
    server_settings = ServerSettings(**settings)
    service = Service(server_settings, Batcher.over(MODELS, server_settings))
    return asyncio.run(service.admit(question, there()))


@pytest.mark.parametrize(("prompt", "task"), [(QUERY, "retrieval.query"), (PASSAGE, "retrieval.passage")])
def test_an_instruction_before_every_text_is_its_task(prompt: str, task: str) -> None:
    question = recognized(Question(MODEL, [f"{prompt}one", f"{prompt}two"], None))
    assert (question.texts, question.task) == (["one", "two"], task)


@pytest.mark.parametrize(
    "question",
    [
        Question(MODEL, ["one"], None),
        Question(MODEL, [f"{QUERY}one", "two"], None),
        Question(MODEL, [f"{QUERY}one", f"{PASSAGE}two"], None),
        Question(MODEL, [f" {QUERY}one"], None),
        Question(MODEL, [f"{QUERY}one"], None, late_chunking=True),
    ],
    ids=["none", "some", "different", "not at the head", "late chunking"],
)
def test_what_is_no_instruction_stays(question: Question) -> None:
    assert recognized(question) == question


def test_prompts_are_recognised_where_the_request_says_nothing() -> None:
    question = Question(MODEL, [f"{QUERY}one"], None, is_told=False)
    assert admitted(question).task == "retrieval.query"
    assert admitted(question, default_task="separation").task == "retrieval.query"
    assert admitted(question, recognize_prompts=False).task is None
    assert admitted(question, recognize_prompts=False, default_task="separation").task == "separation"
    for task in (None, "separation"):
        assert admitted(replace(question, task=task, is_told=True), default_task="classification").task == task


def test_a_job_knows_what_each_text_costs() -> None:
    texts = ["one", "one two three", ""]
    job = admitted(Question(MODEL, texts, "retrieval.query"))
    assert list(job.tokens) == ENCODER.count_tokens(texts, "retrieval.query")
    assert job.document is None


@pytest.mark.parametrize("length", [10, module.AT_ONCE_CHARACTERS + 10])
def test_short_and_long_ones_become_the_same(length: int) -> None:
    """Short ones are tokenized at once, long ones in a thread."""
    text = ("a " * length)[:length]
    assert list(admitted(Question(MODEL, [text], None)).tokens) == [ENCODER.count_tokens(text)]


def test_too_many_texts_are_refused_before_they_are_read() -> None:
    with pytest.raises(ApiError, match="4 texts, the limit is 3") as wrong:
        admitted(Question(MODEL, ["x"] * 4, None), max_items=3)
    assert wrong.value.status == 422


def test_too_many_tokens_are_refused() -> None:
    with pytest.raises(ApiError, match="tokens in one request, the limit is 5") as wrong:
        admitted(Question(MODEL, ["one two three four five six"], None), max_request_tokens=5)
    assert (wrong.value.status, wrong.value.code) == (400, "INPUT_TOKEN_LIMIT_EXCEEDED")


def test_a_text_too_long_is_refused_or_counted_as_cut() -> None:
    long = "word " * (ENCODER.max_tokens + 10)
    with pytest.raises(
        ApiError, match=f'text 1 has .* the limit of .* is {ENCODER.max_tokens:,}: send "truncate": true'
    ):
        admitted(Question(MODEL, ["short", long], None))
    assert list(admitted(Question(MODEL, [long], None, truncate=True)).tokens) == [ENCODER.max_tokens]


def test_chunks_of_one_document_are_one_text() -> None:
    job = admitted(Question(MODEL, ["one two", "three"], "retrieval.passage", late_chunking=True))
    assert list(job.texts) == ["one two three"]
    tokens = ENCODER.count_tokens("one two three", "retrieval.passage")
    assert tokens == 11, "the prompt's included"
    assert job.document == Document([(0, 7), (7, 13)], tokens, None, DEFAULT_OVERLAP)


def test_spans_belong_to_one_text() -> None:
    job = admitted(Question(MODEL, ["one two"], None, late_chunking=True, spans=[(0, 3), (4, 7)], window=16, overlap=4))
    assert job.document == Document([(0, 3), (4, 7)], 4, 16, 4)
    with pytest.raises(ApiError, match="they belong to one text, got 2"):
        admitted(Question(MODEL, ["one", "two"], None, late_chunking=True, spans=[(0, 3)]))


@pytest.mark.parametrize(
    ("words", "window", "overlap", "cost", "read"),
    [
        (98, 100, 50, 100, 100),
        (98, 100, 99, 100, 100),
        (198, 100, 50, 300, 300),
        (198, 100, 0, 200, 200),
        (199, 100, 0, 201, 201),
        (98, 10, 5, 19 * module.WINDOW_TOKENS, 190),
    ],
    ids=["one window", "overlap that is not needed", "half", "none", "a last short window", "tiny windows"],
)
def test_a_document_read_in_one_go_costs_its_windows(
    words: int, window: int, overlap: int, cost: int, read: int
) -> None:
    """The encoder of this module cannot open documents, as a remote one and a pool cannot."""
    question = Question(MODEL, ["word " * words], None, late_chunking=True, window=window, overlap=overlap)
    job = admitted(question)
    assert (job.size, job.read) == (cost, read)
    with pytest.raises(ApiError, match="the limit is") as wrong:
        admitted(question, max_request_tokens=cost - 1)
    assert (wrong.value.status, wrong.value.code) == (400, "INPUT_TOKEN_LIMIT_EXCEEDED")


def test_the_cap_of_overlaps_is_the_same_for_a_document_read_in_one_go() -> None:
    question = Question(MODEL, ["word " * 3000], None, late_chunking=True, window=2000, overlap=1001)
    with pytest.raises(ApiError, match="overlap: 1,001 of 2,000 tokens, the limit is half a window, 1,000") as wrong:
        admitted(question)
    assert (wrong.value.status, wrong.value.code) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"spans": [(3, 0)]}, InvalidSpan),
        ({"spans": [(0, 99)]}, InvalidSpan),
        ({"window": 1}, InvalidInput),
        ({"window": 10**6}, InvalidInput),
        ({"overlap": -1}, InvalidInput),
    ],
)
def test_wrong_spans_and_windows(change: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(change)).removesuffix("s")):
        admitted(Question(MODEL, ["one two"], None, late_chunking=True, **change))


def test_a_full_queue_refuses_with_the_time_to_wait() -> None:
    settings = ServerSettings(max_waiting_tokens=10)
    service = Service(settings, Batcher.over(MODELS, settings))
    asyncio.run(service.admit(Question(MODEL, ["one two three"], None), there()))
    with pytest.raises(ApiError, match="are waiting and the limit is 10") as full:
        asyncio.run(service.admit(Question(MODEL, ["one two three four five six seven"], None), there()))
    assert full.value.status == 429
    assert full.value.retry_after is not None


def test_vectors_are_held_until_the_client_is_answered() -> None:
    """A megabyte for each text: what counts are vectors, however few tokens there are."""
    models = Models.of([FakeEncoder(dimensions=2**18)])
    service = Service(ServerSettings(), Batcher(models, 1000, Metrics(), max_vector_bytes=3 * 2**20))
    spans = [(0, 3), (4, 7)]
    waiting = there()
    asyncio.run(service.admit(Question(models.default, ["one two"], None, late_chunking=True, spans=spans), waiting))
    asyncio.run(service.admit(Question(models.default, ["one"], None), there()))
    with pytest.raises(ApiError, match=r"vectors of 3,145,728 bytes are waited for or being sent, these .* 1,048,576"):
        asyncio.run(service.admit(Question(models.default, ["one"], None), there()))
    waiting.answered.close()
    asyncio.run(service.admit(Question(models.default, ["one", "two"], None), there()))


def test_a_cancelled_wait_leaves_the_queue() -> None:
    settings = ServerSettings()
    service = Service(settings, Batcher.over(MODELS, settings))

    async def run() -> Job:
        job = await service.admit(Question(MODEL, ["one"], None), there())
        waiting = asyncio.ensure_future(service.wait(job))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return job

    assert asyncio.run(run()).result.cancelled()
