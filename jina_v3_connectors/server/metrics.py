"""What the server counts, in Prometheus' form."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1)


class Metrics:
    """One registry for each server, so that several in a process do not mix."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter("jina_v3_requests", "Requests answered.", ("path", "status"), registry=registry)
        self.seconds = Histogram(
            "jina_v3_request_seconds",
            "From the last byte in to the answer.",
            ("path",),
            buckets=SECONDS,
            registry=registry,
        )
        self.tokens = Counter("jina_v3_tokens", "Tokens read.", registry=registry)
        self.texts = Counter("jina_v3_texts", "Texts and late-chunked documents read.", registry=registry)
        self.waiting = Gauge("jina_v3_waiting_tokens", "Tokens in the queue.", registry=registry)
        self.vector_bytes = Gauge(
            "jina_v3_vector_bytes", "Bytes of vectors that are waited for or being sent.", registry=registry
        )
        self.fill = Histogram(
            "jina_v3_batch_fill",
            "Share of the token budget that a batch used.",
            buckets=SHARES,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "jina_v3_batch_seconds", "Time of a batch.", ("kind",), buckets=SECONDS, registry=registry
        )

    def batch(self, kind: str, tokens: int, budget: int, texts: int, seconds: float) -> None:
        """One batch of small requests, or of large ones."""
        self.tokens.inc(tokens)
        self.texts.inc(texts)
        self.fill.observe(tokens / budget)
        self.batch_seconds.labels(kind).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)
