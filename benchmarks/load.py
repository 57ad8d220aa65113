"""A server under many clients: throughput beside encoding offline, waits of small requests, memory, wrong answers."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jina_v3_connectors.bench.corpus import mixed_texts
from jina_v3_encoder.errors import JinaV3Error, MissingExtra
from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.text_encoder import TextEncoder

TEXTS = 1200
SIZES = (1, 4, 16, 64)
"""Texts of a request, drawn evenly."""
SMALL = "what is the height of the tower?"
SMALL_TASK = "retrieval.query"
SMALL_EVERY = 0.2
LONE = 40
WARM_SECONDS = 5.0
SAME = 0.999
"""Least cosine of an answer and the vector that the encoder gives; another text or task is far below."""


@dataclass
class ServeBench:
    """Seconds, tokens a second, bytes."""

    clients: int
    seconds: float
    offline: float = 0.0
    """Tokens a second of `encode` over all texts, the mean of before and after."""
    served: float = 0.0
    requests: int = 0
    failed: list[str] = field(default_factory=list)
    wrong: int = 0
    lone: float = 0.0
    """Median time of a small request while nothing else is asked."""
    small: list[float] = field(default_factory=list)
    """Times of small requests under load."""
    batch: float = 0.0
    """Mean time of a batch of large requests under load."""
    memory: list[int] = field(default_factory=list)
    """Resident bytes of the server in each second under load; empty where the system does not tell."""

    @property
    def ratio(self) -> float:
        return self.served / self.offline

    def percentile(self, percent: float) -> float:
        """Of the times of small requests under load."""
        return float(np.percentile(self.small, percent))

    @property
    def bound(self) -> float:
        """Three lone requests and a batch: what the slowest twentieth of small requests should stay below."""
        return 3 * self.lone + self.batch

    def to_dict(self) -> dict[str, Any]:
        figures = {"ratio": self.ratio, "p50": self.percentile(50), "p95": self.percentile(95), "bound": self.bound}
        return {**asdict(self), **figures}


def bench_serve(
    encoder: TextEncoder,
    arguments: Sequence[str],
    *,
    clients: int,
    seconds: float,
    announce: Callable[[str], None],
) -> ServeBench:
    """Start `jina-v3 serve` with `arguments` in a process of its own and let `clients` ask it for `seconds`.

    Raises:
        JinaV3Error: the server does not start.
        MissingExtra: httpx is not installed.
    """
    load = Load(encoder)
    result = ServeBench(clients, seconds)
    announce("encoding offline")
    before = load.offline()
    with server(arguments) as (url, process):
        asyncio.run(_measure(load, url, process, result, announce))
    announce("encoding offline once more")
    result.offline = (before + load.offline()) / 2
    return result


class Load:
    """Texts, each always with the same task, and their vectors."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self.texts = mixed_texts(TEXTS)
        self.tasks = [(*TASK_NAMES, None)[number % (len(TASK_NAMES) + 1)] for number in range(TEXTS)]
        counted = [encoder.count_tokens([text], task) for text, task in zip(self.texts, self.tasks, strict=True)]
        self.tokens = [counts[0] if isinstance(counts, list) else counts for counts in counted]
        self.vectors: NDArray[np.float32] = encoder.encode(self.texts, task=self.tasks)
        self.small: NDArray[np.float32] = encoder.encode([SMALL], task=SMALL_TASK)

    def offline(self) -> float:
        """Tokens a second of one call with all texts."""
        start = time.perf_counter()
        self._encoder.encode(self.texts, task=self.tasks)
        return sum(self.tokens) / (time.perf_counter() - start)

    def draw(self, chance: random.Random) -> list[int]:
        """Texts of one task for a request."""
        first = chance.randrange(len(TASK_NAMES) + 1)
        return [chance.randrange(first, TEXTS, len(TASK_NAMES) + 1) for _ in range(chance.choice(SIZES))]


async def _measure(
    load: Load, url: str, process: subprocess.Popen[str], result: ServeBench, announce: Callable[[str], None]
) -> None:
    async with _client(url) as client:
        announce("asking alone")
        lone = [await _ask(client, load, result, None) for _ in range(LONE)]
        result.lone = float(np.median(lone))
        announce(f"{result.clients} clients, warming up")
        await _ask_together(client, load, ServeBench(result.clients, WARM_SECONDS), None)
        announce(f"{result.clients} clients for {result.seconds:g} s")
        earlier = await _batches(client)
        await _ask_together(client, load, result, process.pid)
        spent, batches = (now - then for now, then in zip(await _batches(client), earlier, strict=True))
        result.batch = spent / max(1.0, batches)


async def crowd(load: Load, url: str, pid: int, result: ServeBench) -> None:
    """All clients of `result` for its seconds, after a moment that is not counted."""
    async with _client(url) as client:
        await _ask_together(client, load, ServeBench(result.clients, WARM_SECONDS), None)
        await _ask_together(client, load, result, pid)


def _client(url: str) -> Any:
    """Asks with as many connections as there are clients.

    Raises:
        MissingExtra: httpx is not installed.
    """
    try:
        import httpx
    except ImportError:
        raise MissingExtra("httpx", "remote") from None
    return httpx.AsyncClient(base_url=url, timeout=300, limits=httpx.Limits(max_connections=None))


async def _ask_together(client: Any, load: Load, result: ServeBench, pid: int | None) -> None:
    """Run all clients until the time is over. Each finishes its last request."""
    start = time.perf_counter()
    end = start + result.seconds
    done = 0

    async def one(seed: int) -> None:
        nonlocal done
        chance = random.Random(seed)
        while time.perf_counter() < end:
            numbers = load.draw(chance)
            await _ask(client, load, result, numbers)
            done += sum(load.tokens[number] for number in numbers)

    def small() -> None:
        """In a thread of its own, so that its times hold nothing of the other clients' work."""
        asyncio.run(_small(client.base_url, load, result, end))

    async def watch() -> None:
        while time.perf_counter() < end:
            result.memory += _resident(pid)
            await asyncio.sleep(1)

    await asyncio.gather(asyncio.to_thread(small), watch(), *(one(seed) for seed in range(result.clients - 1)))
    result.served = done / (time.perf_counter() - start)


async def _small(url: Any, load: Load, result: ServeBench, end: float) -> None:
    import httpx

    async with httpx.AsyncClient(base_url=url, timeout=300) as client:
        while time.perf_counter() < end:
            result.small.append(await _ask(client, load, result, None))
            await asyncio.sleep(SMALL_EVERY)


async def _ask(client: Any, load: Load, result: ServeBench, numbers: list[int] | None) -> float:
    """Seconds of one request, the small one for None; its answer is checked."""
    small = numbers is None
    texts = [SMALL] if numbers is None else [load.texts[number] for number in numbers]
    task = SMALL_TASK if numbers is None else load.tasks[numbers[0]]
    body = {"model": "jina-embeddings-v3", "input": texts, "task": task, "embedding_type": "base64"}
    start = time.perf_counter()
    answer = await client.post("/v1/embeddings", json=body)
    seconds = time.perf_counter() - start
    result.requests += 1
    value = answer.json()
    if answer.status_code != 200 or "data" not in value:
        result.failed.append(str(value.get("detail"))[:200])
        return seconds
    rows = [np.frombuffer(base64.b64decode(row["embedding"]), dtype="<f4") for row in value["data"]]
    wanted = load.small if small else load.vectors[numbers]
    result.wrong += int(len(rows) != len(wanted) or float((np.stack(rows) * wanted).sum(axis=1).min()) < SAME)
    return seconds


async def _batches(client: Any) -> tuple[float, float]:
    """Seconds and number of the large batches so far."""
    text = (await client.get("/metrics")).text
    form = r'^jina_v3_batch_seconds_%s{kind="large"} (\S+)'
    matches = [re.search(form % name, text, re.MULTILINE) for name in ("sum", "count")]
    spent, batches = (float(match[1]) if match else 0.0 for match in matches)
    return spent, batches


def _resident(pid: int | None) -> list[int]:
    """Resident bytes of a process, nothing where the system does not tell."""
    try:
        return [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")]
    except OSError:
        return []


@contextmanager
def server(arguments: Sequence[str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of `jina-v3 serve` on a free port, which ends with the block.

    Raises:
        JinaV3Error: it does not start.
    """
    quiet = ["--port", "0", "--log", "none"]  # nobody reads the lines, and a full pipe would stop the server
    command = [sys.executable, "-m", "jina_v3_connectors", "serve", *quiet, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        try:
            assert process.stderr is not None
            first_line = process.stderr.readline()
            address = re.search(r"http://[\d.]+:\d+", first_line)
            if address is None:
                raise JinaV3Error(f"the server did not start: {first_line}{process.stderr.read()}".strip())
            yield address[0], process
        finally:
            process.terminate()
