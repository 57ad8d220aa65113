"""`jina-v3 export`."""

from __future__ import annotations

from pathlib import Path

import click

from jina_v3_encoder.export.formats import ALL_TASKS, FORMATS
from jina_v3_encoder.task import TASK_NAMES

from .options import NO_TASK, as_task_name
from .terminal import say


@click.command("export")
@click.argument("model")
@click.option(
    "--task",
    type=click.Choice([*TASK_NAMES, NO_TASK, ALL_TASKS]),
    required=True,
    help="Adapter to merge into the weights; all: one graph with the task of each text as an input.",
)
@click.option("--format", "file_format", type=click.Choice(FORMATS), default="onnx", show_default=True)
@click.option(
    "--out", "folder", type=click.Path(path_type=Path), required=True, help="A new folder, made when all is written."
)
@click.option("--quantize", type=click.Choice(["int8"]), help="int8: a rounded graph beside the exact one.")
@click.option("--revision", help="Branch, tag or commit of a hub model.")
def command(model: str, task: str, file_format: str, folder: Path, quantize: str | None, revision: str | None) -> None:
    """Write one task of a model as files for other runtimes.

    MODEL is a folder, a hub id, or nano. The folder is what onnxruntime, text-embeddings-inference, fastembed,
    Transformers.js, OpenVINO or sentence-transformers load as it is; its README.md says how. Prompts are the caller's
    job: no graph can put one in front. The graph is compared with the model before it is handed out.

    \b
    Examples:
      jina-v3 export nano --task retrieval.passage --format onnx --out passage-onnx
      jina-v3 export jinaai/jina-embeddings-v3 --task text-matching --format openvino --quantize int8 --out matching
    """
    from jina_v3_encoder import Encoder
    from jina_v3_encoder.export.export import export_model

    say(f"loading {model}")
    encoder = Encoder.from_pretrained(model, revision=revision, device="cpu", dtype="float32")
    export_model(
        encoder,
        folder,
        task=ALL_TASKS if task == ALL_TASKS else as_task_name(task),
        file_format=file_format,  # type: ignore[arg-type]  # click has checked both
        quantize=quantize,  # type: ignore[arg-type]
        say=say,
    )
    say(f"{folder} is ready, its README.md says how to use it. Licence of the weights: {encoder.licence}")
