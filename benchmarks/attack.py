"""A server under attack: what requests that would stop it do to the clients beside them.

Run: python -m benchmarks.serve --attack
`python -m benchmarks.attack URL SECONDS` attacks a server that runs already.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from jina_v3_encoder.text_encoder import TextEncoder

from .load import Load, ServeBench, crowd, server

ROOT = Path(__file__).parents[1]
PAUSE = 0.25
"""Seconds between two rounds of an attack: the attackers share the server's cores."""
IDLE = 600
DEAF = 4
PATIENCE = 5.0
MODEL = "jina-embeddings-v3"
LATE = {"model": MODEL, "late_chunking": True}


@dataclass
class AttackBench:
    """The same load twice, first alone."""

    alone: ServeBench
    attacked: ServeBench
    attacks: dict[str, dict[str, int]] = field(default_factory=dict)
    """For each attack, how often which outcome."""

    @property
    def slowdown(self) -> float:
        """Of the slowest twentieth of short questions."""
        return self.attacked.percentile(95) / self.alone.percentile(95)

    @property
    def memory(self) -> int:
        """Most resident bytes of the server."""
        return max([*self.alone.memory, *self.attacked.memory], default=0)

    def to_dict(self) -> dict[str, Any]:
        sides = {name: {**asdict(side), "p95": side.percentile(95)} for name, side in self._sides().items()}
        return {**sides, "attacks": self.attacks, "slowdown": self.slowdown, "peak_memory": self.memory}

    def _sides(self) -> dict[str, ServeBench]:
        return {"alone": self.alone, "attacked": self.attacked}


def bench_attack(
    encoder: TextEncoder,
    arguments: Sequence[str],
    *,
    clients: int,
    seconds: float,
    announce: Callable[[str], None],
) -> AttackBench:
    """Start `jina-v3 serve` and let `clients` ask it, alone and then beside every attack, for `seconds` each.

    Raises:
        JinaV3Error: the server does not start.
        MissingExtra: httpx is not installed.
    """
    load = Load(encoder)
    result = AttackBench(ServeBench(clients, seconds), ServeBench(clients, seconds))
    with server(arguments) as (url, process):
        announce(f"{clients} clients for {seconds:g} s")
        asyncio.run(crowd(load, url, process.pid, result.alone))
        announce("the same under attack")
        line = [sys.executable, "-m", __name__, url, str(seconds)]
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=ROOT) as attacker:  # noqa: S603 - our own
            asyncio.run(crowd(load, url, process.pid, result.attacked))
            output, _ = attacker.communicate()
        result.attacks = json.loads(output)
    return result


def attack(url: str, seconds: float) -> dict[str, dict[str, int]]:
    """Every attack in a thread of its own for so long; how often which outcome."""
    end = time.monotonic() + seconds
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in ATTACKS}

    def repeat(name: str) -> None:
        with ExitStack() as stack:
            while time.monotonic() < end:
                try:
                    outcome = ATTACKS[name](url, stack)
                except OSError as error:
                    outcome = type(error).__name__
                outcomes[name][outcome] += 1
                time.sleep(PAUSE)

    threads = [threading.Thread(target=repeat, args=(name,)) for name in ATTACKS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: dict(counted) for name, counted in outcomes.items()}


def post(path: str, body: object, headers: str = "", *, patience: float = 60.0) -> Callable[[str, ExitStack], str]:
    """Send a request and read its status, or go away after so many seconds."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {len(content)}\r\n\r\n".encode()

    def once(url: str, _: ExitStack) -> str:
        with connect(url) as connection:
            connection.settimeout(patience)
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before it was all sent
                connection.sendall(head + content)
            try:
                return connection.recv(12)[9:].decode() or "closed"
            except TimeoutError:
                return "left"

    return once


def idle(url: str, stack: ExitStack) -> str:
    """Open many connections, say nothing, and hold them until the next round."""
    stack.close()
    for _ in range(IDLE):
        stack.enter_context(connect(url))
    time.sleep(PATIENCE)
    return "held"


def endless(head: bytes, piece: bytes) -> Callable[[str, ExitStack], str]:
    """Send without end, until the server closes."""

    def once(url: str, _: ExitStack) -> str:
        until = time.monotonic() + 2 * PATIENCE
        with connect(url) as connection:
            connection.sendall(head)
            while time.monotonic() < until:
                try:
                    connection.sendall(piece)
                except (BrokenPipeError, ConnectionResetError):
                    return "closed"
                time.sleep(0.01)
        return "read on"

    return once


def deaf(url: str, _: ExitStack) -> str:
    """Ask for large answers and read none."""
    body = json.dumps({"model": MODEL, "input": ["x"] * 1000}).encode()
    head = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with ExitStack() as stack:
        for _number in range(DEAF):
            connection = stack.enter_context(connect(url))
            connection.sendall(head + body)
        time.sleep(PATIENCE)
    return "unread"


def connect(url: str) -> socket.socket:
    """A connection with little room for what is not read."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.socket()
    connection.settimeout(60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    return connection


FOREIGN = "Origin: https://elsewhere.example\r\nContent-Type: text/plain\r\n"
ATTACKS: dict[str, Callable[[str, ExitStack], str]] = {
    "windows that hardly advance": post(
        "/v1/embeddings", {**LATE, "input": ["many words " * 1500], "window": 2000, "overlap": 1999}
    ),
    "a document that nobody waits for": post(
        "/v1/embeddings", {**LATE, "input": ["many words " * 20_000], "window": 256, "overlap": 128}, patience=0.2
    ),
    "a million empty objects": post(
        "/v1/embeddings", b'{"model": "jina-embeddings-v3", "input": [' + b"{}," * 10**6 + b"{}]}"
    ),
    "8 MB to segment": post("/v1/segment", {"content": "many words " * 750_000, "return_tokens": True}),
    "8 MB to count": post("/v1/tokens", {"input": ["many words " * 500] * 1500}),
    "idle connections": idle,
    "headers without end": endless(b"GET /health HTTP/1.1\r\nHost: localhost\r\n", b"a: " + b"b" * 1000 + b"\r\n"),
    "a body without end": endless(
        b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"100000\r\n" + b"x" * 0x100000 + b"\r\n",
    ),
    "answers that nobody reads": deaf,
    "a page of another site": post("/v1/embeddings", {"model": MODEL, "input": "a text"}, FOREIGN),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("url")
@click.argument("seconds", type=click.FloatRange(min=0))
def command(url: str, seconds: float) -> None:
    """Attack the server at URL for SECONDS with every attack of this file, all at the same time.

    Prints one JSON object: for each attack, how often it ended in which way. A status such as 422 is a refusal.
    "closed" is a connection that the server ended. "left", "held" and "unread" are what this side did by itself.

    \b
    Example:
      python -m benchmarks.attack http://127.0.0.1:8080 10
    """
    click.echo(json.dumps(attack(url, seconds)))


if __name__ == "__main__":
    command()
