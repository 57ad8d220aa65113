from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors.chunking import Chunker, WholeDocument
from jina_v3_connectors.contract import EmbeddingContract
from jina_v3_connectors.documents import Chunk, Cut, Document, Mark
from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.ingestion.chunked import (
    BATCH_CHARACTERS,
    BATCH_CHUNKS,
    DONE_PER_BATCH,
    DONE_PER_LARGE_BATCH,
    FIRST_CHUNKS,
    MOST_CHUNKS,
    Batches,
    ChunkedDocument,
    chunks_of,
)
from jina_v3_connectors.ingestion.encoding import encode_apart, encode_batch
from jina_v3_connectors.ingestion.preparation import Refused
from jina_v3_connectors.limits import WriteLimits, check_chunks, check_vectors, estimated_bytes, requests
from jina_v3_encoder.errors import InputTooLong, InvalidVector
from jina_v3_encoder.testing import FakeEncoder

CONTRACT = EmbeddingContract("fake", None, "0" * 16, 32, "whole document")


class Letters:
    """One chunk for each character."""

    description = "letters"

    def spans(self, text: str, text_format: str = "text") -> list[tuple[int, int]]:
        return [(position, position + 1) for position in range(len(text))]


def batched(
    documents: Iterator[Document] | list[Document], chunker: Chunker, done: int = 0
) -> Iterator[list[ChunkedDocument]]:
    """The batches that an ingest makes of the documents."""
    batches = Batches(done)
    for document in documents:
        if batch := batches.add(ChunkedDocument(document, chunks_of(document, chunker), b"")):
            yield batch
    if batch := batches.close():
        yield batch


def test_chunks_carry_their_document() -> None:
    first, second = chunks_of(Document("d", "ab", {"lang": "en"}), Letters())
    assert (first.number, first.start, first.end, first.text) == (0, 0, 1, "a")
    assert (second.number, second.document_id, second.metadata) == (1, "d", {"lang": "en"})


def test_a_chunk_has_the_metadata_of_the_mark_it_starts_in() -> None:
    marks = (Mark(1, {"page": 1, "lang": "de"}), Mark(3, {"page": 2}))
    document = Document("d", "abcde", {"lang": "en"}, marks=marks)
    assert [dict(chunk.metadata) for chunk in chunks_of(document, Letters())] == [
        {"lang": "en"},
        {"lang": "de", "page": 1},
        {"lang": "de", "page": 1},
        {"lang": "en", "page": 2},
        {"lang": "en", "page": 2},
    ]
    cuts = (Cut(0, 2), Cut(2, 5, {"lang": "fr"}))
    assert [dict(chunk.metadata) for chunk in chunks_of(replace(document, cuts=cuts), Letters())] == [
        {"lang": "en"},
        {"lang": "fr", "page": 1},
    ]


def test_documents_are_never_divided() -> None:
    documents = [Document(str(n), "x" * 25) for n in range(10)]
    batches = list(batched(documents, Letters()))
    assert [chunked.id for batch in batches for chunked in batch] == [str(n) for n in range(10)]
    assert all(len(chunked.chunks) == 25 for batch in batches for chunked in batch)
    assert all(sum(len(chunked.chunks) for chunked in batch) <= BATCH_CHUNKS for batch in batches)


def test_batches_are_bounded_by_characters_too() -> None:
    documents = [Document(str(n), "x" * (BATCH_CHARACTERS // 2)) for n in range(5)]
    assert [len(batch) for batch in batched(documents, WholeDocument())] == [2, 2, 1]


def test_one_large_document_is_a_batch_of_its_own() -> None:
    documents = [Document("small", "x"), Document("large", "x" * (2 * BATCH_CHARACTERS)), Document("last", "x")]
    assert [len(batch) for batch in batched(documents, WholeDocument())] == [1, 1, 1]


def test_a_collection_that_is_filled_already_begins_with_full_batches() -> None:
    documents = [Document(f"d{n}", "text") for n in range(MOST_CHUNKS + 1)]
    done = (0, 80, 512, 12_800, 30_000, 10**6)
    sizes = [len(next(iter(batched(documents, WholeDocument(), chunks)))) for chunks in done]
    assert sizes == [FIRST_CHUNKS, 80 // DONE_PER_BATCH, BATCH_CHUNKS, BATCH_CHUNKS, 150, MOST_CHUNKS]


def test_documents_are_read_a_batch_ahead_at_most() -> None:
    taken = 0

    def source() -> Iterator[Document]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield Document(str(number), "x")

    batches = batched(source(), WholeDocument())
    next(batches)
    assert taken == FIRST_CHUNKS + 1
    sizes = [len(next(batches)) for _ in range(60)]
    assert max(sizes) == BATCH_CHUNKS
    assert taken == FIRST_CHUNKS + sum(sizes) + 1


def test_a_batch_is_a_small_part_of_what_was_done() -> None:
    done = 0
    for batch in batched((Document(str(n), "x") for n in range(20_000)), WholeDocument()):
        assert len(batch) <= max(FIRST_CHUNKS, done / DONE_PER_BATCH)
        assert len(batch) <= max(BATCH_CHUNKS, done / DONE_PER_LARGE_BATCH)
        done += len(batch)
    assert done == 20_000


@pytest.mark.parametrize("late", [True, False])
def test_vectors_are_those_of_the_contract(late: bool) -> None:
    encoder = FakeEncoder()
    contract = EmbeddingContract(
        "fake", None, "0" * 16, 32, "letters", late_chunking=late, overlap=16 if late else None
    )
    (batch,) = batched([Document("a", "ab"), Document("none", ""), Document("b", "c")], Letters())
    first, empty, last = encode_batch(encoder, contract, batch)
    assert (first.shape, empty.shape, last.shape) == ((2, 32), (0, 32), (1, 32))
    if late:
        wanted = encoder.encode_spans("ab", [(0, 1), (1, 2)], task="retrieval.passage", dimensions=32)
    else:
        wanted = encoder.encode(["a", "b"], task="retrieval.passage", dimensions=32)
    assert np.allclose(first, wanted)


def test_the_guilty_document_of_a_batch_is_found_and_the_others_are_kept() -> None:
    documents = [Document("fine", "short"), Document("long", "word " * 100), Document("also fine", "short too")]
    (batch,) = batched(documents, WholeDocument())
    encoder = FakeEncoder(max_tokens=50)
    outcomes = list(encode_apart(encoder, CONTRACT, batch))
    (error,) = [outcome.reason for outcome in outcomes if isinstance(outcome, Refused)]
    assert isinstance(error, DocumentError)
    told = "document 'long': its chunk 0 has 108 tokens with its prompt, the limit is 50: cut it into smaller chunks"
    assert told in str(error)
    assert isinstance(error.__cause__, InputTooLong)
    vectors = {outcome.chunked.id: outcome.vectors for outcome in outcomes if not isinstance(outcome, Refused)}
    assert set(vectors) == {"fine", "also fine"}
    for name, text in (("fine", "short"), ("also fine", "short too")):
        wanted = encoder.encode([text], task="retrieval.passage", dimensions=32)
        assert np.array_equal(vectors[name], wanted)


def test_requests_are_bounded_by_rows() -> None:
    chunks = [Chunk("d", n, 0, 1, "x") for n in range(10)]
    vectors = np.arange(20, dtype=np.float32).reshape(10, 2)
    parts = list(requests(chunks, vectors, WriteLimits(4, 10**6)))
    assert [len(part) for part, _ in parts] == [4, 4, 2]
    assert [chunk for part, _ in parts for chunk in part] == chunks
    assert np.array_equal(np.concatenate([rows for _, rows in parts]), vectors)


def test_requests_are_bounded_by_bytes() -> None:
    chunks = [Chunk("d", n, 0, 1, "x" * 100 * (n + 1)) for n in range(10)]
    limit = 4000
    parts = list(requests(chunks, np.zeros((10, 8), dtype=np.float32), WriteLimits(1000, limit)))
    assert len(parts) > 1
    assert all(sum(estimated_bytes(chunk, 8) for chunk in part) <= limit for part, _ in parts)
    assert [chunk for part, _ in parts for chunk in part] == chunks


def test_no_chunks_make_no_request() -> None:
    assert list(requests([], np.zeros((0, 8), dtype=np.float32), WriteLimits(4, 1000))) == []


@pytest.mark.parametrize(
    ("limits", "metadata", "message"),
    [
        (WriteLimits(4, 5000), {}, r"takes about 2\d,\d\d\d bytes, the store accepts 5,000: use smaller chunks"),
        (WriteLimits(4, 10**6, text_bytes=9_999), {}, "has 10,000 bytes of text, the store accepts 9,999: use smaller"),
        (WriteLimits(4, 10**6, metadata_bytes=10), {"a": "é" * 9}, "keeps 27 bytes of metadata, the store accepts 10"),
        (WriteLimits(4, 10**6, terms=2), {"a": ["x", "y", "z"]}, "keeps 3 different values in its metadata"),
    ],
)
def test_a_chunk_over_a_limit_is_named(limits: WriteLimits, metadata: dict[str, Any], message: str) -> None:
    chunks = [Chunk("d", 7, 0, 1, "x" * 10_000, metadata)]
    with pytest.raises(DocumentError, match=rf"document 'd': chunk 7 {message}"):
        check_chunks(chunks, 8, limits)
    check_chunks(chunks, 8, WriteLimits(4, 10**6))
    check_chunks([], 8, limits)
    after_others = [Chunk("d", n, 0, 1, "x") for n in range(7)]
    with pytest.raises(DocumentError, match=rf"document 'd': chunk 7 {message}"):
        check_chunks(after_others + chunks, 8, limits)


@pytest.mark.parametrize("text", ["plain", "東京タワー" * 50, 'quotes " and \\ ' * 20, "\n\t" * 30])
def test_the_estimate_is_no_less_than_json_takes(text: str) -> None:
    vector = np.random.default_rng(0).normal(size=64).astype(np.float32) / 8
    chunk = Chunk("some/document.md", 3, 10, 20, text, {"lang": "ja", "tags": ["a", "b"]})
    row = {
        "id": str(chunk.id),
        "vector": [float(str(value)) for value in vector],
        "payload": {"document_id": chunk.document_id, "text": chunk.text, "metadata": dict(chunk.metadata)},
    }
    assert estimated_bytes(chunk, 64) >= len(json.dumps(row, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    "rows", [[[0.0, 0.0]], [[float("nan"), 1.0]], [[2.0, 0.0]], [[1.0, 0.0], [0.5, 0.0]], [[float("inf"), 0.0]]]
)
def test_vectors_that_no_store_may_receive(rows: list[list[float]]) -> None:
    with pytest.raises(InvalidVector, match="expected unit length"):
        check_vectors(np.array(rows, dtype=np.float32), 2)


def test_vectors_of_another_size() -> None:
    with pytest.raises(InvalidVector, match=r"shape \(1, 3\), the collection stores 2"):
        check_vectors(np.ones((1, 3), dtype=np.float32), 2)
    check_vectors(np.array([[0.6, 0.8]], dtype=np.float32), 2)
    check_vectors(np.zeros((0, 2), dtype=np.float32), 2)
