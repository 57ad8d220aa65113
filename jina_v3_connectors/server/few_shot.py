"""A classifier from a few labelled texts: softmax regression over their unit vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.vectors import FloatArray

SHARPNESS = 20.0
"""Of a class's mean vector as its first weights. Cosines of two topics differ by tenths."""
RATE = 1.0
"""Of a step. The loss over unit vectors bends so little that steps up to 2 go down."""
PULL = 0.01
"""How strongly weights are held where they began, so that a few texts do not turn a classifier over."""


def first_weights(vectors: FloatArray, classes: NDArray[np.intp], count: int) -> FloatArray:
    """Weights (count, size + 1) that tell `count` classes apart by their mean vectors; the last column is the bias.

    A class without vectors gets zeros.
    """
    weights = np.zeros((count, vectors.shape[1] + 1), np.float32)
    for number in range(count):
        members = vectors[classes == number]
        if len(members):
            mean = members.mean(axis=0)
            weights[number, :-1] = SHARPNESS * mean / max(float(np.linalg.norm(mean)), 1e-9)
    return weights


def trained(
    weights: FloatArray, vectors: FloatArray, classes: NDArray[np.intp], amounts: FloatArray, steps: int
) -> FloatArray:
    """Weights after so many steps down the mean cross-entropy of `vectors` (n, size), all of them in each step.

    Each vector stands for as many texts as `amounts` (n,) says: one, or all those of which it is the mean.
    """
    start = weights.astype(np.float64)
    inputs = _with_bias(vectors)
    wanted = np.eye(len(weights))[classes]
    shares = (amounts / amounts.sum())[:, None]
    current = start.copy()
    for _ in range(steps):
        slope = (shares * (_softmax(inputs @ current.T) - wanted)).T @ inputs
        current -= RATE * (slope + PULL * (current - start))
    return current.astype(np.float32)


def probabilities(weights: FloatArray, vectors: FloatArray) -> FloatArray:
    """Of each vector (n, size) for each class: (n, classes)."""
    scores: FloatArray = _softmax(_with_bias(vectors) @ weights.astype(np.float64).T).astype(np.float32)
    return scores


def _with_bias(vectors: FloatArray) -> NDArray[np.float64]:
    return np.hstack([vectors.astype(np.float64), np.ones((len(vectors), 1))])


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares
