"""A padded network as an ONNX file, and the same file with its products in int8."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import MissingExtra
from ..vectors import FloatArray
from .formats import DATA_SUFFIX
from .reading import PaddedTexts

OPSET = 20
"""The newest that the runtimes of the last years read. From 23 on there is an operator for attention: they lack it."""
INPUTS = ("input_ids", "attention_mask", "task_id")
OUTPUTS = ("last_hidden_state", "sentence_embedding")
"""Token states come first: fastembed and Transformers.js pool the first output themselves."""
LARGEST_FILE = 1_900_000_000
"""Bytes of weights in the file itself. A protobuf file can have 2 GiB; what is larger goes into a file beside it."""
NOISY = ("torch.onnx", "onnxscript", "onnx_ir", "root")


def write_onnx(network: nn.Module, path: Path, *, with_tasks: bool) -> None:
    """Write `path`, and `path` + "_data" for a large network. With tasks the graph has the input `task_id`.

    Raises:
        MissingExtra: onnx or onnxscript is not installed.
    """
    try:
        import onnx_ir
        import onnxscript  # noqa: F401 - torch imports it, and would say less of what to do
    except ImportError as error:
        raise MissingExtra("onnxscript", "export") from error
    batch, sequence = torch.export.Dim("batch"), torch.export.Dim("sequence")
    shapes: list[dict[int, Any]] = [{0: batch, 1: sequence}, {0: batch, 1: sequence}, {0: batch}]
    sizes = [(2, 7), (2, 7), (2,)] if with_tasks else [(2, 7), (2, 7)]
    # Each input a tensor of its own: the exporter takes one that comes twice for one input.
    arguments = tuple(torch.ones(size, dtype=torch.int64) for size in sizes)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            network.eval(),
            arguments,
            dynamo=True,
            opset_version=OPSET,
            input_names=INPUTS[: len(arguments)],
            output_names=OUTPUTS,
            dynamic_shapes=tuple(shapes[: len(arguments)]),
            verbose=False,
        )
    if program is None:  # only an exporter that writes the file itself returns nothing
        raise AssertionError("torch.onnx.export returned no program")
    model = program.model
    _forget_source(model)
    bytes_of_weights = sum(parameter.nbytes for parameter in network.parameters())
    external = path.name + DATA_SUFFIX if bytes_of_weights > LARGEST_FILE else None
    onnx_ir.save(model, path, external_data=external)


def quantize_onnx(source: Path, target: Path) -> None:
    """Write `target`: products with weights in 8 bits, a scale per output; activations are rounded as they come.

    Tables and the products of attention stay float32. The weights are unsigned: onnxruntime's products of signed ones
    overflow on processors without VNNI, and a file may go anywhere.

    Raises:
        MissingExtra: onnxruntime is not installed.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise MissingExtra("onnxruntime", "export") from error
    with _quiet():
        quantize_dynamic(
            source, target, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QUInt8
        )


def onnx_vectors(path: Path, texts: PaddedTexts) -> FloatArray:
    """What onnxruntime computes with a file: sentence embeddings (B, C).

    Raises:
        MissingExtra: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "export") from error
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    vectors = session.run([OUTPUTS[1]], {name: array for name, array in texts.feeds().items() if name in names})[0]
    return np.asarray(vectors, dtype=np.float32)


def _forget_source(model: Any) -> None:
    """Remove the lines of code and the paths on this machine that torch notes at every operator."""
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
    for value in (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
    model.graph.metadata_props.clear()
    model.metadata_props.clear()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what exporters say of themselves: nothing of it is about the user's model."""
    loggers = [logging.getLogger(name) for name in NOISY]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
