"""Podman with images, containers and networks of its own, so that nothing of the machine's is touched.

`make test-stack` installs podman where it can. Everything lies in $JINA_V3_STACK, else in the virtual environment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("JINA_V3_STACK") or Path(sys.prefix) / "stack")
PROGRAMS = ("podman", "runc", "netavark", "catatonit", "mmdebstrap")
PROGRAMS_MISSING = "needs {}: on Debian as root `make test-stack` installs it"
CONTAINERS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""
REGISTRIES = """
unqualified-search-registries = ["docker.io"]
short-name-mode = "permissive"
"""
FILES = {"CONTAINERS_CONF": CONTAINERS, "CONTAINERS_STORAGE_CONF": STORAGE, "CONTAINERS_REGISTRIES_CONF": REGISTRIES}
HELPERS = ("/usr/lib/podman", "/usr/libexec/podman")
"""Where distributions put programs that podman alone calls."""


class Failed(Exception):
    """What podman or compose said when it ended with another status than 0."""


def missing_program() -> str | None:
    """The first that is not here."""
    path = os.pathsep.join((os.environ["PATH"], *HELPERS))
    return next((program for program in PROGRAMS if shutil.which(program, path=path) is None), None)


class Engine:
    """Podman over the files in `FOLDER`."""

    @cached_property
    def environment(self) -> dict[str, str]:
        """With settings of its own, and nothing of this project's."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JINA_", "COMPOSE_"))}
        for name, content in FILES.items():
            file = FOLDER / f"{name.lower()}.toml"
            file.write_text(content.format(folder=FOLDER))
            inherited[name] = str(file)
        return inherited

    def __call__(self, *arguments: str | Path, seconds: float = 300) -> str:
        """Run `podman ARGUMENTS`; gives what it printed.

        Raises:
            Failed: with what it said.
        """
        return self.run(["podman", *arguments], seconds=seconds)

    def run(self, command: list[str | Path], seconds: float = 300, **more: Any) -> str:
        """As a call, for any program.

        Raises:
            Failed: with what it said.
        """
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            **{"env": self.environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        if done.returncode:
            raise Failed(f"{' '.join(map(str, command[:4]))} … ended with {done.returncode}: {done.stdout[-3000:]}")
        return done.stdout

    def has_image(self, name: str) -> bool:
        try:
            self("image", "exists", name)
        except Failed:
            return False
        return True

    def inspect(self, name: str) -> Any:
        """What podman tells of a container or an image."""
        return json.loads(self("inspect", name))[0]
