"""Work on one item while the next is being made."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; each is asked for in a thread while its predecessor is in use. Errors rise in their turn."""
    end = object()
    with ThreadPoolExecutor(1, "jina-v3-ahead") as pool:
        item = next(items, end)
        while item is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]  # never `end` here
            item = coming.result()
