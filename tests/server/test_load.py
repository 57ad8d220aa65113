"""Slow answers, many clients at once, clients that vanish, and the end of a server under load."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from jina_v3_connectors.server import ServerSettings
from jina_v3_connectors.server import answers as module
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.testing import FakeEncoder

from ..servers.milvus import free_port
from ..support.running import running

NANO_DIMENSIONS = 384
MODEL = "jina-embeddings-v3"
GOOD = {"model": MODEL, "input": "a text"}


class Slow(FakeEncoder):
    """Takes its time, then fails if it is told to."""

    def __init__(self, seconds: float, max_batch_tokens: int | None = None) -> None:
        super().__init__(max_batch_tokens=max_batch_tokens)
        self.seconds, self.calls = seconds, 0

    def encode(self, texts: Any, **settings: Any) -> Any:
        self.calls += 1
        time.sleep(self.seconds)
        if "poison" in texts:
            raise RuntimeError("a secret")
        return super().encode(texts, **settings)


def test_a_slow_answer_keeps_impatient_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPACE_SECONDS", 0.1)
    with running(Slow(1.2), ServerSettings(keep_alive_after=0.1)) as url, httpx.Client(timeout=0.5) as client:
        answer = client.post(f"{url}/v1/embeddings", json=GOOD)
        assert answer.text.startswith("   ")
        wanted = FakeEncoder().encode(["a text"])
        assert np.allclose([row["embedding"] for row in answer.json()["data"]], wanted, atol=1e-6)
        late = client.post(f"{url}/v1/embeddings", json={**GOOD, "input": "poison"})
        assert late.status_code == 200, "it was sent before anything failed"
        assert late.json()["code"] == "INTERNAL_ERROR"
        assert "secret" not in late.text
        wrong = client.post(f"{url}/v1/embeddings", json={**GOOD, "dimensions": 0})
        assert wrong.status_code == 422, "what is known at once is told at once"


def test_the_spaces_can_be_switched_off() -> None:
    with running(Slow(0.5), ServerSettings(keep_alive_after=None)) as url:
        answer = httpx.post(f"{url}/v1/embeddings", json=GOOD, timeout=10)
        assert answer.text.startswith("{")
        failed = httpx.post(f"{url}/v1/embeddings", json={**GOOD, "input": "poison"}, timeout=10)
        assert failed.status_code == 500


@pytest.mark.parametrize("keep_alive", [0.05, None])
def test_a_client_that_vanishes_costs_nothing(keep_alive: float | None) -> None:
    encoder = Slow(0.4, max_batch_tokens=8)
    with running(encoder, ServerSettings(keep_alive_after=keep_alive)) as url:
        with pytest.raises(httpx.ReadTimeout), httpx.Client(timeout=httpx.Timeout(5, read=0.03)) as client:
            client.post(f"{url}/v1/embeddings", json={**GOOD, "input": ["a few words here"] * 40})
        time.sleep(2)
        calls = encoder.calls
        assert calls < 12, "not the forty batches that were asked for"
        time.sleep(0.6)
        assert encoder.calls == calls
        assert httpx.post(f"{url}/v1/embeddings", json=GOOD, timeout=10).status_code == 200


def test_many_clients_get_their_own_answers(url: str, exact: Encoder) -> None:
    """64 at once, of mixed sizes and tasks; each checks what it gets."""
    words = [f"word{number}" for number in range(50)]

    def client(seed: int) -> int:
        draw = random.Random(seed)
        done = 0
        with httpx.Client(base_url=url, timeout=60) as connection:
            for _ in range(3):
                texts = [" ".join(draw.choices(words, k=draw.randint(1, 30))) for _ in range(draw.choice([1, 1, 2, 6]))]
                task = draw.choice([*TASK_NAMES, None])
                late = draw.random() < 0.2
                body = {"model": MODEL, "input": texts, "task": task, "late_chunking": late}
                answer = connection.post("/v1/embeddings", json=body).json()
                wanted = exact.encode_chunks(texts, task=task) if late else exact.encode(texts, task=task)
                assert np.allclose([row["embedding"] for row in answer["data"]], wanted, atol=1e-4)
                done += 1
        return done

    with ThreadPoolExecutor(64) as pool:
        assert sum(pool.map(client, range(64))) == 64 * 3


def test_a_slow_sender_starves_nobody(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port)), timeout=10) for _ in range(50)]
    try:
        for connection in slow:
            connection.sendall(b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{")
        start = time.monotonic()
        assert httpx.post(f"{url}/v1/embeddings", json=GOOD, timeout=30).status_code == 200
        assert time.monotonic() - start < 10
    finally:
        for connection in slow:
            connection.close()


def taken_in(metrics: str) -> float:
    """Requests of 40 texts that are answered, or wait for their vectors."""
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    answered = values.get('jina_v3_requests_total{path="/v1/embeddings",status="200"}', "0")
    return float(answered) + float(values["jina_v3_vector_bytes"]) / (40 * NANO_DIMENSIONS * 4)


def test_sigterm_answers_what_was_taken_in(tmp_path: Path) -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "jina_v3_connectors",
        "serve",
        "--port",
        str(port),
        "--model",
        "nano",
        "--grace",
        "300",
    ]
    environment = {**os.environ, "JINA_V3_SERVER_KEYS": "a-key"}
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if httpx.get(f"{address}/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        headers = {"Authorization": "Bearer a-key"}
        body = {"model": MODEL, "input": ["some words to read again and again " * 30] * 40}
        answers: list[httpx.Response] = []
        accepted = threading.Barrier(9)

        def ask() -> None:
            accepted.wait()
            answers.append(httpx.post(f"{address}/v1/embeddings", json=body, headers=headers, timeout=300))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        accepted.wait()
        while taken_in(httpx.get(f"{address}/metrics", headers=headers, timeout=60).text) < 8:
            time.sleep(0.05)
        server.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(300)
        assert [answer.status_code for answer in answers] == [200] * 8
        assert all(len(json.loads(answer.text)["data"]) == 40 for answer in answers)
        assert server.wait(30) == 0
        assert server.stderr is not None
        with server.stderr:
            told = server.stderr.read()
        assert "Traceback" not in told
        assert "a-key" not in told
    finally:
        server.kill()
        server.wait()
