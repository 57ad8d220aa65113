"""Puts Haystack's chunks back together to documents, for late chunking."""

from __future__ import annotations

from collections.abc import Sequence

from haystack import Document

from jina_v3_connectors.chunking.located import ChunkText, DocumentChunks, locate, stitch
from jina_v3_encoder.errors import InvalidInput

START_KEY = "split_idx_start"
NUMBER_KEY = "split_id"


def groups_of(documents: Sequence[Document], sources: Sequence[Document] | None, group_by: str) -> list[DocumentChunks]:
    """Chunks grouped by `meta[group_by]`, each group in reading order.

    Raises:
        InvalidInput: chunks cannot be put together, or do not fit their source.
    """
    members: dict[tuple[str, object], list[int]] = {}
    for number, document in enumerate(documents):
        source = document.meta.get(group_by)
        key = ("alone", number) if source is None else ("source", source)
        members.setdefault(key, []).append(number)
    texts = {source.id: source.content or "" for source in sources or ()}
    return [_group(documents, numbers, kind, name, texts) for (kind, name), numbers in members.items()]


def _group(
    documents: Sequence[Document], numbers: list[int], kind: str, name: object, texts: dict[str, str]
) -> DocumentChunks:
    if kind == "alone":
        text = documents[numbers[0]].content or ""
        return DocumentChunks(text, numbers, [(0, len(text))])
    numbers = sorted(numbers, key=lambda number: _order(documents[number]))
    chunks = [ChunkText(documents[number].content or "", documents[number].meta.get(START_KEY)) for number in numbers]
    try:
        if name in texts:
            text = texts[str(name)]
            return DocumentChunks(text, numbers, locate(text, chunks))
        text, spans = stitch(chunks)
    except InvalidInput as error:
        raise InvalidInput(
            f"the chunks of document {name!r} cannot be late-chunked: {error}. DocumentSplitter and "
            "RecursiveDocumentSplitter write exact offsets (split_idx_start) unless a cleaner follows them; for chunks "
            "of others, such as MarkdownHeaderSplitter, connect the uncut documents to `source_documents`"
        ) from error
    return DocumentChunks(text, numbers, spans)


def _order(document: Document) -> tuple[int, int]:
    return document.meta.get(START_KEY, 0), document.meta.get(NUMBER_KEY, 0)
