"""Milvus Lite in a folder: an engine in this process. The first client starts it, the last `close_lite` stops it."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from jina_v3_encoder.errors import MissingExtra

from ..disk import READ_ONLY
from ..errors import StoreError
from .quiet import quiet

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_open: Counter[Path] = Counter()
_lock = threading.Lock()


def open_lite(folder: Path) -> MilvusClient:
    """A client of the engine in `folder`; hand it to `close_lite`.

    Raises:
        MissingExtra: milvus-lite is not installed.
        StoreError: the folder is open elsewhere, or holds something else.
    """
    from pymilvus import MilvusClient, MilvusException

    try:
        import milvus_lite  # noqa: F401
    except ImportError:
        raise MissingExtra("milvus-lite", "milvus") from None
    if folder.is_file():
        raise StoreError(
            f"{folder} is a file: Milvus Lite 3 keeps a folder; files of version 2 can be read by that version only"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock, quiet():
            client = MilvusClient(str(folder))
            _open[folder.absolute()] += 1
    except (MilvusException, OSError) as error:
        if folder.exists() and not os.access(folder, os.W_OK):
            raise StoreError(f"{folder} {READ_ONLY} ({error})") from error
        raise StoreError(
            f"{folder} cannot be opened by Milvus Lite: {error}; if it is open in another process, close that first"
        ) from error
    return client


def close_lite(folder: Path, client: MilvusClient) -> None:
    """Close a client. With the last one the engine stops, and another process may open the folder."""
    from milvus_lite.server_manager import server_manager_instance

    client.close()
    with _lock:
        _open[folder.absolute()] -= 1
        if _open[folder.absolute()] <= 0:
            del _open[folder.absolute()]
            server_manager_instance.release_server(str(folder))
