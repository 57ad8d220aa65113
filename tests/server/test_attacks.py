"""Raw sockets against a real server: held connections, endless headers and bodies, unread answers, other sites."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from jina_v3_connectors.server import ServerSettings
from jina_v3_connectors.server import gate as gate_module
from jina_v3_connectors.server.connections import ConnectionLimits
from jina_v3_connectors.server.settings import LOCAL_HOSTS, hash_key
from jina_v3_encoder.testing import FakeEncoder
from tests.cli.test_serve import serving

from ..support.running import running

GOOD = {"model": "jina-embeddings-v3", "input": "a text"}
SECONDS = 60
HEAD = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


def connect(url: str) -> socket.socket:
    """A connection with little room for what is not read."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.settimeout(SECONDS)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    return connection


def connects(url: str, stack: ExitStack, number: int) -> list[socket.socket]:
    return [stack.enter_context(connect(url)) for _ in range(number)]


def ended(connection: socket.socket) -> bool:
    """Whether the server closes it; what it says before is read over."""
    try:
        while connection.recv(2**16):
            pass
    except ConnectionError:
        pass
    return True


def send_until_refused(connection: socket.socket, data: bytes, most: int) -> int:
    """Bytes that are taken before the server ends the connection; `most` and more where it does not."""
    sent = 0
    try:
        while sent < most:
            connection.sendall(data)
            sent += len(data)
    except ConnectionError:
        pass
    return sent


def test_idle_connections_give_way_to_new_ones() -> None:
    limits = ConnectionLimits(connections=20, per_peer=20, header_seconds=SECONDS)
    with running(FakeEncoder(), limits=limits) as url, ExitStack() as stack:
        idle = connects(url, stack, 60)
        assert ended(idle[0]), "those that came first had to go"
        for _ in range(30):
            assert httpx.post(f"{url}/v1/embeddings", json=GOOD, timeout=SECONDS).status_code == 200


def test_a_peer_has_its_own_limit() -> None:
    with (
        running(FakeEncoder(), limits=ConnectionLimits(per_peer=5, header_seconds=SECONDS)) as url,
        ExitStack() as stack,
    ):
        idle = connects(url, stack, 12)
        assert all(ended(connection) for connection in idle[:7])
        assert httpx.get(f"{url}/health", timeout=SECONDS).status_code == 200


@pytest.mark.parametrize("limit", ["connections", "per_peer"])
def test_health_and_metrics_answer_when_all_connections_are_served(limit: str) -> None:
    free = threading.Event()
    admitted: list[object] = []

    class Held(FakeEncoder):
        """Every text takes until it is let go."""

        def count_tokens(self, texts: Any, *arguments: Any, **settings: Any) -> Any:
            admitted.append(texts)
            return super().count_tokens(texts, *arguments, **settings)

        def encode(self, texts: Any, **settings: Any) -> Any:
            assert free.wait(SECONDS)
            return super().encode(texts, **settings)

    body = json.dumps(GOOD).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with running(Held(), limits=ConnectionLimits(**{limit: 4})) as url, ExitStack() as stack:
        served = connects(url, stack, 4)
        for connection in served:
            connection.sendall(request)
        wait_for(lambda: len(admitted) == 4)  # until then they count as idle, and would give way
        wait_for(lambda: httpx.get(f"{url}/v1/models", timeout=SECONDS).status_code == 503)
        refused = httpx.post(f"{url}/v1/embeddings", json=GOOD, timeout=SECONDS)
        assert refused.status_code == 503
        assert "too many connections are open" in refused.json()["detail"]
        assert refused.headers["connection"] == "close"
        assert refused.headers["retry-after"]
        for path in ("/health", "/ready", "/live", "/metrics"):
            assert httpx.get(f"{url}{path}", timeout=SECONDS).status_code == 200
        free.set()
        for connection in served:
            assert b" 200 " in connection.recv(2**16)


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /he"],
    ids=["nothing", "headers", "the next headers"],
)
def test_headers_that_never_end_are_given_up(begun: bytes) -> None:
    limits = ConnectionLimits(header_seconds=0.3, idle_seconds=0.3)
    with running(FakeEncoder(), limits=limits) as url, connect(url) as connection:
        connection.sendall(begun)
        assert ended(connection)


def test_dripping_headers_are_given_up() -> None:
    with running(FakeEncoder(), limits=ConnectionLimits(header_seconds=0.5)) as url, connect(url) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        drops = 0
        try:
            while drops < 1000:
                connection.sendall(b"a: b\r\n")
                drops += 1
                time.sleep(0.05)
        except ConnectionError:
            pass
        assert drops < 1000


def test_a_connection_is_kept_between_requests_and_given_up_when_idle() -> None:
    limits = ConnectionLimits(header_seconds=1.0, idle_seconds=4.0)
    with running(FakeEncoder(), limits=limits) as url, connect(url) as connection:
        for _ in range(2):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in connection.recv(4000)
            time.sleep(1.2)
        assert ended(connection)


def test_headers_have_a_size() -> None:
    with running(FakeEncoder()) as url, connect(url) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        assert send_until_refused(connection, b"a: " + b"b" * 1000 + b"\r\n", 50_000_000) < 20_000_000


@contextmanager
def locked() -> Iterator[str]:
    settings = ServerSettings(key_hashes=frozenset({hash_key("a-key")}), max_body_bytes=2**20)
    with running(FakeEncoder(), settings) as url:
        yield url


@pytest.mark.parametrize(
    ("header", "status"), [(b"", b" 401 "), (b"Authorization: Bearer a-key\r\n", b" 413 ")], ids=["no key", "too large"]
)
def test_a_refused_body_is_not_read_on(header: bytes, status: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sends after the refusal is thrown away for a moment, so that it can read the refusal; then it is over."""
    monkeypatch.setattr(gate_module, "DRAIN_SECONDS", 1.0)
    with locked() as url, connect(url) as connection:
        connection.sendall(CHUNKED.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n"))
        sent = send_until_refused(connection, CHUNK, 200 * 2**20)
        assert sent < 50 * 2**20
    with locked() as url, connect(url) as connection:
        connection.sendall(CHUNKED.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n") + CHUNK * 20)
        told = connection.recv(4000)
        assert status in told
        assert b"connection: close" in told.lower()


def test_a_client_that_sends_all_first_reads_why_it_was_refused() -> None:
    with locked() as url:
        headers = {"Authorization": "Bearer a-key"}
        answer = httpx.post(f"{url}/v1/embeddings", content=b"x" * 2**21, headers=headers, timeout=SECONDS)
        assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert httpx.post(f"{url}/v1/embeddings", content=b"x" * 2**21, timeout=SECONDS).status_code == 401


def test_bodies_together_have_a_limit_that_small_ones_do_not_meet() -> None:
    settings = ServerSettings(max_held_bytes=300_000)
    with running(FakeEncoder(), settings) as url, ExitStack() as stack:
        for connection in connects(url, stack, 3):
            connection.sendall(HEAD + b"Content-Length: 5000000\r\n\r\n" + b"x" * 90_000)
        large = {**GOOD, "input": ["word " * 20_000]}
        wait_for(lambda: httpx.post(f"{url}/v1/embeddings", json=large, timeout=SECONDS).status_code == 429)
        assert httpx.post(f"{url}/v1/embeddings", json=GOOD, timeout=SECONDS).status_code == 200
    with running(FakeEncoder(), settings) as url:
        for _ in range(5):
            answer = httpx.post(f"{url}/v1/embeddings", json={**large, "truncate": True}, timeout=SECONDS)
            assert answer.status_code == 200, "what was answered is held no longer"


LARGE = {"model": "jina-embeddings-v3", "input": ["x"] * 2000}


def ask_and_never_read(connection: socket.socket) -> None:
    body = json.dumps(LARGE).encode()
    connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)


WIDE = FakeEncoder(dimensions=1024)


def test_a_client_that_does_not_read_is_given_up() -> None:
    limits = ConnectionLimits(stalled_seconds=0.5, idle_seconds=SECONDS)
    with running(WIDE, limits=limits) as url, connect(url) as connection:
        ask_and_never_read(connection)
        assert connection.recv(1)
        time.sleep(2)
        assert ended(connection)
        assert httpx.get(f"{url}/health").status_code == 200


def test_answers_that_nobody_reads_have_a_limit_together() -> None:
    limits = ConnectionLimits(stalled_seconds=SECONDS, unread_bytes=50_000_000)
    with running(WIDE, limits=limits) as url, ExitStack() as stack:
        deaf = connects(url, stack, 4)
        for connection in deaf:
            ask_and_never_read(connection)
            assert connection.recv(1)
        assert ended(deaf[0]), "the one that waited longest"
        answer = httpx.post(f"{url}/v1/embeddings", json=LARGE, timeout=SECONDS)
        assert len(answer.json()["data"]) == 2000


@pytest.mark.parametrize("signals", [1, 2])
def test_sigterm_ends_it_though_a_client_never_reads(signals: int, tmp_path: Path) -> None:
    with serving("--grace", "1", folder=tmp_path) as (process, url, _told), connect(url) as connection:
        ask_and_never_read(connection)
        assert connection.recv(1)
        for _ in range(signals):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        assert process.wait(timeout=40) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_sigterm_ends_it_in_the_middle_of_a_long_document(tmp_path: Path) -> None:
    body = json.dumps(
        {"model": "jina-embeddings-v3", "input": ["many words " * 100_000], "late_chunking": True, "window": 512}
    ).encode()
    with serving("--grace", "1", folder=tmp_path) as (process, url, _told), connect(url) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        wait_for(lambda: "jina_v3_waiting_tokens 0.0" not in httpx.get(f"{url}/metrics", timeout=SECONDS).text)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0


FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
@pytest.mark.parametrize(
    "page",
    [FOREIGN, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://localhost.evil.example"}],
)
@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/segment", "/demo/search"])
def test_other_sites_pages_compute_nothing(local: str, kind: str, page: dict[str, str], path: str) -> None:
    answer = httpx.post(f"{local}{path}", content=json.dumps(GOOD), headers={**page, "Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (403, "ORIGIN_NOT_ALLOWED")
    assert "Content-Type: application/json" in answer.json()["detail"]


@pytest.fixture(scope="module")
def local() -> Iterator[str]:
    with running(FakeEncoder(), ServerSettings(hosts=LOCAL_HOSTS)) as url:
        yield url


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"Content-Type": "application/json; charset=utf-8", **FOREIGN},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain", "Origin": "http://localhost:3000"},
        {"Content-Type": "text/plain", "Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"},
        {"Content-Type": "text/plain", "Origin": "http://[::1]:8080"},
    ],
    ids=str,
)
def test_who_is_answered(local: str, headers: dict[str, str]) -> None:
    """JSON from elsewhere is asked for first by browsers, and here nobody says yes; curl calls its data a form."""
    answer = httpx.post(f"{local}/v1/embeddings", content=json.dumps(GOOD), headers=headers)
    assert answer.status_code == 200, answer.text


def test_browsers_that_ask_first_get_no_permission(local: str) -> None:
    asked = httpx.options(f"{local}/v1/embeddings", headers={**FOREIGN, "Access-Control-Request-Method": "POST"})
    assert asked.status_code >= 400
    assert not [name for name in asked.headers if name.startswith("access-control")]
