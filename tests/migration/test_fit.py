"""Samples: the same at each reading, spread over the collection, and whole documents where these are needed."""

from __future__ import annotations

import numpy as np
import pytest

from jina_v3_connectors.migration.fit import LARGEST_DOCUMENT, DocumentSample, RecordSample, usable
from jina_v3_connectors.migration.records import Record

VECTOR = np.ones(4, np.float32)


def records(count: int) -> list[Record]:
    return [Record(f"k{number}", f"text {number}", VECTOR) for number in range(count)]


def test_a_sample_does_not_depend_on_the_order() -> None:
    forward, backward = RecordSample(40), RecordSample(40)
    for record in records(500):
        forward.add(record)
    for record in reversed(records(500)):
        backward.add(record)
    assert forward.records == backward.records
    assert len(forward.records) == 40
    numbers = sorted(int(record.key.removeprefix("k")) for record in forward.records)
    assert numbers[0] < 60
    assert numbers[-1] > 440


@pytest.mark.parametrize(
    "record",
    [
        Record("k", None, VECTOR),
        Record("k", " \n", VECTOR),
        Record("k", "text", None),
        Record("k", "text", np.zeros(4, np.float32)),
        Record("k", "text", np.full(4, np.nan, np.float32)),
    ],
)
def test_what_cannot_be_compared_is_not_sampled(record: Record) -> None:
    sample = RecordSample()
    sample.add(record)
    assert sample.records == []


def test_documents_are_sampled_whole() -> None:
    """Chunks of a document may lie anywhere, as ids do in most databases."""
    sample = DocumentSample(5)
    chunks = [Record(f"{document}-{n}", f"{n}", VECTOR, f"d{document}", n) for document in range(60) for n in range(7)]
    order = np.random.default_rng(0).permutation(len(chunks))
    for index in order:
        sample.add(chunks[index])
    assert len(sample.documents) == 5
    for document in sample.documents:
        assert [chunk.order for chunk in document] == list(range(7))
        assert len({chunk.document_id for chunk in document}) == 1


def test_documents_that_are_damaged_or_too_long_are_left_out() -> None:
    sample = DocumentSample(5)
    sample.add(Record("a0", "text", VECTOR, "a", 0))
    sample.add(Record("a1", None, VECTOR, "a", 1))
    for number in range(4):
        sample.add(Record(f"b{number}", "x" * (LARGEST_DOCUMENT // 3), VECTOR, "b", number))
    sample.add(Record("c0", "text", VECTOR, "c", 0))
    sample.add(Record("none", "text", VECTOR))
    assert [[chunk.key for chunk in document] for document in sample.documents] == [["c0"]]


def test_directions() -> None:
    rows = np.array([[1, 0], [0, 0], [np.nan, 1], [np.inf, 1], [1e-30, 0]], dtype=np.float32)
    assert usable(rows).tolist()[:4] == [True, False, False, False]
