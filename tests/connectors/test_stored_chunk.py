"""A chunk survives the way into a payload and out of a hit."""

from __future__ import annotations

import json

from jina_v3_connectors import Chunk
from jina_v3_connectors.stored_chunk import to_hit, to_payload

CHUNKS = [
    Chunk(
        "notes/é.md", number, number * 10, number * 10 + 9, f"text {number} 東京", {"lang": "fr", "deep": {"n": number}}
    )
    for number in range(4)
]


def test_nothing_is_lost() -> None:
    for chunk in CHUNKS:
        hit = to_hit(chunk.id, 0.5, to_payload(chunk))
        assert hit.chunk == chunk
        assert hit.score == 0.5
        assert hit.to_dict()["id"] == str(chunk.id)


def test_the_payload_is_plain_json() -> None:
    payload = to_payload(CHUNKS[1])
    assert json.loads(json.dumps(payload)) == payload
    assert payload["metadata"] == {"lang": "fr", "deep": {"n": 1}}
    assert payload["metadata"] is not CHUNKS[1].metadata
    assert (payload["start"], payload["end"], payload["chunk"]) == (10, 19, 1)


def test_a_foreign_payload_makes_a_hit_too() -> None:
    hit = to_hit("point-7", 0.25, {"text": "hello"})
    assert (hit.chunk.document_id, hit.chunk.number, hit.chunk.text) == ("point-7", 0, "hello")
    assert (hit.chunk.start, hit.chunk.end, dict(hit.chunk.metadata)) == (0, 5, {})
    assert to_hit(3, 0.0, {}).chunk.text == ""
