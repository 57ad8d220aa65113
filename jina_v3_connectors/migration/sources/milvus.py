"""Milvus collections, whoever made them: with any fields, dynamic ones too, on a server or in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jina_v3_encoder.vectors import FloatArray

from ...errors import StoreNotFound
from ...milvus.connector import connect
from ...milvus.errors import store_errors
from ...milvus.lite import close_lite, open_lite
from ...milvus.schema import VECTOR, field_names, stored_contract
from .reading import PAGE, Row, as_vector, chosen_vector

from pymilvus import DataType, MilvusClient  # isort: skip  # schema says what is missing

TIMEOUT = 60.0
DENSE = {DataType.FLOAT_VECTOR, DataType.FLOAT16_VECTOR, DataType.BFLOAT16_VECTOR}
VECTORS = DENSE | {DataType.BINARY_VECTOR, DataType.SPARSE_FLOAT_VECTOR, DataType.INT8_VECTOR}
USUAL = (VECTOR, "vector", "embedding")
"""Ours, that of Milvus' quick setup, LangChain and Haystack, and that of LlamaIndex."""
DYNAMIC = "$meta"
"""Asks for all fields that the schema does not name."""
AWKWARD = ('"', "\\")
"""The client's iterator writes the last key into an expression as it is. These would end its string."""


class MilvusReader:
    """A collection in the order of its primary keys."""

    def __init__(self, client: MilvusClient, collection: str, vector: str | None, close: Callable[[], None]) -> None:
        """`close` closes the client. Raises StoreError: there is no such collection, or it cannot be loaded."""
        self.title, self.collection = f"collection {collection!r}", collection
        self._client, self._close = client, close
        with self._errors():
            description = dict(client.describe_collection(collection, timeout=TIMEOUT))
            client.load_collection(collection, timeout=TIMEOUT)
        fields = {field["name"]: dict(field) for field in description["fields"]}
        self.contract = stored_contract(description, collection)
        self._key = next(name for name, field in fields.items() if field.get("is_primary"))
        self._keys_are_texts = DataType(fields[self._key]["type"]) == DataType.VARCHAR
        kinds = {name: DataType(field["type"]) for name, field in fields.items()}
        sizes = {name: int(fields[name]["params"]["dim"]) for name, kind in kinds.items() if kind in DENSE}
        self._vector = chosen_vector(sizes, vector, USUAL, self.title)
        self.dimensions = None if self._vector is None else sizes[self._vector]
        self._kind = None if self._vector is None else kinds[self._vector]
        self._plain_fields = [name for name in field_names(description) if kinds[name] not in VECTORS]
        self._plain_fields += [DYNAMIC] if description.get("enable_dynamic_field") else []

    def pages(self, after: str | None, *, vectors: bool) -> Iterator[Sequence[Row]]:
        while True:
            with self._errors():
                iterator = self._client.query_iterator(
                    self.collection,
                    batch_size=PAGE,
                    filter="" if after is None else f"{self._key} > {self._literal(after)}",
                    output_fields=self._asked(vectors),
                    consistency_level="Strong",
                    timeout=TIMEOUT,
                )
            try:
                while rows := self._read(iterator.next):
                    yield rows
                    after = rows[-1].key
                    if any(character in after for character in AWKWARD):
                        break
                else:
                    return
            finally:
                iterator.close()

    def rows(self, keys: Sequence[str], *, vectors: bool) -> list[Row]:
        ids = list(keys) if self._keys_are_texts else [int(key) for key in keys]
        asked = self._asked(vectors)
        query = partial(
            self._client.query,
            self.collection,
            ids=ids,
            output_fields=asked,
            consistency_level="Strong",  # a change that was noted must be seen
            timeout=TIMEOUT,
        )
        return self._read(query)

    def count(self) -> int:
        with self._errors():
            rows = self._client.query(
                self.collection, output_fields=["count(*)"], consistency_level="Strong", timeout=TIMEOUT
            )
            return int(rows[0]["count(*)"])

    def close(self) -> None:
        close, self._close = self._close, lambda: None
        close()

    def _asked(self, vectors: bool) -> list[str]:
        return [*self._plain_fields, self._vector] if vectors and self._vector is not None else self._plain_fields

    def _read(self, ask: Callable[[], Any]) -> list[Row]:
        with self._errors():
            return [self._row(dict(row)) for row in ask()]

    def _row(self, values: dict[str, Any]) -> Row:
        stored = values.pop(self._vector, None) if self._vector is not None else None
        return Row(str(values[self._key]), values, self._as_vector(stored))

    def _as_vector(self, stored: Any) -> FloatArray | None:
        """Vectors of 16 bits come as bytes."""
        if isinstance(stored, Sequence) and len(stored) == 1 and isinstance(stored[0], bytes):
            stored = stored[0]
        if not isinstance(stored, bytes):
            return as_vector(stored)
        if self._kind == DataType.BFLOAT16_VECTOR:
            return (np.frombuffer(stored, dtype="<u2").astype(np.uint32) << 16).view(np.float32)
        return np.frombuffer(stored, dtype="<f2").astype(np.float32)

    def _literal(self, key: str) -> str:
        return json.dumps(key, ensure_ascii=False) if self._keys_are_texts else str(int(key))

    def _errors(self) -> AbstractContextManager[None]:
        return store_errors(self.collection)


def lite_reader(path: Path, collection: str, vector: str | None) -> MilvusReader:
    """A reader of Milvus Lite's folder. Raises StoreNotFound where there is none: opening it would make one."""
    if not path.exists():
        raise StoreNotFound(f"{path} does not exist")
    client = open_lite(path)
    return _opened(client, collection, vector, partial(close_lite, path, client))


def server_reader(url: str, collection: str, vector: str | None) -> MilvusReader:
    """A reader with a client of its own."""
    client = connect(url)
    return _opened(client, collection, vector, client.close)


def _opened(client: MilvusClient, collection: str, vector: str | None, close: Callable[[], None]) -> MilvusReader:
    try:
        return MilvusReader(client, collection, vector, close)
    except BaseException:
        close()
        raise
