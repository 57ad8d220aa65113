"""What the commands of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from jina_v3_connectors.cli.bench import FORMATS
from jina_v3_connectors.cli.terminal import one_line_errors

_F = TypeVar("_F", bound=Callable[..., Any])


class Benchmark(click.Command):
    """A command that tells errors as `jina-v3` does: one line, exit status 1."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        settings["context_settings"] = {"help_option_names": ["-h", "--help"]}
        super().__init__(*args, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        with one_line_errors():
            return super().invoke(ctx)


def format_option(function: _F) -> _F:
    choices = click.Choice(FORMATS)
    meaning = "Number format of the weights."
    return click.option("--dtype", "number_format", type=choices, default=FORMATS[0], show_default=True, help=meaning)(
        function
    )
