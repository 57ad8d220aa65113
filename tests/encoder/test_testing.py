"""`FakeEncoder` keeps the promises of `Encoder` that connectors and integrations build on."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from jina_v3_encoder.testing import FakeEncoder


@pytest.fixture
def fake() -> FakeEncoder:
    return FakeEncoder()


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


def test_what_it_says_of_itself() -> None:
    fake = FakeEncoder(32, 100, "other", revision="abc", fingerprint="0123456789abcdef", max_batch_tokens=50)
    assert (fake.dimensions, fake.max_tokens, fake.model_id) == (32, 100, "other")
    assert (fake.revision, fake.fingerprint, fake.info.max_batch_tokens) == ("abc", "0123456789abcdef", 50)
    assert FakeEncoder().fingerprint == FakeEncoder().fingerprint != FakeEncoder(32).fingerprint


def test_it_can_be_copied_and_pickled(fake: FakeEncoder) -> None:
    for other in (pickle.loads(pickle.dumps(fake)), copy.deepcopy(fake)):
        assert np.array_equal(other.encode("hello"), fake.encode("hello"))
        assert other.fingerprint == fake.fingerprint


def test_a_subclass_may_override_a_method() -> None:
    class Opposite(FakeEncoder):
        def encode_documents(self, *arguments: Any, **settings: Any) -> Any:
            return [-rows for rows in super().encode_documents(*arguments, **settings)]

    chunks = ["one", "two"]
    assert np.array_equal(Opposite().encode_chunks(chunks), -FakeEncoder().encode_chunks(chunks))
