"""A loopback HTTP server for tests, with failures on demand."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]
Handle = Callable[[str, str, Any], Answer]


@dataclass
class Failures:
    """Which requests fail, and how. `kinds` are statuses, or "reset" for a closed connection."""

    share: float = 0.0
    kinds: tuple[int | str, ...] = (503,)
    retry_after: int | None = None
    only: str = ""
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
def serve(handle: Handle, failures: Failures, max_body: int) -> Iterator[str]:
    """Serve `handle(method, path, body)` on a free port of 127.0.0.1; gives the URL."""
    lock = threading.Lock()

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            path = self.path.partition("?")[0]
            failure = failures.next(self.command, path)
            if failure == "reset":
                self.close_connection = True
                self.connection.close()
                return
            if isinstance(failure, int):
                self._send(failure, {"status": {"error": "injected failure"}}, failures.retry_after)
            elif length > max_body:
                self._send(400, {"status": {"error": "payload too large"}})
            else:
                with lock:
                    self._send(*handle(self.command, path, json.loads(body) if body else None))

        def _send(self, status: int, value: Any, retry_after: int | None = None) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            if retry_after is not None:
                self.send_header("retry-after", str(retry_after))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
