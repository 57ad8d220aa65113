"""An encoder whose work is done in one thread."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors.server.one_thread import in_one_thread
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.protocol import TextEncoder
from jina_v3_encoder.testing import FakeEncoder


class Telling(FakeEncoder):
    """Remembers who called."""

    def __init__(self) -> None:
        super().__init__()
        self.threads = {threading.current_thread().name}

    def encode(self, texts: Any, **settings: Any) -> Any:
        self.threads.add(threading.current_thread().name)
        return super().encode(texts, **settings)

    def count_tokens(self, *arguments: Any, **settings: Any) -> Any:
        self.counted = threading.current_thread().name
        return super().count_tokens(*arguments, **settings)


def test_loading_and_encoding_are_done_in_one_thread() -> None:
    encoder = in_one_thread(Telling)
    with ThreadPoolExecutor(4) as callers:
        list(callers.map(lambda n: encoder.encode(f"text {n}"), range(20)))
    (name,) = encoder.threads  # type: ignore[attr-defined]
    assert name.startswith("jina-v3-compute")


def test_tokens_are_counted_where_they_are_asked_for() -> None:
    encoder = in_one_thread(Telling)
    encoder.count_tokens("some words")
    assert encoder.counted == threading.current_thread().name  # type: ignore[attr-defined]


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
    own = encoder._encoder  # type: ignore[attr-defined]
    assert "fingerprint" in vars(own)
