"""Other libraries, each as one function from texts to unit vectors, on the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jina_v3_encoder.errors import MissingExtra
from jina_v3_encoder.task import Task

if TYPE_CHECKING:
    from jina_v3_encoder.export.formats import ExportFormat

EncodeTexts = Callable[[Sequence[str]], NDArray[np.float32]]
BATCH_TOKENS = 2048
"""Tokens of a batch of a graph, with those that fill it up."""
VECTORS = "sentence_embedding"
BATCH_TEXTS = 32
"""The default batch size of sentence-transformers."""


def sentence_transformers_encode(folder: Path, dtype: str, task: Task | None, device: str) -> EncodeTexts:
    """sentence-transformers on the hf layout, its adapter through PEFT.

    Raises:
        MissingExtra: sentence-transformers is not installed.
    """
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import Normalize, Pooling, Transformer
    except ImportError:
        raise MissingExtra("sentence-transformers", "bench") from None
    import torch

    transformer = Transformer(str(folder), model_kwargs={"dtype": getattr(torch, dtype)})
    if task is not None:
        transformer.auto_model.load_adapter(str(folder / task.folder), adapter_name=task.folder)
        transformer.auto_model.set_adapter(task.folder)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    model = SentenceTransformer(modules=[transformer, pooling, Normalize()], device=device).eval()

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = model.encode(list(texts), batch_size=BATCH_TEXTS, convert_to_tensor=True)
        return np.asarray(vectors.float().cpu().numpy())

    return encode


def transformers_encode(folder: Path, dtype: str, task: Task | None, device: str) -> EncodeTexts:
    """Transformers' own module with PEFT, texts in the order given, padded to the longest of 32, states averaged.

    Raises:
        MissingExtra: transformers is not installed.
    """
    try:
        from transformers import AutoModel
    except ImportError:
        raise MissingExtra("transformers", "bench") from None
    import torch

    model = AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype)).to(device).eval()
    if task is not None:
        model.load_adapter(str(folder / task.folder), adapter_name=task.folder)
        model.set_adapter(task.folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(pad_id=1, pad_token="<pad>")  # noqa: S106 - a token of text

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        rows = []
        for start in range(0, len(texts), BATCH_TEXTS):
            encodings = tokenizer.encode_batch(list(texts[start : start + BATCH_TEXTS]))
            ids = torch.tensor([encoding.ids for encoding in encodings], device=device)
            mask = torch.tensor([encoding.attention_mask for encoding in encodings], device=device)
            states = model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            means = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            rows.append(torch.nn.functional.normalize(means, dim=1).cpu().numpy())
        return np.concatenate(rows)

    return encode


def onnxruntime_encode(folder: Path, number_format: str, task: Task | None, device: str) -> EncodeTexts:
    """The exported graph in onnxruntime, texts sorted by length.

    Raises:
        MissingExtra: onnxruntime is not installed, or what exports the graph.
    """
    graph = _exported(folder, "onnx", number_format, task)
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def read(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.asarray(session.run([VECTORS], {"input_ids": ids, "attention_mask": mask})[0])

    return _sorted_by_length(folder, read)


def openvino_encode(folder: Path, number_format: str, task: Task | None, device: str) -> EncodeTexts:
    """OpenVINO on the exported graph, one stream, texts sorted by length. int8 means weights only.

    Raises:
        MissingExtra: openvino is not installed, or what exports the graph.
    """
    graph = _exported(folder, "openvino", number_format, task)
    import openvino
    import torch

    settings = {
        "INFERENCE_PRECISION_HINT": "f32" if number_format == "float32" else "bf16",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
    }
    model = openvino.Core().compile_model(str(graph), "CPU", settings)
    request = model.create_infer_request()

    def read(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        answer = request.infer({"input_ids": ids, "attention_mask": mask})
        return np.array(answer[model.output(VECTORS)])

    return _sorted_by_length(folder, read)


def _exported(folder: Path, file_format: ExportFormat, number_format: str, task: Task | None) -> Path:
    """The graph of a checkpoint. It is made once, beside the weights."""
    from jina_v3_encoder import Encoder
    from jina_v3_encoder.export.export import export_model
    from jina_v3_encoder.export.formats import ONNX_FILE, OPENVINO_FILE, ROUNDED_ONNX_FILE, ROUNDED_OPENVINO_FILE

    rounded = number_format == "int8"
    target = folder / "exports" / f"{file_format}{'-int8' if rounded else ''}"
    if not target.exists():
        encoder = Encoder.from_pretrained(folder, dtype="float32", device="cpu")
        export_model(encoder, target, task=task, file_format=file_format, quantize="int8" if rounded else None)
    if file_format == "onnx":
        return target / (ROUNDED_ONNX_FILE if rounded else ONNX_FILE)
    return target / (ROUNDED_OPENVINO_FILE if rounded else OPENVINO_FILE)


def _sorted_by_length(
    folder: Path, read: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
) -> EncodeTexts:
    """Batches of about `BATCH_TOKENS`, longest texts first, so that little is padded."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(ids)), key=lambda index: -len(ids[index]))
        parts: list[tuple[list[int], NDArray[np.float32]]] = []
        start = 0
        while start < len(order):
            longest = len(ids[order[start]])
            batch = order[start : start + max(1, BATCH_TOKENS // longest)]
            start += len(batch)
            padded, mask = np.ones((2, len(batch), longest), dtype=np.int64)
            mask[:] = 0
            for row, index in enumerate(batch):
                padded[row, : len(ids[index])], mask[row, : len(ids[index])] = ids[index], 1
            parts.append((batch, read(padded, mask)))
        vectors = np.empty((len(texts), parts[0][1].shape[1]), dtype=np.float32)
        for batch, rows in parts:
            vectors[batch] = rows
        return vectors

    return encode


class Peer(NamedTuple):
    """Another library, and the number formats that it has."""

    formats: tuple[str, ...]
    open: Callable[[Path, str, Task | None, str], EncodeTexts]


PEERS = {
    "sentence-transformers": Peer(("float32", "bfloat16"), sentence_transformers_encode),
    "transformers": Peer(("float32", "bfloat16"), transformers_encode),
    "onnxruntime": Peer(("float32", "int8"), onnxruntime_encode),
    "openvino": Peer(("float32", "bfloat16", "int8"), openvino_encode),
}
"""fastembed reads the same graph with the same onnxruntime, and pads texts in the order given."""
