"""The plane: known geometry in, known places out."""

from __future__ import annotations

import numpy as np
import pytest

from jina_v3_connectors.demo.projection import project


def clusters(seed: int, documents: int = 5, each: int = 6, spread: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(documents, 32))
    owners = np.repeat(np.arange(documents), each)
    vectors = centres[owners] + spread * generator.normal(size=(documents * each, 32))
    return vectors.astype(np.float32), owners


def test_the_farthest_point_lies_at_distance_one() -> None:
    points = project(*clusters(0)).points
    assert points.shape == (30, 2)
    assert points.dtype == np.float32
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(1, abs=1e-5)


def test_chunks_of_a_document_lie_together() -> None:
    vectors, owners = clusters(1)
    points = project(vectors, owners).points
    within = max(np.ptp(points[owners == owner], axis=0).max() for owner in range(5))
    means = np.stack([points[owners == owner].mean(axis=0) for owner in range(5)])
    between = np.linalg.norm(means[:, None] - means[None], axis=2)[~np.eye(5, dtype=bool)].min()
    assert between > 2 * within


def test_documents_decide_the_axes_not_their_chunks() -> None:
    """Chunks scatter widely along an axis on which documents do not differ; the plane leaves that axis out."""
    vectors, owners = clusters(2, spread=0.0)
    vectors[:, 0] = 50 * np.tile([-1, 1], 15)
    points = project(vectors, owners).points
    for owner in range(5):
        assert np.ptp(points[owners == owner], axis=0).max() < 1e-3


def test_place_agrees_with_points() -> None:
    vectors, owners = clusters(3)
    plane = project(vectors, owners)
    np.testing.assert_allclose(plane.place(vectors), plane.points, atol=1e-5)


def test_distances_on_the_plane_never_exceed_those_of_the_vectors_up_to_scale() -> None:
    vectors, owners = clusters(4)
    plane = project(vectors, owners)
    moved = plane.place(vectors + np.float32(0.5)) - plane.points
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-5)


@pytest.mark.parametrize("documents", [1, 2])
def test_few_documents_fall_back_to_chunks(documents: int) -> None:
    vectors, owners = clusters(5, documents=documents, spread=1.0)
    points = project(vectors, owners).points
    assert np.isfinite(points).all()
    assert np.ptp(points, axis=0).min() > 0.1


def test_a_single_chunk_is_in_the_middle() -> None:
    points = project(np.ones((1, 8), dtype=np.float32), np.zeros(1, dtype=np.int64)).points
    np.testing.assert_array_equal(points, [[0, 0]])


def test_equal_vectors_are_no_error() -> None:
    points = project(np.ones((6, 8), dtype=np.float32), np.repeat(np.arange(3), 2)).points
    np.testing.assert_array_equal(points, np.zeros((6, 2)))
