"""The edge: caller's values are checked once here, and typed inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..errors import InvalidInput
from .late_chunking import Span, check_spans


def as_texts(texts: object, noun: str = "text") -> list[str]:
    """A list of str from one str or an iterable of them.

    Raises:
        InvalidInput: bytes, None, a mapping, or an element that is not a str; the message names its index.
    """
    if isinstance(texts, str):
        if noun != "text":
            raise InvalidInput(f"expected a sequence of {noun}s, got one str: wrap it in a list")
        return [texts]
    if isinstance(texts, bytes | bytearray | Mapping) or not isinstance(texts, Iterable):
        raise InvalidInput(f"expected a str or a sequence of str, got {type(texts).__name__}")
    checked = list(texts)
    for index, text in enumerate(checked):
        if not isinstance(text, str):
            raise InvalidInput(f"{noun} {index} must be a str, got {type(text).__name__}")
    return checked


def as_spans(spans: object, texts: Sequence[str]) -> list[list[Span]]:
    """Checked spans, one list per text.

    Raises:
        InvalidInput: not one list of spans per text.
        InvalidSpan: a span is malformed, reversed or outside its text.
    """
    if isinstance(spans, str | bytes) or not isinstance(spans, Iterable):
        raise InvalidInput(f"spans must be a list of (start, end) for each text, got {type(spans).__name__}")
    each = list(spans)
    if len(each) != len(texts):
        raise InvalidInput(f"got spans for {len(each)} documents, but {len(texts)} texts")
    for number, text_spans in enumerate(each):
        if isinstance(text_spans, str | bytes) or not isinstance(text_spans, Iterable):
            raise InvalidInput(f"document {number}: spans must be a list of (start, end), got {text_spans!r}")
    return [
        check_spans(list(text_spans), len(text), n)
        for n, (text_spans, text) in enumerate(zip(each, texts, strict=True))
    ]
