"""`Blend`: a chunk's vector from three readings: alone, inside its document, and its neighbours alone.

Late chunking knows the context of a chunk and blurs the chunk itself; a chunk that is read alone is sharp and knows no
context. Their unit vectors are added and the sum is normalised. It costs a second reading.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np

from ..errors import InvalidInput
from ..vectors import FloatArray, finish
from .late_chunking import Span, WindowSize, resolve_window

BLEND = "blend"
BLEND_WINDOW = 1024
"""Tokens that a blend reads at once. On nano, 512 to 2,048 were alike, and whole documents a little worse."""
LateChunking: TypeAlias = "bool | Literal['blend'] | Blend"
"""How chunks are read: alone (False), inside their document (True), or both, added ("blend", or its weights)."""
_WRITTEN = re.compile(r"blend\(late=([0-9.e+-]+), neighbours=([0-9.e+-]+)\)")


@dataclass(frozen=True)
class Blend:
    """Weights of the readings that are added to the vector of a chunk alone, whose own weight is 1.

    The defaults were chosen with nano on half of SQuAD's articles. `jina-v3 eval` compares the readings on your own.
    """

    late: float = 1.0
    """Of the chunk's late-chunked vector."""
    neighbours: float = 0.3
    """Of the mean of the chunks before and after it, each read alone. They are at hand, so they cost nothing."""

    def __post_init__(self) -> None:
        for name in ("late", "neighbours"):
            weight = getattr(self, name)
            number = isinstance(weight, int | float | np.integer | np.floating) and not isinstance(weight, bool)
            if not number or not math.isfinite(weight) or not 0 <= weight <= 100:
                raise InvalidInput(f"the weight {name} of a blend must be a number from 0 to 100, got {weight!r:.100}")
            object.__setattr__(self, name, float(weight))

    def __str__(self) -> str:
        return f"blend(late={self.late!r}, neighbours={self.neighbours!r})"

    @classmethod
    def read(cls, text: str) -> Blend:
        """Read back what `str` wrote.

        Raises:
            InvalidInput: it is something else.
        """
        written = _WRITTEN.fullmatch(text)
        try:
            weights = [float(number) for number in written.groups()] if written else []
        except ValueError:
            weights = []
        if not weights:
            raise InvalidInput(f"{text!r:.100} is no blend, as {str(cls())!r} is one")
        return cls(*weights)


def as_late_chunking(value: object) -> bool | Blend:
    """The caller's value with "blend" as its default weights.

    Raises:
        InvalidInput: anything else.
    """
    if isinstance(value, bool | Blend):
        return value
    if value == BLEND:
        return Blend()
    raise InvalidInput(f'late_chunking must be True, False, "blend" or a Blend of weights, got {value!r:.200}')


def reading_name(value: bool | Blend) -> str:
    """How chunks are read, for people."""
    return str(value) if isinstance(value, Blend) else "late chunking" if value else "each chunk on its own"


def blend_of(value: bool | Blend) -> Blend | None:
    """The weights, where chunks are read in both ways."""
    return value if isinstance(value, Blend) else None


def resolve_blend_window(window: int | None, overlap: int | None, max_tokens: int) -> WindowSize:
    """As `resolve_window`, with a blend's own defaults: 1,024 tokens without overlap, so each is read once.

    Raises:
        InvalidInput: as `resolve_window`.
    """
    tokens = min(BLEND_WINDOW, max_tokens) if window is None else window
    return resolve_window(tokens, 0 if overlap is None else overlap, max_tokens)


def chunk_texts(text: str, spans: Sequence[Span]) -> list[str]:
    """What is read where chunks stand alone. Blanks around a chunk separate it from others, and say nothing."""
    return [text[start:end].strip() for start, end in spans]


def check_blend(blend: object) -> None:
    """Raises InvalidInput if `blend` is neither a Blend nor None."""
    if blend is not None and not isinstance(blend, Blend):
        raise InvalidInput(f"blend must be a Blend of weights or None, got {blend!r:.100}: Blend() has the usual ones")


def blended(alone: FloatArray, late: FloatArray, spans: Sequence[Sequence[Span]], blend: Blend) -> FloatArray:
    """Sums (n, d) of both readings and the neighbours, not normalised. The arrays given are changed in place.

    Args:
        alone, late: Means (n, d) of the same n chunks, one document after the other.
        spans: Where the chunks of each document stand, in any order: neighbours are those in the text.
        blend: The weights.

    Raises:
        InvalidVector: a vector is NaN, infinite or zero.
    """
    alone, late = finish(alone, normalize=True), finish(late, normalize=True)
    sums = alone + np.float32(blend.late) * late
    if blend.neighbours:
        sums += np.float32(blend.neighbours) * _neighbours(alone, spans)
    return sums


def _neighbours(alone: FloatArray, spans: Sequence[Sequence[Span]]) -> FloatArray:
    """The mean of the chunks before and after each one in its document. Zero for a document's only chunk."""
    positions = [(document, span) for document, document_spans in enumerate(spans) for span in document_spans]
    order = sorted(range(len(positions)), key=positions.__getitem__)
    sums, counts = np.zeros_like(alone), np.zeros((len(alone), 1), np.float32)
    for row, after in pairwise(order):
        if positions[row][0] == positions[after][0]:
            sums[row] += alone[after]
            sums[after] += alone[row]
            counts[[row, after]] += 1
    means: FloatArray = (sums / np.maximum(counts, 1)).astype(np.float32, copy=False)
    return means
