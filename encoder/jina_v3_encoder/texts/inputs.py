"""Values from the caller are checked here, once. Inside they have their types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..errors import InvalidInput
from .late_chunking import Span, check_spans
from .tokenizer import check_unicode


def as_texts(texts: object, noun: str = "text") -> list[str]:
    """A list of str from one str or an iterable of them.

    Raises:
        InvalidInput: bytes, None, a mapping, or an element that is no str or holds a lone surrogate; the message names
            its index.
    """
    if isinstance(texts, str):
        if noun != "text":
            raise InvalidInput(f"expected a sequence of {noun}s, got one str: wrap it in a list")
        check_unicode([texts])
        return [texts]
    if isinstance(texts, bytes | bytearray | Mapping) or not isinstance(texts, Iterable):
        raise InvalidInput(f"expected a str or a sequence of str, got {type(texts).__name__}")
    checked: list[str] = []
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInput(f"{noun} {index} must be a str, got {type(text).__name__}")
        checked.append(text)
    check_unicode(checked, noun=noun)
    return checked


def as_spans(spans: object, texts: Sequence[str]) -> list[list[Span]]:
    """Checked spans, one list per text.

    Raises:
        InvalidInput: not one list of spans per text.
        InvalidSpan: a span is malformed, reversed or outside its text.
    """
    if isinstance(spans, str | bytes) or not isinstance(spans, Iterable):
        raise InvalidInput(f"spans must be a list of (start, end) for each text, got {type(spans).__name__}")
    document_spans = list(spans)
    if len(document_spans) != len(texts):
        raise InvalidInput(f"got spans for {len(document_spans)} documents, but {len(texts)} texts")
    for number, some_spans in enumerate(document_spans):
        if isinstance(some_spans, str | bytes) or not isinstance(some_spans, Iterable):
            raise InvalidInput(f"document {number}: spans must be a list of (start, end), got {some_spans!r}")
    pairs = zip(document_spans, texts, strict=True)
    return [check_spans(list(some_spans), len(text), number) for number, (some_spans, text) in enumerate(pairs)]
