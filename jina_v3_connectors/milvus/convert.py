"""Chunks to Milvus rows. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jina_v3_encoder.vectors import FloatArray

from ..documents import Chunk
from ..errors import DocumentError
from ..keywords import terms_of
from ..stored_chunk import to_payload
from .schema import MAX_PARTITION, PARTITION, VECTOR

OUTPUT_FIELDS = ["document_id", "chunk", "start", "end", "text", "metadata"]


def to_row(chunk: Chunk, vector: FloatArray, partition_key: str | None = None) -> dict[str, Any]:
    """A row of the collection.

    Raises:
        DocumentError: the metadata has no str where the partition key is.
    """
    partition = {PARTITION: partition_of(chunk.document_id, chunk.metadata, partition_key)} if partition_key else {}
    return {
        **partition,
        "id": str(chunk.id),
        **to_payload(chunk),
        "terms": terms_of(chunk.metadata),
        VECTOR: vector,
    }


def partition_of(document_id: str, metadata: Mapping[str, Any], key: str) -> str:
    """The str that `metadata` holds at `key`, by which a server spreads documents over partitions.

    Raises:
        DocumentError: there is none, or it is too long.
    """
    value: Any = metadata
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or len(value.encode("utf-8", "replace")) > MAX_PARTITION:
        raise DocumentError(
            f"document {document_id!r}: its metadata must hold a str of up to {MAX_PARTITION} bytes at {key!r}, "
            f"the collection's partition key, got {value!r:.200}"
        )
    return value
