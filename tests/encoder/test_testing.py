"""`FakeEncoder` keeps the promises of `Encoder` that connectors and integrations build on."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InputTooLong, InvalidDimensions, InvalidInput, InvalidSpan, UnknownTask
from jina_v3_encoder.protocol import TextEncoder
from jina_v3_encoder.testing import FakeEncoder


@pytest.fixture
def fake() -> FakeEncoder:
    return FakeEncoder()


def test_both_are_text_encoders(fake: FakeEncoder, encoder: Encoder) -> None:
    for either in (fake, encoder):
        checked: TextEncoder = either
        assert isinstance(checked, TextEncoder)


def test_deterministic_across_processes(fake: FakeEncoder) -> None:
    code = "from jina_v3_encoder.testing import FakeEncoder; print(float(FakeEncoder().encode('hello')[0]))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(out) == float(fake.encode("hello")[0])


def test_similar_words_give_similar_vectors(fake: FakeEncoder) -> None:
    cat, cats, moon = fake.encode(["the black cat", "the black cats", "a distant moon"])
    assert cat @ cats > 0.7 > 0.5 > cat @ moon


def test_tasks_differ_a_little(fake: FakeEncoder) -> None:
    query, passage = fake.encode(["the black cat"] * 2, task=["retrieval.query", "retrieval.passage"])
    assert 0.8 < query @ passage < 0.999


def test_late_chunks_lean_towards_their_document(fake: FakeEncoder) -> None:
    alone = fake.encode("it is large")
    late = fake.encode_chunks(["Berlin is a city.", "it is large"])[1]
    city = fake.encode("Berlin is a city.")
    assert late @ city > alone @ city


def test_shapes_and_forms(fake: FakeEncoder) -> None:
    assert fake.encode("a").shape == (64,)
    assert fake.encode([], dimensions=8).shape == (0, 8)
    assert fake.encode(["a", ""], dimensions=16, output_type="ubinary").shape == (2, 2)
    assert [rows.shape for rows in fake.encode_documents(["ab", "c"], [[(0, 1), (1, 2)], []])] == [(2, 64), (0, 64)]
    assert fake.count_tokens("two words") == 4
    assert fake.count_tokens(["two words", ""]) == [4, 2]


def test_slices_are_renormalised(fake: FakeEncoder) -> None:
    full, part = fake.encode("hello"), fake.encode("hello", dimensions=16)
    assert np.allclose(part, full[:16] / np.linalg.norm(full[:16]), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda e: e.encode("a", task="nope"), UnknownTask),
        (lambda e: e.encode("a", dimensions=65), InvalidDimensions),
        (lambda e: e.encode(3), InvalidInput),
        (lambda e: e.encode("word " * 9000), InputTooLong),
        (lambda e: e.encode_spans("abc", [(2, 1)]), InvalidSpan),
        (lambda e: e.encode_spans("abc", [(0, 1)], window=0), InvalidInput),
        (lambda e: e.encode_chunks("abc"), InvalidInput),
    ],
)
def test_the_same_errors(fake: FakeEncoder, encoder: Encoder, call: Any, error: type[Exception]) -> None:
    for either in (fake, encoder):
        with pytest.raises(error):
            call(either)
