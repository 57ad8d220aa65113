"""A real server on a loopback port, in a thread of this process."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from jina_v3_connectors.demo.collections import Collections
from jina_v3_connectors.demo.page import demo_page
from jina_v3_connectors.server import ServerSettings, create_app
from jina_v3_connectors.server.connections import ConnectionLimits
from jina_v3_connectors.server.hosting import hosted

START_SECONDS = 30.0


@contextmanager
def running(
    encoder: Any,
    settings: ServerSettings | None = None,
    collections: Collections | None = None,
    limits: ConnectionLimits | None = None,
) -> Iterator[str]:
    """The base URL of a server over `encoder`, with the demo page where there are collections."""
    settings = settings or ServerSettings()
    with socket.socket() as listening, tempfile.TemporaryDirectory() as folder:
        settings = settings if settings.classifiers else replace(settings, classifiers=Path(folder))
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        server = hosted(create_app(encoder, settings, demo_page(collections) if collections else None), limits)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until = time.monotonic() + START_SECONDS
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)
