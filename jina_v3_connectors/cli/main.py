"""Dispatch, help and errors. Imports nothing heavy, so that `jina-v3 --help` is instant."""

from __future__ import annotations

from typing import Any, ClassVar

import click

from .groups import LazyGroup, in_options
from .secrets import read_secrets
from .terminal import one_line_errors

COMMANDS = {
    "bench": "Measure speed, beside other libraries where installed.",
    "chunk": "Cut files with several chunkers, and compare them.",
    "demo": "Ingest a small corpus and answer questions in several languages, offline.",
    "embed": "Encode lines of standard input to JSONL or .npy.",
    "eval": "Measure retrieval on your own queries, by dimension and chunking.",
    "export": "Write one task of a model as ONNX, OpenVINO or sentence-transformers files.",
    "info": "Show a model: tasks, dimensions, device, dtype, threads.",
    "ingest": "Chunk, encode and store files.",
    "migrate": "Move a live collection to another model, with a way back.",
    "search": "Find the passages that answer a question.",
    "serve": "Serve the model with the hosted service's interface.",
}


class Commands(LazyGroup):
    """Warnings are one line, errors too, with exit status 1 and in the words of the command line."""

    commands_and_help: ClassVar = {name: (name, text) for name, text in COMMANDS.items()}

    def invoke(self, ctx: click.Context) -> Any:
        with one_line_errors(lambda message: in_options(message, ctx)):
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jina-v3-connectors", prog_name="jina-v3")
def main() -> None:
    """jina-embeddings-v3 on your own machine: encode, store, search.

    \b
    First steps, offline, with the small bundled model:
      jina-v3 demo
      jina-v3 ingest docs/ --to qdrant:./store --dimensions 256 --late-chunking
      jina-v3 search "how do I reset it?" --from qdrant:./store

    The full model: add --model jinaai/jina-embeddings-v3, or set JINA_V3_MODEL (weights: CC BY-NC 4.0).
    """
    read_secrets()
