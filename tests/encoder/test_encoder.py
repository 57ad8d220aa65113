"""`Encoder` from the caller's side; its vectors are checked in tests/parity."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import (
    CheckpointError,
    InputTooLong,
    InvalidDimensions,
    InvalidInput,
    InvalidSpan,
    JinaV3Error,
    UnknownTask,
)
from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.texts.late_chunking import DEFAULT_OVERLAP
from jina_v3_encoder.tokenizer_factory import WORDS

LONG = "the " * 600


def random_texts(count: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 80))) for _ in range(count)]


def test_one_text_gives_one_vector(encoder: Encoder) -> None:
    assert encoder.encode("hello").shape == (64,)
    assert encoder.encode(["hello"]).shape == (1, 64)
    assert encoder.encode(("hello", "there")).shape == (2, 64)
    assert encoder.encode(text for text in "ab").shape == (2, 64)  # type: ignore[arg-type]


def test_no_texts(encoder: Encoder) -> None:
    assert encoder.encode([], dimensions=16).shape == (0, 16)
    assert encoder.encode([], task=[], output_type="ubinary").shape == (0, 8)
    assert encoder.encode_documents([], []) == []
    assert encoder.encode_spans("text", []).shape == (0, 64)
    assert encoder.encode_chunks([], dimensions=16).shape == (0, 16)
    assert encoder.count_tokens([]) == []


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


def test_normalize_off_keeps_the_mean_state(encoder: Encoder) -> None:
    raw = encoder.encode("hello", normalize=False)
    assert abs(np.linalg.norm(raw) - 1) > 0.1
    assert np.allclose(raw / np.linalg.norm(raw), encoder.encode("hello"), atol=1e-6)


def test_untrained_dimensions_warn_once(original_folder: Any) -> None:
    fresh = Encoder.from_pretrained(original_folder, dtype="float32", device="cpu")
    with pytest.warns(UserWarning, match=r"20 is not among the dimensions the model was trained for \[16, 32, 64\]"):
        fresh.encode("a", dimensions=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh.encode("a", dimensions=20)
        fresh.encode("a", dimensions=32)


def test_texts_past_the_limit(encoder: Encoder) -> None:
    with pytest.raises(InputTooLong, match=r"text 1 has \d+ tokens with its prompt, the limit is 512: .*truncate=True"):
        encoder.encode(["short", LONG], task="retrieval.passage")
    cut = encoder.encode([LONG], truncate=True)
    assert np.abs(cut - encoder.encode(["the " * 509 + "the"])).max() <= 1e-6


def test_count_tokens_is_what_the_model_sees(encoder: Encoder) -> None:
    plain = encoder.count_tokens("the world")
    assert isinstance(plain, int)
    with_prompt = encoder.count_tokens(["the world"], task="retrieval.query")
    assert isinstance(with_prompt, list)
    assert with_prompt[0] > plain
    assert encoder.count_tokens("the world", task="retrieval.query", prompt=False) == plain


def test_documents_are_packed_and_never_mixed(encoder: Encoder) -> None:
    texts = [*random_texts(6), LONG]
    spans = [[(0, len(text) // 2), (len(text) // 2, len(text))] for text in texts]
    together = encoder.encode_documents(texts, spans, task="retrieval.passage", overlap=64)
    for text, own, found in zip(texts, spans, together, strict=True):
        alone = encoder.encode_spans(text, own, task="retrieval.passage", overlap=64)
        assert np.abs(found - alone).max() <= 1e-6


def test_documents_without_spans_have_no_vectors(encoder: Encoder) -> None:
    shapes = [rows.shape for rows in encoder.encode_documents(["a b", "c d"], [[], [(0, 3)]])]
    assert shapes == [(0, 64), (1, 64)]


def test_chunks_know_their_context(encoder: Encoder) -> None:
    alone = encoder.encode(["second chunk"])
    late = encoder.encode_chunks(["the first chunk", "second chunk"])
    assert np.abs(late[1] - alone[0]).max() > 1e-3


def test_late_chunks_in_other_forms(encoder: Encoder) -> None:
    chunks = ["the first", "the second"]
    assert encoder.encode_chunks(chunks, dimensions=16, output_type="ubinary").shape == (2, 2)
    raw = encoder.encode_chunks(chunks, normalize=False)
    assert np.abs(np.linalg.norm(raw, axis=1) - 1).min() > 0.1


def test_threads_with_different_tasks(encoder: Encoder) -> None:
    texts = random_texts(8)
    wanted = {task: encoder.encode(texts, task=task) for task in TASK_NAMES}
    wrong: list[str] = []

    def work(task: str) -> None:
        found = [encoder.encode(texts, task=task) for _ in range(10)]
        wrong.extend(task for vectors in found if np.abs(vectors - wanted[task]).max() > 1e-6)

    threads = [threading.Thread(target=work, args=(task,)) for task in TASK_NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_progress_goes_to_standard_error(encoder: Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    encoder.encode(["a", "b"], progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Encoding" in err
    encoder.encode(["a", "b"])
    assert capsys.readouterr().err == ""


def test_what_it_says_about_itself(encoder: Encoder, original_folder: Any) -> None:
    assert encoder.model_id == str(original_folder)
    assert encoder.revision is None
    assert (encoder.dimensions, encoder.max_tokens) == (64, 512)
    assert repr(encoder) == f"Encoder('{original_folder}', 64 dimensions, cpu, torch.float32)"


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (None, "got NoneType"),
        (3, "got int"),
        (b"bytes", "got bytes"),
        ({"a": 1}, "got dict"),
        ([b"bytes"], "text 0 must be a str, got bytes"),
        (["a", None], "text 1 must be a str, got NoneType"),
        ([["nested"]], "text 0 must be a str, got list"),
        (["a\ud800"], "lone surrogate"),
    ],
)
def test_inputs_that_are_no_texts(encoder: Encoder, texts: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        encoder.encode(texts)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda e: e.encode("a", task="retrieval"), UnknownTask),
        (lambda e: e.encode(["a"], task=["separation", None]), InvalidInput),
        (lambda e: e.encode("a", dimensions=0), InvalidDimensions),
        (lambda e: e.encode("a", dimensions=5000), InvalidDimensions),
        (lambda e: e.encode("a", output_type="int4"), InvalidInput),
        (lambda e: e.encode("x" * 1_000_000), InputTooLong),
        (lambda e: e.encode_spans("abc", [(2, 1)]), InvalidSpan),
        (lambda e: e.encode_spans("abc", [(0, 4)]), InvalidSpan),
        (lambda e: e.encode_spans("abc", [(0, 3), (1, 1)]), InvalidSpan),
        (lambda e: e.encode_spans("abc", 7), InvalidInput),
        (lambda e: e.encode_spans("abc", ["ab"]), InvalidInput),
        (lambda e: e.encode_spans(["abc"], [(0, 3)]), InvalidInput),
        (lambda e: e.encode_spans("abc", [(0, 3)], window=1), InvalidInput),
        (lambda e: e.encode_spans(LONG, [(0, 3)], window=100, overlap=100), InvalidInput),
        (lambda e: e.encode_spans("abc", [(0, 3)], task=["separation"]), UnknownTask),
        (lambda e: e.encode_chunks("one str"), InvalidInput),
        (lambda e: e.encode_chunks([["nested"]]), InvalidInput),
        (lambda e: e.encode_chunks(["a", ""], separator=""), InvalidSpan),
        (lambda e: e.encode_chunks(["a", "b"], separator=3), InvalidInput),
        (lambda e: e.encode_documents(["a"], []), InvalidInput),
        (lambda e: e.encode_documents(["a"], [None]), InvalidInput),
        (lambda e: e.encode_documents("a", [[(0, 1)]]), InvalidInput),
        (lambda e: e.count_tokens(5), InvalidInput),
        (lambda e: e.count_tokens("a", task="nope"), UnknownTask),
        (lambda e: e.save_pretrained("x", layout="onnx"), CheckpointError),
        (lambda e: e.save_pretrained("/proc/none"), CheckpointError),
    ],
)
def test_bad_arguments_are_our_errors(encoder: Encoder, call: Any, error: type[JinaV3Error]) -> None:
    with pytest.raises(error):
        call(encoder)


def test_unknown_keywords_raise(encoder: Encoder) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'adapter'"):
        encoder.encode("a", adapter="separation")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "arguments",
    [{"dtype": "int3"}, {"device": "abacus"}, {"device": "cuda:99"}, {"quantize": "int4"}, {"max_batch_tokens": 0}],
)
def test_bad_loading_arguments(original_folder: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Encoder.from_pretrained(original_folder, **arguments)


def test_the_default_overlap_is_the_papers() -> None:
    assert DEFAULT_OVERLAP == 512
