"""Word alignments (IBM model 1, Brown et al. 1993) between the tokens of translations.

A token of another language starts as the mixture of the English tokens it translates to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
ITERATIONS = 4
POSTERIOR = 0.04
MAX_TOKENS = 40


def align(foreign: Sequence[IntArray], english: Sequence[IntArray], vocabulary: int) -> list[tuple[int, int, float]]:
    """Triples (foreign token, English token, probability) above `POSTERIOR`, from sentence pairs of token ids."""
    pairs = [
        (f, e) for f, e in zip(foreign, english, strict=True) if 0 < len(f) <= MAX_TOKENS and 0 < len(e) <= MAX_TOKENS
    ]
    sizes = np.array([len(f) * len(e) for f, e in pairs])
    english_sizes = np.array([len(e) for _, e in pairs])
    f_side = np.concatenate([np.repeat(f, len(e)) for f, e in pairs])
    e_side = np.concatenate([np.tile(e, len(f)) for f, e in pairs])
    slots = np.concatenate([np.tile(np.arange(len(e)), len(f)) for f, e in pairs])
    slots += np.repeat(np.concatenate(([0], np.cumsum(english_sizes[:-1]))), sizes)
    keys, links = np.unique(f_side * vocabulary + e_side, return_inverse=True)
    source = keys // vocabulary
    probability = np.ones(len(keys))
    for _ in range(ITERATIONS):
        weight = probability[links]
        weight /= np.bincount(slots, weight)[slots]
        counts = np.bincount(links, weight, minlength=len(keys))
        probability = counts / np.bincount(source, counts)[source]
    kept = np.flatnonzero(probability > POSTERIOR)
    return [(int(source[k]), int(keys[k] % vocabulary), float(probability[k])) for k in kept]


def translated_rows(
    rows: FloatArray, links: Sequence[tuple[int, int, float]], english_counts: IntArray, foreign_counts: IntArray
) -> FloatArray:
    """English rows (V, C) with each foreign token's row replaced by its translations', by how often it is foreign."""
    mixed = np.zeros_like(rows)
    mass = np.zeros(len(rows), dtype=np.float32)
    for foreign, english, probability in links:
        mixed[foreign] += probability * rows[english]
        mass[foreign] += probability
    share = foreign_counts / np.maximum(1, foreign_counts + english_counts)
    share = np.where(mass > 0, share, 0).astype(np.float32)[:, None]
    mixed_rows = rows * (1 - share) + share * mixed / np.maximum(mass, 1e-6)[:, None]
    return np.asarray(mixed_rows, dtype=np.float32)
