"""Keeps pymilvus quiet: it logs a traceback of every error that it raises, and the exception already says it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = (
    "pymilvus.decorators",
    "pymilvus.client.iterator.query_iterator",
    "pymilvus.client.connection_manager",
    "milvus_lite.server_manager",
)


class _Quiet(logging.Filter):
    """Drops what is logged by calls that are made inside `quiet`, in the same thread."""

    inside = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(self.inside, "calls", 0)


_FILTER = _Quiet()


@contextmanager
def quiet() -> Iterator[None]:
    """Drop log records in this thread until the block ends. The first call adds a lasting filter to the loggers."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # does nothing where it has it
    inside = _Quiet.inside
    inside.calls = getattr(inside, "calls", 0) + 1
    try:
        yield
    finally:
        inside.calls -= 1
