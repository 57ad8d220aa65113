"""Haystack's chunks back to their documents."""

from __future__ import annotations

import random
from typing import Any

import pytest
from haystack import Document
from haystack.components.preprocessors import DocumentSplitter

from haystack_integrations.components.embedders.jina_v3.late_groups import groups_of
from jina_v3_encoder.errors import InvalidInput

TEXT = " ".join(f"word{number}" for number in range(30))


def split(text: str = TEXT, **settings: Any) -> list[Document]:
    splitter = DocumentSplitter(split_by="word", **{"split_length": 7, "split_overlap": 0, **settings})
    splitter.warm_up()
    chunks: list[Document] = splitter.run([Document(content=text)])["documents"]
    return chunks


@pytest.mark.parametrize("overlap", [0, 3])
def test_a_splitters_offsets_put_the_text_together(overlap: int) -> None:
    chunks = split(split_overlap=overlap)
    (group,) = groups_of(chunks, None, "source_id")
    assert group.text == TEXT
    assert [group.text[start:end] for start, end in group.spans] == [chunk.content for chunk in chunks]


def test_any_order_comes_out_in_reading_order() -> None:
    chunks = split()
    mixed = list(enumerate(chunks))
    random.Random(3).shuffle(mixed)
    (group,) = groups_of([chunk for _, chunk in mixed], None, "source_id")
    assert [mixed[number][0] for number in group.numbers] == list(range(len(chunks)))
    assert group.spans == sorted(group.spans)


def test_sources_stay_apart() -> None:
    first, second = split(), split(TEXT.upper())
    groups = groups_of([one for pair in zip(first, second, strict=True) for one in pair], None, "source_id")
    assert [group.text for group in groups] == [TEXT, TEXT.upper()]
    assert all(len({number % 2 for number in group.numbers}) == 1 for group in groups)


def test_chunks_without_a_source_are_documents() -> None:
    groups = groups_of([Document(content="a"), Document(content=None), Document(content="a")], None, "source_id")
    assert [(group.text, group.numbers, group.spans) for group in groups] == [
        ("a", [0], [(0, 1)]),
        ("", [1], [(0, 0)]),
        ("a", [2], [(0, 1)]),
    ]


def test_another_field_may_name_the_source() -> None:
    chunks = [
        Document(content=text, meta={"page": 1, "split_idx_start": start}) for text, start in (("ab", 0), ("cd", 2))
    ]
    (group,) = groups_of(chunks, None, "page")
    assert (group.text, group.spans) == ("abcd", [(0, 2), (2, 4)])


def test_uncut_documents_are_searched_for_their_chunks() -> None:
    source = Document(content=TEXT)
    chunks = [Document(content=part, meta={"source_id": source.id}) for part in ("word3 word4", "word20")]
    (group,) = groups_of(chunks, [source], "source_id")
    assert group.text == TEXT
    assert [group.text[start:end] for start, end in group.spans] == ["word3 word4", "word20"]


@pytest.mark.parametrize(
    ("meta", "sources"),
    [
        ({"source_id": "s"}, None),
        ({"source_id": "s", "split_idx_start": 5}, [Document(id="s", content="nothing of the kind")]),
    ],
    ids=["no offsets", "not in its source"],
)
def test_what_cannot_be_put_together_names_document_and_remedy(meta: dict[str, Any], sources: Any) -> None:
    chunks = [Document(content=text, meta=meta) for text in ("one", "two")]
    with pytest.raises(InvalidInput, match=r"'s' cannot be late-chunked.*source_documents"):
        groups_of(chunks, sources, "source_id")


def test_nothing_in_nothing_out() -> None:
    assert groups_of([], None, "source_id") == []
