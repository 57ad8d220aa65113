"""The hosted service's interface: its schema is one that notices, and requests that it allows are taken."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .hosted import conforms, validator

GOOD = {
    "model": "jina-embeddings-v3",
    "object": "list",
    "usage": {"total_tokens": 3, "prompt_tokens": 3},
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
}


def test_a_right_answer_conforms() -> None:
    assert conforms(GOOD, "EmbeddingResponse")


@pytest.mark.parametrize(
    "change",
    [
        {"model": 5},
        {"usage": {}},
        {"usage": {"total_tokens": "3"}},
        {"data": {}},
        {"data": [{"index": "0", "embedding": [0.1]}]},
        {"data": [{"index": 0, "embedding": [[0.1]]}]},
    ],
)
def test_wrong_answers_do_not(change: dict[str, Any]) -> None:
    assert not conforms({**GOOD, **change}, "EmbeddingResponse")


@pytest.mark.parametrize("missing", ["model", "usage", "data"])
def test_nor_do_incomplete_ones(missing: str) -> None:
    assert not conforms({name: value for name, value in GOOD.items() if name != missing}, "EmbeddingResponse")


REQUESTS: list[dict[str, Any]] = [
    {"input": "one"},
    {"input": {"text": "one"}},
    {"input": ["one", {"text": "two"}]},
    {"input": "one", "task": None, "dimensions": None, "late_chunking": None, "embedding_type": None},
    {"input": "one", "normalized": None, "truncate": None},
    {"input": ["one", "two"], "late_chunking": True, "task": "retrieval.passage", "dimensions": 7},
    *({"input": "one", "embedding_type": kind} for kind in ("float", "base64", "binary", "ubinary")),
]


@pytest.mark.parametrize("body", REQUESTS)
@pytest.mark.filterwarnings("ignore:.*not among the dimensions")
def test_what_the_hosted_service_takes_is_taken(client: httpx.Client, body: dict[str, Any]) -> None:
    asked = {"model": "jina-embeddings-v3", **body}
    validator("EmbeddingsV3Request").validate(asked)
    assert client.post("/v1/embeddings", json=asked).status_code == 200


@pytest.mark.parametrize(
    "labels", [["food", "sea"], {"topic": ["food", "sea"], "mood": ["calm", "wild"]}], ids=["list", "groups"]
)
@pytest.mark.parametrize("given", ["bread", {"text": "bread"}, ["bread", {"text": "waves"}]])
def test_classification_requests_too(client: httpx.Client, given: Any, labels: Any) -> None:
    asked = {"model": "jina-embeddings-v3", "input": given, "labels": labels}
    validator("EmbeddingsV3ZeroShotClassificationRequest").validate(asked)
    assert client.post("/v1/classify", json=asked).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/embeddings", {"model": "jina-embeddings-v3", "input": []}),
        ("POST", "/v1/embeddings", {"model": "other", "input": "x"}),
        ("POST", "/v1/embeddings", None),
        ("POST", "/v1/classify", {"model": "jina-embeddings-v3", "input": "x"}),
        ("GET", "/v1/embeddings", None),
        ("GET", "/v1/nothing", None),
    ],
)
def test_errors_conform(client: httpx.Client, method: str, path: str, body: Any) -> None:
    """The client of these tests validates every body by itself."""
    assert client.request(method, path, json=body).is_client_error
