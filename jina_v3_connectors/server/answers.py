"""JSON answers; slow ones begin with white space, so that clients with a short read timeout stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import orjson
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from .errors import as_api_error

SPACE_SECONDS = 2.0
JSON = "application/json"
Value = TypeVar("Value")


def json_answer(value: Any) -> Response:
    return Response(to_json(value), media_type=JSON)


def to_json(value: Any) -> bytes:
    """Arrays in the shortest digits that read back as the same float32."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


async def patient_answer(
    work: asyncio.Task[Value], build: Callable[[Value], dict[str, Any]], after: float | None
) -> Response:
    """The answer, or after `after` seconds the beginning of it: status 200 and spaces until it is there.

    A failure that comes later can only be told in the body; it has the same form as any other.
    """
    try:
        await asyncio.wait({work}, timeout=after)
    except asyncio.CancelledError:
        work.cancel()
        raise
    if work.done():
        return json_answer(build(work.result()))
    return _Patient(work, build)


class _Patient(StreamingResponse):
    """Ends the work with its client, also where that was gone before the first space."""

    def __init__(self, work: asyncio.Task[Value], build: Callable[[Value], dict[str, Any]]) -> None:
        super().__init__(_spaces(work, build), media_type=JSON)
        self._work: asyncio.Task[Any] = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._work.cancel()


async def _spaces(work: asyncio.Task[Value], build: Callable[[Value], dict[str, Any]]) -> AsyncIterator[bytes]:
    try:
        while not work.done():
            yield b" "
            await asyncio.wait({work}, timeout=SPACE_SECONDS)
        yield to_json(build(work.result()))
    except Exception as error:
        yield to_json(as_api_error(error).body())
