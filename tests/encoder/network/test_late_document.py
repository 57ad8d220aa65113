"""A document read a few windows at a time gives what it gives in one go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput, InvalidSpan
from jina_v3_encoder.usage import count_usage

TEXT = "some words of a long document that is read in windows " * 20
SPANS = [(start, min(start + 90, len(TEXT))) for start in range(0, len(TEXT), 60)]


@pytest.fixture(scope="module")
def encoder(original_folder: Path) -> Encoder:
    return Encoder.from_pretrained(original_folder, device="cpu", dtype="float32")


@pytest.mark.parametrize(("window", "overlap"), [(None, 100), (64, 16), (50, 0), (9, 4), (2, 1)])
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_windows_in_any_order_give_the_same(encoder: Encoder, window: int | None, overlap: int, step: int) -> None:
    document = encoder.open_document(TEXT, SPANS, task="retrieval.passage", window=window, overlap=overlap)
    total = document.windows
    with count_usage() as read:
        for start in reversed(range(0, total, step)):
            encoder.read_windows(document, start, min(start + step, total))
    settings = {"task": "retrieval.passage", "normalize": False, "window": window, "overlap": overlap}
    with count_usage() as wanted:
        vectors = encoder.encode_spans(TEXT, SPANS, **settings)  # type: ignore[arg-type]
    assert np.allclose(document.vectors(), vectors, atol=1e-5)
    assert read.tokens == wanted.tokens == document.tokens(0, total)


def test_the_cost_is_known_before_anything_is_read(encoder: Encoder) -> None:
    size = encoder.count_tokens(TEXT)
    document = encoder.open_document(TEXT, SPANS, window=50, overlap=25)
    starts = range(0, size - 25, 25)
    assert document.windows == len(starts)
    assert document.tokens(0, document.windows) == sum(min(50, size - start) for start in starts)


def test_what_is_refused(encoder: Encoder) -> None:
    with pytest.raises(InvalidInput, match="at least one span, got none"):
        encoder.open_document(TEXT, [])
    with pytest.raises(InvalidSpan, match="span 0: start 5 is after end 1"):
        encoder.open_document(TEXT, [(5, 1)])
    with pytest.raises(InvalidInput, match="overlap"):
        encoder.open_document(TEXT, SPANS, window=50, overlap=50)
