"""Documents put together from the chunks that are stored of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from jina_v3_connectors.document_checks import check_document
from jina_v3_connectors.documents import Mark
from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.migration.rebuild import KeptChunks, Rebuilt, rebuild
from jina_v3_connectors.migration.records import FieldNames, Record
from jina_v3_connectors.migration.spec import MigrationSpec, MoveSettings
from jina_v3_encoder.texts.blend import Blend


def chunk(number: int, text: str, start: int | None = None, **metadata: Any) -> Record:
    end = None if start is None else start + len(text)
    return Record(f"k{number}", text, None, "d", number, start, end, metadata)


def rebuilt(*records: Record, keep_cuts: bool = True, keep_ids: bool = True) -> Rebuilt:
    return rebuild(records, keep_cuts=keep_cuts, keep_ids=keep_ids)


def spans(document: Rebuilt) -> list[tuple[int, int]]:
    return [(cut.start, cut.end) for cut in document.document.cuts or ()]


def test_chunks_without_a_gap_give_the_text() -> None:
    document = rebuilt(chunk(0, "One. ", 0), chunk(1, "Two.", 5))
    assert (document.document.id, document.document.text, document.exact) == ("d", "One. Two.", True)
    assert spans(document) == [(0, 5), (5, 9)]


@pytest.mark.parametrize(
    ("gap", "between", "exact"),
    [(1, " ", True), (2, "\n\n", True), (4, "\n\n  ", False)],
    ids=["a blank", "a paragraph", "more"],
)
def test_a_gap_keeps_its_length(gap: int, between: str, exact: bool) -> None:
    document = rebuilt(chunk(0, "One.", 0), chunk(1, "Two.", 4 + gap))
    assert document.document.text == f"One.{between}Two."
    assert spans(document) == [(0, 4), (4 + gap, 8 + gap)]
    assert document.exact is exact


def test_a_missing_beginning_keeps_the_places() -> None:
    document = rebuilt(chunk(1, "Two.", 5))
    assert (document.document.text, spans(document)) == ("     Two.", [(5, 9)])


def test_overlaps_are_laid_over_each_other() -> None:
    document = rebuilt(chunk(0, "One two", 0), chunk(1, "two three", 4), chunk(2, "three", 8))
    assert (document.document.text, document.exact) == ("One two three", True)
    inside = rebuilt(chunk(0, "One two three", 0), chunk(1, "two", 4), chunk(2, "three four", 8))
    assert inside.document.text == "One two three four"


def test_overlaps_that_differ_are_refused() -> None:
    with pytest.raises(DocumentError, match="document 'd': its chunk 'k1' and the one before it overlap and differ"):
        rebuilt(chunk(0, "One two", 0), chunk(1, "TWO three", 4))


@pytest.mark.parametrize(
    "records",
    [
        (chunk(0, "One."), chunk(1, "Two.")),
        (chunk(0, "One.", 0), chunk(1, "Two.", 50_000)),
        (chunk(0, "One.", 9), chunk(1, "Two.", 0)),
        (chunk(0, "One.", 0), Record("k1", "Two.", None, "d", 1, 5, 100)),
    ],
    ids=["no places", "a long gap", "not in order", "places of another text"],
)
def test_chunks_whose_places_do_not_help_stand_in_lines(records: tuple[Record, ...]) -> None:
    document = rebuilt(*records)
    assert (document.document.text, spans(document), document.exact) == ("One.\nTwo.", [(0, 4), (5, 9)], False)


def test_metadata_of_all_is_the_documents_and_the_rest_the_chunks() -> None:
    document = rebuilt(chunk(0, "One.", lang="en", page=1, flag=1), chunk(1, "Two.", lang="en", page=2, flag=True))
    assert document.document.metadata == {"lang": "en"}
    assert [dict(cut.metadata) for cut in document.document.cuts or ()] == [
        {"page": 1, "flag": 1},
        {"page": 2, "flag": True},
    ]


def test_old_ids_are_kept_where_the_new_ones_are_others() -> None:
    document = rebuilt(chunk(0, "One.", source_id="theirs"), chunk(1, "Two.", source_id="theirs"), keep_ids=False)
    assert document.document.metadata == {"source_id": "theirs"}
    assert [dict(cut.metadata) for cut in document.document.cuts or ()] == [
        {"jina_v3_source_id": "k0"},
        {"jina_v3_source_id": "k1"},
    ]
    alone = rebuild([Record("k", "A text.", metadata={"n": 1})], keep_cuts=True, keep_ids=False)
    assert (alone.document.id, alone.document.metadata) == ("k", {"n": 1})


def test_a_document_that_is_cut_anew_has_no_cuts() -> None:
    assert rebuilt(chunk(0, "One.", 0), keep_cuts=False).document.cuts is None


def test_a_document_that_is_cut_anew_keeps_its_pages_and_sections() -> None:
    """Where the old chunks start. What belongs to an old chunk alone is no new one's."""
    chunks = [
        chunk(0, "Title.", 0, lang="en", weight=1),
        chunk(1, "One.", 7, lang="en", page=1, section="A", weight=2),
        chunk(2, "Two.", 12, lang="en", page=1, section="A", weight=3),
        chunk(3, "Three.", 17, lang="en", page=2, section="A", weight=4),
        chunk(4, "End.", 24, lang="en", weight=5),
    ]
    document = rebuilt(*chunks, keep_cuts=False).document
    assert document.metadata == {"lang": "en"}
    assert document.marks == (Mark(7, {"page": 1, "section": "A"}), Mark(17, {"page": 2, "section": "A"}), Mark(24, {}))
    check_document(document)
    assert rebuilt(*chunks).document.marks == ()


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_chunk_without_text_is_named(text: str | None) -> None:
    with pytest.raises(DocumentError, match="document 'd': no text is stored with 'k1', so no vector") as refused:
        rebuilt(chunk(0, "One."), Record("k1", text, None, "d", 1))
    assert refused.value.document_id == "d"


def test_kept_chunks_cut_nothing_new() -> None:
    with pytest.raises(DocumentError, match="no chunker is known for new documents"):
        KeptChunks("sentences").spans("A new text.")


def test_a_spec_comes_back_from_json_and_says_what_differs() -> None:
    spec = MigrationSpec(
        "qdrant:a", "x", "qdrant:b", "y", FieldNames(text="body", metadata=("n",)), MoveSettings(dimensions=64)
    )
    assert MigrationSpec.from_dict(json.loads(json.dumps(asdict(spec)))) == spec
    other = MigrationSpec(
        "qdrant:a", "x", "qdrant:b", "y", FieldNames(text="content", metadata=("n",)), MoveSettings(dimensions=32)
    )
    assert spec.differences(other) == [
        "dimensions: begun with 64, now 32",
        "field of text: begun with 'body', now 'content'",
    ]


def test_what_is_left_out_contradicts_nothing_and_stays_as_it_was() -> None:
    spec = MigrationSpec("qdrant:a", "x", "qdrant:b", "y", FieldNames(text="body"), MoveSettings(64, Blend()))
    again = MigrationSpec("qdrant:a", "x", "qdrant:b", "y", settings=MoveSettings(window=512))
    assert spec.differences(again) == []
    settings = MoveSettings(64, "blend(late=1.0, neighbours=0.3)", window=512)
    assert spec.continued(again) == replace(spec, settings=settings)
    assert MigrationSpec.from_dict(json.loads(json.dumps(asdict(spec)))).settings.reading == Blend()
