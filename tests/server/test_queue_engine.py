"""An encoder whose work is done in the queue's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors.server.batcher import Batcher
from jina_v3_connectors.server.errors import ApiError
from jina_v3_connectors.server.jobs import Job
from jina_v3_connectors.server.models import Models
from jina_v3_connectors.server.queue_engine import QueueEngine
from jina_v3_connectors.server.settings import ServerSettings
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.engine import EncoderInfo, Progress, SpanRequest, TextRequest
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import Task
from jina_v3_encoder.testing import FakeEncoder, FakeEngine
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.vectors import FloatArray


class TellingEngine(FakeEngine):
    """Remembers in which threads it worked."""

    def __init__(self, info: EncoderInfo) -> None:
        super().__init__(info)
        self.computing = {threading.current_thread().name}
        self.counting: set[str] = set()

    def text_means(self, request: TextRequest, progress: Progress) -> FloatArray:
        self.computing.add(threading.current_thread().name)
        return super().text_means(request, progress)

    def span_means(self, request: SpanRequest, progress: Progress) -> FloatArray:
        self.computing.add(threading.current_thread().name)
        return super().span_means(request, progress)

    def token_counts(self, texts: Sequence[str], tasks: Sequence[Task | None], *, prompt: bool) -> list[int]:
        self.counting.add(threading.current_thread().name)
        return super().token_counts(texts, tasks, prompt=prompt)


def loaded(load: Callable[[], TextEncoder]) -> Batcher:
    return Batcher.loading(lambda: Models.of([load()]), ServerSettings())


def test_loading_and_encoding_are_done_in_one_thread_and_counting_is_not() -> None:
    engines: list[TellingEngine] = []

    def load() -> TextEncoder:
        engines.append(TellingEngine(FakeEncoder().info))
        return TextEncoder(engines[0])

    batcher = loaded(load)
    encoder = TextEncoder(QueueEngine(batcher))
    with ThreadPoolExecutor(4) as callers:
        list(callers.map(lambda n: encoder.encode(f"text {n}"), range(20)))
        list(callers.map(lambda n: encoder.encode_chunks([f"text {n}"]), range(20)))
    job = Job(batcher.models.default, ["a text of a request"], [6], None)
    batcher.submit(job)
    job.result.result(10)
    assert engines[0].computing == {"jina-v3-batcher"}
    encoder.count_tokens("some words")
    assert engines[0].counting == {threading.current_thread().name}
    batcher.close()


def test_answers_and_errors_are_those_of_the_encoder() -> None:
    batcher, plain = loaded(FakeEncoder), FakeEncoder()
    encoder = TextEncoder(QueueEngine(batcher))
    assert np.array_equal(encoder.encode(["a", "b"], task="separation"), plain.encode(["a", "b"], task="separation"))
    assert (encoder.model_id, encoder.fingerprint) == (plain.model_id, plain.fingerprint)
    assert "FakeEncoder" in repr(batcher.models.default.encoder)
    with pytest.raises(InvalidInput, match="retrieval"):
        encoder.encode("a", task="retrieval")
    batcher.close()


def test_errors_of_the_engine_rise_where_it_was_called_and_end_nothing() -> None:
    batcher = loaded(FakeEncoder)
    with pytest.raises(ZeroDivisionError):
        batcher.run(lambda: 1 / 0)
    assert batcher.run(lambda: "still here") == "still here"
    batcher.close()
    with pytest.raises(ApiError, match="shutting down"):
        batcher.run(lambda: "late")


def test_what_cannot_be_loaded_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        loaded(lambda: 1 / 0)  # type: ignore[arg-type,return-value]


def test_the_fingerprint_is_computed_with_the_model(original_folder: Any) -> None:
    batcher = loaded(lambda: Encoder.from_pretrained(original_folder, device="cpu"))
    assert "fingerprint" in vars(batcher.models.default.encoder.info)
    batcher.close()
