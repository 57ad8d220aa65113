"""Turns chunks into a record's fields and back. Records of adopted collections may hold anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .documents import Chunk, Hit
from .errors import StoreError

CHECKED_BEFORE_ADOPTING = 100
"""Records that are read before a collection is adopted."""


def to_payload(chunk: Chunk) -> dict[str, Any]:
    """The fields of a record."""
    return {
        "document_id": chunk.document_id,
        "chunk": chunk.number,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "metadata": dict(chunk.metadata),
    }


def to_hit(record_id: object, score: float, fields: Mapping[str, Any]) -> Hit:
    """A record of a search's answer, as a hit.

    Raises:
        StoreError: see `stored_chunk`.
    """
    return Hit(float(score), stored_chunk(record_id, fields))


def stored_chunk(record_id: object, fields: Mapping[str, Any]) -> Chunk:
    """The chunk; what an adopted record lacks is taken from its id and left empty.

    Raises:
        StoreError: a field holds another type than this project writes.
    """
    text = _text(record_id, fields, "text", "")
    return Chunk(
        document_id=_text(record_id, fields, "document_id", str(record_id)),
        number=_whole(record_id, fields, "chunk", 0),
        start=_whole(record_id, fields, "start", 0),
        end=_whole(record_id, fields, "end", len(text)),
        text=text,
        metadata=_object(record_id, fields, "metadata"),
    )


def _text(record_id: object, fields: Mapping[str, Any], name: str, default: str) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise _foreign(record_id, name, value, "a str")
    return value


def _whole(record_id: object, fields: Mapping[str, Any], name: str, default: int) -> int:
    """Some backends give every number back as a float."""
    value = fields.get(name, default)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _foreign(record_id, name, value, "a whole number")
    return value


def _object(record_id: object, fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Some backends keep it as JSON."""
    value = fields.get(name, {})
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise _foreign(record_id, name, value, "a JSON object") from None
    if not isinstance(value, Mapping):
        raise _foreign(record_id, name, value, "a JSON object")
    return dict(value)


def _foreign(record_id: object, name: str, value: object, wanted: str) -> StoreError:
    return StoreError(
        f"record {record_id}: its field {name!r} holds {value!r:.100}, this project keeps {wanted} there, so something "
        "else wrote it: ingest the documents into a new collection"
    )
