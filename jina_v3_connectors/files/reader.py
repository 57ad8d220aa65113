"""Reads files of other people's formats, in a process that may die of them. See `reading.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import Any

import jina_v3_encoder

from ..documents import Mark
from ..errors import DocumentError
from .content import Content

HOMES = (Path(__file__).parents[2], Path(jina_v3_encoder.__file__).parents[1])
"""Where these packages are, for a process that was started beside them: "" in sys.path is no folder of another one."""
PATIENCE = 300.0
"""Seconds for one file. A book of a thousand pages takes a few."""
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
"""Variables that the process gets. Keys and passwords are not among them."""
ENDING = 5.0
"""Seconds between the last word of a process and its end."""


class Reader:
    """One process, started with the first file and again after one that ended it. Close it, or use it in `with`."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None
        self._answers: Queue[str] = Queue()

    @property
    def process_id(self) -> int | None:
        """That of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def read(self, file: Path, charset: str | None = None) -> Content:
        """The content of a file. `charset` is what a server said of it.

        Raises:
            DocumentError: it cannot be read; the message does not name the file.
        """
        process = self._process or self._start()
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps({"file": str(file.absolute()), "charset": charset}) + "\n")
            process.stdin.flush()
            answer = self._answers.get(timeout=self._patience)
        except Empty:
            self._end()
            raise DocumentError(
                f"took over {self._patience:g} seconds to read: it may be damaged; save it again, or split it"
            ) from None
        except OSError:
            answer = ""
        if not answer:
            raise DocumentError(
                f"ended what reads it (status {self._end(ENDING)}): it is damaged, or takes too much memory; save "
                "it again"
            )
        values: dict[str, Any] = json.loads(answer)
        if "error" in values:
            raise DocumentError(values["error"])
        marks = tuple(Mark(start, metadata) for start, metadata in values["marks"])
        return Content(values["text"], marks, values["metadata"], values["remark"])

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._end()

    def _start(self) -> subprocess.Popen[str]:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(map(str, (*HOMES, *filter(None, sys.path))))
        self._process = subprocess.Popen(  # noqa: S603 - this Python, with a module of ours
            [sys.executable, "-P", "-X", "utf8", "-m", f"{__package__}.reading"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what libraries say of a file could steer a terminal
            env=environment,
            encoding="utf-8",
        )
        self._answers = Queue()
        Thread(target=_listen, args=(self._process, self._answers), daemon=True).start()
        return self._process

    def _end(self, patience: float = 0.0) -> int:
        """End the process, after so many seconds in which it may end by itself. Return its status."""
        process, self._process = self._process, None
        assert process is not None
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent any more
                    pipe.close()
        return process.wait()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _listen(process: subprocess.Popen[str], answers: Queue[str]) -> None:
    """Pass on each line, and an empty one at the end."""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            answers.put(line)
    except ValueError:
        return  # closed meanwhile
    answers.put("")
