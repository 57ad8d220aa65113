"""Late chunking against a plain reference, windows included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.tokenizer_factory import WORDS

from ..support.reference import Reference, late_chunks

TOLERANCE = 2e-5
TASKS = ("retrieval.passage", "retrieval.query", "separation", None)
SHORT = "The sentence was first. Then a second one came, and 東京 too. End of it all."
LONG = " ".join(WORDS[(11 * n) % len(WORDS)] for n in range(1300))


@pytest.fixture(scope="module")
def reference(original_folder: Path, encoder: Encoder) -> Reference:
    return Reference(original_folder, encoder.config)


def cuts(text: str, size: int) -> list[tuple[int, int]]:
    return [(start, min(start + size, len(text))) for start in range(0, len(text), size)]


@pytest.mark.parametrize("task", TASKS, ids=str)
@pytest.mark.parametrize("size", [9, 24, 1000])
def test_spans(encoder: Encoder, reference: Reference, task: str | None, size: int) -> None:
    spans = cuts(SHORT, size)
    wanted = late_chunks(reference, SHORT, spans, task, window=512, overlap=512)
    assert np.abs(encoder.encode_spans(SHORT, spans, task=task) - wanted).max() <= TOLERANCE


def test_overlapping_spans_and_gaps(encoder: Encoder, reference: Reference) -> None:
    spans = [(0, 30), (10, 40), (50, len(SHORT))]
    wanted = late_chunks(reference, SHORT, spans, "retrieval.passage", window=512, overlap=0)
    assert np.abs(encoder.encode_spans(SHORT, spans, task="retrieval.passage") - wanted).max() <= TOLERANCE


@pytest.mark.parametrize(("window", "overlap"), [(512, 128), (100, 20), (100, 0), (64, 63), (511, 400)])
def test_documents_past_the_window(encoder: Encoder, reference: Reference, window: int, overlap: int) -> None:
    spans = cuts(LONG, 333)
    wanted = late_chunks(reference, LONG, spans, "retrieval.passage", window=window, overlap=overlap)
    vectors = encoder.encode_spans(LONG, spans, task="retrieval.passage", window=window, overlap=overlap)
    assert np.abs(vectors - wanted).max() <= TOLERANCE


@pytest.mark.parametrize("extra", [-2, -1, 0, 1, 2, 383, 384, 385])
def test_lengths_around_window_ends(encoder: Encoder, reference: Reference, extra: int) -> None:
    text = " ".join(WORDS[n % len(WORDS)] for n in range(512 + extra - 2))
    spans = cuts(text, len(text) // 3 + 1)
    wanted = late_chunks(reference, text, spans, None, window=512, overlap=128)
    assert np.abs(encoder.encode_spans(text, spans, window=512, overlap=128) - wanted).max() <= TOLERANCE


@pytest.mark.parametrize("separator", [" ", "\n\n", ""])
def test_chunks_are_spans_of_the_joined_text(encoder: Encoder, reference: Reference, separator: str) -> None:
    chunks = ["The first chunk.", "Its second sentence,", "and the end."]
    text = separator.join(chunks)
    ends = np.cumsum([len(chunk) for chunk in chunks]) + np.arange(3) * len(separator)
    spans = list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))
    wanted = late_chunks(reference, text, spans, "retrieval.passage", window=512, overlap=0)
    vectors = encoder.encode_chunks(chunks, task="retrieval.passage", separator=separator)
    assert np.abs(vectors - wanted).max() <= TOLERANCE


@pytest.mark.parametrize("task", TASKS, ids=str)
@pytest.mark.parametrize("text", [SHORT, "", " ", "x", "東京"])
def test_the_whole_text_as_one_span_is_encode(encoder: Encoder, task: str | None, text: str) -> None:
    whole = encoder.encode_spans(text, [(0, len(text))], task=task)
    assert np.abs(whole[0] - encoder.encode(text, task=task)).max() <= 1e-6
