"""One line for each request, since most clients hide why they were refused. No texts and no keys."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .records import Record

logger = logging.getLogger(__name__)
LONGEST = {"path": 200, "agent": 60, "message": 500}
"""Characters of what a stranger can send."""


@dataclass(frozen=True)
class Line:
    """A request that was answered."""

    client: str
    """Its address."""
    agent: str
    """What its User-Agent header says."""
    method: str
    path: str
    status: int
    seconds: float
    record: Record

    def values(self) -> dict[str, Any]:
        """For machines."""
        record = self.record
        values = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "client": self.client,
            "agent": shown(self.agent, "agent"),
            "method": self.method,
            "path": shown(self.path, "path"),
            "status": self.status,
            "tokens": record.tokens,
            "seconds": round(self.seconds, 4),
            "models": record.models,
            "tasks": record.tasks,
            "notes": record.notes,
            "code": record.code,
            "message": shown(record.message, "message"),
        }
        return {name: value for name, value in values.items() if value not in ("", [])}

    def text(self) -> str:
        """For people."""
        values = self.values()
        told = "{time} {client} {method} {path} {status} {tokens} tokens {seconds:.3f} s".format(**values)
        if self.record.tasks:
            told += f" [{', '.join(self.record.tasks)}]"
        if "agent" in values:
            told += f" {values['agent']}"
        for note in self.record.notes:
            told += f" | {note}"
        if "code" in values:
            told += f" | {values['code']}: {values['message']}"
        return told


FORMS: dict[str, Callable[[Line], str]] = {
    "text": Line.text,
    "json": lambda line: json.dumps(line.values(), ensure_ascii=False),
}


def shown(told: str, kind: str) -> str:
    """What a stranger sent, on one line and not too long."""
    printable = "".join(character if character.isprintable() else "?" for character in told[: LONGEST[kind] + 1])
    return printable if len(printable) <= LONGEST[kind] else printable[: LONGEST[kind]] + "…"


def write(line: Line, *, quiet: bool) -> None:
    """Log a request. `quiet`: a supervisor's, of interest only if it failed."""
    logger.log(logging.DEBUG if quiet and line.status < 400 else logging.INFO, "%s", line)


class LineFormatter(logging.Formatter):
    """Renders lines in one of FORMS."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self._render = FORMS[form]

    def format(self, record: logging.LogRecord) -> str:
        """The line, or whatever else was logged."""
        line = record.args[0] if isinstance(record.args, tuple) and record.args else None
        return self._render(line) if isinstance(line, Line) else super().format(record)


def show_requests(form: str) -> None:
    """Have each request written to stderr, in one of FORMS."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(form))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
