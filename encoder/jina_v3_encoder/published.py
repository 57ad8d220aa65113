"""The models that Jina AI has published and this project computes: their names and sizes."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import PUBLISHED_DIMENSIONS

V3 = "jina-embeddings-v3"
V2 = "jina-embeddings-v2"
"""How all names of that generation begin. It has no tasks, and vectors of one size."""
DIMENSIONS: Mapping[str, int] = {
    V3: PUBLISHED_DIMENSIONS,
    f"{V2}-base-en": 768,
    f"{V2}-small-en": 512,
    f"{V2}-base-de": 768,
    f"{V2}-base-es": 768,
    f"{V2}-base-zh": 768,
    f"{V2}-base-code": 768,
}
"""Components of a full vector, by name."""
MAX_TOKENS = 8192
"""Of all of them."""
OWNER = "jinaai/"
OWNERS = (OWNER, "jina-ai/")
"""What may stand before a published name: the hub's spelling, and one that the hosted service uses too."""


def without_owner(name: str) -> str:
    """`name` without Jina AI's own name before it."""
    for owner in OWNERS:
        if name.startswith(owner):
            return name.removeprefix(owner)
    return name


def is_v2(name: str) -> bool:
    """Whether a model is called as one of jina-embeddings-v2, published or not, wherever it lies."""
    return name.rpartition("/")[2].startswith(V2)
