"""`Encoder` from the caller's side; its vectors are checked in tests/parity."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from jina_v3_encoder import encoder as module
from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint, load_model
from jina_v3_encoder.encoder import Encoder, LocalEngine
from jina_v3_encoder.errors import (
    CheckpointError,
    InputTooLong,
    InvalidInput,
)
from jina_v3_encoder.network.jina_v3 import AdaptedLinear
from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.texts.late_chunking import DEFAULT_OVERLAP
from jina_v3_encoder.texts.tokenizer import TextTokenizer
from jina_v3_encoder.tokenizer_factory import WORDS

LONG = "the " * 600


def random_texts(count: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 80))) for _ in range(count)]


def test_vectors_are_float32_unit_vectors_even_from_bfloat16(original_folder: Any) -> None:
    coarse = Encoder.from_pretrained(original_folder, dtype="bfloat16", device="cpu")
    vectors = coarse.encode(["a", ""], dimensions=32)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_short_number_formats(original_folder: Any, encoder: Encoder, dtype: str) -> None:
    texts = random_texts(10)
    coarse = Encoder.from_pretrained(original_folder, dtype=dtype, device="cpu")
    tasks = [*TASK_NAMES] * 2
    assert (coarse.encode(texts, task=tasks) * encoder.encode(texts, task=tasks)).sum(1).min() > 0.995


@pytest.mark.parametrize("task", [*TASK_NAMES, None])
def test_alone_or_among_63_others(encoder: Encoder, task: str | None) -> None:
    texts = random_texts(64)
    together = encoder.encode(texts, task=task)
    for index in (0, 20, 41, 63):
        assert np.abs(together[index] - encoder.encode(texts[index], task=task)).max() <= 1e-6


def test_neighbours_of_other_tasks_change_nothing(encoder: Encoder) -> None:
    texts = random_texts(64)
    tasks = [(*TASK_NAMES, None)[index % 6] for index in range(64)]
    together = encoder.encode(texts, task=tasks)
    for index in (3, 22, 50):
        assert np.abs(together[index] - encoder.encode(texts[index], task=tasks[index])).max() <= 1e-6


@pytest.mark.parametrize("budget", [1, 40, 300, 100_000])
def test_order_and_vectors_do_not_depend_on_the_batch_budget(original_folder: Any, budget: int) -> None:
    texts = random_texts(40)
    small = Encoder.from_pretrained(original_folder, dtype="float32", device="cpu", max_batch_tokens=budget)
    large = Encoder.from_pretrained(original_folder, dtype="float32", device="cpu")
    assert np.abs(small.encode(texts) - large.encode(texts)).max() <= 1e-6


def test_prompts_are_on_by_default_and_change_vectors(encoder: Encoder) -> None:
    prompt = "Represent the query for retrieving evidence documents: "
    with_prompt = encoder.encode("hello", task="retrieval.query")
    assert np.array_equal(with_prompt, encoder.encode(prompt + "hello", task="retrieval.query", prompt=False))
    assert np.abs(with_prompt - encoder.encode("hello", task="retrieval.query", prompt=False)).max() > 1e-3
    assert np.array_equal(
        encoder.encode("hello", task="separation"), encoder.encode("hello", task="separation", prompt=False)
    )


def test_untrained_dimensions_warn_once(original_folder: Any) -> None:
    fresh = Encoder.from_pretrained(original_folder, dtype="float32", device="cpu")
    with pytest.warns(UserWarning, match=r"20 is not among the dimensions the model was trained for \[16, 32, 64\]"):
        fresh.encode("a", dimensions=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh.encode("a", dimensions=20)
        fresh.encode("a", dimensions=32)


@pytest.mark.parametrize(
    ("method", "arguments", "size"),
    [
        ("encode", ["a"], 40),
        ("encode_chunks", [["a"]], 41),
        ("encode_spans", ["a", [(0, 1)]], 42),
        ("encode_documents", [["a"], [[(0, 1)]]], 43),
    ],
)
def test_the_warning_points_to_the_caller(encoder: Encoder, method: str, arguments: list[Any], size: int) -> None:
    with pytest.warns(UserWarning, match=f"{size} is not among") as caught:
        getattr(encoder, method)(*arguments, dimensions=size)
    assert [warning.filename for warning in caught] == [__file__]


def test_texts_past_the_limit(encoder: Encoder) -> None:
    with pytest.raises(InputTooLong, match=r"text 1 has \d+ tokens with its prompt, the limit is 512: .*truncate=True"):
        encoder.encode(["short", LONG], task="retrieval.passage")
    cut = encoder.encode([LONG], truncate=True)
    assert np.abs(cut - encoder.encode(["the " * 509 + "the"])).max() <= 1e-6


def test_documents_are_packed_and_never_mixed(encoder: Encoder) -> None:
    texts = [*random_texts(6), LONG]
    spans = [[(0, len(text) // 2), (len(text) // 2, len(text))] for text in texts]
    together = encoder.encode_documents(texts, spans, task="retrieval.passage", overlap=64)
    for text, text_spans, vectors in zip(texts, spans, together, strict=True):
        alone = encoder.encode_spans(text, text_spans, task="retrieval.passage", overlap=64)
        assert np.abs(vectors - alone).max() <= 1e-6


def test_chunks_know_their_context(encoder: Encoder) -> None:
    alone = encoder.encode(["second chunk"])
    late = encoder.encode_chunks(["the first chunk", "second chunk"])
    assert np.abs(late[1] - alone[0]).max() > 1e-3


def test_threads_with_different_tasks(encoder: Encoder) -> None:
    texts = random_texts(8)
    wanted = {task: encoder.encode(texts, task=task) for task in TASK_NAMES}
    wrong: list[str] = []

    def work(task: str) -> None:
        repeats = [encoder.encode(texts, task=task) for _ in range(10)]
        wrong.extend(task for vectors in repeats if np.abs(vectors - wanted[task]).max() > 1e-6)

    threads = [threading.Thread(target=work, args=(task,)) for task in TASK_NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_it_says_about_itself(encoder: Encoder, original_folder: Any) -> None:
    assert encoder.model_id == str(original_folder)
    assert encoder.revision is None
    assert (encoder.dimensions, encoder.max_tokens) == (64, 512)
    assert repr(encoder) == f"Encoder('{original_folder}', 64 dimensions, cpu, torch.float32)"


def test_folders_and_layouts_that_cannot_be_written(encoder: Encoder) -> None:
    with pytest.raises(CheckpointError, match="unknown layout 'onnx'"):
        encoder.save_pretrained("x", layout="onnx")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="cannot write the checkpoint to /proc/none"):
        encoder.save_pretrained("/proc/none")


def test_the_config_is_that_of_the_model_as_it_computes(original_folder: Any) -> None:
    try:
        rounded = Encoder.from_pretrained(original_folder, device="cpu", quantize="int8")
    except InvalidInput as error:
        pytest.skip(str(error))
    assert rounded.config.quantization == rounded.quantization == rounded.info.quantization == "int8"


def test_making_an_encoder_leaves_the_model_as_it_is(original_folder: Any) -> None:
    checkpoint = find_checkpoint(original_folder)
    model = load_model(checkpoint, torch.float32)
    tokenizer = TextTokenizer(checkpoint.tokenizer_file, checkpoint.config)
    plain = Encoder(LocalEngine(model, checkpoint, tokenizer))
    assert all(layer.product is None for layer in model.modules() if isinstance(layer, AdaptedLinear))
    packed = Encoder.from_pretrained(original_folder, device="cpu", dtype="float32")
    assert np.abs(plain.encode("hello") - packed.encode("hello")).max() <= 1e-5
    assert plain.fingerprint == packed.fingerprint


def test_the_fingerprint_is_computed_once_for_all_batch_sizes(
    original_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder.from_pretrained(original_folder, device="cpu")
    computed: list[object] = []

    def counted(*arguments: object) -> str:
        computed.append(arguments)
        return "f" * 16

    monkeypatch.setattr(module, "fingerprint", counted)
    smaller = encoder.with_batch_tokens(50)
    assert computed == []
    assert smaller.fingerprint == encoder.fingerprint == smaller.with_batch_tokens(9).fingerprint == "f" * 16
    assert len(computed) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"dtype": "int3"},
        {"device": "abacus"},
        {"device": "cuda:99"},
        {"quantize": "int4"},
        {"max_batch_tokens": 0},
        {"max_batch_tokens": True},
    ],
)
def test_bad_loading_arguments(original_folder: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(arguments))):
        Encoder.from_pretrained(original_folder, **arguments)


def test_the_default_overlap_is_the_papers() -> None:
    assert DEFAULT_OVERLAP == 512
