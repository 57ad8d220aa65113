"""Makes foreign text safe for a terminal: documents, names and servers' answers must not control it."""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from jina_v3_encoder.errors import JinaV3Error

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters other than tab and line break, marks that turn the direction of writing, and lone surrogates."""


def printable(text: str) -> str:
    """`text` with every character that controls a terminal written out, as \\x1b."""
    return STEERING.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def json_line(value: Any) -> str:
    """One line of JSON that holds the exact text. Characters that control a terminal are escaped."""
    return STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def say(text: str) -> None:
    """A line for people, on stderr."""
    click.echo(printable(text), err=True)


@contextmanager
def one_line_errors(worded: Callable[[str], str] = str) -> Iterator[None]:
    """Every command runs in this. A warning is one line on stderr. So is an error, which ends with status 1.

    `worded` puts a message into the words of the command; by default it stays as it is.
    """

    def show_warning(message: Warning | str, *_: object, **__: object) -> None:
        click.secho(f"warning: {printable(worded(str(message)))}", fg="yellow", err=True)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (JinaV3Error, OSError) as error:
        click.secho(f"error: {printable(worded(str(error)))}", fg="red", err=True)
        sys.exit(1)
