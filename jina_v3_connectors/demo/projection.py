"""Vectors to a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.vectors import FloatArray

AXES = 2


@dataclass(frozen=True)
class Projection:
    """A plane through the vectors, and where they lie on it."""

    points: FloatArray
    """(n, 2), the farthest from the middle at distance 1."""
    _centre: FloatArray
    _axes: FloatArray

    def place(self, vectors: FloatArray) -> FloatArray:
        """Where other vectors (n, d) lie on the same plane: (n, 2), which may be outside."""
        return np.asarray((vectors - self._centre) @ self._axes, dtype=np.float32)


def project(vectors: FloatArray, owners: NDArray[np.int64]) -> Projection:
    """Principal components of the documents' mean vectors: the plane on which documents differ most.

    Args:
        vectors: (n, d).
        owners: (n,), the document of each, counted from 0. With fewer than three documents the components are those
            of the vectors themselves.
    """
    means = np.stack([vectors[owners == owner].mean(axis=0) for owner in range(int(owners.max()) + 1)])
    basis = means if len(means) > AXES else vectors
    centre = basis.mean(axis=0)
    axes = np.zeros((vectors.shape[1], AXES), dtype=np.float32)
    components = np.linalg.svd(basis - centre, full_matrices=False)[2][:AXES].T
    axes[:, : components.shape[1]] = components
    points = (vectors - centre) @ axes
    farthest = float(np.linalg.norm(points, axis=1).max()) or 1.0
    return Projection(points / farthest, centre, axes / farthest)
