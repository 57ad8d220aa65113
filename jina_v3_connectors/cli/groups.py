"""Groups of commands that are imported when they are used, and errors in the words of the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import ClassVar

import click

LEAF = f"{__name__}.command"
"""Where a context keeps the command that runs."""
READINGS = {
    "True": "--late-chunking",
    "False": "--no-late-chunking",
    "'blend'": "--blend",
    '"blend"': "--blend",
}
"""One setting of Python that is several options here."""
OTHER_NAMES = {"late_chunking": "read_late"}
CHUNKER_PARTS = {
    "chunk_sentences": r"groups of (\d+) sentences",
    "chunk_overlap": r", overlap (\d+)",
    "chunk_tokens": r", (\d+) tokens",
    "min_chunk_tokens": r", at least (\d+)",
}
"""What options put into a chunker's description."""
VALUE = r"True|False|None|'[^'\n]*'|\"[^\"\n]*\"|\d+(?:\.\d+)?"


class LazyGroup(click.Group):
    """Lists commands without importing them."""

    commands_and_help: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """For each name the module beside this one, and a line of help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands_and_help)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.commands_and_help:
            return None
        command: click.Command = import_module(f".{self.commands_and_help[name][0]}", __package__).command
        ctx.meta[LEAF] = command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.commands_and_help.items()])


def in_options(message: str, ctx: click.Context) -> str:
    """`message` with the settings of Python that it names written as options of the command that ran.

    "late_chunking=True" becomes "--late-chunking", and "dimensions: …" at the start of a line "--dimensions: …".
    """
    command = ctx.meta.get(LEAF)
    options = [one for one in command.params if isinstance(one, click.Option)] if command is not None else []
    by_name = {one.name: one for one in options if one.name is not None}
    by_name |= {name: by_name[here] for name, here in OTHER_NAMES.items() if here in by_name}
    message = re.sub(
        rf"^(\s*)chunker(?=: the collection has (?P<stored>{VALUE}), you use (?P<used>{VALUE}))",
        lambda match: f"{match[1]}{_chunking(match['stored'], match['used'], by_name)}",
        message,
        flags=re.MULTILINE,
    )
    for name, option in by_name.items():
        message = _with_option(message, name, option)
    return message


def _chunking(stored: str, used: str, by_name: Mapping[str, click.Option]) -> str:
    """The options whose values differ between two descriptions of a chunker, or the chunker itself."""
    differing = []
    for name, pattern in CHUNKER_PARTS.items():
        if name in by_name and re.findall(pattern, stored) != re.findall(pattern, used):
            differing.append(max(by_name[name].opts, key=len))
        stored, used = re.sub(pattern, "", stored), re.sub(pattern, "", used)
    return ", ".join(differing) if stored == used and differing else "chunker"


def _with_option(message: str, name: str, option: click.Option) -> str:
    shown = max(option.opts, key=len)

    def assigned(match: re.Match[str]) -> str:
        value = match["value"]
        if name == "late_chunking" and value in READINGS:
            return READINGS[value]
        if value in ("False", "None"):
            return f"no {shown}"
        return shown if value == "True" else f"{shown} {value.strip(chr(39) + chr(34))}"

    message = re.sub(rf"(?<![\w?&;/.-]){name}=(?P<value>{VALUE})(?: \({shown}\))?(?![\w(]|\.\w)", assigned, message)
    return re.sub(rf"^(\s*){name}(?=: )", rf"\1{shown}", message, flags=re.MULTILINE)
