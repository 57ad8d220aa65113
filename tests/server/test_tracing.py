"""Spans of the server's requests, by OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jina_v3_encoder.encoder import Encoder

MODEL = "jina-embeddings-v3"
SECRET = "a text that nobody else may read"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """A process has one provider, which cannot be taken back."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    assert trace.get_tracer_provider() is provider
    return exporter


@pytest.fixture
def client(url: str, exporter: InMemorySpanExporter) -> Iterator[httpx.Client]:
    exporter.clear()
    with httpx.Client(base_url=url, timeout=60, headers={"api-key": "key-of-the-user"}) as client:
        yield client


def spans(exporter: InMemorySpanExporter, count: int) -> list[ReadableSpan]:
    """The answer may be there before its span is."""
    until = time.monotonic() + 10
    while len(exporter.get_finished_spans()) < count and time.monotonic() < until:
        time.sleep(0.01)
    finished = list(exporter.get_finished_spans())
    assert len(finished) == count
    assert not any(SECRET in span.to_json() or "key-of-the-user" in span.to_json() for span in finished)
    return finished


def test_a_request_is_a_span(client: httpx.Client, exporter: InMemorySpanExporter, exact: Encoder) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    body = {"model": MODEL, "input": [SECRET], "dimensions": 64, "task": "retrieval.query"}
    before = time.time_ns()
    assert client.post("/v1/embeddings", json=body, headers=headers).is_success
    (span,) = spans(exporter, 1)
    assert (span.name, span.kind) == (f"embeddings {MODEL}", trace.SpanKind.SERVER)
    assert span.attributes == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "jina-v3",
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": exact.count_tokens(SECRET, "retrieval.query"),
        "gen_ai.embeddings.dimension.count": 64,
        "server.address": "127.0.0.1",
        "server.port": client.base_url.port,
    }
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert span.start_time is not None
    assert span.end_time is not None
    assert before <= span.start_time < span.end_time <= time.time_ns()
    assert span.status.status_code is trace.StatusCode.UNSET


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/embeddings", {"model": SECRET, "input": "x"}, "INPUT_MODEL_NOT_FOUND"),
        ("/v1/embeddings", {"model": MODEL, "input": SECRET, "task": "x"}, "VALIDATION_ERROR"),
        ("/embed", {"inputs": SECRET, "dimensions": 5000}, "VALIDATION_ERROR"),
    ],
)
def test_a_refusal_says_its_kind_and_no_more(
    client: httpx.Client, exporter: InMemorySpanExporter, path: str, body: dict[str, str], code: str
) -> None:
    assert client.post(path, json=body).is_error
    (span,) = spans(exporter, 1)
    assert span.name == "embeddings"
    assert span.attributes is not None
    assert span.attributes["error.type"] == code
    assert "gen_ai.request.model" not in span.attributes
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description is None


@pytest.mark.parametrize(
    ("path", "body", "size"),
    [
        ("/v2/embed", {"texts": [SECRET], "output_dimension": 32}, 32),
        ("/embed", {"inputs": SECRET, "dimensions": 16}, 16),
        ("/", {"inputs": SECRET}, 384),
        ("/v1/rerank", {"query": SECRET, "documents": ["x"]}, None),
    ],
)
def test_other_forms(
    client: httpx.Client, exporter: InMemorySpanExporter, path: str, body: dict[str, str], size: int | None
) -> None:
    assert client.post(path, json=body).is_success
    (span,) = spans(exporter, 1)
    assert span.attributes is not None
    assert span.attributes.get("gen_ai.embeddings.dimension.count") == size


def test_what_reads_no_texts_has_none(client: httpx.Client, exporter: InMemorySpanExporter) -> None:
    client.get("/health")
    client.get("/v1/models")
    client.post("/nonsense", json={})
    client.post("/v1/segment", json={"content": SECRET})
    assert client.post("/v1/embeddings", json={"model": MODEL, "input": "x"}).is_success
    (span,) = spans(exporter, 1)
    assert span.name == f"embeddings {MODEL}"


def test_without_the_package_nothing_happens() -> None:
    script = """
import sys
from jina_v3_connectors.server import tracing
sys.modules["opentelemetry"] = None
from jina_v3_connectors.server.records import Record
tracing.write({"method": "POST", "path": "/embed", "headers": []}, 200, 0.1, Record(models=["x"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
