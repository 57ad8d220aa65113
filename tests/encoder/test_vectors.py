from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from jina_v3_encoder.errors import InvalidDimensions, InvalidInput, InvalidVector
from jina_v3_encoder.vectors import OUTPUT_TYPES, OutputType, check_dimensions, finish, to_output


@pytest.fixture
def unit() -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(50, 37)).astype(np.float32)
    return finish(rows, normalize=True)


@pytest.mark.parametrize("dimensions", [0, -1, 65, 5000, 1.5, "32", True, np.float32(3)])
def test_dimensions_out_of_range(dimensions: Any) -> None:
    with pytest.raises(InvalidDimensions, match="from 1 to 64, got"):
        check_dimensions(dimensions, 64)


def test_dimensions_in_range() -> None:
    assert check_dimensions(None, 64) == 64
    assert check_dimensions(1, 64) == 1
    assert check_dimensions(np.int64(64), 64) == 64


def test_finish_normalises_in_place_or_not_at_all() -> None:
    rows = np.array([[3.0, 4.0]], dtype=np.float32)
    assert finish(rows.copy(), normalize=False).tolist() == [[3.0, 4.0]]
    assert np.allclose(finish(rows, normalize=True), [[0.6, 0.8]])


@pytest.mark.parametrize("bad", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_nobody_may_store(bad: list[float], normalize: bool) -> None:
    with pytest.raises(InvalidVector, match="vector 1 of 2"):
        finish(np.array([[1.0, 0.0], bad], dtype=np.float32), normalize=normalize)


def test_float16(unit: np.ndarray) -> None:
    half = to_output(unit, "float16")
    assert half.dtype == np.float16
    assert np.abs(half - unit).max() < 1e-3


def test_int8_keeps_cosines(unit: np.ndarray) -> None:
    levels = to_output(unit, "int8")
    assert levels.dtype == np.int8
    assert (np.abs(levels.astype(int)).max(axis=1) == 127).all()
    rows = levels.astype(np.float32)
    cosines = (rows * unit).sum(1) / np.linalg.norm(rows, axis=1)
    assert cosines.min() > 0.9999


def test_uint8_is_int8_plus_128(unit: np.ndarray) -> None:
    assert np.array_equal(to_output(unit, "uint8").astype(int), to_output(unit, "int8").astype(int) + 128)


def test_binary_is_ubinary_minus_128(unit: np.ndarray) -> None:
    bits = to_output(unit, "ubinary")
    assert bits.dtype == np.uint8
    assert bits.shape == (50, 5)
    assert np.array_equal(np.unpackbits(bits, axis=1)[:, :37], unit > 0)
    signed = to_output(unit, "binary")
    assert signed.dtype == np.int8
    assert np.array_equal(signed.astype(int), bits.astype(int) - 128)


def test_base64_is_little_endian_float32(unit: np.ndarray) -> None:
    strings = to_output(unit, "base64")
    assert strings.shape == (50,)
    decoded = np.frombuffer(base64.b64decode(str(strings[3])), dtype="<f4")
    assert np.array_equal(decoded, unit[3])


@pytest.mark.parametrize("output_type", OUTPUT_TYPES)
def test_no_vectors(output_type: OutputType) -> None:
    assert len(to_output(np.zeros((0, 16), dtype=np.float32), output_type)) == 0


def test_unknown_output_type(unit: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="unknown output_type 'float8': use one of float32"):
        to_output(unit, "float8")  # type: ignore[arg-type]


def test_vectors_that_cannot_be_sliced_have_one_size() -> None:
    assert check_dimensions(None, 64, shorter=False) == check_dimensions(64, 64, shorter=False) == 64
    for size in (0, 1, 63, 65, "64", True):
        with pytest.raises(
            InvalidDimensions, match=f"must be 64, got {size!r}: jina-embeddings-v2 was not trained for"
        ):
            check_dimensions(size, 64, shorter=False)
