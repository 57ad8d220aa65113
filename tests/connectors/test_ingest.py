from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from jina_v3_connectors.chunking import WholeDocument
from jina_v3_connectors.contract import EmbeddingContract
from jina_v3_connectors.documents import Document
from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.ingest import (
    BATCH_CHARACTERS,
    BATCH_CHUNKS,
    Batch,
    IngestReport,
    Stopwatch,
    cut,
    cut_into_batches,
    encode_batch,
)
from jina_v3_encoder.testing import FakeEncoder

CONTRACT = EmbeddingContract("fake", None, "0" * 16, 32, "whole document")


class Letters:
    """One chunk for each character."""

    description = "letters"

    def spans(self, text: str, text_format: str = "text") -> list[tuple[int, int]]:
        return [(position, position + 1) for position in range(len(text))]


def test_chunks_carry_their_document() -> None:
    first, second = cut(Document("d", "ab", {"lang": "en"}), Letters())
    assert (first.number, first.start, first.end, first.text) == (0, 0, 1, "a")
    assert (second.number, second.document_id, second.metadata) == (1, "d", {"lang": "en"})


def test_documents_are_never_divided() -> None:
    documents = [Document(str(n), "x" * 200) for n in range(10)]
    batches = list(cut_into_batches(documents, Letters()))
    assert [document.id for batch in batches for document in batch.documents] == [str(n) for n in range(10)]
    assert all(len(chunks) == 200 for batch in batches for chunks in batch.chunks)
    assert all(sum(map(len, batch.chunks)) <= BATCH_CHUNKS for batch in batches)


def test_batches_are_bounded_by_characters_too() -> None:
    documents = [Document(str(n), "x" * (BATCH_CHARACTERS // 2)) for n in range(5)]
    assert [len(batch.documents) for batch in cut_into_batches(documents, WholeDocument())] == [2, 2, 1]


def test_one_large_document_is_a_batch_of_its_own() -> None:
    documents = [Document("small", "x"), Document("large", "x" * (2 * BATCH_CHARACTERS)), Document("last", "x")]
    assert [len(batch.documents) for batch in cut_into_batches(documents, WholeDocument())] == [1, 1, 1]


def test_documents_are_read_a_batch_ahead_at_most() -> None:
    taken = 0

    def source() -> Iterator[Document]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield Document(str(number), "x")

    next(cut_into_batches(source(), WholeDocument()))
    assert taken == BATCH_CHUNKS + 1


@pytest.mark.parametrize("late", [True, False])
def test_vectors_are_those_of_the_contract(late: bool) -> None:
    encoder = FakeEncoder()
    contract = EmbeddingContract(
        "fake", None, "0" * 16, 32, "letters", late_chunking=late, overlap=16 if late else None
    )
    batch = next(cut_into_batches([Document("a", "ab"), Document("none", ""), Document("b", "c")], Letters()))
    first, empty, last = encode_batch(encoder, contract, batch)
    assert (first.shape, empty.shape, last.shape) == ((2, 32), (0, 32), (1, 32))
    if late:
        wanted = encoder.encode_spans("ab", [(0, 1), (1, 2)], task="retrieval.passage", dimensions=32)
    else:
        wanted = encoder.encode(["a", "b"], task="retrieval.passage", dimensions=32)
    assert np.allclose(first, wanted)


def test_the_guilty_document_of_a_batch_is_found() -> None:
    documents = [Document("fine", "short"), Document("long", "word " * 100)]
    batch = Batch(documents, [cut(document, WholeDocument()) for document in documents])
    with pytest.raises(DocumentError, match=r"document 'long': text 0 has 102 tokens .* the limit is 50"):
        encode_batch(FakeEncoder(max_tokens=50), CONTRACT, batch)


def test_the_stopwatch_adds_up() -> None:
    report = IngestReport(seconds_writing=1.0)
    with Stopwatch(report, "seconds_writing"):
        pass
    assert 1.0 < report.seconds_writing < 1.5
