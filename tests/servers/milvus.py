"""Milvus Lite's own TCP server in another process: what the real client talks to over gRPC in tests."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from pymilvus.client import grpc_handler
from pymilvus.settings import Config

START_SECONDS = 60.0
COMMAND = "from milvus_lite.cmdline import main; main()"
PAUSE, SHORT_PAUSE = 0.5, 0.02
"""Seconds between two questions of the client whether an index is built or data are flushed: its own, and ours."""


def ask_often() -> None:
    """Let the client in this process ask in short intervals; its first question comes after a pause too."""

    def sleep(seconds: float) -> None:
        time.sleep(SHORT_PAUSE if seconds == PAUSE else seconds)

    grpc_handler.time = SimpleNamespace(time=time.time, sleep=sleep)
    Config.WaitTimeDurationWhenLoad = SHORT_PAUSE


@contextmanager
def milvus_server(folder: Path) -> Iterator[str]:
    """The URL of a server that keeps its data in `folder`."""
    port = free_port()
    process = start_milvus(folder, port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_milvus(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A server that already listens."""
    arguments = ["server", "--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    raise RuntimeError(f"the Milvus server did not start (exit status {process.poll()})")
