"""How layouts are recognised, and what is taken from each: pure functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jina_v3_connectors import StoreError
from jina_v3_connectors.migration.records import RECOGNISED, FieldNames
from jina_v3_connectors.migration.sources.layouts import looked_up, recognised, shown_fields
from jina_v3_encoder.errors import InvalidInput

NODE = json.dumps({"text": "", "text_resource": {"text": "A fox."}, "start_char_idx": 3})

LAYOUTS: dict[str, tuple[dict[str, Any], str, tuple[Any, ...]]] = {
    "ours": (
        {"document_id": "d", "chunk": 2.0, "start": 5, "end": 11, "text": "A fox.", "metadata": '{"n": 1}'},
        "jina-v3",
        ("A fox.", "d", 2, 5, 11, {"n": 1}),
    ),
    "LlamaIndex": (
        {"_node_content": NODE, "_node_type": "TextNode", "doc_id": "None", "ref_doc_id": "d", "n": 1},
        "LlamaIndex",
        ("A fox.", "d", None, 3, None, {"n": 1}),
    ),
    "LlamaIndex, text apart": (
        {"_node_content": '{"text": ""}', "doc_id": "None", "text": "A fox.", "source": "x", "id": "key"},
        "LlamaIndex",
        ("A fox.", None, None, None, None, {"source": "x"}),
    ),
    "LlamaIndex in Chroma": (
        {"id": "key", "document": "A fox.", "metadata": {"_node_content": "{}", "document_id": "d"}},
        "LlamaIndex",
        ("A fox.", "d", None, None, None, {}),
    ),
    "LlamaIndex, damaged": (
        {"_node_content": "{", "text": "A fox."},
        "LlamaIndex",
        ("A fox.", None, None, None, None, {}),
    ),
    "Haystack in PostgreSQL": (
        {"id": "h", "content": "A fox.", "blob_data": None, "meta": {"split_id": 1, "source_id": "d"}},
        "Haystack",
        ("A fox.", "d", 1, None, None, {"split_id": 1, "source_id": "d"}),
    ),
    "LangChain's newer table": (
        {"langchain_id": "key", "content": "A fox.", "langchain_metadata": {"source": "a", "start_index": 4}},
        "LangChain",
        ("A fox.", "a", None, 4, 10, {"source": "a", "start_index": 4}),
    ),
    "llm": (
        {"collection_id": 1, "id": "key", "content": "A fox.", "content_hash": {}, "metadata": None, "updated": 5},
        "llm",
        ("A fox.", "key", None, None, None, {}),
    ),
    "Chroma": (
        {"id": "key", "document": "A fox.", "metadata": {"source": "wiki"}},
        "Chroma",
        ("A fox.", None, None, None, None, {"source": "wiki"}),
    ),
    "plain": (
        {"id": 7, "content": "A fox.", "source": "a.txt", "position": 3, "metadata": {"lang": "en"}},
        "plain",
        ("A fox.", "a.txt", 3, None, None, {"id": 7, "source": "a.txt", "position": 3, "lang": "en"}),
    ),
    "plain, an origin that may be shared": (
        {"content": "A fox.", "source": "wikipedia", "flag": True},
        "plain",
        ("A fox.", None, None, None, None, {"source": "wikipedia", "flag": True}),
    ),
    "plain, all in an object": (
        {"metadata": {"text": "A fox.", "doc_id": 9}},
        "plain",
        ("A fox.", "9", None, None, None, {"doc_id": 9}),
    ),
    "plain, a place": (
        {"text": "A fox.", "file_path": "a", "start_char_idx": 1, "metadata": "red"},
        "plain",
        ("A fox.", "a", None, 1, 7, {"file_path": "a", "start_char_idx": 1, "metadata": "red"}),
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_what_is_taken(case: str) -> None:
    fields, name, expected = LAYOUTS[case]
    layout = recognised([("key", fields)], RECOGNISED, "docs")
    record = layout.record("key", fields)
    assert layout.layout.name == name
    parts = (record.text, record.document_id, record.order, record.start, record.end, dict(record.metadata))
    assert parts == expected
    assert (record.key, record.vector) == ("key", None)


def test_most_records_decide() -> None:
    theirs, others = {"page_content": "A fox.", "metadata": {}}, {"content": "x"}
    assert recognised([("1", theirs), ("2", theirs), ("3", others)], RECOGNISED, "d").layout.name == "LangChain"
    assert recognised([("1", theirs), ("2", others), ("3", others)], RECOGNISED, "d").layout.name == "plain"


def test_an_empty_collection_is_plain() -> None:
    assert recognised([], FieldNames(text="anything"), "docs").layout.name == "plain"


def test_a_collection_with_a_contract_is_ours() -> None:
    """It may be empty, or adopted with records that lack fields."""
    assert recognised([], RECOGNISED, "docs", ours=True).layout.name == "jina-v3"
    layout = recognised([("7", {"text": "A fox."})], RECOGNISED, "docs", ours=True)
    record = layout.record("7", {"text": "A fox."})
    assert (record.document_id, record.order, record.start, record.end) == ("7", 0, 0, 6)


def test_a_record_without_a_text_has_none() -> None:
    layout = recognised([("1", {"text": "A fox."}), ("2", {"text": "x"})], RECOGNISED, "docs")
    assert [layout.record("3", fields).text for fields in ({"text": ""}, {"text": 5}, {})] == [None] * 3


def test_a_record_of_ours_with_a_field_of_another_type() -> None:
    fields = LAYOUTS["ours"][0]
    layout = recognised([("key", fields)], RECOGNISED, "docs")
    with pytest.raises(StoreError, match="record other: its field 'chunk' holds 'x', this project keeps a whole"):
        layout.record("other", fields | {"chunk": "x"})


@pytest.mark.parametrize(
    ("names", "option"),
    [
        (FieldNames(text="body"), "--text-field names 'body'"),
        (FieldNames(document="meta.id"), "--document-field names 'meta.id'"),
        (FieldNames(metadata=("text", "lang")), "--metadata-field names 'lang'"),
    ],
)
def test_a_field_that_no_record_has(names: FieldNames, option: str) -> None:
    with pytest.raises(InvalidInput, match=f"docs: {option}, which none of the first 1 records has. The fields are: t"):
        recognised([("1", {"text": "x", "meta": {"n": 1}})], names, "docs")


def test_names_may_hold_dots_and_lead_into_objects() -> None:
    fields = {"a.b": 1, "a": {"b": 2, "c": {"d": 3}}, "json": '{"x": 4}'}
    assert [looked_up(fields, name) for name in ("a.b", "a.c.d", "json.x", "a.x", "x.y")] == [1, 3, 4, None, None]


def test_shown_fields_are_not_endless() -> None:
    assert shown_fields([]) == "none"
    assert shown_fields([{f"f{n}": n for n in range(40)}]).endswith("f29 and 10 more")
