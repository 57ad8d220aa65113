"""Late chunking: which tokens make up each chunk, and windows for documents past the model's limit.

Semantics of arXiv 2409.04701 and its reference code: the document is read once, its token states are averaged per
chunk; `<s>` and the prompt count for the first chunk, `</s>` for the last. A token belongs to the span that holds its
last character. Long documents are read in overlapping windows; all but the first drop the states of their overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import InvalidInput, InvalidSpan
from .tokenizer import IntArray, Tokens

DEFAULT_OVERLAP = 512
Span = tuple[int, int]


class Window(NamedTuple):
    """Tokens [start, end) that are read together. States from `keep` on are used."""

    start: int
    end: int
    keep: int


class WindowSize(NamedTuple):
    """Tokens of a window, and how many of them the window before has already read."""

    tokens: int
    overlap: int


def resolve_window(window: int | None, overlap: int | None, max_tokens: int) -> WindowSize:
    """The caller's values, or the defaults: the model's limit, and 512 tokens or half the window, whichever is less.

    Raises:
        InvalidInput: window outside 2..max_tokens, or overlap not below it.
    """
    tokens = max_tokens if window is None else window
    if not isinstance(tokens, int) or isinstance(tokens, bool) or not 2 <= tokens <= max_tokens:
        raise InvalidInput(f"window must be a whole number of tokens from 2 to {max_tokens}, got {window!r}")
    if overlap is None:
        return WindowSize(tokens, min(DEFAULT_OVERLAP, tokens // 2))
    if not isinstance(overlap, int) or isinstance(overlap, bool) or not 0 <= overlap < tokens:
        raise InvalidInput(
            f"overlap must be a whole number of tokens from 0 to {tokens - 1}, below the window of {tokens}, "
            f"got {overlap!r}"
        )
    return WindowSize(tokens, overlap)


def window_starts(tokens: int, size: int, overlap: int) -> range:
    """Where the windows over `tokens` begin: each `overlap` before the end of the one before it.

    The last window is the one that reaches the end. None reads only tokens that were read before.

    Raises:
        InvalidInput: the document needs several windows and overlap is not below their size.
    """
    if tokens <= size:
        return range(1)
    if overlap >= size:
        raise InvalidInput(f"overlap {overlap} must be below the window of {size} tokens, or windows never advance")
    return range(0, tokens - overlap, size - overlap)


def window_at(start: int, tokens: int, size: int, overlap: int) -> Window:
    """The window that begins at `start`, one of `window_starts`."""
    return Window(start, min(start + size, tokens), start + overlap if start else 0)


def windows(tokens: int, size: int, overlap: int) -> list[Window]:
    """Cover `tokens` by windows of at most `size`. Raises as `window_starts`."""
    return [window_at(start, tokens, size, overlap) for start in window_starts(tokens, size, overlap)]


def tokens_read(tokens: int, size: int, overlap: int) -> int:
    """How many tokens all windows over `tokens` read. Overlaps count in each window.

    Raises as `window_starts`.
    """
    return tokens + (len(window_starts(tokens, size, overlap)) - 1) * overlap


def check_spans(spans: Sequence[Span], length: int, document: int) -> list[Span]:
    """Character spans [start, end) of a text of `length` characters.

    Raises:
        InvalidSpan: not a pair of whole numbers, reversed, or outside the text.
    """
    checked = []
    for number, span in enumerate(spans):
        where = f"document {document}, span {number}"
        try:
            start, end = (int(value) for value in span if not isinstance(value, float | str | bool))
        except (TypeError, ValueError):
            raise InvalidSpan(f"{where}: expected (start, end) in characters, got {span!r}") from None
        if start > end:
            raise InvalidSpan(f"{where}: start {start} is after end {end}")
        if start < 0 or end > length:
            raise InvalidSpan(f"{where}: ({start}, {end}) is outside the text of {length} characters")
        checked.append((start, end))
    return checked


def join_chunks(chunks: Sequence[str], separator: str) -> tuple[str, list[Span]]:
    """The document that consecutive chunks make, and their spans: a separator belongs to the chunk after it.

    Raises:
        InvalidInput: the separator is not a str.
    """
    if not isinstance(separator, str):
        raise InvalidInput(f"separator must be a str, got {type(separator).__name__}")
    spans: list[Span] = []
    start = end = 0
    for number, chunk in enumerate(chunks):
        end += len(chunk) + (len(separator) if number else 0)
        spans.append((start, end))
        start = end
    return separator.join(chunks), spans


def follow_one_another(spans: Sequence[Span]) -> bool:
    """Whether each span begins where the one before it ends, and the first one at 0."""
    return [start for start, _ in spans] == [0, *(end for _, end in spans)][:-1]


def token_rows(tokens: Tokens, spans: Sequence[Span], document: int) -> list[IntArray]:
    """Token indices of each span: those whose last character it holds, plus the specials and prompt at the ends.

    The first span is the one that starts first, the last one that which ends last; ties go to the order given.

    Raises:
        InvalidSpan: a span holds no token of the text.
    """
    last = tokens.last_characters
    end_token = len(last) - 1
    before = np.flatnonzero(last[:-1] < 0)
    first_span = min(range(len(spans)), key=lambda number: spans[number][0])
    last_span = max(range(len(spans)), key=lambda number: (spans[number][1], number))
    order = np.argsort(last[:-1], kind="stable")
    edges = np.searchsorted(last[:-1][order], np.asarray(spans, dtype=np.int64).reshape(-1, 2))
    rows = []
    for number, (start, end) in enumerate(spans):
        inside = np.sort(order[slice(*edges[number])])
        whole_text = start == 0 and last[-1] == end
        if not len(inside) and not whole_text:
            raise no_token(document, number, (start, end))
        head = before if number == first_span else inside[:0]
        tail = np.array([end_token]) if number == last_span else inside[:0]
        rows.append(np.concatenate((head, inside, tail)))
    return rows


def no_token(document: int, number: int, span: Span) -> InvalidSpan:
    """The error for a span that no token ends in."""
    start, end = span
    return InvalidSpan(
        f"document {document}, span {number}: no token ends inside characters ({start}, {end}); "
        "merge it with a neighbour or leave it out"
    )
