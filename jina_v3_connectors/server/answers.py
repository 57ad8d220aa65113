"""JSON answers; slow ones begin with white space, so that clients with a short read timeout stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

import orjson
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from .clients import Client
from .errors import as_api_error
from .records import Record
from .service import Encoded, Question, Service

SPACE_SECONDS = 2.0
JSON = "application/json"
Value = TypeVar("Value")


def json_answer(value: Any) -> Response:
    return Response(to_json(value), media_type=JSON)


def to_json(value: Any) -> bytes:
    """Arrays in the shortest digits that read back as the same float32."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


async def vectors_answer(
    service: Service, questions: Sequence[Question], client: Client, build: Callable[[list[Encoded]], Any]
) -> Response:
    """What `build` makes of the vectors of a request's questions, patiently where the server is set so.

    Raises:
        ApiError: as `Service.admit`; 499 when nobody is there to be answered.
    """
    jobs = await service.admit_all(questions, client)
    waiting = asyncio.ensure_future(service.wait_all(jobs))
    after = service.settings.keep_alive_after
    if after is None:
        await service.wait_while_there(waiting, client.gone)
    return await patient_answer(waiting, build, after, client.record)


async def patient_answer(
    work: asyncio.Future[Value], build: Callable[[Value], Any], after: float | None, record: Record
) -> Response:
    """The answer, or after `after` seconds the beginning of it: status 200 and spaces until it is there.

    A failure that comes later can only be told in the body and the `record`; it has the same form as any other.
    """
    try:
        await asyncio.wait({work}, timeout=after)
    except asyncio.CancelledError:
        work.cancel()
        raise
    if work.done():
        return json_answer(build(work.result()))
    return _Patient(work, build, record)


class _Patient(StreamingResponse):
    """Ends the work with its client, also where that was gone before the first space."""

    def __init__(self, work: asyncio.Future[Value], build: Callable[[Value], Any], record: Record) -> None:
        super().__init__(_spaces(work, build, record), media_type=JSON)
        self._work: asyncio.Future[Any] = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._work.cancel()


async def _spaces(work: asyncio.Future[Value], build: Callable[[Value], Any], record: Record) -> AsyncIterator[bytes]:
    try:
        while not work.done():
            yield b" "
            await asyncio.wait({work}, timeout=SPACE_SECONDS)
        yield to_json(build(work.result()))
    except Exception as error:
        refusal = as_api_error(error)
        record.refuse(refusal.code, refusal.message)
        yield to_json(refusal.body(record))
