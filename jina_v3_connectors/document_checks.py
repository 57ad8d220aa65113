"""What an id, a text, metadata and spans may be. The same for every store, checked before anything is encoded.

A value is refused if any store would lose it, change it, or could not read it back. docs/values.md is the table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.late_chunking import Span

from .documents import Document, TextFormat
from .errors import DocumentError

MAX_ID_BYTES = 2048
"""Room for paths and addresses; Pinecone keeps an id within the 40 KB of a record."""
MAX_DEPTH = 32
"""Levels of objects and lists, the metadata itself being the first. Qdrant's embedded engine writes 122 levels and
more, and can then never open the collection again."""
MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
LONGEST_PATH = 200
"""How many characters of a value's path an error message shows."""


def check_document(document: Document) -> None:
    """Check that every store can keep the document as it is.

    Raises:
        DocumentError: it cannot; the message names the value, the limit and the remedy.
    """
    check_id(document)
    if not isinstance(document.text, str):
        raise DocumentError(f"document {document.id!r}: its text must be a str, got {document.text!r:.200}")
    name = f"document {document.id!r}"
    check_characters(document.text, name)
    check_no_null(document.text, name)
    if document.format not in get_args(TextFormat):
        raise DocumentError(f"{name}: format is {document.format!r:.200}, use one of {', '.join(get_args(TextFormat))}")
    if not isinstance(document.metadata, Mapping):
        raise DocumentError(f"{name}: its metadata must be JSON, an object, got {document.metadata!r:.200}")
    _check_object(document.metadata, f"{name}: its metadata", 1)
    if document.cuts is not None:
        check_spans(document, [(cut.start, cut.end) for cut in document.cuts], "cut {}")
        for number, cut in enumerate(document.cuts):
            _check_object(cut.metadata, f"{name}: the metadata of cut {number}", 1)
    _check_marks(document, name)


def _check_marks(document: Document, name: str) -> None:
    last_start = -1
    for number, mark in enumerate(document.marks):
        if type(mark.start) is not int or not last_start < mark.start <= len(document.text):
            raise DocumentError(
                f"{name}: mark {number} starts at {mark.start!r:.200}: it must be a whole number past the start of the "
                f"mark before, and within the text's {len(document.text):,} characters"
            )
        if not isinstance(mark.metadata, Mapping):
            raise DocumentError(f"{name}: the metadata of mark {number} must be an object, got {mark.metadata!r:.200}")
        _check_object(mark.metadata, f"{name}: the metadata of mark {number}", 1)
        last_start = mark.start


def check_spans(document: Document, spans: Sequence[Span], noun: str = "span {} of its chunker") -> None:
    """Check that spans are parts of the text, in order, none empty. They may overlap. `noun` is told with a number.

    Raises:
        DocumentError: they are not.
    """
    last_start = 0
    for number, span in enumerate(spans):
        where = f"document {document.id!r}: {noun.format(number)}"
        if not isinstance(span, tuple | list) or [type(edge) for edge in span] != [int, int]:
            raise DocumentError(f"{where} must be two whole numbers, start and end, got {span!r:.200}")
        start, end = span
        if not 0 <= start < end <= len(document.text):
            raise DocumentError(
                f"{where} is ({start}, {end}): it must lie within the text's {len(document.text):,} characters and "
                "start before it ends"
            )
        if start < last_start:
            raise DocumentError(f"{where} starts at {start}, the one before it at {last_start}: give them in order")
        last_start = start


def check_id(document: Document) -> None:
    """Check that every store can keep the document's id, and look it up again.

    Raises:
        DocumentError: it cannot, or the value is no document.
    """
    if not isinstance(document, Document):
        raise DocumentError(f"expected a Document, got {document!r:.200}")
    document_id: object = document.id
    if not isinstance(document_id, str) or not document_id:
        raise DocumentError(f"a document's id must be a str with something in it, got {document_id!r:.200}")
    check_characters(document_id, f"document id {document_id!r:.200}")
    control = CONTROL.search(document_id)
    if control:
        raise DocumentError(
            f"document id {document_id!r:.200}: character {control.start()} is a control character, which not every "
            "store can look up again: leave it out of the id"
        )
    size = len(document_id.encode())
    if size > MAX_ID_BYTES:
        raise DocumentError(
            f"document id {document_id!r:.60}… has {size:,} bytes, {MAX_ID_BYTES:,} are kept at most: "
            "use a shorter id, such as a hash, and keep the long name in the metadata"
        )


def as_sought_id(document_id: object) -> str:
    """Check an id to look for. Earlier versions may have stored ids with control characters, so these are allowed.

    Raises:
        InvalidInput: it is no str, or no text.
    """
    if not isinstance(document_id, str):
        raise InvalidInput(f"a document's id must be a str, got {document_id!r:.200}")
    if not is_text(document_id):
        raise InvalidInput(f"document id {document_id!r:.200} holds a lone surrogate, so no stored document has it")
    return document_id


def is_text(text: str) -> bool:
    """Whether a str can be written as UTF-8: it holds no lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def check_characters(text: str, where: str) -> None:
    """Check that a str is text.

    Raises:
        DocumentError: it holds a lone surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DocumentError(
            f"{where}: character {error.start} is a lone surrogate, which is no text: "
            "decode the source again, or replace it"
        ) from error


def check_no_null(text: str, where: str) -> None:
    """Check that a text has no null character: no sentence has one, and programs in C read no further.

    Raises:
        DocumentError: it has one.
    """
    position = text.find("\0")
    if position >= 0:
        raise DocumentError(
            f"{where}: character {position} is a null character (U+0000), as in binary files, and in UTF-16 that is "
            "read as UTF-8: convert the source, or take the nulls out"
        )


def _check_object(values: Mapping[Any, object], where: str, depth: int) -> None:
    _check_depth(where, depth)
    for key, value in values.items():
        if not isinstance(key, str):
            raise DocumentError(f"{_shown(where)} must be JSON, where keys are str, got {key!r:.200}: make it a str")
        check_characters(key, f"{_shown(where)}, key {key!r:.200}")
        _check_value(value, f"{where}[{key!r}]", depth)


def _check_value(value: object, where: str, depth: int) -> None:
    """`depth` is that of what holds the value."""
    match value:
        case None | bool():
            return
        case str():
            check_characters(value, _shown(where))
        case int():
            if not MIN_INTEGER <= value <= MAX_INTEGER:
                raise DocumentError(
                    f"{_shown(where)} is an integer past 64 bits ({MIN_INTEGER:,} to {MAX_INTEGER:,}), "
                    "which some stores change silently: keep it as a str"
                )
        case float():
            if not math.isfinite(value):
                raise DocumentError(
                    f"{_shown(where)} must be JSON, a finite number, got {value}: use null or leave it out"
                )
        case dict():
            _check_object(value, where, depth + 1)
        case list() | tuple():
            _check_depth(where, depth + 1)
            for number, element in enumerate(value):
                _check_value(element, f"{where}[{number}]", depth + 1)
        case _:
            raise DocumentError(
                f"{_shown(where)} must be JSON, got {type(value).__name__}: "
                "keep a dict, list, str, number, true, false or null there"
            )


def _check_depth(where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise DocumentError(
            f"{_shown(where)} is nested {depth} deep, {MAX_DEPTH} levels of objects and lists are kept at most: "
            "flatten it, or keep the inner part as a str of JSON"
        )


def _shown(where: str) -> str:
    return where if len(where) <= LONGEST_PATH else f"{where[:LONGEST_PATH]}…"
