"""Stores by URL, for the command line: `qdrant:./folder`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.protocol import TextEncoder

from .connector import VectorConnector, check_collection_name
from .contract import EmbeddingContract
from .errors import StoreNotFound

FORMS = "qdrant:./folder (embedded)"


def open_store(url: str, encoder: TextEncoder, collection: str, **settings: Any) -> VectorConnector:
    """The connector of a store URL; `settings` as for `VectorConnector`.

    Raises:
        InvalidInput: the URL has no known form.
        StoreError: see the connector.
    """
    from .qdrant import QdrantConnector

    return QdrantConnector(encoder, collection, path=_folder(url), **settings)


def stored_contract(url: str, collection: str) -> EmbeddingContract:
    """How a collection was filled, read without any model.

    Raises:
        InvalidInput: the URL has no known form, or the name is no collection's.
        StoreNotFound: there is no such collection.
    """
    from .qdrant.schema import read_contract

    folder = _folder(url) / check_collection_name(collection)
    contract = read_contract(folder)
    if contract is None:
        raise StoreNotFound(f"{folder} does not exist yet; fill it with: jina-v3 ingest PATH --to {url}")
    return contract


def _folder(url: str) -> Path:
    kind, _, rest = url.partition(":")
    if kind != "qdrant" or not rest or rest.startswith("//"):
        raise InvalidInput(f"unknown store {url!r}: this version knows {FORMS}")
    return Path(rest).expanduser()
