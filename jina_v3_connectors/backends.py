"""Stores by URL, for the command line, as in `qdrant:./folder` or `milvus+http://host:19530`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jina_v3_encoder.address import SCHEMES, server_address, without_userinfo
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.retry import SHORT_RETRY, with_retries
from jina_v3_encoder.text_encoder import TextEncoder

from .connector import VectorConnector, check_collection_name
from .errors import StoreNotFound
from .store import Store, Stored

LOCAL_BACKENDS = ("qdrant", "milvus")
"""Those that also work in a folder."""
FORMS = (
    "qdrant:./folder, qdrant+http://host:6333, milvus:./folder.db, milvus+http://host:19530, pinecone:index "
    "(http may be https)"
)


def store_at(url: str, collection: str, *, hybrid: bool = False) -> Store:
    """The store of a URL, before there is a model. In `pinecone:index`, the collection is a namespace.

    Raises:
        InvalidInput: the URL has no known form, or the backend has no such name.
        MissingExtra: the backend's package is not installed.
        StoreError: it cannot be opened.
    """
    backend, place = _place(url)
    if backend == "pinecone":
        if hybrid:
            raise InvalidInput("hybrid search is not offered for Pinecone")
        from .pinecone.connector import pinecone_store

        return pinecone_store(place["url"], namespace=collection)
    if backend == "qdrant":
        from .qdrant import QdrantLayout
        from .qdrant.connector import qdrant_store

        return qdrant_store(collection, layout=QdrantLayout(hybrid=hybrid), **place)
    from .milvus import MilvusLayout
    from .milvus.connector import milvus_store

    return milvus_store(collection, layout=MilvusLayout(hybrid=hybrid), **place)


def open_store(
    url: str, encoder: TextEncoder, collection: str, *, hybrid: bool = False, **settings: Any
) -> VectorConnector:
    """The connector of a store URL; `settings` as for `VectorConnector`.

    Raises:
        InvalidInput, MissingExtra, StoreError: see `store_at` and the connector.
    """
    return VectorConnector(encoder, collection, store_at(url, collection, hybrid=hybrid), **settings)


def filled_store(url: str, collection: str) -> tuple[Store, Stored]:
    """A store that holds something, and what it says of itself: what a search needs to choose its model.

    Raises:
        StoreNotFound: there is no such collection.
        InvalidInput, MissingExtra, StoreError: see `store_at`.
    """
    check_collection_name(collection)
    path = _place(url)[1].get("path")
    if path is not None and not path.exists():
        raise _empty(url, collection)
    store = store_at(url, collection)
    try:
        stored = with_retries(store.read, SHORT_RETRY)
        if stored is None:
            raise _empty(url, collection)
    except BaseException:
        store.close()
        raise
    return store, stored


def shown_url(url: str) -> str:
    """A store's URL for people: without user and password. A folder's name may hold an @."""
    kind, _, rest = url.partition(":")
    if kind in LOCAL_BACKENDS and "://" in rest:  # the + was forgotten
        return f"{kind}:{without_userinfo(rest)}"
    return url if kind in LOCAL_BACKENDS and not rest.startswith("//") else without_userinfo(url)


def _empty(url: str, collection: str) -> StoreNotFound:
    shown = shown_url(url)
    return StoreNotFound(
        f"there is no collection {collection!r} in {shown} yet; fill it with: jina-v3 ingest PATH --to {shown}"
    )


def _place(url: str) -> tuple[str, dict[str, Any]]:
    """The backend, and `path` or `url`."""
    kind, _, rest = url.partition(":")
    backend, _, scheme = kind.partition("+")
    if backend in LOCAL_BACKENDS:
        if scheme in SCHEMES and rest.startswith("//") and rest.strip("/"):
            server_address(f"{scheme}:{rest}")
            return backend, {"url": f"{scheme}:{rest}"}
        if not scheme and rest and not rest.startswith("//") and "://" not in rest:
            return backend, {"path": Path(rest).expanduser()}
    if kind == "pinecone" and rest and not rest.startswith("/"):
        return backend, {"url": rest}
    raise InvalidInput(f"unknown store {shown_url(url)!r}: use one of {FORMS}")
