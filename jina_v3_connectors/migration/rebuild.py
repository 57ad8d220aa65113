"""Records of an old collection back to the documents that they were cut from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jina_v3_encoder.texts.late_chunking import Span

from ..documents import Cut, Document, Mark, TextFormat
from ..errors import DocumentError
from ..files.content import PAGE, SECTION
from ..reassembly import reassemble
from .records import Record

SEPARATOR = "\n"
"""Between chunks whose places in the document are not known."""
LONGEST_GAP = 10_000
"""Characters that a gap between two chunks may have."""
MARKED = (PAGE, "page_label", "page_number", SECTION, "headings")
"""Metadata that says where in a document a chunk stands, so that it is true of new chunks that start there."""
SOURCE_ID = "jina_v3_source_id"
"""The metadata field with the old id of a chunk, where the new id does not follow from it."""


class KeptChunks:
    """The chunker of a collection whose documents bring their chunks. Its description is the old collection's."""

    def __init__(self, description: str) -> None:
        self.description = description

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        raise DocumentError(
            "this collection's chunks were taken over from another one, and no chunker is known for new documents: "
            "ingest them with the chunker that you want, into a collection of their own, or move with --rechunk"
        )


@dataclass(frozen=True)
class Rebuilt:
    """A document, and how sure its text is."""

    document: Document
    exact: bool
    """Whether the text is known: the places of all chunks are, and leave no more than the end of a paragraph out."""


def document_id_of(record: Record) -> str:
    """The document a record belongs to. A record of no document is one by itself."""
    return record.key if record.document_id is None else record.document_id


def rebuild(records: Sequence[Record], *, keep_cuts: bool, keep_ids: bool) -> Rebuilt:
    """The document of these records, which are all of its records, in order.

    With `keep_cuts`, it is cut as the old collection was. Without, pages and sections become marks where the old chunks
    start, and what else differs between chunks is lost. Without `keep_ids`, each chunk's metadata has the old id.

    Raises:
        DocumentError: a record has no text, or overlapping chunks contradict each other.
    """
    name = document_id_of(records[0])
    missing = [record.key for record in records if record.text is None or not record.text.strip()]
    if missing:
        raise _refused(
            name,
            f"no text is stored with {', '.join(map(repr, missing[:5]))}{' and others' if len(missing) > 5 else ''}, "
            "so no vector can be made of it: bring the text from where it came, or leave it out (--skip-bad)",
        )
    placed = all(record.start is not None and record.end is not None for record in records)
    text, spans, exact = _laid_out(name, records) if placed else _joined(records)
    shared = _shared_metadata(records)
    if not keep_cuts:
        return Rebuilt(Document(name, text, shared, marks=_marks(records, spans, shared)), exact)
    cuts = tuple(
        Cut(start, end, _rest(record, shared, keep_id=keep_ids))
        for (start, end), record in zip(spans, records, strict=True)
    )
    if len(cuts) == 1 and cuts[0].metadata:
        shared, cuts = {**shared, **cuts[0].metadata}, (Cut(*spans[0]),)
    return Rebuilt(Document(name, text, shared, cuts=cuts), exact)


def _laid_out(name: str, records: Sequence[Record]) -> tuple[str, list[Span], bool]:
    """Chunks at their places."""
    texts = [record.text or "" for record in records]
    spans = [(record.start or 0, record.end or 0) for record in records]
    document = reassemble(texts, spans, longest_gap=LONGEST_GAP)
    if document is None:
        return _joined(records)
    if document.contradiction is not None:
        raise _refused(
            name,
            f"its chunk {records[document.contradiction].key!r} and the one before it overlap and differ there, so its "
            "text is not known: ingest it again from its source, or leave it out (--skip-bad)",
        )
    return document.text, spans, document.exact


def _joined(records: Sequence[Record]) -> tuple[str, list[Span], bool]:
    """Chunks one after the other. Nobody knows what stood between them."""
    spans, position = [], 0
    for record in records:
        end = position + len(record.text or "")
        spans.append((position, end))
        position = end + len(SEPARATOR)
    return SEPARATOR.join(record.text or "" for record in records), spans, len(records) == 1


def _shared_metadata(records: Sequence[Record]) -> dict[str, Any]:
    first = records[0].metadata
    return {
        key: value
        for key, value in first.items()
        if all(key in record.metadata and _same(record.metadata[key], value) for record in records)
    }


def _marks(records: Sequence[Record], spans: Sequence[Span], shared: Mapping[str, Any]) -> tuple[Mark, ...]:
    """Where pages and sections begin, as far as the old chunks tell it."""
    marks: list[Mark] = []
    before: dict[str, Any] = {}
    for record, (start, _) in zip(records, spans, strict=True):
        here = {key: record.metadata[key] for key in MARKED if key in record.metadata and key not in shared}
        if not _same(here, before) and (not marks or start > marks[-1].start):
            marks.append(Mark(start, here))
            before = here
    return tuple(marks)


def _same(first: object, second: object) -> bool:
    """As JSON: true is not 1."""
    return json.dumps(first, sort_keys=True, default=str) == json.dumps(second, sort_keys=True, default=str)


def _rest(record: Record, shared: Mapping[str, Any], *, keep_id: bool) -> dict[str, Any]:
    rest = {key: value for key, value in record.metadata.items() if key not in shared}
    if not keep_id and document_id_of(record) != record.key:
        rest[SOURCE_ID] = record.key
    return rest


def _refused(name: str, reason: str) -> DocumentError:
    error = DocumentError(f"document {name!r}: {reason}")
    error.document_id = name
    return error
