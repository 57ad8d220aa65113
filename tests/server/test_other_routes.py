"""Segments, classification, models, health and metrics."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from jina_v3_connectors.chunking.lines import Utf16, segments
from jina_v3_connectors.chunking.names import ChunkerOptions, chunker_named
from jina_v3_connectors.server import waiting
from jina_v3_encoder.encoder import Encoder

from ..support.running import running

MODEL = "jina-embeddings-v3"
PAGE = "\n  Title\n\n\nA first paragraph. It has two sentences.\nA line \U0001f600 with a wide sign.\n\n* item\n"


@pytest.mark.parametrize("path", ["/v1/segment", "/segment"])
def test_each_line_is_a_chunk_with_the_white_space_after_it(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json={"content": PAGE, "return_chunks": True}).json()
    assert answer["chunks"] == [
        "Title\n\n\n",
        "A first paragraph. It has two sentences.\n",
        "A line \U0001f600 with a wide sign.\n\n",
        "* item\n",
    ]
    assert answer["num_chunks"] == 4
    units = PAGE.encode("utf-16-le")
    for (start, end), chunk in zip(answer["chunk_positions"], answer["chunks"], strict=True):
        assert units[2 * start : 2 * end].decode("utf-16-le") == chunk
    assert answer["usage"] == {"tokens": 0}


@given(st.text(alphabet="ab \n\t.!?。\U0001f600", max_size=200), st.integers(1, 40))
def test_segments_hold_everything_but_leading_white_space(text: str, most: int) -> None:
    spans = segments(text, most)
    assert "".join(text[start:end] for start, end in spans) == text.lstrip()
    assert all(first[1] == second[0] for first, second in pairwise(spans))
    units = Utf16(text)
    for character in range(len(text) + 1):
        assert units.position(character) == len(text[:character].encode("utf-16-le")) // 2


def test_long_lines_are_cut_behind_sentences() -> None:
    line = "One sentence here. Another one there! A third? " * 10
    spans = segments(line, 100)
    assert all(end - start <= 100 for start, end in spans)
    assert all(line[end - 2] in ".!?" for _, end in spans)
    assert segments("no end " * 100, 50) == [(0, 700)]


def test_tokens_of_each_chunk(client: httpx.Client, exact: Encoder) -> None:
    answer = client.post("/v1/segment", json={"content": PAGE, "return_chunks": True, "return_tokens": True}).json()
    assert len(answer["tokens"]) == answer["num_chunks"]
    ids = [number for chunk in answer["tokens"] for _, (number,) in chunk]
    assert len(ids) == answer["num_tokens"] == exact.count_tokens(PAGE) - 2
    assert "num_chunks" not in client.post("/v1/segment", json={"content": PAGE}).json()


@pytest.mark.parametrize("name", ["lines", "splitter", "sentences", "fixed", "markdown", "html", "code"])
def test_other_chunkers(client: httpx.Client, exact: Encoder, name: str) -> None:
    body = {"content": PAGE, "return_chunks": True, "return_tokens": True, "chunker": name, "max_chunk_tokens": 12}
    answer = client.post("/v1/segment", json=body).json()
    spans = chunker_named(name, exact.tokenizer_file, ChunkerOptions(max_tokens=12)).spans(PAGE)
    assert answer["chunks"] == [PAGE[start:end] for start, end in spans]
    units = Utf16(PAGE)
    assert answer["chunk_positions"] == [[units.position(start), units.position(end)] for start, end in spans]
    assert len(answer["tokens"]) == len(spans)
    assert sum(map(len, answer["tokens"])) == answer["num_tokens"]


def test_other_chunkers_have_a_hard_limit_by_default(client: httpx.Client, exact: Encoder) -> None:
    body = {"content": "word " * 1000, "return_chunks": True}
    assert len(client.post("/v1/segment", json=body).json()["chunks"]) == 1, "the hosted service cuts no sentence"
    chunks = client.post("/v1/segment", json={**body, "chunker": "splitter"}).json()["chunks"]
    assert max(exact.count_tokens(chunks)) <= 202


def test_head_and_tail(client: httpx.Client) -> None:
    body = {"content": "one two three four five", "return_chunks": True}
    head = client.post("/v1/segment", json={**body, "head": 2}).json()
    tail = client.post("/v1/segment", json={**body, "tail": 2}).json()
    assert "one two three four five".startswith(head["chunks"][0])
    assert "one two three four five".endswith(tail["chunks"][0])
    assert client.post("/v1/segment", json={**body, "head": 0}).json()["chunks"] == []
    wrong = client.post("/v1/segment", json={**body, "head": 1, "tail": 1})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "VALIDATION_ERROR")


def test_tokens_are_counted_by_get(client: httpx.Client, exact: Encoder) -> None:
    answer = client.get("/segment", params={"content": "one two three"}).json()
    assert answer["num_tokens"] == exact.count_tokens("one two three") - 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": 3},
        {"content": "x", "max_chunk_length": 0},
        {"content": "x", "head": -1},
        {"content": "x", "chunker": "semantic"},
    ],
    ids=str,
)
def test_wrong_segment_requests(client: httpx.Client, body: dict[str, Any]) -> None:
    assert client.post("/v1/segment", json=body).status_code == 422


def test_texts_get_the_label_that_fits(client: httpx.Client) -> None:
    texts = ["The match ended two to one after extra time.", "Add the flour and bake for an hour."]
    body = {"model": MODEL, "input": texts, "labels": ["football", "cooking"]}
    answer = client.post("/v1/classify", json=body).json()
    assert [row["prediction"] for row in answer["data"]] == ["football", "cooking"]
    for index, row in enumerate(answer["data"]):
        assert (row["object"], row["index"]) == ("classification", index)
        assert [prediction["label"] for prediction in row["predictions"]] == ["football", "cooking"]
        assert sum(prediction["score"] for prediction in row["predictions"]) == pytest.approx(1)
        assert row["score"] == max(prediction["score"] for prediction in row["predictions"])
    assert answer["usage"]["total_tokens"] > 0


def test_groups_of_labels(client: httpx.Client) -> None:
    groups = {"topic": ["football", "cooking"], "mood": ["angry", "calm", "glad"]}
    answer = client.post("/v1/classify", json={"model": MODEL, "input": {"text": "x"}, "labels": groups}).json()
    (row,) = answer["data"]
    assert row["prediction"].keys() == row["score"].keys() == row["predictions"].keys() == groups.keys()
    assert [prediction["label"] for prediction in row["predictions"]["mood"]] == groups["mood"]


@pytest.mark.parametrize(
    "change",
    [
        {"labels": []},
        {"labels": {}},
        {"labels": {"a": []}},
        {"labels": [""]},
        {"labels": {"a": ["x"] * 65}},
        {"labels": {str(n): ["x"] for n in range(9)}},
        {"input": []},
        {"input": ["x"] * 513},
        {"input": 3},
    ],
    ids=lambda change: str(change)[:30],
)
def test_wrong_classify_requests(client: httpx.Client, change: dict[str, Any]) -> None:
    body = {"model": MODEL, "input": "x", "labels": ["a"], **change}
    assert client.post("/v1/classify", json=body).status_code == 422


def test_the_model_and_its_names(client: httpx.Client, exact: Encoder) -> None:
    rows = client.get("/v1/models").json()["data"]
    assert rows[0]["id"] == MODEL
    assert f"{MODEL}:separation" in [row["id"] for row in rows]
    assert rows[0]["loaded"]["fingerprint"] == exact.fingerprint
    assert (rows[0]["context_length"], rows[0]["max_output_length"]) == (exact.max_tokens, exact.dimensions)
    assert client.get(f"/v1/models/jinaai/{MODEL}").json()["object"] == "model"
    assert client.get("/v1/models/gpt-4").status_code == 404


def test_counters(client: httpx.Client) -> None:
    client.post("/v1/embeddings", json={"model": MODEL, "input": "a text"})
    client.get("/nowhere/at/all")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    samples = {
        (sample.name, sample.labels.get("path"), sample.labels.get("status")): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    assert samples["jina_v3_requests_total", "/v1/embeddings", "200"] >= 1
    assert samples["jina_v3_requests_total", "other", "404"] >= 1, "addresses of strangers make no counters"
    assert samples["jina_v3_tokens_total", None, None] > 0
    assert samples["jina_v3_waiting_tokens", None, None] == 0
    assert samples["jina_v3_batch_fill_count", None, None] > 0


def test_the_interface_describes_itself(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/embeddings", "/v1/classify", "/v1/segment", "/v1/models", "/health"} <= paths.keys()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_health_tells_of_a_server_that_cannot_answer_any_more(exact: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise IndexError("a fault of the queue")

    with running(exact) as url, httpx.Client(base_url=url) as client:
        assert client.get("/health").status_code == 200
        monkeypatch.setattr(waiting, "_filled", broken)
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/embeddings", json={"input": "x"}, timeout=1)
        refused = client.get("/health")
        assert refused.status_code == 503
        assert "restart the server" in refused.json()["detail"]
