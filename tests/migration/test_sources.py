"""Collections of this project, read by the sources of every backend."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors import Chunk, ContractMissing, Document, StoreError, StoreNotFound
from jina_v3_connectors.migration.records import RECOGNISED, FieldNames, Record, Source
from jina_v3_connectors.migration.sources import open_source
from jina_v3_connectors.migration.sources.reading import PAGE, CollectionSource
from jina_v3_encoder.errors import InvalidInput

from ..support.backends import Backend, PineconeService, QdrantServer


def corpus(count: int) -> list[Document]:
    return [Document(f"d/{n}", f'Text number {n}. It\'s \\ "on".', {"n": n, "deep": {"a": [n]}}) for n in range(count)]


def source_of(backend: Backend, collection: str = "docs", names: FieldNames = RECOGNISED) -> Source:
    """By URL, where there is one."""
    if isinstance(backend, PineconeService):
        from jina_v3_connectors.migration.sources.pinecone import PineconeReader

        reader: Any = PineconeReader(backend.client, collection, "__default__", names.vector, owned=False)
        return CollectionSource(reader, names)
    if isinstance(backend, QdrantServer) and not backend.url:
        from jina_v3_connectors.migration.sources.qdrant_server import ServerReader

        return CollectionSource(ServerReader(backend.client, collection, names.vector), names)
    return open_source(backend.url, collection, names)


def filled(backend: Backend, count: int) -> list[Record]:
    """Ingest, and the records that are expected, by key."""
    with backend.connect() as store:
        store.ingest(corpus(count))
    expected = []
    for document in corpus(count):
        first = document.text.index(".") + 1
        for number, (start, end) in enumerate([(0, first), (first + 1, len(document.text))]):
            key = str(Chunk(document.id, number, 0, 0, "").id)
            text = document.text[start:end]
            expected.append(Record(key, text, None, document.id, number, start, end, document.metadata))
    return sorted(expected, key=lambda record: record.key)


def without_vectors(records: list[Record]) -> list[Record]:
    return [Record(**{**vars(record), "vector": None}) for record in records]


def test_every_record_once_in_an_order_that_stays(backend: Backend) -> None:
    expected = filled(backend, PAGE + 20)
    stored = backend.vectors()
    source = source_of(backend)
    try:
        assert (source.description, source.dimensions, source.count()) == ("jina-v3", 32, len(expected))
        assert source.contract is not None
        assert source.contract.late_chunking
        records = list(source.records(vectors=True))
        assert sorted(without_vectors(records), key=lambda record: record.key) == expected
        for record in records:
            assert record.vector is not None
            assert record.vector.dtype == np.float32
            np.testing.assert_allclose(record.vector, stored[record.key], atol=1e-6)
        again = list(source.records(vectors=False))
        assert again == without_vectors(records)
        for done in (1, PAGE, PAGE + 7):
            rest = list(source.records(vectors=False, after=again[done - 1].key))
            assert rest == again[done:]
        assert list(source.records(vectors=False, after=again[-1].key)) == []
    finally:
        source.close()
        source.close()


def test_reading_goes_on_behind_a_record_that_is_gone(backend: Backend) -> None:
    filled(backend, 5)
    source = source_of(backend)
    order = list(source.records(vectors=False))
    source.close()
    with backend.connect() as store:
        store.delete([str(order[3].document_id)])
    source = source_of(backend)
    rest = [record for record in order[4:] if record.document_id != order[3].document_id]
    assert list(source.records(vectors=False, after=order[3].key)) == rest
    source.close()


def test_records_by_their_keys(backend: Backend) -> None:
    filled(backend, PAGE)
    source = source_of(backend)
    records = list(islice(source.records(vectors=True), 2 * PAGE))
    missing = str(Chunk("missing", 0, 0, 0, "").id)
    wanted = [records[7], records[2], records[300]]
    read = source.read([records[7].key, missing, records[2].key, records[300].key], vectors=True)
    assert without_vectors(read) == without_vectors(wanted)
    for record, other in zip(read, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(record.vector), np.asarray(other.vector))
    assert len(source.read([record.key for record in records])) == 2 * PAGE
    assert source.read([]) == []
    source.close()


def test_a_collection_that_is_not_there(backend: Backend) -> None:
    with pytest.raises(StoreNotFound, match=r"absent|docs"):
        source_of(backend, "absent")


def test_reading_writes_nothing(backend: Backend) -> None:
    backend.foreign()
    source = source_of(backend)
    assert (list(source.records(vectors=True)), source.count(), source.dimensions) == ([], 0, 32)
    assert source.contract is None
    source.close()
    with pytest.raises(ContractMissing, match="does not say which model made its vectors"):
        backend.connect()


def test_a_vector_that_is_not_there(backend: Backend) -> None:
    filled(backend, 1)
    with pytest.raises(InvalidInput, match=r"there is no vector 'other'; its vectors are: '(dense|embedding|_values)'"):
        source_of(backend, names=FieldNames(vector="other"))


def test_a_collection_must_be_named(backend: Backend) -> None:
    if backend.url:
        with pytest.raises(InvalidInput, match="name the collection to read, with --collection"):
            open_source(backend.url)


def test_lines_with_one_id_are_refused(tmp_path: Path) -> None:
    export = tmp_path / "export.jsonl"
    export.write_text('{"id": 2, "text": "first"}\n\n{"text": "x"}\n{"id": "3", "text": "y"}')
    source = open_source(str(export))
    with pytest.raises(StoreError, match=r"lines 3 and 4 have the same id '3', so one of them would be lost"):
        source.count()


def test_numbers_that_equal_the_key_stay(tmp_path: Path) -> None:
    export = tmp_path / "export.jsonl"
    export.write_text("\n".join(f'{{"id": {n}, "text": "Page {n}.", "page": {n}}}' for n in (1, 2, 3)))
    source = open_source(str(export))
    assert [dict(record.metadata) for record in source.records(vectors=False)] == [{"page": n} for n in (1, 2, 3)]
    assert [record.text for record in source.read(["3", "1"])] == ["Page 3.", "Page 1."]
