"""Foreign text on its way to a terminal: documents, names and servers' answers must not steer it."""

from __future__ import annotations

import json
import re
from typing import Any

import click

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters other than tab and line break, marks that turn the direction of writing, and lone surrogates."""


def printable(text: str) -> str:
    """`text` with every character that steers a terminal written out, as \\x1b."""
    return STEERING.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def json_line(value: Any) -> str:
    """One line of JSON that holds the exact text; what steers a terminal is escaped as JSON escapes it."""
    return STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def say(text: str) -> None:
    """A line for people, on stderr."""
    click.echo(printable(text), err=True)
