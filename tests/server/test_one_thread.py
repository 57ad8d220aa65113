"""An encoder whose work is done in one thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors.server.one_thread import in_one_thread
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


def test_loading_and_encoding_are_done_in_one_thread_and_counting_is_not() -> None:
    engines: list[TellingEngine] = []

    def load() -> TextEncoder:
        engines.append(TellingEngine(FakeEncoder().info))
        return TextEncoder(engines[0])

    encoder = in_one_thread(load)
    with ThreadPoolExecutor(4) as callers:
        list(callers.map(lambda n: encoder.encode(f"text {n}"), range(20)))
        list(callers.map(lambda n: encoder.encode_chunks([f"text {n}"]), range(20)))
    (name,) = engines[0].computing
    assert name.startswith("jina-v3-compute")
    encoder.count_tokens("some words")
    assert engines[0].counting == {threading.current_thread().name}


def test_answers_and_errors_are_those_of_the_encoder() -> None:
    encoder, plain = in_one_thread(FakeEncoder), FakeEncoder()
    assert isinstance(encoder, TextEncoder)
    assert np.array_equal(encoder.encode(["a", "b"], task="separation"), plain.encode(["a", "b"], task="separation"))
    assert (encoder.model_id, encoder.fingerprint) == (plain.model_id, plain.fingerprint)
    assert "FakeEncoder" in repr(encoder)
    with pytest.raises(InvalidInput):
        encoder.encode("a", task="retrieval")


def test_what_cannot_be_loaded_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        in_one_thread(lambda: 1 / 0)  # type: ignore[arg-type,return-value]


def test_the_fingerprint_is_computed_with_the_model(original_folder: Any) -> None:
    encoder = in_one_thread(lambda: Encoder.from_pretrained(original_folder, device="cpu"))
    assert "fingerprint" in vars(encoder.info)
