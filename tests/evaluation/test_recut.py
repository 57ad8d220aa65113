"""Documents cut anew: which chunks answer, and that they are read in their document."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jina_v3_connectors.evaluation.dataset import Dataset, Passage
from jina_v3_connectors.evaluation.encoding import PassageEncoder, Variant
from jina_v3_connectors.evaluation.recut import recut
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.texts.late_chunking import Span

DATA = Dataset(
    "pages",
    [
        Passage("0", "The sea is deep. It is wide.", "sea"),
        Passage("1", "Nobody lives there.", "sea"),
        Passage("2", "Tea is hot.", None),
    ],
    {"a": "Who lives there?", "b": "How wide is it?", "c": "Is tea hot?"},
    {"a": {"1": 2}, "b": {"0": 1}, "c": {"2": 1}},
    answers={"b": "It is wide.", "c": "not a part of it"},
)
WHOLE = "The sea is deep. It is wide.\n\nNobody lives there."


class Sentences:
    """Cuts after every full stop."""

    description = "sentences"

    def spans(self, text: str, text_format: str = "text") -> list[Span]:
        stops = [number + 1 for number, character in enumerate(text) if character == "."]
        return list(zip([0, *stops], stops, strict=False))


class Nothing:
    description = "nothing"

    def spans(self, text: str, text_format: str = "text") -> list[Span]:
        return [(0, 1)]


def test_chunks_and_the_questions_that_they_answer() -> None:
    data = recut(DATA, Sentences())
    assert [(passage.id, passage.text) for passage in data.passages] == [
        ("sea#0", "The sea is deep."),
        ("sea#1", " It is wide."),
        ("sea#2", "\n\nNobody lives there."),
        ("2#0", "Tea is hot."),
    ]
    assert data.relevance == {"a": {"sea#2": 2}, "b": {"sea#1": 1}, "c": {"2#0": 1}}
    assert data.texts == {"sea": WHOLE, "2": "Tea is hot."}


def test_chunks_are_read_in_their_document_as_it_is() -> None:
    encoder = FakeEncoder()
    vectors = PassageEncoder(encoder, "retrieval.passage", Sentences()).encode(recut(DATA, Sentences()), Variant.LATE)
    wanted = encoder.encode_spans(WHOLE, Sentences().spans(WHOLE), task="retrieval.passage")
    assert np.array_equal(vectors.values[:3], wanted)


def test_a_chunker_that_loses_an_answer_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the chunker 'nothing' leaves the answer of query 'a' out"):
        recut(DATA, Nothing())


class AtSpaces:
    """Cuts at one white space, which is in no chunk."""

    description = "at spaces"

    def spans(self, text: str, text_format: str = "text") -> list[Span]:
        cut = text.find(" wide")
        return [(0, cut), (cut + 1, len(text))] if cut > 0 else [(0, len(text))]


def test_an_answer_that_is_cut_in_its_middle_is_in_one_chunk() -> None:
    data = recut(replace(DATA, answers={"b": "s w"}), AtSpaces())
    assert data.relevance["b"] == {"sea#0": 1}
