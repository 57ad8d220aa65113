"""The queue: full batches across requests, turns, limits, clients that leave, the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors.server.batcher import Batcher
from jina_v3_connectors.server.errors import ApiError
from jina_v3_connectors.server.jobs import Document, Job
from jina_v3_connectors.server.metrics import Metrics
from jina_v3_connectors.server.models import Models
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder


class Recording(FakeEncoder):
    """Remembers its calls, and can be held back."""

    def __init__(self) -> None:
        super().__init__(max_batch_tokens=100)
        self.calls: list[list[str]] = []
        self.free = threading.Event()
        self.free.set()

    def encode(self, texts: Any, **settings: Any) -> Any:
        self.calls.append(list(texts))
        self.free.wait(20)
        if "poison" in texts:
            raise InvalidInput("poison")
        return super().encode(texts, **settings)


@pytest.fixture
def encoder() -> Recording:
    return Recording()


@pytest.fixture
def batcher(encoder: Recording) -> Iterator[Batcher]:
    running = Batcher(Models.of([encoder]), 1000, Metrics())
    running.start()
    yield running
    encoder.free.set()
    running.close()


def job(batcher: Batcher, *texts: str, tokens: int = 10, task: str | None = None) -> Job:
    return Job(batcher.models.default, texts, [tokens] * len(texts), task)


def held(encoder: Recording, batcher: Batcher) -> Job:
    """A job that keeps the thread busy until the encoder is free."""
    encoder.free.clear()
    first = job(batcher, "first", tokens=20)
    batcher.submit(first)
    until = time.monotonic() + 10
    while not encoder.calls and time.monotonic() < until:
        time.sleep(0.001)
    return first


def test_waiting_requests_of_any_task_share_a_batch(encoder: Recording, batcher: Batcher) -> None:
    held(encoder, batcher)
    jobs = [job(batcher, f"a{n}", f"b{n}", task=task) for n, task in enumerate(["retrieval.query", None, "separation"])]
    for request in jobs:
        batcher.submit(request)
    encoder.free.set()
    answers = [request.result.result(10) for request in jobs]
    assert sorted(encoder.calls[1]) == ["a0", "a1", "a2", "b0", "b1", "b2"], "one batch"
    for request, vectors in zip(jobs, answers, strict=True):
        assert np.allclose(vectors, FakeEncoder().encode(request.texts, task=request.task, normalize=False))


def test_a_small_request_passes_a_large_one(encoder: Recording, batcher: Batcher) -> None:
    held(encoder, batcher)
    large, small = job(batcher, *(f"l{n}" for n in range(90))), job(batcher, "small")
    batcher.submit(large)
    batcher.submit(small)
    encoder.free.set()
    small.result.result(10)
    large.result.result(10)
    assert encoder.calls[1] == ["small"], "behind the batch that was under way"
    assert sum(map(len, encoder.calls[2:])) == 90


def test_small_requests_leave_large_ones_their_half(encoder: Recording, batcher: Batcher) -> None:
    held(encoder, batcher)
    large, small = job(batcher, *(f"l{n}" for n in range(40))), [job(batcher, f"s{n}") for n in range(40)]
    batcher.submit(large)
    for request in small:
        batcher.submit(request)
    encoder.free.set()
    for request in [large, *small]:
        request.result.result(10)
    order = [text[0] for call in encoder.calls[1:] for text in call]
    last = len(order) - order[::-1].index("l")
    assert 0.3 < order[:last].count("s") / last < 0.6, order
    assert 0.3 < order[: last // 2].count("s") / (last // 2) < 0.7, "all along"


def test_a_text_larger_than_a_batch_goes_alone(encoder: Recording, batcher: Batcher) -> None:
    held(encoder, batcher)
    jobs = [job(batcher, "huge", tokens=500), job(batcher, "x")]
    for request in jobs:
        batcher.submit(request)
    encoder.free.set()
    for request in jobs:
        request.result.result(10)
    assert sorted(encoder.calls[1:]) == [["huge"], ["x"]]


def test_nobody_computes_for_a_client_that_left(encoder: Recording, batcher: Batcher) -> None:
    held(encoder, batcher)
    left, stays = job(batcher, "left", "left too"), job(batcher, "stays")
    batcher.submit(left)
    batcher.submit(stays)
    left.result.cancel()
    encoder.free.set()
    stays.result.result(10)
    assert encoder.calls[1:] == [["stays"]]
    batcher.submit(job(batcher, "again", tokens=990))


def test_one_requests_trouble_is_not_anothers(encoder: Recording, batcher: Batcher) -> None:
    held(encoder, batcher)
    bad, good = job(batcher, "poison"), job(batcher, "good")
    batcher.submit(bad)
    batcher.submit(good)
    encoder.free.set()
    assert good.result.result(10).shape == (1, encoder.dimensions)
    with pytest.raises(InvalidInput, match="poison"):
        bad.result.result(10)


def test_a_full_queue_says_when_to_come_back(encoder: Recording, batcher: Batcher) -> None:
    held(encoder, batcher)
    batcher.submit(job(batcher, *("x",) * 90))
    with pytest.raises(ApiError, match="900 tokens are waiting and the limit is 1,000") as full:
        batcher.submit(job(batcher, *("y",) * 20))
    assert (full.value.status, full.value.code) == (429, "RATE_TOKEN_LIMIT_EXCEEDED")
    assert full.value.retry_after
    assert int(full.value.response().headers["retry-after"]) >= 1


def test_vectors_are_counted_until_they_are_released(encoder: Recording) -> None:
    metrics = Metrics()
    vector = encoder.dimensions * 4
    batcher = Batcher(Models.of([encoder]), 1000, metrics, max_vector_bytes=100 * vector)
    many = Job(batcher.models.default, ["a text"], [2], None, Document([(0, 6)] * 60, 2))
    batcher.submit(many)
    with pytest.raises(ApiError, match="these would take 10,496 and the limit is 25,600: come back in 1 s") as full:
        batcher.submit(job(batcher, *("x",) * 41, tokens=1))
    assert (full.value.status, full.value.code) == (429, "RATE_CONCURRENCY_LIMIT_EXCEEDED")
    assert full.value.retry_after == 1
    batcher.submit(job(batcher, *("x",) * 40, tokens=1))
    assert "jina_v3_vector_bytes 25600.0" in metrics.text().decode()
    batcher.start()
    many.result.result(10)
    with pytest.raises(ApiError, match="vectors of 25,600 bytes are waited for or being sent"):
        batcher.submit(job(batcher, "x"))
    batcher.release(many)
    batcher.submit(job(batcher, "x"))
    assert f"jina_v3_vector_bytes {41 * vector}.0" in metrics.text().decode()
    batcher.close()


def test_vectors_that_may_never_be_held_are_refused_for_good(encoder: Recording) -> None:
    batcher = Batcher(Models.of([encoder]), 1000, Metrics(), max_vector_bytes=1000)
    with pytest.raises(ApiError, match="the vectors take 1,024 bytes, the limit is 1,000: send fewer") as large:
        batcher.submit(job(batcher, *"abcd"))
    assert (large.value.status, large.value.code) == (422, "VALIDATION_ERROR")


def test_a_request_larger_than_the_queue_is_taken_when_nothing_waits(batcher: Batcher) -> None:
    alone = job(batcher, *("x",) * 200)
    batcher.submit(alone)
    assert len(alone.result.result(20)) == 200


def test_what_was_taken_in_is_finished_at_the_end(encoder: Recording) -> None:
    batcher = Batcher(Models.of([encoder]), 1000, Metrics())
    batcher.start()
    first = held(encoder, batcher)
    last = job(batcher, "last")
    batcher.submit(last)
    threading.Timer(0.1, encoder.free.set).start()
    batcher.close()
    assert first.result.done()
    assert last.result.done()
    with pytest.raises(ApiError, match="shutting down") as closing:
        batcher.submit(job(batcher, "late"))
    assert closing.value.status == 503


def test_late_chunked_documents_are_computed_whole(batcher: Batcher) -> None:
    spans = [(0, 5), (5, 12)]
    request = Job(batcher.models.default, ["some text ok"], [5], "retrieval.passage", Document(spans, 5))
    batcher.submit(request)
    wanted = FakeEncoder().encode_spans("some text ok", spans, task="retrieval.passage", normalize=False)
    assert np.allclose(request.result.result(10), wanted)


def test_two_models_are_read_by_one_thread_and_never_mixed() -> None:
    first, second = Recording(), Recording()
    models = Models.of([first, second], ["first", "second"])
    metrics = Metrics(by_model=True)
    batcher = Batcher(models, 1000, metrics)
    batcher.start()
    held(first, batcher)
    jobs = [Job(model, [f"{model.name} {n}"], [10], None) for n in range(3) for model in models]
    for request in jobs:
        batcher.submit(request)
    assert 'jina_v3_waiting_tokens{model="second"} 30.0' in metrics.text().decode()
    first.free.set()
    for request in jobs:
        assert request.result.result(10).shape == (1, first.dimensions)
    batcher.close()
    assert [sorted(call) for call in first.calls[1:]] == [["first 0", "first 1", "first 2"]]
    assert [sorted(call) for call in second.calls] == [["second 0", "second 1", "second 2"]]
    told = metrics.text().decode()
    assert 'jina_v3_waiting_tokens{model="second"} 0.0' in told
    assert 'jina_v3_texts_total{model="first"} 4.0' in told


def test_the_limit_of_the_queue_is_that_of_all_models() -> None:
    models = Models.of([FakeEncoder(), FakeEncoder()], ["first", "second"])
    batcher = Batcher(models, 1000, Metrics(by_model=True))
    first, second = models
    batcher.submit(Job(first, ["x"], [600], None))
    with pytest.raises(ApiError, match="600 tokens are waiting and the limit is 1,000"):
        batcher.submit(Job(second, ["x"], [500], None))
