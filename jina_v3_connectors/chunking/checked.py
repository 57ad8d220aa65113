"""What a chunker from anywhere makes of a document, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from ..document_checks import check_document, check_spans
from ..documents import Cut, Document
from ..errors import DocumentError
from .base import AnnotatingChunker, Chunker

_Piece = TypeVar("_Piece")


def checked_cuts(document: Document, chunker: Chunker) -> Sequence[Cut]:
    """The cuts of a chunker, with the metadata of its chunks where it has some.

    Raises:
        DocumentError: they are not parts of the text, in order.
    """
    if isinstance(chunker, AnnotatingChunker):
        cuts = tuple(_several(chunker.cuts(document.text, document.format), document, chunker))
        check_document(replace(document, cuts=cuts))
        return cuts
    spans = list(_several(chunker.spans(document.text, document.format), document, chunker))
    check_spans(document, spans)
    return [Cut(start, end) for start, end in spans]


def _several(pieces: Iterable[_Piece], document: Document, chunker: Chunker) -> Iterable[_Piece]:
    """Raises DocumentError for what is no collection: the chunker may be anybody's."""
    if not isinstance(pieces, Iterable):
        raise DocumentError(
            f"document {document.id!r}: its chunker {chunker.description!r:.200} gave {pieces!r:.200}: it must give "
            "pairs of whole numbers, where each chunk starts and ends"
        )
    return pieces
