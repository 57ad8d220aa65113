"""What every request passes before a route sees it: host, origin, key, body, counters and the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import request_log, tracing
from .bodies import count_values
from .clients import ANSWERED
from .errors import ApiError, as_api_error
from .keys import check_key
from .metrics import Metrics
from .paths import PLAIN_ERROR_PATHS, canonical
from .records import RECORD, Record
from .request_log import Line
from .schemas import MAX_SPANS
from .settings import PORT, ServerSettings

OTHER_PATH = "other"
CONNECTION = "connection"
"""Where the scope's state has the connection, of servers that keep watch over them."""
SMALL_BODY = 2**16
"""Bytes of a body that is taken in whatever else is held."""
DRAIN_SECONDS = 5.0
"""How long a refused body is still read and thrown away, so that its sender gets to read why."""
JSON_TYPES = frozenset({"application/json"})


class Connection(Protocol):
    """What the gate asks of the connection that a request came by."""

    @property
    def surplus(self) -> bool:
        """Whether it is one too many, so that it may ask after the server's health only."""

    def asked(self) -> None:
        """A request's headers are there."""

    def taken_in(self) -> None:
        """Its body is there: from now on it is the server that takes time."""

    def answered(self) -> None: ...


class Load(Protocol):
    """What the gate tells clients of the queue."""

    @property
    def waiting_tokens(self) -> int:
        """Tokens of all requests that were taken in and not computed yet."""


class Gate:
    """ASGI middleware. Bodies are read whole before the application starts, within their limits."""

    def __init__(
        self,
        app: ASGIApp,
        settings: ServerSettings,
        metrics: Metrics,
        load: Load,
        paths: frozenset[str],
        open_paths: frozenset[str],
        status_paths: frozenset[str],
    ) -> None:
        """`paths` are counted by name, all others together; `open_paths` need no key, or look for it themselves.

        `status_paths` are answered to surplus connections too.
        """
        self._app, self._settings, self._metrics, self._load, self._paths = app, settings, metrics, load, paths
        self._open_paths, self._status_paths = open_paths, status_paths
        self._max_values = 4 * settings.max_items + 4 * MAX_SPANS
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record, start = Record(), time.perf_counter()
        scope = {**scope, "path": canonical(scope["path"], self._paths)}
        scope["state"] = {**scope.get("state", {}), RECORD: record}
        record.has_plain_error = scope["path"] in PLAIN_ERROR_PATHS
        answer = _Answer(send, lambda: self._headers(scope, record))
        connection: Connection | None = scope["state"].get(CONNECTION)
        try:
            if connection is not None:
                connection.asked()
                self._check_room(scope, connection)
            await self._pass(scope, receive, answer, connection)
        except Exception as error:
            if answer.started:
                raise
            refusal = as_api_error(error)
            if answer.body_is_there:
                await refusal.response(record)(scope, receive, answer)
            else:
                await self._turn_away(refusal, record, scope, receive, answer)
        finally:
            if connection is not None:
                connection.answered()
            self._count(scope, answer.status, time.perf_counter() - (answer.began or start), record)

    async def _pass(self, scope: Scope, receive: Receive, answer: _Answer, connection: Connection | None) -> None:
        """Let the application answer, if all is right."""
        self._check_host(scope)
        self._check_origin(scope)
        if scope["path"] not in self._open_paths:
            check_key(Headers(scope=scope), self._settings)
        with self._body_room() as room, ExitStack() as answered:
            body = await self._body(scope, receive, room)
            answer.body_is_there = True
            if connection is not None:
                connection.taken_in()
            self._check_values(body)
            answer.began = time.perf_counter()
            inner = {**_as_json(scope), "state": {**scope["state"], ANSWERED: answered}}
            await self._app(inner, _replay(body, receive), answer)

    def _count(self, scope: Scope, status: int, seconds: float, record: Record) -> None:
        path = scope["path"]
        named = path if path in self._paths else OTHER_PATH
        self._metrics.requests.labels(named, status).inc()
        self._metrics.seconds.labels(named).observe(seconds)
        request_log.write(_line(scope, status, seconds, record), quiet=path in self._status_paths)
        tracing.write(scope, status, seconds, record)

    def _headers(self, scope: Scope, record: Record) -> list[tuple[bytes, bytes]]:
        """What was understood, and how much the queue still takes."""
        told = record.headers()
        if scope["method"] == "POST":
            most = self._settings.max_waiting_tokens
            told["X-RateLimit-Limit-Tokens"] = str(most)
            told["X-RateLimit-Remaining-Tokens"] = str(max(0, most - self._load.waiting_tokens))
        return [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in told.items()]

    def _check_room(self, scope: Scope, connection: Connection) -> None:
        if connection.surplus and scope["path"] not in self._status_paths:
            message = "too many connections are open, or too many from your address: close some, or come back later"
            raise ApiError(503, "SERVICE_UNAVAILABLE", message, retry_after=5)

    def _check_host(self, scope: Scope) -> None:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        if not self._settings.answers_to(host):
            names = ", ".join(sorted(self._settings.hosts))
            name = PORT.sub("", host)[:100]
            message = (
                f"this server answers to {names} and not to {host[:100]!r}: serve with --allow-host {name} to add the "
                "name (from a container it is often 172.17.0.1, or a service's name), or set a key"
            )
            raise ApiError(421, "HOST_NOT_ALLOWED", message)

    def _check_origin(self, scope: Scope) -> None:
        """Keep other sites' pages out: a browser sends them without asking first, unless they call themselves JSON."""
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None and headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] in ("GET", "HEAD") or kind in JSON_TYPES:
            return
        if not self._settings.is_own_origin(origin or "", headers.get("host", "")):
            message = (
                f"a page of {(origin or 'another site')[:100]!r} sent {kind[:100] or 'a body without a type'!r}: from "
                "pages of other sites this server takes Content-Type: application/json only"
            )
            raise ApiError(403, "ORIGIN_NOT_ALLOWED", message)

    def _check_values(self, body: bytes) -> None:
        """Before anything is made of a body: a million empty objects take minutes and gigabytes to check."""
        if (values := count_values(body, self._max_values)) > self._max_values:
            message = f"the body holds {values:,} values, the limit is {self._max_values:,}: send fewer texts at a time"
            raise ApiError(422, "VALIDATION_ERROR", message)

    @contextmanager
    def _body_room(self) -> Iterator[_Room]:
        room = _Room(self)
        try:
            yield room
        finally:
            self._held -= room.bytes

    def hold(self, size: int) -> None:
        """Count bytes of a body that is more than small.

        Raises:
            ApiError: 429, all requests together hold too much.
        """
        most = self._settings.max_held_bytes
        if self._held + size > most:
            message = f"bodies of {self._held:,} bytes are being worked on and the limit is {most:,}: come back later"
            raise ApiError(429, "RATE_CONCURRENCY_LIMIT_EXCEEDED", message, retry_after=2)
        self._held += size

    async def _body(self, scope: Scope, receive: Receive, room: _Room) -> bytes:
        limit = self._settings.max_body_bytes
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                return await _read(receive, limit, room)
        except TimeoutError:
            seconds = self._settings.body_seconds
            raise ApiError(408, "REQUEST_TIMEOUT", f"the body did not arrive within {seconds:g} s") from None

    async def _turn_away(self, refusal: ApiError, record: Record, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse before the body is there, and close.

        The whole answer goes out first. What the client goes on sending is thrown away for a moment, since a connection
        that is closed over unread bytes takes the answer with it.
        """
        response = refusal.response(record)
        response.headers["connection"] = "close"
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        head = scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if head else response.body, "more_body": True})
        if refusal.status not in (408, 499):
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await _throw_away(receive, 2 * self._settings.max_body_bytes)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Answer:
    """Sends an answer, with headers of the gate's, and remembers how it began."""

    def __init__(self, send: Send, headers: Callable[[], list[tuple[bytes, bytes]]]) -> None:
        self._send, self._headers = send, headers
        self.status, self.started, self.body_is_there = 500, False, False
        self.began: float | None = None
        """When the request was there and the application began."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.started = message["status"], True
            message = {**message, "headers": [*message.get("headers", []), *self._headers()]}
        await self._send(message)


class _Room:
    """The bytes that one request holds."""

    def __init__(self, gate: Gate) -> None:
        self._gate, self.bytes = gate, 0

    def grow(self, size: int) -> None:
        """Hold `size` bytes, if more than small."""
        if size > SMALL_BODY:
            self._gate.hold(size - self.bytes)
            self.bytes = size


async def _read(receive: Receive, limit: int, room: _Room) -> bytes:
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
        room.grow(size)
        if not message.get("more_body"):
            return b"".join(parts)


async def _throw_away(receive: Receive, most: int) -> None:
    size = 0
    while size < most:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return


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


def _line(scope: Scope, status: int, seconds: float, record: Record) -> Line:
    host, _ = scope.get("client") or ("-", 0)
    agent = Headers(scope=scope).get("user-agent", "")
    return Line(host, agent, scope["method"], scope["path"], status, seconds, record)


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "PAYLOAD_TOO_LARGE", f"the body is larger than {limit:,} bytes: send fewer texts at a time")
