"""Free space on this machine's disk, for stores in a folder.

Embedded engines write into memory-mapped files. On a full disk SIGBUS ends the process, and nothing can catch it. So
free space is checked before anything is written.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from .documents import Chunk
from .errors import StoreError
from .limits import estimated_bytes

TO_OPEN = 36 * 2**20
"""Bytes that an engine may write when it opens a collection, even for a search: Qdrant's fills a log file of 32 MiB."""
TO_DELETE = 2**20
TO_WRITE = 40 * 2**20
"""Bytes that must stay free at a write: for a new segment, an index, the log and the journal, and to open it again."""
COPIES = 2
"""A point is written twice: to the log and to a segment."""
READ_ONLY = (
    "cannot be written, and the engine writes when it opens a collection, even for a search only: "
    "copy the folder to where it can be written, or allow it here"
)


def check_room(folder: Path, needed: int) -> None:
    """Check that `needed` bytes are free on the disk of `folder`, which exists.

    Raises:
        StoreError: they are not free; nothing was written.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"{folder}: its disk has {free:,} bytes free, {needed:,} must be: free some space and run the same again; "
            "what was acknowledged is kept"
        )


def room_to_write(chunks: Sequence[Chunk], dimensions: int) -> int:
    """Bytes that must be free for chunks and their vectors."""
    return TO_WRITE + COPIES * sum(estimated_bytes(chunk, dimensions) for chunk in chunks)
