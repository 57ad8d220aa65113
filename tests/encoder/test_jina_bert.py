"""jina-embeddings-v2 from the caller's side: what it has not is refused, and the rest works. Parity is elsewhere."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_encoder import Encoder, EncoderPool
from jina_v3_encoder.errors import InputTooLong, InvalidDimensions, UnknownTask
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.text_encoder import TextEncoder

TEXTS = ["the first chunk", "a second one"]
SIZE = 96


@pytest.fixture(params=["network", "fake"])
def without_tasks(request: pytest.FixtureRequest, v2: Encoder) -> TextEncoder:
    return FakeEncoder(SIZE, tasks=()) if request.param == "fake" else v2


def test_what_it_says_about_itself(v2: Encoder) -> None:
    assert (v2.tasks, dict(v2.info.prompts)) == ((), {})
    assert (v2.dimensions, v2.max_tokens, v2.info.trained_dimensions) == (SIZE, 512, (SIZE,))
    assert not v2.info.can_be_shortened


CALLS: dict[str, Callable[[TextEncoder, Any], Any]] = {
    "encode": lambda encoder, task: encoder.encode(TEXTS, task=task),
    "one for each": lambda encoder, task: encoder.encode(TEXTS, task=[None, task]),
    "chunks": lambda encoder, task: encoder.encode_chunks(TEXTS, task=task),
    "spans": lambda encoder, task: encoder.encode_spans(TEXTS[0], [(0, 5)], task=task),
    "documents": lambda encoder, task: encoder.encode_documents(TEXTS, [[(0, 5)]] * 2, task=task),
    "counting": lambda encoder, task: encoder.count_tokens(TEXTS, task),
}


@pytest.mark.parametrize("task", ["retrieval.passage", "nonsense", 7])
@pytest.mark.parametrize("call", CALLS)
def test_every_task_is_refused_by_name(without_tasks: TextEncoder, call: str, task: Any) -> None:
    with pytest.raises(UnknownTask, match=f"unknown task {task!r}: jina-embeddings-v2 has no tasks; leave task out"):
        CALLS[call](without_tasks, task)
    CALLS[call](without_tasks, None)


def test_a_document_in_steps_takes_no_task_either(v2: Encoder) -> None:
    with pytest.raises(UnknownTask, match="v2 has no tasks"):
        v2.open_document("the world", [(0, 9)], task="separation")


@pytest.mark.parametrize("size", [1, SIZE - 1, SIZE + 1])
def test_vectors_have_one_size(without_tasks: TextEncoder, size: int) -> None:
    words = (
        f"dimensions must be {SIZE}, got {size}: jina-embeddings-v2 was not trained for slices .*leave dimensions out"
    )
    with pytest.raises(InvalidDimensions, match=words):
        without_tasks.encode(TEXTS, dimensions=size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert without_tasks.encode(TEXTS, dimensions=SIZE).shape == (2, SIZE)


def test_prompts_make_no_difference(v2: Encoder) -> None:
    assert np.array_equal(v2.encode(TEXTS), v2.encode(TEXTS, prompt=False))


def test_texts_past_the_limit(v2: Encoder) -> None:
    long = "the first " * 400
    with pytest.raises(InputTooLong, match="the limit is 512"):
        v2.encode(long)
    closed = " ".join(["the first"] * 255)
    assert v2.count_tokens(closed) == 512
    assert np.array_equal(v2.encode(long, truncate=True), v2.encode(closed)), "the last token stays"


def test_documents_past_the_limit_are_read_in_windows(v2: Encoder) -> None:
    text = "the world of the first " * 60
    spans = [(start, start + 115) for start in range(0, len(text), 115)]
    stepwise = v2.open_document(text, spans, window=128, overlap=32)
    assert stepwise.windows > 2
    v2.read_windows(stepwise, 0, stepwise.windows)
    vectors = stepwise.vectors()
    whole = v2.encode_spans(text, spans, window=128, overlap=32, normalize=False)
    assert np.abs(vectors - whole).max() <= 1e-5


def test_copies_in_other_processes(v2_folder: Path, v2: Encoder) -> None:
    copy = pickle.loads(pickle.dumps(v2))
    assert np.array_equal(copy.encode(TEXTS), v2.encode(TEXTS))
    with EncoderPool(v2_folder, workers=1, dtype="float32") as pool:
        assert (pool.tasks, pool.fingerprint) == ((), v2.fingerprint)
        assert np.abs(pool.encode(TEXTS) - v2.encode(TEXTS)).max() <= 1e-6
        with pytest.raises(UnknownTask, match="v2 has no tasks"):
            pool.encode(TEXTS, task="separation")
