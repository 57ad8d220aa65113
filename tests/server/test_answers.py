"""Answers as bytes: exact digits, and white space before what takes long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from fastapi.responses import Response, StreamingResponse
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_connectors.server import answers as module
from jina_v3_connectors.server.answers import json_answer, patient_answer, to_json
from jina_v3_connectors.server.errors import ApiError
from jina_v3_connectors.server.records import Record


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20))
def test_every_float32_reads_back_as_itself(values: list[float]) -> None:
    array = np.array(values, dtype=np.float32)
    again = np.array(json.loads(to_json({"embedding": array}))["embedding"], dtype=np.float32)
    assert np.array_equal(array, again)


def test_an_answer_is_json() -> None:
    answer = json_answer({"a": [1, "ü"]})
    assert answer.media_type == "application/json"
    assert json.loads(bytes(answer.body)) == {"a": [1, "ü"]}


def answered(work: Callable[[], Awaitable[Any]], after: float | None) -> tuple[Response, bytes]:
    async def run() -> tuple[Response, bytes]:
        response = await patient_answer(
            asyncio.ensure_future(work()), lambda number: {"number": number}, after, Record()
        )
        if not isinstance(response, StreamingResponse):
            return response, bytes(response.body)
        parts: AsyncIterable[Any] = response.body_iterator
        return response, b"".join([bytes(part) async for part in parts])

    return asyncio.run(run())


async def quick() -> int:
    return 5


async def slow() -> int:
    await asyncio.sleep(0.3)
    return 5


async def failing() -> int:
    await asyncio.sleep(0.3)
    raise ApiError(429, "RATE_TOKEN_LIMIT_EXCEEDED", "come back", retry_after=3)


async def breaking() -> int:
    await asyncio.sleep(0.3)
    raise RuntimeError("a secret")


def test_what_is_ready_in_time_is_sent_whole() -> None:
    response, body = answered(quick, 1.0)
    assert not isinstance(response, StreamingResponse)
    assert body == b'{"number":5}'


@pytest.mark.parametrize("work", [quick, slow])
def test_without_patience_it_waits(work: Callable[[], Awaitable[Any]]) -> None:
    response, body = answered(work, None)
    assert not isinstance(response, StreamingResponse)
    assert body == b'{"number":5}'


def test_what_is_late_begins_with_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPACE_SECONDS", 0.05)
    response, body = answered(slow, 0.01)
    assert isinstance(response, StreamingResponse)
    assert body.startswith(b"  ")
    assert json.loads(body) == {"number": 5}


@pytest.mark.parametrize(("work", "code"), [(failing, "RATE_TOKEN_LIMIT_EXCEEDED"), (breaking, "INTERNAL_ERROR")])
def test_a_late_failure_is_told_in_the_body(work: Callable[[], Awaitable[Any]], code: str) -> None:
    _, body = answered(work, 0.01)
    told = json.loads(body)
    assert told["code"] == code
    assert b"secret" not in body


def test_an_early_failure_is_raised() -> None:
    async def wrong() -> int:
        raise ApiError(422, "VALIDATION_ERROR", "wrong")

    with pytest.raises(ApiError, match="wrong"):
        answered(wrong, 1.0)
