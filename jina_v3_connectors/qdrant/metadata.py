"""What a collection on a server says of itself: keys of its metadata.

The contract and the layout under the plain keys are those of the vector that is searched; the layout names it. Those of
a vector beside it stand under the same keys with the vector's name behind a colon. So one request leads searches from
one vector to another, with the model that its questions need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contract import EmbeddingContract
from ..store import Stored
from .layout import QdrantLayout

CONTRACT_KEY = "jina_v3"
LAYOUT_KEY = "jina_v3_layout"
WRITER_KEY = "jina_v3_writer"
KEYS = (CONTRACT_KEY, LAYOUT_KEY, WRITER_KEY)


def searched(metadata: Mapping[str, Any] | None, collection: str) -> Stored | None:
    """Contract and layout of the vector that is searched. None where this project did not make the collection.

    Raises:
        StoreError: another version wrote them, or they are damaged.
    """
    return _stored(metadata or {}, "", collection)


def of_vector(metadata: Mapping[str, Any] | None, vector: str, collection: str) -> Stored | None:
    """Contract and layout of a vector, searched or beside it. None where nothing is said of it.

    Raises:
        StoreError: as `searched`.
    """
    stored = searched(metadata, collection)
    if stored is not None and layout_in(metadata, collection).vector == vector:
        return stored
    return _stored(metadata or {}, beside(vector), collection)


def layout_in(metadata: Mapping[str, Any] | None, collection: str) -> QdrantLayout:
    """The layout of the vector that is searched."""
    return QdrantLayout.from_dict((metadata or {}).get(LAYOUT_KEY) or {}, collection)


def beside(vector: str) -> str:
    """What stands behind the keys of a vector that is not searched."""
    return f":{vector}"


def entries(contract: EmbeddingContract, layout: QdrantLayout, behind: str = "") -> dict[str, Any]:
    """What a collection's metadata says of a vector."""
    return {CONTRACT_KEY + behind: contract.to_dict(), LAYOUT_KEY + behind: layout.to_dict()}


def _stored(metadata: Mapping[str, Any], behind: str, collection: str) -> Stored | None:
    contract = metadata.get(CONTRACT_KEY + behind)
    if not isinstance(contract, Mapping):
        return None
    layout = QdrantLayout.from_dict(metadata.get(LAYOUT_KEY + behind) or {}, collection)
    return Stored(EmbeddingContract.from_dict(contract, collection), layout)
