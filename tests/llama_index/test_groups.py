"""Nodes back to their documents."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

from jina_v3_connectors.llama_index.groups import groups_of
from jina_v3_encoder.errors import InvalidInput

TEXT = "The tower is old. It stands by the sea. Ships see it at night."
SENTENCES = ["The tower is old. ", "It stands by the sea. ", "Ships see it at night."]


def node(text: str, source: str | None = "doc", start: int | None = None, **metadata: Any) -> TextNode:
    related = {} if source is None else {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source)}
    end = None if start is None else start + len(text)
    return TextNode(text=text, relationships=related, start_char_idx=start, end_char_idx=end, metadata=metadata)


def sentences(source: str = "doc", **metadata: Any) -> list[TextNode]:
    return [node(text, source, TEXT.index(text), **metadata) for text in SENTENCES]


def test_offsets_put_a_document_together() -> None:
    (group,) = groups_of(sentences(), {})
    assert group.text == TEXT
    assert [group.text[start:end] for start, end in group.spans] == SENTENCES


def test_a_known_document_needs_no_offsets() -> None:
    (group,) = groups_of([node(text) for text in SENTENCES], {"doc": TEXT})
    assert group.text == TEXT
    assert [group.text[start:end] for start, end in group.spans] == SENTENCES


def test_documents_are_never_mixed() -> None:
    nodes = [one for pair in zip(sentences("a"), sentences("b"), strict=True) for one in pair]
    groups = groups_of(nodes, {})
    assert [group.numbers for group in groups] == [[0, 2, 4], [1, 3, 5]]
    assert {group.text for group in groups} == {TEXT}


def test_metadata_stands_once_before_the_text() -> None:
    (group,) = groups_of(sentences(title="Towers"), {})
    assert group.text == f"title: Towers\n\n{TEXT}"
    assert [group.text[start:end] for start, end in group.spans] == SENTENCES


def test_a_node_without_a_document_stands_alone() -> None:
    groups = groups_of([node("alone", None, note="x"), *sentences()], {})
    assert groups[0].text == "note: x\n\nalone"
    assert groups[0].spans == [(9, 14)]
    assert groups[1].numbers == [1, 2, 3]


def test_levels_of_a_hierarchy_are_groups_of_their_own() -> None:
    whole = node(TEXT, "doc", 0)
    parts = sentences()
    for part in parts:
        part.relationships[NodeRelationship.PARENT] = RelatedNodeInfo(node_id=whole.node_id)
    groups = groups_of([whole, *parts], {})
    assert [group.numbers for group in groups] == [[0], [1, 2, 3]]
    assert groups[0].spans == [(0, len(TEXT))]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("The tower"), node("is old")],
        [node("aaaa bbbb", "doc", 0), node("aaaa bbbb", "doc", 1)],
    ],
    ids=["no offsets", "offsets that overlap"],
)
def test_what_cannot_be_put_together_names_the_remedy(nodes: list[TextNode]) -> None:
    with pytest.raises(InvalidInput, match=r"'doc' cannot be late-chunked.*JinaV3LateChunking"):
        groups_of(nodes, {})


def test_a_node_that_is_not_in_its_document_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'doc' cannot be late-chunked"):
        groups_of([node("something else")], {"doc": TEXT})


def test_nothing_in_nothing_out() -> None:
    assert groups_of([], {}) == []
