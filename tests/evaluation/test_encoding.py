"""The four variants give the vectors that the encoder's own calls give."""

from __future__ import annotations

import numpy as np
import pytest

from jina_v3_connectors.chunking import WholeDocument
from jina_v3_connectors.evaluation.dataset import Dataset, Passage
from jina_v3_connectors.evaluation.encoding import SEPARATOR, PassageEncoder, Variant
from jina_v3_encoder import Blend
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.texts.late_chunking import Span

TASK = "retrieval.passage"
CHUNKED = Dataset(
    "chunked",
    [
        Passage("0", "Berlin is a city.", "berlin"),
        Passage("1", "It has many lakes.", "berlin"),
        Passage("2", "Alone.", None),
        Passage("3", "Also alone.", None),
        Passage("4", "Tea is hot.", "tea"),
    ],
    {"q": "?"},
    {"q": {"0": 1}},
)
PLAIN = Dataset("plain", [Passage("0", "One. Two."), Passage("1", " "), Passage("2", "Three.")], {}, {})


class Sentences:
    """Cuts after every full stop."""

    description = "sentences"

    def spans(self, text: str, text_format: str = "text") -> list[Span]:
        stops = [number + 1 for number, character in enumerate(text) if character == "."]
        return list(zip([0, *stops], stops, strict=False))


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


def passages(encoder: FakeEncoder, chunker: object = None) -> PassageEncoder:
    return PassageEncoder(encoder, TASK, chunker or Sentences())  # type: ignore[arg-type]


def test_variants_that_make_sense(encoder: FakeEncoder) -> None:
    encoding = passages(encoder)
    assert encoding.variants(CHUNKED) == [Variant.ROWS, Variant.LATE, Variant.BLEND], "chunks are not cut again"
    assert encoding.variants(PLAIN) == [Variant.ROWS, Variant.CHUNKS, Variant.LATE, Variant.BLEND]
    assert encoding.variants(PLAIN, late=False) == [Variant.ROWS, Variant.CHUNKS, Variant.BLEND]
    assert encoding.variants(PLAIN, late=False, blend=False) == [Variant.ROWS]
    assert encoding.variants(PLAIN, alone=False, blend=False) == [Variant.LATE]


def test_blended_rows_of_a_document(encoder: FakeEncoder) -> None:
    vectors = passages(encoder).encode(CHUNKED, Variant.BLEND)
    texts = [passage.text for passage in CHUNKED.passages]
    wanted = encoder.encode_chunks(texts[:2], task=TASK, separator=SEPARATOR, blend=Blend())
    assert np.array_equal(vectors.values[:2], wanted)
    assert np.array_equal(vectors.values[4:], encoder.encode_chunks(texts[4:], task=TASK, blend=Blend()))


def test_rows(encoder: FakeEncoder) -> None:
    vectors = passages(encoder).encode(CHUNKED, Variant.ROWS)
    assert np.array_equal(vectors.values, encoder.encode([p.text for p in CHUNKED.passages], task=TASK))
    assert vectors.owners.tolist() == [0, 1, 2, 3, 4]


def test_rows_of_a_document_are_read_together(encoder: FakeEncoder) -> None:
    vectors = passages(encoder).encode(CHUNKED, Variant.LATE)
    berlin = encoder.encode_chunks([p.text for p in CHUNKED.passages[:2]], task=TASK, separator=SEPARATOR)
    assert np.allclose(vectors.values[:2], berlin)
    for number in (2, 3, 4):
        alone = encoder.encode_chunks([CHUNKED.passages[number].text], task=TASK)
        assert np.allclose(vectors.values[number], alone[0]), "documents never mix"
    assert not np.allclose(vectors.values[:2], encoder.encode([p.text for p in CHUNKED.passages[:2]], task=TASK))


def test_chunks_of_plain_rows(encoder: FakeEncoder) -> None:
    alone = passages(encoder).encode(PLAIN, Variant.CHUNKS)
    assert alone.owners.tolist() == [0, 0, 2], "a blank row has no vector"
    assert np.array_equal(alone.values, encoder.encode(["One.", " Two.", "Three."], task=TASK))
    late = passages(encoder).encode(PLAIN, Variant.LATE)
    assert late.owners.tolist() == [0, 0, 2]
    assert np.allclose(late.values[:2], encoder.encode_spans("One. Two.", [(0, 4), (4, 9)], task=TASK))


def test_long_rows_are_cut_to_the_limit() -> None:
    small = FakeEncoder(max_tokens=4)
    data = Dataset("d", [Passage("0", "one two three four five six")], {}, {})
    assert PassageEncoder(small, TASK, WholeDocument()).encode(data, Variant.ROWS).values.shape == (1, 64)
