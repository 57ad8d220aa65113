"""What every request passes before a route sees it: host, key, the body's size and time, the counters."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ApiError, as_api_error
from .metrics import Metrics
from .settings import ServerSettings

OTHER_PATH = "other"


class Gate:
    """ASGI middleware. Bodies are read whole before the application starts, within their limits."""

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        metrics: Metrics,
        paths: frozenset[str],
        open_paths: frozenset[str],
    ) -> None:
        """`paths` are counted by name, all others together; `open_paths` need no key."""
        self._app, self._settings, self._metrics, self._paths = app, settings, metrics, paths
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 500, False

        async def counting(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
            await send(message)

        start = time.perf_counter()
        try:
            self._check_host(scope)
            self._check_key(scope)
            body = await self._body(scope, receive)
            start = time.perf_counter()
            await self._app(_as_json(scope), _replay(body, receive), counting)
        except Exception as error:
            if started:
                raise
            await as_api_error(error).response()(scope, receive, counting)
        finally:
            path = scope["path"] if scope["path"] in self._paths else OTHER_PATH
            self._metrics.requests.labels(path, status).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - start)

    def _check_host(self, scope: Scope) -> None:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        if not self._settings.answers_to(host):
            own = ", ".join(sorted(self._settings.hosts))
            message = f"this server answers to {own} and not to {host[:100]!r}: serve with --allow-host to add a name"
            raise ApiError(421, "HOST_NOT_ALLOWED", message)

    def _check_key(self, scope: Scope) -> None:
        if not self._settings.key_hashes or scope["path"] in self._open_paths:
            return
        given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        if not given:
            raise ApiError(401, "AUTH_MISSING_API_KEY", "this server asks for a key: Authorization: Bearer KEY")
        scheme, _, key = given.partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise ApiError(401, "AUTH_INVALID_FORMAT", "the header must read: Authorization: Bearer KEY")
        if not self._settings.lets_in(key.strip()):
            raise ApiError(401, "AUTH_INVALID_API_KEY", "this key is not known here")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        limit = self._settings.max_body_bytes
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                return await _read(receive, limit)
        except TimeoutError:
            seconds = self._settings.body_seconds
            raise ApiError(408, "REQUEST_TIMEOUT", f"the body did not arrive within {seconds:g} s") from None


async def _read(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ApiError(499, "CLIENT_CLOSED_REQUEST", "the client hung up")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Any:
    """The body once, then whatever the connection says."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _as_json(scope: Scope) -> Scope:
    """Curl calls its data a form, and some clients call it nothing: here every body is JSON."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "PAYLOAD_TOO_LARGE", f"the body is larger than {limit:,} bytes: send fewer texts at a time")
