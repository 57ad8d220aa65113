"""Work dealt out to threads gives what one thread gives: short work, many batches, long texts in rows."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from jina_v3_encoder import Encoder
from jina_v3_encoder.network import reader as module
from jina_v3_encoder.network import rows as rows_module
from jina_v3_encoder.task import TASK_NAMES

TEXTS = ["word " * length for length in (1, 3, 3, 40, 41, 200, 7, 7, 7, 300, 450)]
TASKS = [(*TASK_NAMES, None)[number % 6] for number in range(len(TEXTS))]


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def alone(request: pytest.FixtureRequest, original_folder: Path) -> Encoder:
    """One thread."""
    return Encoder.from_pretrained(original_folder, dtype=request.param, device="cpu", threads=1)


@pytest.fixture
def dealing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No work is too short to be dealt out, and rows come in small parts."""
    monkeypatch.setattr(module, "SHORT_WORK", 0)
    monkeypatch.setattr(rows_module, "MOST_ROWS", 64)


def tolerance(encoder: Encoder) -> float:
    return 1e-6 if encoder.info.dtype == "float32" else 1e-2


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("max_batch_tokens", [50, 300, None])
@pytest.mark.usefixtures("dealing")
def test_vectors_do_not_depend_on_the_threads(
    original_folder: Path, alone: Encoder, threads: int, max_batch_tokens: int | None
) -> None:
    encoder = Encoder.from_pretrained(
        original_folder, dtype=str(alone.info.dtype), device="cpu", threads=threads, max_batch_tokens=max_batch_tokens
    )
    assert np.allclose(encoder.encode(TEXTS, task=TASKS), alone.encode(TEXTS, task=TASKS), atol=tolerance(alone))


@pytest.mark.parametrize("tokens", [63, 64, 65, 129, 500])
@pytest.mark.parametrize("task", [None, "separation"])
@pytest.mark.usefixtures("dealing")
def test_a_long_text_is_read_in_rows(
    monkeypatch: pytest.MonkeyPatch, original_folder: Path, alone: Encoder, tokens: int, task: str | None
) -> None:
    steps: list[tuple[int, int, int]] = []
    step = rows_module._RowsReading.step

    def noted(self: rows_module._RowsReading, layer: int, rows: slice) -> None:
        steps.append((layer, rows.start, threading.get_ident()))
        step(self, layer, rows)

    monkeypatch.setattr(rows_module._RowsReading, "step", noted)
    encoder = Encoder.from_pretrained(
        original_folder, dtype=str(alone.info.dtype), device="cpu", threads=2, max_batch_tokens=32
    )
    text = " ".join(["word"] * (tokens - 2))
    assert encoder.count_tokens([text]) == [tokens]
    vectors = encoder.encode(text, task=task, prompt=False)
    assert np.allclose(vectors, alone.encode(text, task=task, prompt=False), atol=tolerance(alone))
    layers = encoder.config.num_hidden_layers
    assert {layer for layer, _, _ in steps} == set(range(layers + 1))
    assert len({start for _, start, _ in steps}) >= 2
    assert threading.get_ident() not in {thread for _, _, thread in steps}
    assert [layer for layer, _, _ in steps] == sorted(layer for layer, _, _ in steps), (
        "a layer waits for the one before"
    )


@pytest.mark.usefixtures("dealing")
def test_callers_at_the_same_time_get_their_own_vectors(original_folder: Path, alone: Encoder) -> None:
    encoder = Encoder.from_pretrained(original_folder, dtype=str(alone.info.dtype), device="cpu", threads=2)
    wanted = alone.encode(TEXTS, task=TASKS)
    right: list[bool] = []

    def call() -> None:
        vectors = [encoder.encode(TEXTS, task=TASKS) for _ in range(3)]
        right.extend(np.allclose(call_vectors, wanted, atol=tolerance(alone)) for call_vectors in vectors)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 12


def test_late_chunks_of_a_long_document_in_rows(dealing: None, original_folder: Path, alone: Encoder) -> None:
    encoder = Encoder.from_pretrained(
        original_folder, dtype=str(alone.info.dtype), device="cpu", threads=2, max_batch_tokens=32
    )
    text = "some words that go on " * 60
    spans = [(start, start + 100) for start in range(0, 1200, 100)]
    vectors = encoder.encode_spans(text, spans, task="retrieval.passage")
    assert np.allclose(vectors, alone.encode_spans(text, spans, task="retrieval.passage"), atol=tolerance(alone))


def test_no_texts_need_no_threads(original_folder: Path, alone: Encoder) -> None:
    assert alone.encode([]).shape == (0, alone.dimensions)
