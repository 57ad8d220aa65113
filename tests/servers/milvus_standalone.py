"""A real Milvus server, version 2.3.5 in one process, as the PyPI package `milvus` carries it.

`make test-servers` installs the package apart, since it is no client, and unpacks its program. Of the server's
addresses only etcd's can be kept to loopback: Milvus itself listens on every interface, whatever its settings say, as
long as the tests run. It is ended by SIGKILL, which it survives; SIGTERM may take it half an hour.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("JINA_V3_MILVUS_SERVER") or Path(sys.prefix) / "milvus-server")
PROGRAM = FOLDER / "unpacked" / "bin" / "milvus"
MISSING = "needs a real Milvus server, which `make test-servers` installs"
PASSWORD = "root:Milvus"
"""The token of a new server that asks for one."""
START_SECONDS = 120.0

ETCD = """
name: default
data-dir: {folder}/etcd
listen-client-urls: http://127.0.0.1:{client}
advertise-client-urls: http://127.0.0.1:{client}
listen-peer-urls: http://127.0.0.1:{peer}
initial-advertise-peer-urls: http://127.0.0.1:{peer}
initial-cluster: default=http://127.0.0.1:{peer}
log-level: error
"""
LOAD_SOON = "  UpdateNextTargetInterval: 1\n"
"""Flushed rows are loaded after a second or two, not after ten: each ingest waits for that."""


class Standalone:
    """A server with its data in `folder`, which keeps its ports when it is started again."""

    def __init__(self, folder: Path, *, asks_for_token: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        config = package().MilvusServerConfig(data_dir=str(folder))
        names = [name for name in config.configurable_items if name.endswith("_port")]
        *ports, peer, self._health = free_ports(len(names) + 2)
        config.update(**dict(zip(names, ports, strict=True)))
        config.set("authorization_enabled", asks_for_token)
        config.resolve()
        settings = folder / "configs" / "milvus.yaml"
        settings.write_text(settings.read_text().replace("\nqueryCoord:\n", f"\nqueryCoord:\n{LOAD_SOON}"))
        self._etcd = folder / "etcd.yaml"
        self._etcd.write_text(ETCD.format(folder=folder, client=config.get("etcd_port"), peer=peer))
        self.url = f"http://127.0.0.1:{config.get('proxy_port')}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it is healthy."""
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [PROGRAM, "run", "standalone"],
                cwd=self.folder,
                env=os.environ
                | {
                    "DEPLOY_MODE": "STANDALONE",
                    "METRICS_PORT": str(self._health),
                    "MILVUS_RUN_DIR": str(self.folder / "run"),
                    "ETCD_CONFIG_PATH": str(self._etcd),
                    "LD_LIBRARY_PATH": str(PROGRAM.parent),
                },
                stdout=output,
                stderr=output,
            )
        until = time.monotonic() + START_SECONDS
        while not self._healthy():
            if self.process.poll() is not None or time.monotonic() > until:
                tail = (self.folder / "output.txt").read_bytes()[-2000:].decode(errors="replace")
                self.kill()
                raise RuntimeError(f"the Milvus server did not start (exit status {self.process.poll()}):\n{tail}")
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/healthz", timeout=10) as answer:
                return b"OK" in answer.read()
        except OSError:
            return False


@contextmanager
def running(server: Standalone) -> Iterator[Standalone]:
    """`server`, started, and killed afterwards."""
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def standalone(folder: Path) -> Iterator[str]:
    """The URL of a server that keeps its data in `folder`."""
    with running(Standalone(folder)) as server:
        yield server.url


def package() -> Any:
    """The package's module, which knows the server's settings."""
    spec = importlib.util.spec_from_file_location("milvus_standalone_package", FOLDER / "milvus" / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unpack() -> None:
    """Unpack the program, once."""
    if not PROGRAM.exists():
        package()._initialize_data_files(str(PROGRAM.parents[1]))


def free_ports(count: int) -> list[int]:
    """Different ones, since all are held until the last is found."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


if __name__ == "__main__":
    unpack()
