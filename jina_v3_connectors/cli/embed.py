"""`jina-v3 embed`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from jina_v3_encoder.errors import InputTooLong, InvalidInput
from jina_v3_encoder.task import Task
from jina_v3_encoder.vectors import OUTPUT_TYPES

from .options import ModelChoice, default_task_option, encoder_options, task_or_default
from .terminal import json_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINES_AT_ONCE = 2048


@click.command("embed")
@default_task_option("--task", Task.RETRIEVAL_PASSAGE, help="Adapter and prompt.")
@click.option("--dimensions", type=int, help="Size of a vector, from 1 to the model's own; default all.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="A .npy or .jsonl file; default stdout."
)
@click.option("--output-type", type=click.Choice(OUTPUT_TYPES), default="float32", show_default=True)
@click.option("--truncate", is_flag=True, help="Cut lines past the model's limit instead of stopping.")
@click.option(
    "--prompt/--no-prompt", default=True, show_default=True, help="Put the task's instruction in front of each line."
)
@encoder_options
def command(
    task: str | None,
    dimensions: int | None,
    output: Path | None,
    output_type: str,
    truncate: bool,
    prompt: bool,
    choice: ModelChoice,
) -> None:
    """Encode each line of standard input.

    Writes one JSON object {"text", "embedding"} per line to standard output, or to a .jsonl file; with --output
    NAME.npy an array of shape (lines, dimensions).

    \b
    Example:
      jina-v3 embed --task retrieval.query --dimensions 256 < questions.txt > vectors.jsonl
    """
    if output is not None and output.suffix not in (".npy", ".jsonl"):
        raise InvalidInput(f"--output {output} must end in .npy or .jsonl")
    if output is not None and output.suffix == ".npy" and output_type == "base64":
        raise InvalidInput("base64 is text: write it to .jsonl")
    encoder = choice.text_encoder()
    settings: dict[str, Any] = {"dimensions": dimensions, "output_type": output_type, "prompt": prompt}
    chosen_task = task_or_default(task, Task.RETRIEVAL_PASSAGE, encoder)

    def blocks() -> Iterator[tuple[list[str], NDArray[Any]]]:
        lines = _lines(sys.stdin.buffer)
        done = 0
        while block := list(islice(lines, LINES_AT_ONCE)):
            try:
                yield block, encoder.encode(block, task=chosen_task, truncate=truncate, **settings)
            except InputTooLong as error:
                raise InvalidInput(
                    f"line {done + error.index + 1} has {error.tokens} tokens, the limit is {error.limit}: "
                    "split it, or pass --truncate"
                ) from error
            done += len(block)

    if output is not None and output.suffix == ".npy":
        _write_npy(output, [vectors for _, vectors in blocks()], encoder.encode([], **settings))
        return
    with output.open("w", encoding="utf-8") if output else _standard_output() as sink:
        for texts, vectors in blocks():
            for text, vector in zip(texts, vectors, strict=True):
                sink.write(json_line({"text": text, "embedding": _plain(vector)}) + "\n")


def _lines(source: BinaryIO) -> Iterator[str]:
    for number, line in enumerate(source, 1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"line {number} is not UTF-8 (byte {error.start})") from error


def _plain(vector: Any) -> Any:
    """Shortest digits that read back as the same float32."""
    if vector.dtype.kind == "f":
        return [float(str(value)) for value in vector]
    return vector.item() if vector.ndim == 0 else vector.tolist()


def _write_npy(path: Path, parts: list[NDArray[Any]], empty: NDArray[Any]) -> None:
    import numpy as np

    np.save(path, np.concatenate([*parts, empty]))


def _standard_output() -> Any:
    from contextlib import nullcontext

    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    return nullcontext(sys.stdout)
