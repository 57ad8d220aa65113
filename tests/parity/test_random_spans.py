"""Late chunking on generated texts and spans: against the plain reference, and against itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidSpan

from ..support.reference import Reference, late_chunks

TOLERANCE = 2e-5
WORDS = ("the", "world", "sea", "Ａｂｃ", "ﬁnd", "東京", "は", "😀", "مرحبا", "e\u0301", ".", "--", "a b", "\n", "  ")
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(" ".join)
TASKS = st.sampled_from(["retrieval.passage", "retrieval.query", "text-matching", None])
RELAXED = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def reference(original_folder: Path, encoder: Encoder) -> Reference:
    return Reference(original_folder, encoder.config)


def partition(text: str, cuts: list[float]) -> list[tuple[int, int]]:
    """Consecutive spans at fractions of the text's length, without empty ones."""
    ends = sorted({round(cut * len(text)) for cut in cuts} | {len(text)} - {0})
    return [(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True) if start < end]


@RELAXED
@given(text=TEXTS, cuts=st.lists(st.floats(0.05, 0.95), max_size=4), task=TASKS)
def test_partitions(encoder: Encoder, reference: Reference, text: str, cuts: list[float], task: str | None) -> None:
    spans = partition(text, cuts)
    try:
        vectors = encoder.encode_spans(text, spans, task=task)
    except InvalidSpan:
        reject()
    wanted = late_chunks(reference, text, spans, task, window=512, overlap=0)
    assert np.abs(vectors - wanted).max() <= TOLERANCE


@RELAXED
@given(text=TEXTS, cut=st.floats(0.1, 0.9), window=st.integers(24, 80), overlap=st.integers(0, 20), task=TASKS)
def test_windows(
    encoder: Encoder, reference: Reference, text: str, cut: float, window: int, overlap: int, task: str | None
) -> None:
    spans = partition(text * 3, [cut])
    try:
        vectors = encoder.encode_spans(text * 3, spans, task=task, window=window, overlap=overlap)
    except InvalidSpan:
        reject()
    wanted = late_chunks(reference, text * 3, spans, task, window=window, overlap=overlap)
    assert np.abs(vectors - wanted).max() <= TOLERANCE


@RELAXED
@given(text=TEXTS, cuts=st.lists(st.floats(0.05, 0.95), min_size=1, max_size=4), task=TASKS)
def test_a_partition_uses_every_token_once(encoder: Encoder, text: str, cuts: list[float], task: str | None) -> None:
    """The spans' mean states, weighted by their tokens, add up to the mean state of the whole text."""
    from jina_v3_encoder.texts.late_chunking import token_rows

    spans = partition(text, cuts)
    (tokens,) = encoder.engine.tokenizer.encode_with_offsets([text], encoder.config.prompt(None))
    try:
        rows = token_rows(tokens, spans, 0)
    except InvalidSpan:
        reject()
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(tokens.ids)))


@RELAXED
@given(texts=st.lists(TEXTS, min_size=2, max_size=5), task=TASKS)
def test_documents_do_not_touch_each_other(encoder: Encoder, texts: list[str], task: str | None) -> None:
    spans = [[(0, len(text))] for text in texts]
    together = np.concatenate(encoder.encode_documents(texts, spans, task=task))
    assert np.abs(together - encoder.encode(texts, task=task)).max() <= 1e-6


@RELAXED
@given(text=TEXTS, window=st.integers(100, 512))
def test_a_window_that_holds_the_document_changes_nothing(encoder: Encoder, text: str, window: int) -> None:
    if encoder.count_tokens(text) > window:
        reject()
    spans = [(0, len(text))]
    assert np.array_equal(encoder.encode_spans(text, spans, window=window), encoder.encode_spans(text, spans))
