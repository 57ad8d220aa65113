"""Opens a source by the URL of its store."""

from __future__ import annotations

from pathlib import Path

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.retry import SHORT_RETRY, with_retries

from ...backends import Location, find_location
from ...store import Store
from ..records import RECOGNISED, FieldNames, Source
from .reading import CollectionSource, Reader

EXPORT = "jsonl:"
EXPORT_SUFFIX = ".jsonl"


def is_export(url: str) -> bool:
    """Whether it is a file of JSON lines."""
    return url.startswith(EXPORT) or url.endswith(EXPORT_SUFFIX)


def open_source(
    url: str, collection: str = "", names: FieldNames = RECOGNISED, *, beside: Store | None = None
) -> Source:
    """The collection of a store, read only, whoever made it; see `layouts` for the ones that are known.

    Args:
        url: As for any store, or the path of an export: one JSON object a line.
        collection: Its name; in Pinecone a namespace, in PostgreSQL also a table, as `schema.table`, or a collection of
            LangChain. An export has none.
        names: The fields that hold text, document and so on, where they are not recognised.
        beside: A store of the same collection that this process has open. An embedded engine opens a folder once.

    Raises:
        InvalidInput: the URL has no known form, or a field is named that no record has.
        MissingExtra: the backend's package is not installed.
        StoreError: there is no such collection, it cannot be read, or it is not known which field holds the text.
    """
    reader = with_retries(lambda: _reader(url, collection, names.vector, beside), SHORT_RETRY)
    try:
        return CollectionSource(reader, names)
    except BaseException:
        reader.close()
        raise


def _reader(url: str, collection: str, vector: str | None, beside: Store | None) -> Reader:
    if is_export(url):
        from .jsonl import JsonlReader

        return JsonlReader(Path(url.removeprefix(EXPORT)).expanduser(), vector)
    backend, location = find_location(url)
    if not collection:
        raise InvalidInput("name the collection to read, with --collection")
    return _of_backend(backend.name, location, collection, vector, beside)


def _of_backend(name: str, location: Location, collection: str, vector: str | None, beside: Store | None) -> Reader:
    """The imports are here since each of them needs the package of one backend."""
    address = location.address or ""
    if name == "qdrant" and location.path is not None:
        from ...qdrant.embedded import EmbeddedStore
        from .qdrant import EmbeddedReader

        shared = beside if isinstance(beside, EmbeddedStore) else None
        return EmbeddedReader(location.path, collection, vector, shared)
    if name == "qdrant":
        from .qdrant_server import server_reader

        return server_reader(address, collection, vector)
    if name == "milvus":
        from . import milvus

        if location.path is not None:
            return milvus.lite_reader(location.path, collection, vector)
        return milvus.server_reader(address, collection, vector)
    if name == "pinecone":
        from .pinecone import pinecone_reader

        return pinecone_reader(address, collection, vector)
    from .postgres import postgres_reader

    return postgres_reader(address, collection, vector)
