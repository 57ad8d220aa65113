"""pymilvus logs a traceback of every error it raises; ours are told once, by the exception."""

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


@contextmanager
def quiet() -> Iterator[None]:
    """In this thread, until the block ends."""
    inside = _Quiet.inside
    inside.calls = getattr(inside, "calls", 0) + 1
    try:
        yield
    finally:
        inside.calls -= 1


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_Quiet())
