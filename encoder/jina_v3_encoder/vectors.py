"""What happens to a pooled vector: Matryoshka slice, normalisation, output form. NumPy only.

Order: slice, L2-normalise in float32, then cast (Kusupati et al. 2022; a slice of a unit vector is not a unit vector).
"""

from __future__ import annotations

import base64
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidDimensions, InvalidInput, InvalidVector

FloatArray = NDArray[np.float32]
OutputType: TypeAlias = Literal["float32", "float16", "int8", "uint8", "binary", "ubinary", "base64"]
OUTPUT_TYPES: tuple[str, ...] = get_args(OutputType)


def check_dimensions(dimensions: object, limit: int, *, shorter: bool = True) -> int:
    """`dimensions`, or `limit` for None.

    Raises:
        InvalidDimensions: not a whole number from 1 to `limit`; or not `limit`, where `shorter` vectors have no use.
    """
    if dimensions is None:
        return limit
    least = 1 if shorter else limit
    if not isinstance(dimensions, int | np.integer) or isinstance(dimensions, bool) or not least <= dimensions <= limit:
        raise InvalidDimensions(dimensions, limit, shorter=shorter)
    return int(dimensions)


def check_output_type(output_type: object) -> None:
    """Raises InvalidInput for an unknown output type."""
    if output_type not in OUTPUT_TYPES:
        raise InvalidInput(f"unknown output_type {output_type!r}: use one of {', '.join(OUTPUT_TYPES)}")


def finish(vectors: FloatArray, *, normalize: bool) -> FloatArray:
    """L2-normalise sliced vectors (n, d) in float32, in place.

    Raises:
        InvalidVector: a vector is NaN, infinite or zero.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = ~np.isfinite(norms) | (norms == 0)
    if bad.any():
        index = int(np.flatnonzero(bad)[0])
        raise InvalidVector(
            f"vector {index} of {len(vectors)} has norm {norms[index, 0]} over {vectors.shape[1]} dimensions; "
            "the weights are damaged, or overflow their dtype: try dtype='float32'"
        )
    if normalize:
        vectors /= norms
    return vectors


def to_output(vectors: FloatArray, output_type: OutputType) -> NDArray[Any]:
    """Convert float32 vectors (n, d).

    - `float16`: (n, d).
    - `int8`: (n, d); each vector scaled so that its largest component is ±127. Cosines stay the same, dot products do
    not.
    - `uint8`: the int8 values plus 128, so 128 stands for 0.
    - `ubinary`: (n, ceil(d / 8)) uint8, `packbits(v > 0)`; `binary`: the same bytes minus 128, as int8.
    - `base64`: (n,) strings of little-endian float32, the hosted API's transport form.

    Raises:
        InvalidInput: unknown output type.
    """
    check_output_type(output_type)
    if output_type == "float32":
        return vectors
    if output_type == "float16":
        return vectors.astype(np.float16)
    if output_type in ("int8", "uint8"):
        scale = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
        levels = np.rint(vectors / np.where(scale == 0, 1, scale) * 127).astype(np.int8)
        return levels if output_type == "int8" else (levels.astype(np.int16) + 128).astype(np.uint8)
    if output_type == "base64":
        width = 4 * -(-vectors.shape[1] * 4 // 3)
        rows = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]
        return np.array(rows, dtype=f"<U{width}" if not rows else None)
    packed = np.packbits(vectors > 0, axis=1)
    return packed if output_type == "ubinary" else (packed.astype(np.int16) - 128).astype(np.int8)
