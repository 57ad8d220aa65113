"""The formats, and where their files lie. Imports nothing heavy, for the command line."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

ExportFormat: TypeAlias = Literal["onnx", "openvino", "sentence-transformers"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
AllTasks: TypeAlias = Literal["all"]
ALL_TASKS: AllTasks = "all"

ONNX_FILE = "onnx/model.onnx"
DATA_SUFFIX = "_data"
"""Ends the name of the file beside an ONNX file that holds its weights, where they are large."""
ROUNDED_ONNX_FILE = "onnx/model_quantized.onnx"
OPENVINO_FILE = "openvino/openvino_model.xml"
ROUNDED_OPENVINO_FILE = "openvino/openvino_model_qint8_quantized.xml"
