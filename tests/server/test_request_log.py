"""A line for each request: what was asked, how it ended, and nothing that is secret."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

import httpx
import pytest

from jina_v3_connectors.server import ServerSettings
from jina_v3_connectors.server.records import Record
from jina_v3_connectors.server.request_log import Line, LineFormatter, logger
from jina_v3_connectors.server.settings import hash_key
from jina_v3_encoder.encoder import Encoder

from ..support.running import running

MODEL = "jina-embeddings-v3"
SECRET = "a text that nobody else may read"
KEY = "key-of-the-user"


class Lines(logging.Handler):
    """Keeps what is logged, in both forms."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.json: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.text.append(LineFormatter("text").format(record))
        self.json.append(LineFormatter("json").format(record))


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def locked(exact: Encoder) -> Iterator[httpx.Client]:
    settings = ServerSettings(key_hashes=frozenset({hash_key(KEY)}))
    with running(exact, settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def waited(lines: Lines, count: int) -> list[str]:
    """The answer may be there before its line is."""
    until = time.monotonic() + 10
    while len(lines.text) < count and time.monotonic() < until:
        time.sleep(0.01)
    return lines.text


def test_what_a_line_tells(locked: httpx.Client, lines: Lines, exact: Encoder) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "User-Agent": "some-client/1.0"}
    body = {"model": MODEL, "input": SECRET, "task": "retrieval.query"}
    locked.post("/v1/embeddings", json=body, headers=headers)
    (line,) = waited(lines, 1)
    tokens = exact.count_tokens(SECRET, "retrieval.query")
    assert f" 127.0.0.1 POST /v1/embeddings 200 {tokens} tokens " in line
    assert line.endswith("[retrieval.query] some-client/1.0")
    values = json.loads(lines.json[0])
    assert (values["status"], values["tokens"], values["tasks"]) == (200, tokens, ["retrieval.query"])
    assert values["models"] == [MODEL]


def test_why_a_request_was_refused(locked: httpx.Client, lines: Lines) -> None:
    good = {"Authorization": f"Bearer {KEY}"}
    locked.post("/v1/embeddings", json={"model": MODEL, "input": SECRET, "dimensions": 9999}, headers=good)
    locked.post("/v1/embeddings", json={"model": MODEL, "input": SECRET, "output_dim": 64}, headers=good)
    locked.post("/v1/embeddings", json={"model": "other", "input": SECRET}, headers=good)
    locked.post("/v1/embeddings", json={"model": MODEL, "input": SECRET}, headers={"Authorization": "Bearer wrong-key"})
    locked.post("/v1/nothing", json={"input": SECRET}, headers=good)
    told = waited(lines, 5)
    for line, part in zip(
        told,
        (
            "422",
            "this server knows no 'output_dim'",
            "'other' is not served",
            "AUTH_INVALID_API_KEY",
            "not served here",
        ),
        strict=True,
    ):
        assert part in line
    everything = "\n".join(told + lines.json)
    for secret in (SECRET, KEY, "wrong-key"):
        assert secret not in everything


def test_supervisors_are_not_listed(locked: httpx.Client, lines: Lines) -> None:
    for path in ("/health", "/ping", "/ready"):
        locked.get(path)
    locked.get("/metrics")
    assert "/metrics" in waited(lines, 1)[0], "it was refused"
    assert len(lines.text) == 1


def test_a_stranger_cannot_write_lines_of_his_own() -> None:
    record = Record(code="X", message="a\nb" * 1000)
    line = Line("::1", "agent\n2026 forged\x1b[2J", "GET", "/a\r\nb" + "c" * 1000, 404, 0.1, record)
    text = line.text()
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert len(text) < 1000
    assert len(json.dumps(line.values())) < 1200


def test_a_failure_after_the_first_space_is_told(exact: Encoder, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        time.sleep(0.3)
        raise RuntimeError("no memory")

    monkeypatch.setattr(exact.engine, "id_means", fail)
    with running(exact, ServerSettings(keep_alive_after=0.05)) as url:
        answer = httpx.post(f"{url}/v1/embeddings", json={"model": MODEL, "input": "x"}, timeout=60)
        assert answer.status_code == 200
        assert answer.json()["code"] == "INTERNAL_ERROR"
    assert "INTERNAL_ERROR" in waited(lines, 1)[0]
