"""A loopback HTTP server for tests, with failures on demand."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]
Handle = Callable[[str, str, Any], Answer]
PATIENCE = 3
"""Seconds that clients wait for an answer. On a busy machine one second is too short."""
STALL_SECONDS = PATIENCE + 0.5


@dataclass
class Failures:
    """Which requests fail, and how. `kinds` are statuses, "reset" for a closed connection, "stall" for a late one."""

    share: float = 0.0
    kinds: tuple[int | str, ...] = (503,)
    retry_after: int | None = None
    only: str = ""
    pause: float = 0.0
    """Seconds that every request takes."""
    seen: list[tuple[str, str]] = field(default_factory=list)
    failed: int = 0
    order: random.Random = field(default_factory=lambda: random.Random(0))

    def next(self, method: str, path: str) -> int | str | None:
        """What becomes of this request; None lets it through."""
        self.seen.append((method, path))
        if self.only in path and self.order.random() < self.share:
            self.failed += 1
            return self.order.choice(self.kinds)
        return None


@contextmanager
def serve(
    handle: Handle,
    failures: Failures,
    max_body: int,
    too_large: int = 400,
    address: tuple[str, int] = ("127.0.0.1", 0),
) -> Iterator[str]:
    """Serve `handle(method, path, body or query)`, on a free port of 127.0.0.1 unless told; gives the URL."""
    lock = threading.Lock()

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body go in two writes, and a client would wait 40 ms for the second

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            path, _, query = self.path.partition("?")
            failure = failures.next(self.command, path)
            time.sleep(failures.pause)
            if failure in ("reset", "stall"):
                time.sleep(STALL_SECONDS if failure == "stall" else 0)
                self.close_connection = True
                self.connection.close()
                return
            if isinstance(failure, int):
                wished = {} if failures.retry_after is None else {"retry-after": str(failures.retry_after)}
                self._send(failure, {"status": {"error": "injected failure"}}, wished)
            elif length > max_body:
                self._send(too_large, {"status": {"error": "payload too large"}})
            else:
                given = json.loads(body) if body else parse_qs(query)
                with lock:
                    answer = handle(self.command, path, given)
                self._send(*answer)

        def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            for name, text in (headers or {}).items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _answer

    server = Quiet(address, Requests)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://{address[0]}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(ThreadingHTTPServer):
    """Clients that are killed half-way are part of the tests."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Nothing to print."""
