from __future__ import annotations

import json

from jina_v3_connectors.documents import Chunk, Hit


def test_ids_follow_from_document_and_number() -> None:
    chunk = Chunk("a", 1, 0, 5, "hello")
    assert chunk.id == Chunk("a", 1, 7, 9, "other text").id
    assert len({chunk.id, Chunk("a", 2, 0, 5, "hello").id, Chunk("b", 1, 0, 5, "hello").id}) == 3


def test_document_and_number_do_not_run_into_each_other() -> None:
    assert Chunk("a1", 2, 0, 1, "x").id != Chunk("a", 12, 0, 1, "x").id


def test_hits_are_plain_json() -> None:
    hit = Hit(0.5, Chunk("a", 1, 2, 7, "hello", {"lang": "en"}))
    values = json.loads(json.dumps(hit.to_dict()))
    assert values["span"] == [2, 7]
    assert values["document_id"] == "a"
    assert values["metadata"] == {"lang": "en"}
