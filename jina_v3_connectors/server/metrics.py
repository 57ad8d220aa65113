"""What the server counts, in Prometheus' form."""

from __future__ import annotations

from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

Metric = TypeVar("Metric", Counter, Gauge, Histogram)
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1)


class Metrics:
    """One registry for each server, so that several in a process do not mix."""

    def __init__(self, *, by_model: bool = False) -> None:
        """`by_model`: what is read and waits is counted for each model, under its name."""
        registry = self.registry = CollectorRegistry()
        self._by_model = by_model
        model = ("model",) if by_model else ()
        self.requests = Counter("jina_v3_requests", "Requests answered.", ("path", "status"), registry=registry)
        self.seconds = Histogram(
            "jina_v3_request_seconds",
            "From the last byte in to the answer.",
            ("path",),
            buckets=SECONDS,
            registry=registry,
        )
        self.tokens = Counter("jina_v3_tokens", "Tokens read.", model, registry=registry)
        self.texts = Counter("jina_v3_texts", "Texts and late-chunked documents read.", model, registry=registry)
        self.waiting = Gauge("jina_v3_waiting_tokens", "Tokens in the queue.", model, registry=registry)
        self.vector_bytes = Gauge(
            "jina_v3_vector_bytes", "Bytes of vectors that are waited for or being sent.", registry=registry
        )
        self.fill = Histogram(
            "jina_v3_batch_fill",
            "Share of the token budget that a batch used.",
            model,
            buckets=SHARES,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "jina_v3_batch_seconds", "Time of a batch.", ("kind", *model), buckets=SECONDS, registry=registry
        )

    def batch(self, model: str, kind: str, tokens: int, budget: int, texts: int, seconds: float) -> None:
        """One batch of small requests, or of large ones."""
        self._of(self.tokens, model).inc(tokens)
        self._of(self.texts, model).inc(texts)
        self._of(self.fill, model).observe(tokens / budget)
        labels = (kind, model) if self._by_model else (kind,)
        self.batch_seconds.labels(*labels).observe(seconds)

    def wait(self, model: str, tokens: int) -> None:
        """So many tokens of a model are in the queue now."""
        self._of(self.waiting, model).set(tokens)

    def _of(self, metric: Metric, model: str) -> Metric:
        """What is counted for a model."""
        return metric.labels(model) if self._by_model else metric

    def text(self) -> bytes:
        return generate_latest(self.registry)
