"""Published vectors of jina-embeddings-v2. Set JINA_V2_WEIGHTS to a folder with a folder for each model to run them.

The folders have the models' names, such as jina-embeddings-v2-base-en. One that is not there is left out.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from jina_v3_encoder.encoder import Encoder

WEIGHTS = os.environ.get("JINA_V2_WEIGHTS")
pytestmark = pytest.mark.skipif(not WEIGHTS, reason="JINA_V2_WEIGHTS names no copies of the jina-embeddings-v2 weights")

TEXT = "hello world"
# First five components of fastembed's published vectors, mean pooled and normalised, tolerance 1e-3 as there.
FIRST_FIVE = {
    "small-en": [-0.0455, -0.0428, -0.0122, 0.0613, 0.0015],
    "base-en": [-0.0332, -0.0509, 0.0287, -0.0043, -0.0077],
    "base-de": [-0.0085, 0.0417, 0.0342, 0.0309, -0.0149],
    "base-code": [0.0145, -0.0164, 0.0136, -0.0170, 0.0734],
    "base-zh": [0.0381, 0.0286, -0.0231, 0.0052, -0.0151],
    "base-es": [-0.0108, -0.0092, -0.0373, 0.0171, -0.0301],
}
LICENCE = "Apache-2.0"


@pytest.fixture(params=FIRST_FIVE)
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not folder_of(name).is_dir():
        pytest.skip(f"no copy of {name} in {WEIGHTS}")
    return name


def folder_of(model: str) -> Path:
    return Path(str(WEIGHTS)) / f"jina-embeddings-v2-{model}"


def test_first_components(model: str) -> None:
    encoder = Encoder.from_pretrained(folder_of(model), dtype="float32", device="cpu")
    assert np.abs(encoder.encode(TEXT)[:5] - np.array(FIRST_FIVE[model])).max() <= 1e-3
    assert (encoder.max_tokens, encoder.tasks) == (8192, ())
    assert encoder.config.variant == ("qk-post-norm" if model == "base-code" else "plain")  # type: ignore[union-attr]
    assert encoder.licence.startswith(LICENCE)
