"""docker-compose.yml and its second file, .env.example and the Dockerfile as values."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<kind>:-|-)(?P<rest>[^}]*))?\}")


def example_settings() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def interpolated(text: str, settings: dict[str, str]) -> str:
    """As compose fills a file in, for the forms that this file uses."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        setting = settings.get(match["name"])
        return setting if setting or (match["kind"] == "-" and setting is not None) else match["rest"] or ""

    return VARIABLE.sub(value, text)


def compose_text() -> str:
    return (ROOT / "docker-compose.yml").read_text()


def gpu_text() -> str:
    return (ROOT / "docker-compose.gpu.yml").read_text()


def compose(**settings: str) -> dict[str, Any]:
    """The file as compose reads it, with the example's settings and these."""
    content: dict[str, Any] = yaml.safe_load(interpolated(compose_text(), {**example_settings(), **settings}))
    return content


class Instruction(NamedTuple):
    name: str
    rest: str


def dockerfile() -> list[Instruction]:
    """Instructions in their order, lines joined, comments left out."""
    text = "\n".join(line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    lines = text.replace("\\\n", " ").splitlines()
    return [Instruction(*line.split(" ", 1)) for line in lines if line.strip()]


def copies() -> list[tuple[list[str], str]]:
    """Sources and the target of each COPY from this repository."""
    copy_arguments = [shlex.split(instruction.rest) for instruction in dockerfile() if instruction.name == "COPY"]
    return [(arguments[:-1], arguments[-1]) for arguments in copy_arguments if not arguments[0].startswith("--from=")]
