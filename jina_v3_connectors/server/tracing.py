"""A span for each request that reads texts, by OpenTelemetry's conventions for generative AI; extra `otel`.

No texts and no keys. Without the package, or without a provider that somebody configured, nothing happens.
"""

from __future__ import annotations

import time
from functools import cache
from importlib.metadata import version
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from .records import Record

OPERATION, PROVIDER = "embeddings", "jina-v3"
READING_PATHS = frozenset(
    {"/", "/v1/embeddings", "/v1/rerank", "/v1/classify", "/v1/train", "/v2/embed", "/embed", "/qdrant", "/invocations"}
)
"""Where a refusal is one of a request that would have read texts."""


def write(scope: Scope, status: int, seconds: float, record: Record) -> None:
    """Tell of a request that was answered just now."""
    is_refused = scope["method"] == "POST" and scope["path"] in READING_PATHS and status >= 400
    tracer = _tracer() if record.models or is_refused else None
    if tracer is None:
        return
    from opentelemetry import propagate, trace

    end = time.time_ns()
    is_inside = trace.get_current_span().get_span_context().is_valid  # as where `opentelemetry-instrument` starts us
    parent = None if is_inside else propagate.extract(dict(Headers(scope=scope)))
    span = tracer.start_span(
        " ".join([OPERATION, *record.models]),
        parent,
        kind=trace.SpanKind.INTERNAL if is_inside else trace.SpanKind.SERVER,
        attributes=_attributes(scope, status, record),
        start_time=end - round(seconds * 1e9),
    )
    if record.code or status >= 400:
        span.set_status(trace.StatusCode.ERROR)
    span.end(end)


def _attributes(scope: Scope, status: int, record: Record) -> dict[str, str | int]:
    address, port = scope.get("server") or (None, None)
    attributes = {
        "gen_ai.operation.name": OPERATION,
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": ", ".join(record.models) or None,
        "gen_ai.usage.input_tokens": record.tokens if record.models else None,
        "gen_ai.embeddings.dimension.count": record.dimensions,
        "server.address": address,
        "server.port": port,
        "error.type": record.code or (str(status) if status >= 400 else None),
    }
    return {name: value for name, value in attributes.items() if value is not None}


@cache
def _tracer() -> Any:
    """None where OpenTelemetry is not installed. A provider may be set later."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace.get_tracer("jina_v3_connectors", version("jina-v3-connectors"))
