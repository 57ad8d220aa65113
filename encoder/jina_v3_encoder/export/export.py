"""`export_model`: one task of a model as a folder that other runtimes read."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from ..checkpoints.save import save_merged
from ..config import QUANTIZATIONS, Quantization
from ..encoder import Encoder
from ..errors import CheckpointError, InvalidInput
from ..task import TaskLike
from .card import write_card
from .companions import write_companions, write_graph_config
from .formats import (
    FORMATS,
    ONNX_FILE,
    OPENVINO_FILE,
    ROUNDED_ONNX_FILE,
    ROUNDED_OPENVINO_FILE,
    AllTasks,
    ExportFormat,
)
from .onnx_graph import onnx_vectors, quantize_onnx, write_onnx
from .openvino_graph import openvino_vectors, quantize_openvino, write_openvino
from .reading import Trial
from .subject import Subject

Say: TypeAlias = Callable[[str], None]
"""Called with a line for people before each step that takes long."""


def export_model(
    encoder: Encoder,
    folder: str | Path,
    *,
    task: TaskLike | AllTasks,
    file_format: ExportFormat = "onnx",
    quantize: Quantization | None = None,
    say: Say = lambda _: None,
) -> None:
    """Write a folder that another runtime reads as it is. A graph is compared with the encoder before it is handed out.

    A step that fails, or a kill, leaves nothing at `folder`.

    Args:
        encoder: A model in float32: `Encoder.from_pretrained(name, dtype="float32")`.
        folder: A new or empty folder.
        task: The adapter to merge into the weights; None for the base model; "all" for a graph that takes the task of
            each text as an input.
        file_format: "onnx", "openvino" or "sentence-transformers".
        quantize: "int8" writes a rounded graph beside the exact one.
        say: Hears what is done.

    Raises:
        InvalidInput: unknown argument, an encoder that is not in float32, or a folder that is not empty.
        CheckpointError: the folder cannot be written.
        CheckpointMismatch: a graph gives other vectors than the encoder.
        MissingExtra: a package that writes the format is not installed.
    """
    if file_format not in FORMATS:
        raise InvalidInput(f"unknown format {file_format!r}: use one of {', '.join(FORMATS)}")
    if quantize not in QUANTIZATIONS:
        raise InvalidInput(f"quantize must be one of {list(QUANTIZATIONS)}, got {quantize!r}")
    subject = Subject.of(encoder, task)
    if file_format == "sentence-transformers":
        subject.merged()
        if quantize:
            raise InvalidInput(
                "the sentence-transformers format has no int8 weights: leave quantize out, or export as onnx or "
                "openvino"
            )
    try:
        with _staged(Path(folder).absolute()) as staging:
            write_companions(subject, staging)
            if file_format == "sentence-transformers":
                say("merging the adapter and writing the weights")
                save_merged(*subject.merged(), staging)
            else:
                _write_graphs(subject, staging, file_format, quantize, say)
            write_card(subject, staging, file_format, quantize)
    except OSError as error:
        raise CheckpointError(f"cannot write the export to {folder}: {error}") from error


def _write_graphs(
    subject: Subject, folder: Path, file_format: ExportFormat, quantize: Quantization | None, say: Say
) -> None:
    trial = Trial.of(subject.encoder, subject.tasks)
    graph = folder / ONNX_FILE
    graph.parent.mkdir()
    say(f"writing the graph of {subject.config.num_hidden_layers} layers, which takes a while")
    write_onnx(subject.network(), graph, with_tasks=subject.has_all_tasks)
    if file_format == "onnx":
        say("comparing it with the encoder")
        trial.check(onnx_vectors(graph, trial.texts), ONNX_FILE, None)
        if quantize:
            say("rounding its weights to int8")
            quantize_onnx(graph, folder / ROUNDED_ONNX_FILE)
            trial.check(onnx_vectors(folder / ROUNDED_ONNX_FILE, trial.texts), ROUNDED_ONNX_FILE, quantize)
    else:
        say("converting it to OpenVINO's files, and comparing them with the encoder")
        converted = folder / OPENVINO_FILE
        converted.parent.mkdir()
        write_openvino(graph, converted)
        shutil.rmtree(graph.parent)
        trial.check(openvino_vectors(converted, trial.texts), OPENVINO_FILE, None)
        if quantize:
            say("rounding its weights to int8")
            quantize_openvino(converted, folder / ROUNDED_OPENVINO_FILE)
            trial.check(openvino_vectors(folder / ROUNDED_OPENVINO_FILE, trial.texts), ROUNDED_OPENVINO_FILE, quantize)
    write_graph_config(subject, folder)


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that becomes it in one step, when all is written."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(f"{folder} exists and is not an empty folder: name a new one, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.partial")
    staging.mkdir()
    try:
        yield staging
        if folder.exists():
            folder.rmdir()
        staging.rename(folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
