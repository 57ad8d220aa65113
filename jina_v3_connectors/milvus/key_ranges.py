"""Random ranges of keys, for samples from all over a collection: Milvus cannot give random rows."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

KEYS = 2**128
"""As many as there are UUIDs."""
WANTED = 8
"""Ranges that hold a sample together, where keys are UUIDs."""
TRIED = 3 * WANTED


def random_ranges(limit: int, count: int) -> Iterator[str]:
    """Filters that let a `WANTED`th of `limit` rows through, more or less, of `count` whose keys are UUIDs.

    Everything behind a random key would not do: Milvus Lite gives the oldest rows of it, for every key nearly the same.
    """
    width = KEYS * limit // (WANTED * count)
    for _ in range(TRIED):
        first = uuid4()
        last = UUID(int=min(first.int + width, KEYS - 1))
        yield f'id >= "{first}" and id <= "{last}"'
