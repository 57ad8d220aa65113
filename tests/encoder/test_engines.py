"""One suite over all engines: on this machine, in processes, behind a server, in a server's queue, and made up.

The same call gives the same answer. What only one of them has stands in its own file.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors.server.batcher import Batcher
from jina_v3_connectors.server.metrics import Metrics
from jina_v3_connectors.server.models import Models
from jina_v3_connectors.server.queue_engine import QueueEngine
from jina_v3_encoder import Blend, EncoderPool, RemoteEncoder, TextEncoder
from jina_v3_encoder import pool as pool_module
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import (
    InputTooLong,
    InvalidDimensions,
    InvalidInput,
    InvalidSpan,
    JinaV3Error,
    RemoteError,
    UnknownTask,
)
from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.usage import count_usage
from jina_v3_encoder.vectors import OUTPUT_TYPES

from ..support.running import running

COMPUTING = ("local", "pool", "remote", "queue")
"""Engines that read the same checkpoint."""
ALL = (*COMPUTING, "fake")
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
TOLERANCE = 1e-5
RAW_TOLERANCE = 1e-4
"""For vectors that are not normalised: they are longer."""
TEXTS = [f"Text number {number} tells of {'many ' * (number % 7)}things." for number in range(40)]
TASKS = [(*TASK_NAMES, None)[number % 6] for number in range(len(TEXTS))]
LONG = "the " * 600
WORDS = "some words of a long document that is read in windows " * 20
SPANS = [(start, min(start + 90, len(WORDS))) for start in range(0, len(WORDS), 60)]


@pytest.fixture(scope="module")
def engines(encoder: Encoder, original_folder: Path) -> Iterator[dict[str, TextEncoder]]:
    """All of them; texts are handed out in small parts and requests."""
    with (
        EncoderPool(original_folder, workers=min(2, CORES), dtype="float32") as pool,
        running(encoder) as url,
        RemoteEncoder(url, max_items=7, max_characters=1000) as remote,
    ):
        batcher = Batcher(Models.of([encoder]), max_waiting_tokens=1000, metrics=Metrics())
        batcher.start()
        yield {
            "local": encoder,
            "pool": pool,
            "remote": remote,
            "queue": TextEncoder(QueueEngine(batcher)),
            "fake": FakeEncoder(max_tokens=encoder.max_tokens),
        }
        batcher.close()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "PART_CHARACTERS", 200)


@pytest.fixture(params=ALL)
def engine(request: pytest.FixtureRequest, engines: dict[str, TextEncoder]) -> TextEncoder:
    return engines[request.param]


@pytest.fixture(params=COMPUTING[1:])
def computing(request: pytest.FixtureRequest, engines: dict[str, TextEncoder]) -> TextEncoder:
    return engines[request.param]


@pytest.fixture(params=["local", "pool", "queue", "fake"])
def promptable(request: pytest.FixtureRequest, engines: dict[str, TextEncoder]) -> TextEncoder:
    """Servers always put the prompts in."""
    return engines[request.param]


def same(vectors: Any, wanted: Any, tolerance: float = TOLERANCE) -> bool:
    return (
        vectors.shape == wanted.shape and vectors.dtype == wanted.dtype and np.allclose(vectors, wanted, atol=tolerance)
    )


# What they say of themselves


def test_all_are_text_encoders_with_the_same_facts(engine: TextEncoder, encoder: Encoder) -> None:
    assert isinstance(engine, TextEncoder)
    assert (engine.dimensions, engine.max_tokens, engine.revision) == (64, encoder.max_tokens, None)
    assert engine.tasks == TASK_NAMES
    assert engine.model_id in repr(engine)
    assert engine.info.prompts["retrieval.query"].startswith("Represent the query")


def test_engines_of_one_checkpoint_have_its_fingerprint(computing: TextEncoder, encoder: Encoder) -> None:
    assert (computing.fingerprint, computing.model_id) == (encoder.fingerprint, encoder.model_id)
    assert computing.info.quantization is None


def test_a_pool_says_what_its_workers_do(engines: dict[str, TextEncoder], encoder: Encoder) -> None:
    assert engines["pool"].info == encoder.info


# Texts


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"task": "retrieval.passage"},
        {"task": TASKS},
        {"task": TASKS, "dimensions": 32},
        {"task": "separation", "normalize": False},
        {"task": None, "prompt": False},
    ],
    ids=str,
)
def test_the_same_vectors(computing: TextEncoder, encoder: Encoder, arguments: dict[str, Any]) -> None:
    tolerance = TOLERANCE if arguments.get("normalize", True) else RAW_TOLERANCE
    assert same(computing.encode(TEXTS, **arguments), encoder.encode(TEXTS, **arguments), tolerance)


@pytest.mark.parametrize("output_type", OUTPUT_TYPES)
def test_output_types(engine: TextEncoder, encoder: Encoder, output_type: Any) -> None:
    vectors = engine.encode(TEXTS[:3], dimensions=16, output_type=output_type)
    wanted = encoder.encode(TEXTS[:3], dimensions=16, output_type=output_type)
    assert (vectors.shape, vectors.dtype) == (wanted.shape, wanted.dtype)
    late = engine.encode_chunks(TEXTS[:3], dimensions=16, output_type=output_type)
    assert (late.shape, late.dtype) == (wanted.shape, wanted.dtype)
    assert engine.encode([], dimensions=16, output_type=output_type).dtype == wanted.dtype


def test_one_text_or_many_or_none(engine: TextEncoder) -> None:
    assert engine.encode("hello").shape == (64,)
    assert engine.encode(("hello", "there", "")).shape == (3, 64)
    assert engine.encode(text for text in "ab").shape == (2, 64)  # type: ignore[arg-type]
    assert engine.encode([], dimensions=16).shape == (0, 16)
    assert engine.encode([], task=[], output_type="ubinary").shape == (0, 8)
    assert engine.encode_documents([], []) == []
    assert engine.encode_spans("text", []).shape == (0, 64)
    assert engine.encode_chunks([], dimensions=16).shape == (0, 16)
    assert engine.count_tokens([]) == []


def test_each_vector_is_that_of_its_text_alone(engine: TextEncoder) -> None:
    together = engine.encode(TEXTS, task=TASKS)
    for number in (0, 13, 39):
        assert same(together[number], engine.encode(TEXTS[number], task=TASKS[number]))


def test_unit_vectors_sliced_before_they_are_normalised(engine: TextEncoder) -> None:
    full, short = engine.encode(TEXTS[:4]), engine.encode(TEXTS[:4], dimensions=16)
    assert np.allclose(np.linalg.norm(short, axis=1), 1, atol=1e-6)
    assert np.allclose(short, full[:, :16] / np.linalg.norm(full[:, :16], axis=1, keepdims=True), atol=TOLERANCE)
    raw = engine.encode(TEXTS[:4], normalize=False)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.abs(lengths - 1).min() > 0.01
    assert np.allclose(raw / lengths, full, atol=TOLERANCE)


def test_long_texts_are_cut_when_asked(engine: TextEncoder, encoder: Encoder) -> None:
    cut = engine.encode([LONG, "short"], truncate=True)
    assert same(cut[0], engine.encode(" ".join(["the"] * 510)))


@pytest.mark.parametrize("kind", ["local", "pool"])
def test_a_million_characters(engines: dict[str, TextEncoder], kind: str) -> None:
    text = "x" * 1_000_000
    with pytest.raises(InputTooLong, match="text 1 has"):
        engines[kind].encode(["short", text])
    vectors = engines[kind].encode(["short", text], truncate=True)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_prompts_change_vectors(promptable: TextEncoder) -> None:
    for text in ("hello", TEXTS[3]):
        query = promptable.encode(text, task="retrieval.query")
        assert np.abs(query - promptable.encode(text, task="retrieval.query", prompt=False)).max() > 1e-3
        plain = promptable.encode(text, task="separation")
        assert np.array_equal(plain, promptable.encode(text, task="separation", prompt=False))
    chunks = ["first chunk", "second chunk"]
    late = promptable.encode_chunks(chunks, task="retrieval.passage")
    assert np.abs(late - promptable.encode_chunks(chunks, task="retrieval.passage", prompt=False)).max() > 1e-3


def test_a_server_always_puts_the_prompts_in(engines: dict[str, TextEncoder]) -> None:
    remote = engines["remote"]
    assert not remote.info.can_leave_prompts_out
    for call in (
        lambda: remote.encode("a", task="retrieval.query", prompt=False),
        lambda: remote.encode_chunks(["a"], task="retrieval.query", prompt=False),
        lambda: remote.count_tokens("a", "retrieval.query", prompt=False),
    ):
        with pytest.raises(InvalidInput, match="prompt=False: a server cannot leave out the prompt of"):
            call()


# Documents


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"task": "retrieval.passage", "window": 64, "overlap": 16},
        {"task": "retrieval.passage", "window": 50, "overlap": 0, "dimensions": 32},
        {"task": "separation", "window": 100, "normalize": False},
        {"overlap": 100, "output_type": "float16"},
        {"task": "retrieval.passage", "blend": Blend(), "dimensions": 32},
    ],
    ids=str,
)
def test_the_same_late_chunks(computing: TextEncoder, encoder: Encoder, arguments: dict[str, Any]) -> None:
    texts = [WORDS, *TEXTS, "First part. Second part.", "without spans"]
    spans = [SPANS, *([(0, 6), (3, len(text))] for text in TEXTS), [(12, 24), (0, 11)], []]
    documents = computing.encode_documents(texts, spans, **arguments)
    tolerance = TOLERANCE if arguments.get("normalize", True) else RAW_TOLERANCE
    if "output_type" in arguments:
        tolerance = 1e-3
    for vectors, wanted in zip(documents, encoder.encode_documents(texts, spans, **arguments), strict=True):
        assert same(vectors, wanted, tolerance)
    assert same(computing.encode_spans(WORDS, SPANS, **arguments), documents[0], tolerance)


@pytest.mark.parametrize("separator", [" ", "", "\n\n"])
def test_chunks_are_spans_of_what_they_make_together(engine: TextEncoder, separator: str) -> None:
    chunks = ["One sentence.", "Another one.", "The end."]
    text, starts = separator.join(chunks), [0]
    for chunk in chunks:
        starts.append(starts[-1] + len(chunk) + (len(separator) if len(starts) > 1 else 0))
    spans = list(pairwise(starts))
    vectors = engine.encode_chunks(chunks, task="retrieval.passage", separator=separator)
    assert same(vectors, engine.encode_spans(text, spans, task="retrieval.passage"))


def test_windows_and_overlaps_change_late_chunks(engine: TextEncoder) -> None:
    """Each does, and twice the same is twice the same."""
    made = {
        (window, overlap): engine.encode_spans(WORDS, SPANS, window=window, overlap=overlap)
        for window, overlap in ((None, None), (64, 0), (64, 16), (100, 16))
    }
    values = list(made.values())
    for number, first in enumerate(values):
        assert all(np.abs(first - second).max() > 1e-4 for second in values[number + 1 :])
    assert same(engine.encode_spans(WORDS, SPANS, window=64, overlap=16), made[64, 16])
    assert same(engine.encode_spans(WORDS, SPANS, window=64), engine.encode_spans(WORDS, SPANS, window=64, overlap=32))


def test_context_comes_from_the_window_that_the_span_is_in(engine: TextEncoder) -> None:
    """With windows of 50 tokens and no overlap, a change far behind does not reach the first span."""
    changed = WORDS[:-40] + "entirely other things at the end of this"
    before = engine.encode_spans(WORDS, SPANS, window=50, overlap=0)
    after = engine.encode_spans(changed, [*SPANS[:-1], (SPANS[-1][0], len(changed))], window=50, overlap=0)
    assert same(before[0], after[0])
    whole = engine.encode_spans(changed, [*SPANS[:-1], (SPANS[-1][0], len(changed))])
    assert np.abs(whole[0] - engine.encode_spans(WORDS, SPANS)[0]).max() > 1e-5


# Counting


def test_tokens_are_counted_as_they_are_read(engine: TextEncoder) -> None:
    for task in (None, "retrieval.query", TASKS):
        counts = engine.count_tokens(TEXTS, task)
        with count_usage() as outer, count_usage() as usage:
            engine.encode(TEXTS, task=task)
        assert usage.tokens == outer.tokens == sum(counts)
    with count_usage() as usage:
        engine.encode_spans(TEXTS[0], [(0, 4), (5, len(TEXTS[0]))], task="retrieval.passage")
    assert usage.tokens == engine.count_tokens(TEXTS[0], "retrieval.passage")


def test_the_same_counts(computing: TextEncoder, encoder: Encoder) -> None:
    assert computing.count_tokens(TEXTS, TASKS) == encoder.count_tokens(TEXTS, TASKS)
    assert computing.count_tokens("one", "retrieval.query") == encoder.count_tokens("one", "retrieval.query")


def test_prompts_count(promptable: TextEncoder) -> None:
    plain = promptable.count_tokens("the world")
    assert promptable.count_tokens("the world", "retrieval.query") > plain
    assert promptable.count_tokens("the world", "retrieval.query", prompt=False) == plain


def test_progress_may_be_told_to_a_function(engine: TextEncoder, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[int] = []
    engine.encode(TEXTS, progress=told.append)
    assert sum(told) == len(TEXTS)
    told.clear()
    engine.encode_documents(["a text", "b", "another text"], [[(0, 1), (2, 6)], [], [(0, 7)]], progress=told.append)
    assert sum(told) == 3
    assert capsys.readouterr().err == ""


def test_progress_goes_to_standard_error(engine: TextEncoder, capsys: pytest.CaptureFixture[str]) -> None:
    engine.encode(TEXTS, progress=True)
    engine.encode_documents(["a text", "b", "another text"], [[(0, 1), (2, 6)], [], [(0, 7)]], progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Encoding" in shown.err
    assert "40/40" in shown.err
    assert "3/3" in shown.err
    engine.encode(TEXTS[:2])
    assert capsys.readouterr().err == ""


# Errors

Call = Callable[[TextEncoder], object]
BAD: dict[str, tuple[Call, type[JinaV3Error], str]] = {
    "none": (lambda e: e.encode(None), InvalidInput, "got NoneType"),  # type: ignore[arg-type]
    "number": (lambda e: e.encode(3), InvalidInput, "got int"),  # type: ignore[arg-type]
    "bytes": (lambda e: e.encode(b"bytes"), InvalidInput, "got bytes"),  # type: ignore[arg-type]
    "mapping": (lambda e: e.encode({"a": 1}), InvalidInput, "got dict"),  # type: ignore[arg-type]
    "no text": (lambda e: e.encode(["a", None]), InvalidInput, "text 1 must be a str, got NoneType"),  # type: ignore[list-item]
    "nested": (lambda e: e.encode([["a"]]), InvalidInput, "text 0 must be a str, got list"),  # type: ignore[list-item]
    "surrogate": (
        lambda e: e.encode([*TEXTS, "a\ud800"]),
        InvalidInput,
        "text 40 holds a lone surrogate at character 1",
    ),
    "task": (lambda e: e.encode("a", task="retrieval"), UnknownTask, "unknown task 'retrieval'"),
    "tasks": (lambda e: e.encode(["a"], task=["separation", None]), InvalidInput, "got 2 tasks for 1 texts"),
    "no dimensions": (lambda e: e.encode("a", dimensions=0), InvalidDimensions, "from 1 to 64, got 0"),
    "dimensions": (lambda e: e.encode("a", dimensions=65), InvalidDimensions, "from 1 to 64, got 65"),
    "output": (lambda e: e.encode("a", output_type="int4"), InvalidInput, "unknown output_type 'int4'"),  # type: ignore[arg-type]
    "reversed": (lambda e: e.encode_spans("abc", [(2, 1)]), InvalidSpan, "document 0, span 0: start 2 is after end 1"),
    "outside": (lambda e: e.encode_spans("abc", [(0, 4)]), InvalidSpan, "outside the text of 3 characters"),
    "no spans": (lambda e: e.encode_spans("abc", 7), InvalidInput, "document 0: spans must be a list"),  # type: ignore[arg-type]
    "no pair": (lambda e: e.encode_spans("abc", ["ab"]), InvalidSpan, "expected (start, end)"),  # type: ignore[list-item]
    "list": (lambda e: e.encode_spans(["abc"], [(0, 3)]), InvalidInput, "document 0 must be a str"),  # type: ignore[arg-type]
    "window": (lambda e: e.encode_spans("abc", [(0, 3)], window=1), InvalidInput, "tokens from 2 to 512, got 1"),
    "large": (lambda e: e.encode_spans("abc", [(0, 3)], window=513), InvalidInput, "tokens from 2 to 512, got 513"),
    "overlap": (lambda e: e.encode_chunks(["a"], window=9, overlap=9), InvalidInput, "below the window of 9, got 9"),
    "task of spans": (lambda e: e.encode_spans("a", [(0, 1)], task=["separation"]), UnknownTask, "['separation']"),  # type: ignore[arg-type]
    "one chunk": (lambda e: e.encode_chunks("one str"), InvalidInput, "expected a sequence of chunks, got one str"),
    "chunk": (lambda e: e.encode_chunks(["a", 3]), InvalidInput, "chunk 1 must be a str, got int"),  # type: ignore[list-item]
    "separator": (lambda e: e.encode_chunks(["a"], separator=3), InvalidInput, "separator must be a str, got int"),  # type: ignore[arg-type]
    "one document": (lambda e: e.encode_documents("a", [[(0, 1)]]), InvalidInput, "sequence of documents, got one str"),
    "missing spans": (lambda e: e.encode_documents(["a"], []), InvalidInput, "spans for 0 documents, but 1 texts"),
    "null spans": (lambda e: e.encode_documents(["a"], [None]), InvalidInput, "document 0: spans must be a list"),  # type: ignore[list-item]
    "second document": (
        lambda e: e.encode_documents([*TEXTS, "abc"], [*([] for _ in TEXTS), [(2, 1)]]),
        InvalidSpan,
        "document 40, span 0",
    ),
    "count": (lambda e: e.count_tokens(5), InvalidInput, "got int"),  # type: ignore[call-overload]
    "count task": (lambda e: e.count_tokens("a", task="nope"), UnknownTask, "unknown task 'nope'"),
}


@pytest.mark.parametrize("name", BAD)
def test_the_same_checks(engine: TextEncoder, name: str) -> None:
    call, error, message = BAD[name]
    with pytest.raises(error, match=re.escape(message)) as caught:
        call(engine)
    assert type(caught.value) is error


def test_unknown_keywords_raise(engine: TextEncoder) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'adapter'"):
        engine.encode("a", adapter="separation")  # type: ignore[call-arg]


# Errors of the engine itself: a server's come as its own words. Each names the caller's number of the text.

EMPTY_SPAN = [(0, 4), (4, 5)]
ENGINE_ERRORS: dict[str, tuple[Call, type[JinaV3Error], str]] = {
    "long text": (
        lambda e: e.encode([*TEXTS, LONG]),
        InputTooLong,
        r"text 40 has \d+ tokens .*, the limit (of .*)?is 512",
    ),
    "long text of a task": (
        lambda e: e.encode([*TEXTS, LONG, "a"], task=[*TASKS, "separation", "separation"]),
        InputTooLong,
        r"text 40 has \d+ tokens",
    ),
    "span without token": (
        lambda e: e.encode_documents([*TEXTS, "one  two"], [*([(0, 4)] for _ in TEXTS), EMPTY_SPAN]),
        InvalidSpan,
        r"document 40, span 1: no token ends inside characters \(4, 5\)",
    ),
    "empty span": (lambda e: e.encode_spans("abc", [(0, 3), (1, 1)]), InvalidSpan, "document 0, span 1: no token"),
    "empty chunk": (lambda e: e.encode_chunks(["a", ""], separator=""), InvalidSpan, "document 0, span 1: no token"),
}


@pytest.mark.parametrize("name", ENGINE_ERRORS)
def test_engines_name_the_callers_text(engines: dict[str, TextEncoder], name: str) -> None:
    call, error, message = ENGINE_ERRORS[name]
    for kind, engine in engines.items():
        with pytest.raises(RemoteError if kind == "remote" else error, match=message) as caught:
            call(engine)
        if isinstance(caught.value, InputTooLong):
            assert (caught.value.index, caught.value.limit) == (40, 512)
    assert engines["pool"].encode(TEXTS[:2]).shape == (2, 64), "it goes on"
