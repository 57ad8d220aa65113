"""Wrong requests: the right status, one body that all clients read, and a server that goes on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from jina_v3_connectors.server import ServerSettings
from jina_v3_connectors.server.errors import as_api_error
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.testing import FakeEncoder

from ..support.running import running

MODEL = "jina-embeddings-v3"
GOOD = {"model": MODEL, "input": "a text"}
DEEP = "[" * 100_000 + "]" * 100_000


def check(response: httpx.Response, status: int, code: str) -> str:
    """The message, after a look at the whole body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body["code"] == code
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert body["error"]["message"] == body["detail"]
    assert body["error"]["type"] == ("invalid_request_error" if status < 500 else "server_error")
    assert len(body["request_id"]) == 32
    assert "Traceback" not in response.text
    assert status == 422 or "errors" not in body
    return str(body["detail"])


INVALID: list[Any] = [
    {},
    {"model": MODEL},
    {**GOOD, "input": None},
    {**GOOD, "input": []},
    {**GOOD, "input": [1, 2]},
    {**GOOD, "input": [[1, 2], [3]]},
    {**GOOD, "input": 7},
    {**GOOD, "input": True},
    {**GOOD, "input": [None]},
    {**GOOD, "input": [["nested"]]},
    {**GOOD, "input": {"image": "x"}},
    {**GOOD, "input": [{"text": 3}]},
    {**GOOD, "task": "retrieval"},
    {**GOOD, "task": "nl2code.query"},
    {**GOOD, "task": 3},
    {**GOOD, "dimensions": 0},
    {**GOOD, "dimensions": -5},
    {**GOOD, "dimensions": 1025},
    {**GOOD, "dimensions": 385},
    {**GOOD, "dimensions": 64.5},
    {**GOOD, "dimensions": "64"},
    {**GOOD, "dimensions": True},
    {**GOOD, "dimensions": 10**400},
    {**GOOD, "embedding_type": "float16"},
    {**GOOD, "embedding_type": []},
    {**GOOD, "embedding_type": ["float", "int8"]},
    {**GOOD, "output_dtype": "int8"},
    {**GOOD, "return_multivector": True},
    {**GOOD, "truncate_prompt_tokens": 100},
    {**GOOD, "dimensions": 64, "output_dimension": 128},
    {**GOOD, "late_chunking": "perhaps"},
    {**GOOD, "truncate": 7},
    {**GOOD, "normalized": "maybe"},
    {**GOOD, "model": 3},
    {**GOOD, "model": "m" * 301},
    {**GOOD, "input": "\ud800"},
    {**GOOD, "late_chunking": True, "spans": [[5, 1]]},
    {**GOOD, "late_chunking": True, "spans": [[0, 700]]},
    {**GOOD, "late_chunking": True, "spans": [[0, 1, 2]]},
    {**GOOD, "late_chunking": True, "input": ["a", "b"], "spans": [[0, 1]]},
    {**GOOD, "late_chunking": True, "window": 1},
    {**GOOD, "late_chunking": True, "overlap": -1},
    [],
    "text",
    3,
    None,
]


@pytest.mark.parametrize("body", INVALID, ids=lambda body: ascii(body)[:60])
def test_values_that_are_not_allowed(client: httpx.Client, body: Any) -> None:
    check(client.post("/v1/embeddings", content=json.dumps(body)), 422, "VALIDATION_ERROR")
    assert client.post("/v1/embeddings", json=GOOD).status_code == 200, "the server goes on"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"model": ',
        b"\xff\xfe",
        b"not json",
        b'{"model": "jina-embeddings-v3", "input": NaN}',
        DEEP.encode(),
    ],
    ids=lambda content: repr(content[:20]),
)
def test_bodies_that_are_no_json(client: httpx.Client, content: bytes) -> None:
    response = client.post("/v1/embeddings", content=content)
    assert response.status_code in (400, 422), response.text
    check(response, response.status_code, response.json()["code"])


@pytest.mark.parametrize("name", ["text-embedding-3-small", "jina-embeddings-v2-base-en", "", f"{MODEL}:nonsense"])
def test_other_models(client: httpx.Client, name: str) -> None:
    told = check(client.post("/v1/embeddings", json={**GOOD, "model": name}), 400, "INPUT_MODEL_NOT_FOUND")
    assert "jina-embeddings-v3:TASK" in told


def test_a_text_that_is_too_long(client: httpx.Client) -> None:
    response = client.post("/v1/embeddings", json={**GOOD, "input": ["x", "many words " * 6000]})
    told = check(response, 400, "INPUT_TOKEN_LIMIT_EXCEEDED")
    assert "text 1 has" in told
    assert '"truncate": true' in told


def test_fields_are_named(client: httpx.Client) -> None:
    body = client.post("/v1/embeddings", json={**GOOD, "dimensions": 0, "task": "x"}).json()
    assert sorted(error["field"] for error in body["errors"]) == ["dimensions", "task"]
    assert all(error.keys() == {"field", "message", "type", "input"} for error in body["errors"])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/v1/embeddings")
    check(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/v2", "/v1/embedding", "/../etc/passwd", "/%00"])
def test_other_addresses(client: httpx.Client, path: str) -> None:
    check(client.get(path), 404, "NOT_FOUND")


@pytest.fixture(scope="module")
def small() -> Iterator[str]:
    settings = ServerSettings(max_items=3, max_body_bytes=2000, max_request_tokens=50, body_seconds=1.0)
    with running(FakeEncoder(), settings) as url:
        yield url


def test_requests_have_limits(small: str) -> None:
    address = f"{small}/v1/embeddings"
    assert "4 texts, the limit is 3" in check(
        httpx.post(address, json={**GOOD, "input": ["a"] * 4}), 422, "VALIDATION_ERROR"
    )
    told = check(httpx.post(address, json={**GOOD, "input": "a " * 60}), 400, "INPUT_TOKEN_LIMIT_EXCEEDED")
    assert "the limit is 50" in told
    check(httpx.post(address, content=b"x" * 3000), 413, "PAYLOAD_TOO_LARGE")
    chunks = (b"x" * 500 for _ in range(10))
    check(httpx.post(address, content=chunks), 413, "PAYLOAD_TOO_LARGE")


def test_a_body_that_never_comes_is_given_up(small: str) -> None:
    host, port = small.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        start = time.monotonic()
        assert b" 408 " in connection.recv(4000)
        assert time.monotonic() - start < 8
    assert httpx.get(f"{small}/health").status_code == 200


def test_truncated_bodies_and_garbage_leave_the_server_alive(small: str) -> None:
    host, port = small.removeprefix("http://").split(":")
    for content in (
        b"POST /v1/embeddings HTTP/1.1\r\nContent-Length: 50\r\n\r\n{",
        b"\x16\x03\x01 no http\r\n\r\n",
        b"GET",
    ):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(content)
    assert httpx.post(f"{small}/v1/embeddings", json=GOOD).status_code == 200


def test_what_nobody_expected_is_told_without_its_cause(exact: Encoder) -> None:
    error = as_api_error(RuntimeError("secret path /home/x"))
    assert (error.status, error.code) == (500, "INTERNAL_ERROR")
    assert "secret" not in str(error.body())

    class Broken(FakeEncoder):
        def encode(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("secret path /home/x")

    with running(Broken()) as url:
        assert "log" in check(httpx.post(f"{url}/v1/embeddings", json=GOOD), 500, "INTERNAL_ERROR")
