"""The compose file, brought up by PyPI's podman-compose in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from ..docker.reading import ROOT, compose
from ..servers.milvus_standalone import free_ports
from .engine import Engine, Failed

PROJECT = "jina-v3-test"
PORTS = ("SERVER_PORT", "QDRANT_PORT", "MILVUS_PORT", "POSTGRES_PORT")
DATABASES = ("qdrant", "milvus", "postgres")
HEALTHY_SECONDS = 300.0


class Services:
    """The stack with copies of the compose file and an empty folder of secrets, as after a clone."""

    def __init__(self, engine: Engine, folder: Path, project: str = PROJECT) -> None:
        self.engine, self.folder, self.project = engine, folder, project
        shutil.copy(ROOT / "docker-compose.yml", folder)
        (folder / "secrets").mkdir()
        self.settings = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings['SERVER_PORT']}"

    def secret(self, name: str, value: str) -> None:
        (self.folder / "secrets" / name).write_text(f"{value}\n")

    def compose(self, *arguments: str, seconds: float = 300) -> str:
        """Run podman-compose with every database's profile, unless the command names services."""
        profiles = [part for name in DATABASES for part in ("--profile", name)]
        command = [sys.executable, "-m", "podman_compose", "-p", self.project]
        environment = self.engine.environment | self.settings
        return self.engine.run([*command, *profiles, *arguments], seconds=seconds, cwd=self.folder, env=environment)

    def up(self, *services: str) -> None:
        """Start services, or the one that is started where no profile is named."""
        self.compose("up", "--detach", "--no-build", *(services or ("server",)))

    def down(self, *, volumes: bool = False) -> None:
        self.compose("down", *(["--volumes"] if volumes else []))

    def containers(self, service: str | None = None) -> list[str]:
        """Those that exist, running or not."""
        labels = [f"--filter=label=com.docker.compose.project={self.project}"]
        labels += [f"--filter=label=com.docker.compose.service={service}"] if service else []
        return self.engine("ps", "--all", "--quiet", *labels).split()

    def container(self, service: str) -> str:
        (name,) = self.containers(service)
        return name

    def logs(self, service: str) -> str:
        return self.engine("logs", self.container(service))

    def healthy(self, *services: str) -> None:
        """Wait until their health checks pass. Without systemd podman runs none by itself."""
        until = time.monotonic() + HEALTHY_SECONDS
        for service in services:
            container = self.container(service)
            while True:
                try:
                    self.engine("healthcheck", "run", container)
                    break
                except Failed as failed:
                    if time.monotonic() > until:
                        raise TimeoutError(f"{service} never became healthy: {failed}\n{self.logs(service)}") from None
                    time.sleep(0.3)

    def kill(self, service: str) -> None:
        """SIGKILL to all processes of a container from outside, as when memory runs out."""
        for number in self.processes(service):
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:  # the first took it along
                continue

    def started_again(self, service: str) -> None:
        """Start a container that was killed, unless its policy has already, and wait until it is healthy."""
        self.engine("start", self.container(service))
        self.healthy(service)

    def stopped(self, service: str) -> int:
        """Wait until a container has ended as often as its policy starts it again; gives its last exit status."""
        until = time.monotonic() + HEALTHY_SECONDS
        _, _, attempts = str(compose()["services"][service]["restart"]).partition(":")
        while True:
            told = self.engine.inspect(self.container(service))
            if told["State"]["Status"] == "exited" and told["RestartCount"] >= int(attempts):
                return int(told["State"]["ExitCode"])
            if time.monotonic() > until:
                raise TimeoutError(f"{service} never stopped: {told['State']}\n{self.logs(service)}")
            time.sleep(0.3)

    def memory(self, service: str) -> int:
        """Bytes that its processes hold."""
        pages = 0
        for number in self.processes(service):
            pages += int(Path(f"/proc/{number}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def processes(self, service: str) -> list[int]:
        """Their numbers outside of the container."""
        return [int(number) for number in self.engine("top", self.container(service), "hpid").split()[1:]]
