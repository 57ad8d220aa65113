"""Counters in Prometheus' form."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from jina_v3_connectors.server.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_batch_is_counted_by_its_kind() -> None:
    metrics = Metrics()
    metrics.batch("one", "large", tokens=50, budget=100, texts=3, seconds=0.2)
    metrics.batch("one", "small", tokens=5, budget=100, texts=1, seconds=0.01)
    values = samples(metrics)
    assert values["jina_v3_tokens_total", frozenset()] == 55
    assert values["jina_v3_texts_total", frozenset()] == 4
    assert values["jina_v3_batch_fill_count", frozenset()] == 2
    assert values["jina_v3_batch_fill_sum", frozenset()] == 0.55
    for kind, seconds in (("large", 0.2), ("small", 0.01)):
        assert values["jina_v3_batch_seconds_count", frozenset({("kind", kind)})] == 1
        assert values["jina_v3_batch_seconds_sum", frozenset({("kind", kind)})] == seconds


def test_requests_are_counted_by_path_and_status() -> None:
    metrics = Metrics()
    for status in (200, 200, 422):
        metrics.requests.labels("/v1/embeddings", status).inc()
    metrics.seconds.labels("/v1/embeddings").observe(0.03)
    values = samples(metrics)
    numbers: dict[str, int] = {"200": 2, "422": 1}
    for code, number in numbers.items():
        labels: frozenset[tuple[str, str]] = frozenset({("path", "/v1/embeddings"), ("status", code)})
        assert values["jina_v3_requests_total", labels] == number
    buckets = {
        dict(labels)["le"]: value
        for (name, labels), value in values.items()
        if name == "jina_v3_request_seconds_bucket"
    }
    assert (buckets["0.025"], buckets["0.05"], buckets["+Inf"]) == (0, 1, 1)


def test_several_models_are_counted_apart() -> None:
    metrics = Metrics(by_model=True)
    metrics.batch("one", "small", tokens=5, budget=100, texts=1, seconds=0.01)
    metrics.batch("other", "small", tokens=7, budget=10, texts=2, seconds=0.01)
    metrics.wait("other", 3)
    values = samples(metrics)
    one, other = frozenset({("model", "one")}), frozenset({("model", "other")})
    assert (values["jina_v3_tokens_total", one], values["jina_v3_tokens_total", other]) == (5, 7)
    assert (values["jina_v3_batch_fill_sum", one], values["jina_v3_batch_fill_sum", other]) == (0.05, 0.7)
    assert values["jina_v3_waiting_tokens", other] == 3
    assert values["jina_v3_batch_seconds_count", other | {("kind", "small")}] == 1


def test_two_servers_in_a_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.wait("one", 7)
    assert samples(one)["jina_v3_waiting_tokens", frozenset()] == 7
    assert samples(other)["jina_v3_waiting_tokens", frozenset()] == 0
