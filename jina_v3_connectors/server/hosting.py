"""Uvicorn with watch kept over its connections and its end.

Uvicorn has one timeout, for idle connections that were answered before, and answers 503 to everybody, the supervisor
too, once `limit_concurrency` connections are open, idle or not. Granian and hypercorn have timeouts for headers, but
neither limits connections of a peer nor lets a new one take an idle one's place, so they would not do alone either.
What is missing needs no parsing and nothing private: a protocol between asyncio and uvicorn's own, which sees each
connection begin, end, stop and go on, and is told by the gate when a request begins and ends.

Uvicorn's h11 protocol is used even where httptools is installed: it bounds the size of headers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from .connections import ConnectionLimits, Connections, Waits
from .gate import CONNECTION

HEADER_BYTES = 2**15
BACKLOG = 512
GRACE_SECONDS = 30.0
"""After a signal, for answers to what was taken in; then all connections are closed."""
CANCEL_SECONDS = 10.0
"""After that, until uvicorn cancels what goes on nevertheless."""
LAST_SECONDS = 20.0
"""After the grace, for the batch under way and for closing stores; then the process ends, whatever it does."""


def hosted(app: FastAPI, limits: ConnectionLimits | None = None, grace: float = GRACE_SECONDS) -> Host:
    """A server for `app`, to be run with sockets of the caller's; `grace` is in seconds."""
    connections = Connections(limits or ConnectionLimits())
    config = uvicorn.Config(
        app,
        http=partial(GuardedProtocol, connections),  # type: ignore[arg-type] # uvicorn only calls it
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_keep_alive=round(connections.limits.idle_seconds),
        timeout_graceful_shutdown=round(grace + CANCEL_SECONDS),
    )
    return Host(config, connections, grace)


class Host(uvicorn.Server):
    """Ends a while after the first signal, whoever does not read and whatever is being computed."""

    def __init__(self, config: uvicorn.Config, connections: Connections, grace: float) -> None:
        super().__init__(config)
        self.connections, self.grace = connections, grace

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            last = threading.Timer(self.grace + LAST_SECONDS, os._exit, (128 + sig,))
            last.daemon = True
            last.start()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(self.grace, self.connections.end_all)
        await super().shutdown(sockets)


class GuardedProtocol(asyncio.Protocol):
    """Passes everything on to uvicorn's protocol, and ends the connection when its client takes too long."""

    def __init__(self, connections: Connections, *, app_state: dict[str, Any], **uvicorn_own: Any) -> None:
        self._connections, self._limits = connections, connections.limits
        self._inner = H11Protocol(app_state={**app_state, CONNECTION: self}, **uvicorn_own)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._requests = 0
        """Under way; a client may send the next one before it has read the last answer."""
        self._receiving = True
        """Whether the time for headers runs, and not that between requests."""
        self.peer = ""
        self.waits = Waits.FOR_REQUEST
        self.since = self._loop.time()
        self.surplus = False
        self.paused_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        self._transport = transport
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if address else ""
        if not self._connections.add(self):
            transport.abort()
            return
        self._wait(Waits.FOR_REQUEST, self._limits.header_seconds)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self.waits == Waits.FOR_REQUEST and not self._receiving:
            self._receiving = True
            self._wait(Waits.FOR_REQUEST, self._limits.header_seconds)
        self._inner.data_received(data)

    def eof_received(self) -> None:
        self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self)
        self._stop_timers()
        if self._inner.transport is not None:  # else it was never let in
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read as fast as it is answered."""
        self._inner.pause_writing()
        self.paused_since = self._loop.time()
        self._watch_reading()
        self._connections.bound_unread(self)

    def resume_writing(self) -> None:
        self.paused_since = None
        if self._stalled is not None:
            self._stalled.cancel()
        self._inner.resume_writing()
        self._rest()

    @property
    def unread(self) -> int:
        """Bytes of answers that wait for the client to read."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def asked(self) -> None:
        self._requests += 1
        self._wait(Waits.FOR_BODY, None)  # the gate has a time of its own for bodies

    def taken_in(self) -> None:
        self._wait(Waits.FOR_SERVER, None)

    def answered(self) -> None:
        self._requests -= 1
        self._rest()

    def end(self) -> None:
        self._connections.remove(self)
        self._stop_timers()
        if self._transport is not None:
            self._transport.abort()

    def _rest(self) -> None:
        """Wait for the next request, if all are answered and the answers on their way."""
        if not self._requests and self.paused_since is None:
            self._receiving = False
            self._wait(Waits.FOR_REQUEST, self._limits.idle_seconds)

    def _wait(self, waits: Waits, seconds: float | None) -> None:
        """Note what is waited for, and end the connection if that takes more than `seconds`."""
        self.waits, self.since = waits, self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._loop.call_later(seconds, self.end)

    def _watch_reading(self) -> None:
        seconds, before = self._limits.stalled_seconds, self.unread

        def look() -> None:
            if before - self.unread < self._limits.slowest * seconds:
                self.end()
            else:
                self._watch_reading()

        self._stalled = self._loop.call_later(seconds, look)

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._stalled):
            if timer is not None:
                timer.cancel()
