"""Counting the tokens that a piece of code makes an encoder read, however deep inside it the encoder is called.

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
    """Tokens read since counting began: specials and prompts included, a window's overlap each time it is read."""

    tokens: int = 0


_OPEN: ContextVar[tuple[Usage, ...]] = ContextVar("open usage counters", default=())


@contextmanager
def count_usage() -> Iterator[Usage]:
    """Count in this thread, or asyncio task, until the block ends. Blocks may be nested; each counts its own."""
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
