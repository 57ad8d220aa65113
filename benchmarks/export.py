"""How near exported graphs come to the encoder, for every task and length, and what 8192 tokens take.

Run: python -m benchmarks.export
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from jina_v3_encoder import Encoder, export_model
from jina_v3_encoder.export.formats import (
    ONNX_FILE,
    OPENVINO_FILE,
    ROUNDED_ONNX_FILE,
    ROUNDED_OPENVINO_FILE,
    ExportFormat,
)
from jina_v3_encoder.export.onnx_graph import onnx_vectors
from jina_v3_encoder.export.openvino_graph import openvino_vectors
from jina_v3_encoder.export.reading import PaddedTexts
from jina_v3_encoder.task import TASK_NAMES, as_task
from jina_v3_encoder.vectors import FloatArray, finish

from .command import Benchmark

LENGTHS = (1, 2, 17, 128, 700, 8192)
FILES: dict[ExportFormat, tuple[tuple[str, Callable[[Path, PaddedTexts], FloatArray]], ...]] = {
    "onnx": ((ONNX_FILE, onnx_vectors), (ROUNDED_ONNX_FILE, onnx_vectors)),
    "openvino": ((OPENVINO_FILE, openvino_vectors), (ROUNDED_OPENVINO_FILE, openvino_vectors)),
}


@click.command(cls=Benchmark)
@click.option("--model", default="nano", show_default=True, help="A folder, a hub id, or nano.")
@click.option("--format", "file_format", type=click.Choice(list(FILES)), default="onnx", show_default=True)
@click.option("--task", "tasks", multiple=True, default=(*TASK_NAMES, "none"), help="May be given several times.")
@click.option("--longest", default=LENGTHS[-1], show_default=True, help="Leave longer texts out.")
def command(model: str, file_format: ExportFormat, tasks: tuple[str, ...], longest: int) -> None:
    """Print the cosine of each file's vectors to the encoder's in float32, by task and by length in tokens.

    \b
    Example:
      python -m benchmarks.export --task separation --longest 700
    """
    encoder = Encoder.from_pretrained(model, device="cpu", dtype="float32")
    lengths = [length for length in LENGTHS if length <= longest]
    click.echo(f"{'task':<20}{'file':<48}" + "".join(f"{length:>10}" for length in lengths))
    for name in tasks:
        task = as_task(None if name == "none" else name)
        texts = [_ids(length, encoder.config.vocab_size) for length in lengths]
        wanted = [finish(encoder.engine.id_means([ids], [task]), normalize=True) for ids in texts]
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / "export"
            start = time.perf_counter()
            export_model(encoder, folder, task=task, file_format=file_format, quantize="int8")
            seconds = time.perf_counter() - start
            for file, vectors_of in FILES[file_format]:
                padded = [PaddedTexts.of([ids], [0], encoder.config.pad_token_id) for ids in texts]
                cosines = [
                    float((vectors_of(folder / file, text) * vector).sum())
                    for text, vector in zip(padded, wanted, strict=True)
                ]
                click.echo(f"{name:<20}{file:<48}" + "".join(f"{cosine:>10.6f}" for cosine in cosines))
        gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        click.echo(f"{name}: exported in {seconds:.0f} s; this process has taken {gigabytes:.1f} GiB so far")


def _ids(length: int, vocabulary: int) -> np.ndarray:
    """A text of so many tokens, between <s> and </s> where there is room for both."""
    ids = np.random.default_rng(length).integers(4, vocabulary, length)
    ids[0] = 0
    if length > 1:
        ids[-1] = 2
    return ids


if __name__ == "__main__":
    command()
