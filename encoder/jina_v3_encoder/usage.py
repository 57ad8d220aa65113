"""Count the tokens that encoders read while a block of code runs, however deep inside the calls are.

>>> with count_usage() as usage:
...     vectors = encoder.encode(texts)
>>> usage.tokens
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Usage:
    """Tokens read since counting began. Specials and prompts count, and an overlap counts in each window."""

    tokens: int = 0


_OPEN: ContextVar[tuple[Usage, ...]] = ContextVar("open usage counters", default=())


@contextmanager
def count_usage() -> Iterator[Usage]:
    """Count in this thread or asyncio task until the block ends. Blocks may be nested; each has its own count."""
    usage = Usage()
    token = _OPEN.set((*_OPEN.get(), usage))
    try:
        yield usage
    finally:
        _OPEN.reset(token)


def add_tokens(count: int) -> None:
    """For encoders: `count` tokens were read."""
    for usage in _OPEN.get():
        usage.tokens += count
