"""Runs other projects' clients against a server, and compares what they are given with the encoder's own vectors."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jina_v3_encoder.encoder import Encoder

HERE = Path(__file__).parent
INSTALLED = Path(os.environ.get("JINA_V3_CLIENTS", HERE.parents[1] / ".venv" / "clients"))
"""Where `make test-clients` installs them."""
NODE_FOLDER = INSTALLED / "npm"
LANGUAGES = ("python", "node")
BEFORE = HERE / "before.json"
"""What each client was given by an earlier server; `python -m tests.clients.before` writes it."""
HEAD = ["| client | version | setting | route | before | now |", "|---|---|---|---|---|---|"]
SECONDS = 400.0
TOLERANCE = 1e-6
NOT_INSTALLED = ("PackageNotFoundError", "ModuleNotFoundError")
NOISE = re.compile(r"headers: \{.*?\}, |:\d{5}\b")
"""Of an error: what is different each time."""
SHOWN = 100
"""Characters of an error in the table."""
QUERY, PASSAGE = "retrieval.query", "retrieval.passage"
QUESTION: str = json.loads((HERE / "questions.json").read_text(encoding="utf-8"))["question"]
TEXTS: list[str] = json.loads((HERE / "questions.json").read_text(encoding="utf-8"))["texts"]


class OtherVectors(Exception):
    """A client was given something else than the encoder's own vectors."""


@dataclass(frozen=True)
class Run:
    """One client, asked."""

    client: str
    package: str
    version: str
    setting: str
    route: str
    parts: list[dict[str, Any]]
    """What it meant, and what it was given."""
    error: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether the client could not be installed."""
        return self.error.startswith(NOT_INSTALLED)

    def difference(self, encoder: Encoder) -> float:
        """The largest difference to the encoder's own numbers.

        Raises:
            OtherVectors: it was refused, or given vectors of another size or of another task.
        """
        if self.error or not self.parts:
            raise OtherVectors(f"refused: {self.error}")
        differences = []
        for part in self.parts:
            wanted, given = _wanted(part, encoder), np.array(part.get("vectors", part.get("scores")), np.float64)
            if given.shape != wanted.shape:
                raise OtherVectors(f"WRONG: numbers {given.shape} in place of {wanted.shape}")
            differences.append(float(np.abs(given - wanted).max()))
        if not all(difference <= TOLERANCE for difference in differences):  # NaN is no number that is small
            raise OtherVectors(f"WRONG: vectors are off by {max(differences):.2g}")
        return max(differences)

    def outcome(self, encoder: Encoder) -> str:
        """`difference`, in words."""
        try:
            return f"right, {self.difference(encoder):.0e}"
        except OtherVectors as error:
            return " ".join(NOISE.sub("", str(error)).split())


def _wanted(part: dict[str, Any], encoder: Encoder) -> Any:
    if "scores" in part:
        return encoder.encode(TEXTS, task=PASSAGE) @ encoder.encode(QUESTION, task=QUERY)
    encode = encoder.encode_chunks if part["late"] else encoder.encode
    return encode(part["texts"], task=part["task"], dimensions=part["dimensions"])


def run_clients(language: str, url: str) -> list[Run]:
    """All clients of a language, one after the other, in a process of their own."""
    if language == "python":
        command = [str(INSTALLED / "bin" / "python"), str(HERE / "programs.py"), url]
    else:
        command = ["node", str(HERE / "programs.mjs"), url, str(NODE_FOLDER)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HF_"))}
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment)
    runs = [Run(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not runs:
        raise RuntimeError(f"the clients' program failed: {done.stderr[-2000:]}")
    return runs


def table(runs: list[Run], outcomes: dict[str, str]) -> list[str]:
    """A line of a Markdown table for every client."""
    before: dict[str, str] = json.loads(BEFORE.read_text(encoding="utf-8")) if BEFORE.exists() else {}
    lines = []
    for run in runs:
        cells = (before.get(run.client, "not run"), outcomes[run.client])
        shown = " | ".join(cell.replace("|", "/")[:SHOWN] for cell in cells)
        lines.append(f"| {run.client} | {run.version} | {run.setting} | {run.route} | {shown} |")
    return lines
