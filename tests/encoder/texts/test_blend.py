"""Vectors of chunks from three readings, against the sum written out by hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_encoder import Blend
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput, InvalidSpan
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.texts.blend import as_late_chunking, blended, chunk_texts, reading_name
from jina_v3_encoder.vectors import FloatArray

TASK = "retrieval.passage"
TEXTS = ["One is here. Two is there.  Three is away.", "Alone.", "First of all. Last of all."]
SPANS = [[(0, 12), (12, 26), (26, 42)], [(0, 6)], [(0, 13), (13, 26)]]
ALONE = ["One is here.", "Two is there.", "Three is away.", "Alone.", "First of all.", "Last of all."]
NEIGHBOURS = [[1], [0, 2], [1], [], [5], [4]]


def unit(vectors: FloatArray) -> FloatArray:
    rows: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return rows


@pytest.mark.parametrize("blend", [Blend(), Blend(late=0.5, neighbours=0), Blend(0, 2), Blend(0, 0)], ids=str)
def test_the_sum_of_the_readings(nano: Encoder, blend: Blend) -> None:
    alone = nano.encode(ALONE, task=TASK)
    late = np.concatenate(nano.encode_documents(TEXTS, SPANS, task=TASK, window=1024, overlap=0))
    beside = np.stack([alone[rows].sum(axis=0) / max(1, len(rows)) for rows in NEIGHBOURS])
    sums: Any = alone + blend.late * late + blend.neighbours * beside
    documents = nano.encode_documents(TEXTS, SPANS, task=TASK, blend=blend)
    assert [len(vectors) for vectors in documents] == [3, 1, 2]
    np.testing.assert_allclose(np.concatenate(documents), unit(sums), atol=1e-5)
    raw = nano.encode_documents(TEXTS, SPANS, task=TASK, blend=blend, normalize=False)
    np.testing.assert_allclose(np.concatenate(raw), sums, atol=1e-5)


def test_a_slice_is_that_of_the_whole_vector(nano: Encoder) -> None:
    full = nano.encode_spans(TEXTS[0], SPANS[0], task=TASK, blend=Blend())
    short = nano.encode_spans(TEXTS[0], SPANS[0], task=TASK, blend=Blend(), dimensions=64)
    np.testing.assert_allclose(short, unit(full[:, :64]), atol=1e-6)


def test_chunks_are_joined_as_for_late_chunking() -> None:
    encoder = FakeEncoder()
    chunks = encoder.encode_chunks(ALONE[:3], task=TASK, blend=Blend(), separator="\n")
    text = "\n".join(ALONE[:3])
    spans = encoder.encode_spans(text, [(0, 12), (12, 26), (26, 41)], task=TASK, blend=Blend())
    np.testing.assert_array_equal(chunks, spans)


def test_windows_are_the_callers() -> None:
    encoder, text = FakeEncoder(), " ".join(f"word{n}" for n in range(3000))
    spans = [(start, start + 500) for start in range(0, len(text) - 500, 500)]
    choices: dict[str, tuple[int | None, int | None]] = {
        "default": (None, None),
        "the same": (1024, 0),
        "smaller": (256, 0),
        "overlap": (None, 512),
    }
    made = {
        name: encoder.encode_spans(text, spans, blend=Blend(), window=window, overlap=overlap)
        for name, (window, overlap) in choices.items()
    }
    np.testing.assert_array_equal(made["default"], made["the same"])
    assert np.abs(made["default"] - made["smaller"]).max() > 1e-4
    assert np.abs(made["default"] - made["overlap"]).max() > 1e-4


def test_a_chunk_that_cannot_be_read_alone() -> None:
    encoder = FakeEncoder(max_tokens=512)
    text = "short. " + "word " * 600
    with pytest.raises(InvalidSpan, match=r"^document 1, span 1: \d+ tokens .* the limit is 512\. .* cut it, or leave"):
        encoder.encode_documents(["a b", text], [[(0, 1), (2, 3)], [(0, 6), (7, len(text))]], blend=Blend())
    assert encoder.encode_spans(text, [(0, 6), (7, len(text))]).shape == (2, encoder.dimensions)


def test_blanks_around_a_chunk_are_not_read_alone() -> None:
    assert chunk_texts(" a b\n\nc ", [(0, 5), (5, 8)]) == ["a b", "c"]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_documents_are_not_mixed(chunks: list[int], seed: int) -> None:
    """Each document's vectors are those that it has alone, in whatever order its chunks are given."""
    random = np.random.default_rng(seed)
    alone, late = random.normal(size=(2, sum(chunks), 8)).astype(np.float32)
    spans = [[(n, n + 1) for n in range(count)] for count in chunks]
    together = blended(alone.copy(), late.copy(), spans, Blend())
    start = 0
    for number, count in enumerate(chunks):
        order = random.permutation(count)
        rows = start + order
        mixed = [spans[number][n] for n in order]
        by_itself = blended(alone[rows], late[rows], [mixed], Blend())
        np.testing.assert_allclose(together[rows], by_itself, rtol=1e-5, atol=1e-6)
        start += count


def test_other_texts_may_be_read_alone() -> None:
    encoder = FakeEncoder()
    alone = [[f"title: {text}" for text in ALONE[:3]]]
    vectors = encoder.encode_documents(TEXTS[:1], SPANS[:1], task=TASK, blend=Blend(0, 0), alone=alone)[0]
    np.testing.assert_allclose(vectors, encoder.encode(alone[0], task=TASK), atol=1e-6)
    with pytest.raises(InvalidInput, match="alone must have one text for each span of each document"):
        encoder.encode_documents(TEXTS[:1], SPANS[:1], blend=Blend(), alone=[["one"]])


@pytest.mark.parametrize("blend", ["blend", True, 1.0])
def test_a_blend_is_one(blend: Any) -> None:
    with pytest.raises(InvalidInput, match="blend must be a Blend of weights or None, got"):
        FakeEncoder().encode_chunks(ALONE[:2], blend=blend)


weights = st.floats(0, 100)


@given(weights, weights)
def test_written_weights_are_read_back(late: float, neighbours: float) -> None:
    blend = Blend(late, neighbours)
    assert Blend.read(str(blend)) == blend


@pytest.mark.parametrize("text", ["", "blend", "blend(late=1.0)", "blend(late=e, neighbours=.)"])
def test_other_text_is_no_blend(text: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape("is no blend, as 'blend(late=1.0, neighbours=0.3)' is one")):
        Blend.read(text)


@pytest.mark.parametrize("weight", [-0.1, 101, float("nan"), float("inf"), True, "1", None])
def test_weights_are_checked(weight: Any) -> None:
    with pytest.raises(InvalidInput, match="the weight neighbours of a blend must be a number from 0 to 100, got"):
        Blend(neighbours=weight)


def test_numbers_of_numpy_are_numbers() -> None:
    assert Blend(np.float32(0.5), np.int64(2)) == Blend(0.5, 2)  # type: ignore[arg-type]


def test_the_callers_value() -> None:
    assert as_late_chunking("blend") == Blend()
    assert [as_late_chunking(value) for value in (True, False, Blend(2))] == [True, False, Blend(2)]
    for value in ("late", 1, None):
        with pytest.raises(InvalidInput, match='late_chunking must be True, False, "blend" or a Blend of weights, got'):
            as_late_chunking(value)
    assert [reading_name(value) for value in (False, True, Blend())] == [
        "each chunk on its own",
        "late chunking",
        "blend(late=1.0, neighbours=0.3)",
    ]
