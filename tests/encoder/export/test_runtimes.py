"""Exported files in the runtimes of others, against our own encoder in float32."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_encoder import Encoder, export_model
from jina_v3_encoder.export.formats import ONNX_FILE, OPENVINO_FILE, ROUNDED_ONNX_FILE, ROUNDED_OPENVINO_FILE
from jina_v3_encoder.network.padded import task_id
from jina_v3_encoder.task import TASK_NAMES, as_task
from jina_v3_encoder.testing import tiny_config, write_random_checkpoint
from jina_v3_encoder.texts.tokenizer import IntArray
from jina_v3_encoder.vectors import FloatArray, finish
from tests.support.exports import padded_ids, texts_of_lengths

TASKS = (*TASK_NAMES, None)
TASK = "retrieval.passage"
LENGTHS = (1, 2, 17, 128, 700, 8192)
TEXTS = ["a lightsaber", "Ｆｕｌｌ－ｗｉｄｔｈ ﬁgures", "東京は日本の首都です。", "word " * 300]
"""Their ids need the normalizer of tokenizer.json."""
FASTEMBED = Path(sys.prefix) / "fastembed"
"""It asks for an older huggingface_hub than transformers, and needs none for a folder, so it is installed apart."""


def cosines(vectors: FloatArray, others: FloatArray) -> FloatArray:
    return np.asarray((finish(np.array(vectors), normalize=True) * others).sum(axis=1))


def means(encoder: Encoder, texts: list[IntArray], names: list[str | None]) -> FloatArray:
    return finish(encoder.engine.id_means(texts, [as_task(name) for name in names]), normalize=True)


@pytest.fixture(scope="module")
def exact_nano() -> Encoder:
    return Encoder.from_pretrained("nano", dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def nano_onnx(exact_nano: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runtimes") / "nano"
    export_model(exact_nano, folder, task=TASK, quantize="int8")
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """One layer, since the exporter takes seconds for each."""
    folder = write_random_checkpoint(tmp_path_factory.mktemp("small"), tiny_config(num_hidden_layers=1))
    return Encoder.from_pretrained(folder, dtype="float32", device="cpu")


@pytest.mark.parametrize(
    ("file", "lowest", "lengths"),
    [
        (ONNX_FILE, 0.999999, LENGTHS),
        (ROUNDED_ONNX_FILE, 0.99, LENGTHS[:-1]),
        pytest.param(ROUNDED_ONNX_FILE, 0.99, LENGTHS, marks=pytest.mark.servers),
    ],
)
def test_onnxruntime_from_one_token_to_8192(
    nano_onnx: Path, exact_nano: Encoder, file: str, lowest: float, lengths: tuple[int, ...]
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(nano_onnx / file)
    assert [(node.name, node.type, len(node.shape)) for node in session.get_inputs()] == [
        ("input_ids", "tensor(int64)", 2),
        ("attention_mask", "tensor(int64)", 2),
    ]
    assert [node.name for node in session.get_outputs()] == ["last_hidden_state", "sentence_embedding"]
    texts = texts_of_lengths(lengths, exact_nano.config.vocab_size)
    wanted = means(exact_nano, texts, [TASK] * len(texts))

    def vectors(batch: list[IntArray]) -> FloatArray:
        ids, mask = padded_ids(batch)
        states, pooled = session.run(None, {"input_ids": ids, "attention_mask": mask})
        assert states.shape == (*ids.shape, exact_nano.dimensions)
        assert np.abs(np.linalg.norm(pooled, axis=1) - 1).max() <= 1e-5
        return np.asarray(pooled)

    alone = np.concatenate([vectors([text]) for text in texts])
    assert cosines(alone, wanted).min() >= lowest
    assert cosines(vectors(texts[:5]), wanted[:5]).min() >= lowest, "a batch of many lengths"


def test_the_lines_of_the_card_work(nano_onnx: Path, exact_nano: Encoder) -> None:
    card = (nano_onnx / "README.md").read_text(encoding="utf-8")
    lines = card.partition("## onnxruntime")[2].partition("```python")[2].partition("```")[0]
    program = f"{lines}\nprint(vectors[0].tolist())"
    done = subprocess.run([sys.executable, "-c", program], cwd=nano_onnx, capture_output=True, text=True, check=True)
    vectors = np.array([json.loads(done.stdout)], dtype=np.float32)
    assert cosines(vectors, exact_nano.encode(["a text"], task=TASK)).min() >= 0.99


def test_onnxruntime_takes_the_task_of_each_text(small: Encoder, tmp_path: Path) -> None:
    import onnxruntime

    export_model(small, tmp_path / "all", task="all")
    session = onnxruntime.InferenceSession(tmp_path / "all" / ONNX_FILE)
    texts = texts_of_lengths([3, 17, 128, 2, 5, 300], small.config.vocab_size)
    ids, mask = padded_ids(texts)
    numbers = np.array([task_id(small.config, as_task(name)) for name in TASKS])
    feeds = {"input_ids": ids, "attention_mask": mask, "task_id": numbers}
    (vectors,) = session.run(["sentence_embedding"], feeds)
    assert cosines(vectors, means(small, texts, list(TASKS))).min() >= 0.999999
    card = (tmp_path / "all" / "README.md").read_text(encoding="utf-8")
    assert "| 1 | retrieval.passage | `Represent the document for retrieval: ` |" in card
    assert "| 5 | none: the base model |" in card


@pytest.mark.servers
@pytest.mark.parametrize("name", TASKS, ids=str)
def test_onnxruntime_for_every_task(small: Encoder, tmp_path: Path, name: str | None) -> None:
    import onnxruntime

    export_model(small, tmp_path / "onnx", task=name)
    texts = texts_of_lengths([1, 2, 17, 128, 512], small.config.vocab_size)
    ids, mask = padded_ids(texts)
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / ONNX_FILE)
    (vectors,) = session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": mask})
    assert cosines(vectors, means(small, texts, [name] * len(texts))).min() >= 0.999999


def test_openvino(small: Encoder, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import openvino

    export_model(small, tmp_path / "openvino", task=TASK, file_format="openvino", quantize="int8")
    assert capfd.readouterr().out == "", "what others say of their work is no result"
    texts = texts_of_lengths([1, 2, 17, 128, 512], small.config.vocab_size)
    ids, mask = padded_ids(texts)
    for file, lowest in ((OPENVINO_FILE, 0.9999), (ROUNDED_OPENVINO_FILE, 0.99)):
        model = openvino.Core().compile_model(tmp_path / "openvino" / file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        vectors = model({"input_ids": ids, "attention_mask": mask})["sentence_embedding"]
        assert cosines(vectors, means(small, texts, [TASK] * len(texts))).min() >= lowest
    assert not (tmp_path / "openvino" / "onnx").exists()


@pytest.mark.parametrize(("file", "lowest"), [(ONNX_FILE, 0.999999), (ROUNDED_ONNX_FILE, 0.99)])
def test_fastembed(
    nano_onnx: Path, exact_nano: Encoder, monkeypatch: pytest.MonkeyPatch, file: str, lowest: float
) -> None:
    if not FASTEMBED.is_dir():
        pytest.skip(f"no fastembed in {FASTEMBED}: make test puts it there")
    monkeypatch.syspath_prepend(FASTEMBED)
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    name = f"exported/{file}"
    TextEmbedding.add_custom_model(
        name,
        pooling=PoolingType.MEAN,
        normalization=True,
        sources=ModelSource(hf=name),
        dim=exact_nano.dimensions,
        model_file=file,
    )
    model = TextEmbedding(name, specific_model_path=str(nano_onnx))
    prompt = exact_nano.config.prompt(as_task(TASK))
    vectors = np.stack(list(model.embed([prompt + text for text in TEXTS])))
    assert cosines(vectors, exact_nano.encode(TEXTS, task=TASK)).min() >= lowest


@pytest.mark.parametrize("name", ["retrieval.query", TASK, "separation", None], ids=str)
def test_sentence_transformers(exact_nano: Encoder, tmp_path: Path, name: str | None) -> None:
    from sentence_transformers import SentenceTransformer

    export_model(exact_nano, tmp_path / "st", task=name, file_format="sentence-transformers")
    model = SentenceTransformer(str(tmp_path / "st"), device="cpu")
    wanted = exact_nano.encode(TEXTS, task=name)
    assert model.max_seq_length == exact_nano.max_tokens
    assert cosines(model.encode(TEXTS), wanted).min() >= 0.99999
    assert cosines(model.encode_query(TEXTS), wanted).min() >= 0.99999
    assert cosines(model.encode_document(TEXTS), wanted).min() >= 0.99999
    bare = exact_nano.encode(TEXTS, task=name, prompt=False)
    assert cosines(model.encode(TEXTS, prompt=""), bare).min() >= 0.99999


TRANSFORMERS_JS = """
import { env, pipeline } from "@huggingface/transformers";
const [root, name, dtype, texts] = process.argv.slice(2);
env.localModelPath = root;
env.allowRemoteModels = false;
const model = await pipeline("feature-extraction", name, { dtype });
const vectors = await model(JSON.parse(texts), { pooling: "mean", normalize: true });
console.log(JSON.stringify(vectors.tolist()));
"""


@pytest.fixture(scope="module")
def node_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder where node finds Transformers.js."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    command = [npm, "install", "--no-audit", "--no-fund", "@huggingface/transformers"]
    environment = {**os.environ, "ONNXRUNTIME_NODE_INSTALL": "skip"}
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300, env=environment)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm cannot install @huggingface/transformers here: {type(error).__name__}")
    (folder / "encode.mjs").write_text(TRANSFORMERS_JS)
    yield folder
    shutil.rmtree(folder / "node_modules")


@pytest.mark.servers
@pytest.mark.parametrize(("dtype", "lowest"), [("fp32", 0.99999), ("q8", 0.99)])
def test_transformers_js(node_project: Path, nano_onnx: Path, exact_nano: Encoder, dtype: str, lowest: float) -> None:
    prompt = exact_nano.config.prompt(as_task(TASK))
    arguments: list[Any] = [
        f"{nano_onnx.parent}/",
        nano_onnx.name,
        dtype,
        json.dumps([prompt + text for text in TEXTS]),
    ]
    done = subprocess.run(
        ["node", "encode.mjs", *arguments], cwd=node_project, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    vectors = np.array(json.loads(done.stdout.splitlines()[-1]), dtype=np.float32)
    assert cosines(vectors, exact_nano.encode(TEXTS, task=TASK)).min() >= lowest
