"""An ONNX file as OpenVINO's own files, and the same with its weights in int8."""

from __future__ import annotations

import logging
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingExtra
from ..vectors import FloatArray
from .onnx_graph import OUTPUTS
from .reading import PaddedTexts

SETTINGS = {"INFERENCE_PRECISION_HINT": "f32"}
"""Otherwise OpenVINO computes in bfloat16 where the processor can."""


def write_openvino(source: Path, target: Path) -> None:
    """Write `target`, an .xml file, and its .bin beside it, in float32.

    Raises:
        MissingExtra: openvino is not installed.
    """
    openvino = _openvino()
    openvino.save_model(openvino.convert_model(source), target, compress_to_fp16=False)


def quantize_openvino(source: Path, target: Path) -> None:
    """Write `target`: all weights in int8, tables too. Products are computed in the precision of the runtime.

    Raises:
        MissingExtra: nncf is not installed.
    """
    openvino = _openvino()
    try:
        import nncf
    except ImportError as error:
        raise MissingExtra("nncf", "openvino") from error
    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(StringIO()):  # bars and tables, where a caller's results may go
        model = nncf.compress_weights(openvino.Core().read_model(source), mode=nncf.CompressWeightsMode.INT8_ASYM)
    openvino.save_model(model, target, compress_to_fp16=False)


def openvino_vectors(path: Path, texts: PaddedTexts) -> FloatArray:
    """What OpenVINO computes with a file: sentence embeddings (B, C)."""
    model = _openvino().Core().compile_model(path, "CPU", SETTINGS)
    names = {name for node in model.inputs for name in node.names}
    answers = model({name: array for name, array in texts.feeds().items() if name in names})
    return np.asarray(answers[OUTPUTS[1]], dtype=np.float32)


def _openvino() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise MissingExtra("openvino", "openvino") from error
    return openvino
