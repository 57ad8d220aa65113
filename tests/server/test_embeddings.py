"""`/v1/embeddings`: every form of request gives the encoder's own vectors."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
import pytest

from jina_v3_connectors.server import ServerSettings
from jina_v3_encoder import Blend
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.task import TASK_NAMES

from ..support.running import running
from .hosted import checked_client

MODEL = "jina-embeddings-v3"


def ask(client: httpx.Client, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/embeddings", json={"model": MODEL, **body})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def vectors(answer: dict[str, Any]) -> Any:
    assert [row["index"] for row in answer["data"]] == list(range(len(answer["data"])))
    return np.array([row["embedding"] for row in answer["data"]], dtype=np.float32)


TEXTS = ["A lighthouse warns ships.", "Das Brot ist frisch.", ""]


@pytest.mark.filterwarnings("ignore:.*not among the dimensions")
@pytest.mark.parametrize("task", [*TASK_NAMES, None])
@pytest.mark.parametrize("dimensions", [None, 1, 64, 384])
def test_tasks_and_dimensions(client: httpx.Client, exact: Encoder, task: str | None, dimensions: int | None) -> None:
    answer = ask(client, input=TEXTS, task=task, dimensions=dimensions)
    wanted = exact.encode(TEXTS, task=task, dimensions=dimensions)
    assert np.allclose(vectors(answer), wanted, atol=1e-5)
    tokens = sum(exact.count_tokens(TEXTS, task))
    assert answer["usage"] == {"total_tokens": tokens, "prompt_tokens": tokens}


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("one", ["one"]),
        ({"text": "one"}, ["one"]),
        (["one", {"text": "two"}], ["one", "two"]),
        ("", [""]),
        ("\u0000 nul \U0001f600", ["\u0000 nul \U0001f600"]),
    ],
)
def test_forms_of_input(client: httpx.Client, exact: Encoder, given: Any, texts: list[str]) -> None:
    assert np.allclose(vectors(ask(client, input=given)), exact.encode(texts), atol=1e-5)


@pytest.mark.parametrize("name", ["embedding_type", "encoding_format", "encoding_type"])
@pytest.mark.parametrize("kind", ["float", "base64", "binary", "ubinary"])
def test_embedding_types_under_all_their_names(client: httpx.Client, exact: Encoder, name: str, kind: str) -> None:
    rows = [row["embedding"] for row in ask(client, input=TEXTS, dimensions=64, **{name: kind})["data"]]
    wanted = exact.encode(TEXTS, dimensions=64)
    bits = np.packbits(wanted > 0, axis=1)
    if kind == "base64":
        decoded = np.stack([np.frombuffer(base64.b64decode(row), dtype="<f4") for row in rows])
        assert np.allclose(decoded, wanted, atol=1e-5)
    elif kind == "float":
        assert np.allclose(rows, wanted, atol=1e-5)
    else:
        assert np.array_equal(np.array(rows) + (128 if kind == "binary" else 0), bits)


def test_late_chunking_reads_the_list_as_one_document(client: httpx.Client, exact: Encoder) -> None:
    chunks = ["Berlin is the capital.", "The city has many lakes.", "It lies on the Spree."]
    answer = ask(client, input=chunks, task="retrieval.passage", late_chunking=True)
    assert np.allclose(vectors(answer), exact.encode_chunks(chunks, task="retrieval.passage"), atol=1e-5)
    alone = vectors(ask(client, input=chunks, task="retrieval.passage"))
    assert not np.allclose(vectors(answer), alone, atol=1e-2)


@pytest.mark.parametrize("dimensions", [None, 64])
def test_a_blend_reads_the_chunks_alone_as_well(client: httpx.Client, exact: Encoder, dimensions: int | None) -> None:
    chunks = ["Berlin is the capital.\n\n", "\tThe city has many lakes.\n", "  - It lies on the Spree.\n"]
    answer = ask(client, input=chunks, task="retrieval.passage", late_chunking="blend", dimensions=dimensions)
    wanted = exact.encode_chunks(chunks, task="retrieval.passage", blend=Blend(), dimensions=dimensions)
    assert np.allclose(vectors(answer), wanted, atol=1e-5)
    alone = sum(exact.count_tokens([chunk.strip() for chunk in chunks], "retrieval.passage"))
    assert answer["usage"]["total_tokens"] == alone + exact.count_tokens(" ".join(chunks), "retrieval.passage")


def test_a_blend_of_spans_in_windows(client: httpx.Client, exact: Encoder) -> None:
    text, spans = "First part. Second part. Third part.", [(25, 36), (0, 11), (12, 24)]
    body = {"input": [text], "late_chunking": "blend", "spans": spans, "window": 9, "overlap": 2}
    wanted = exact.encode_spans(text, spans, task="separation", window=9, overlap=2, blend=Blend())
    assert np.allclose(vectors(ask(client, task="separation", **body)), wanted, atol=1e-5)


@pytest.mark.parametrize("truncate", [False, True])
def test_a_blend_of_no_chunk(client: httpx.Client, truncate: bool) -> None:
    answer = ask(client, input="abc", late_chunking="blend", spans=[], truncate=truncate)
    assert answer["data"] == []
    assert len(ask(client, input="abc")["data"]) == 1, "the server goes on"


def test_a_blend_is_refused_before_chunks_are_cut_out(client: httpx.Client) -> None:
    """Chunks that overlap would otherwise be a copy of the text each."""
    body = {"model": MODEL, "late_chunking": "blend", "input": ["a" * 100_000]}
    for spans, message in (
        ([(n, 100_000) for n in range(20)], "times the text; the limit is 8 times"),
        ([(n, n + 1) for n in range(3000)], "spans: 3,000 chunks to be read alone as well, the limit is 2,048"),
    ):
        refused = client.post("/v1/embeddings", json={**body, "spans": spans})
        assert refused.status_code == 422
        assert message in refused.json()["detail"]


@pytest.mark.parametrize("field", [{"spans": [[0, 3]]}, {"window": 64}, {"overlap": 4}])
def test_what_belongs_to_late_chunking_is_not_passed_over(client: httpx.Client, field: dict[str, Any]) -> None:
    refused = client.post("/v1/embeddings", json={"model": MODEL, "input": "abcdef", **field})
    assert refused.status_code == 422
    assert f'send "late_chunking": true with {next(iter(field))}' in refused.json()["detail"]


@pytest.mark.parametrize("field", [{"image": "data:,x"}, {"task": "retrieval.query"}])
def test_a_text_in_an_object_has_nothing_else(client: httpx.Client, field: dict[str, Any]) -> None:
    refused = client.post("/v1/embeddings", json={"model": MODEL, "input": [{"text": "a", **field}]})
    assert refused.status_code == 422
    assert f"this server knows no '{next(iter(field))}'" in refused.json()["detail"]


def test_both_readings_of_a_blend_have_one_task(exact: Encoder) -> None:
    """Also where texts begin with an instruction that would choose one for the chunks alone."""
    chunks = [f"Represent the query for retrieving evidence documents: part {n}" for n in range(2)]
    settings = ServerSettings(recognize_prompts=True, default_task="separation")
    with running(exact, settings) as url, checked_client(url) as client:
        answer = ask(client, input=chunks, late_chunking="blend")
    wanted = exact.encode_chunks(chunks, task="separation", blend=Blend())
    assert np.allclose(vectors(answer), wanted, atol=1e-5)


def test_spans_are_taken_as_an_extension(client: httpx.Client, exact: Encoder) -> None:
    text, spans = "First part. Second part. Third part.", [(12, 24), (0, 11), (0, 36)]
    body = {"input": [text], "late_chunking": True, "spans": spans, "window": 9, "overlap": 2}
    wanted = exact.encode_spans(text, spans, task="separation", window=9, overlap=2)
    assert np.allclose(vectors(ask(client, task="separation", **body)), wanted, atol=1e-5)


def test_lengths_are_limited_or_cut(encoder: Encoder) -> None:
    """With the small model of the tests, which takes 512 tokens."""
    long = "many words " * 400
    with running(encoder) as url, checked_client(url) as client:
        for name in ("truncate", "truncation"):
            answer = ask(client, input=long, **{name: True})
            assert answer["usage"]["total_tokens"] == encoder.max_tokens
        assert np.allclose(vectors(answer), encoder.encode([long], truncate=True), atol=1e-4)
        refused = client.post("/v1/embeddings", json={"model": MODEL, "input": long})
        assert refused.status_code == 400


def test_vectors_may_stay_unnormalised(client: httpx.Client, exact: Encoder) -> None:
    raw = vectors(ask(client, input=TEXTS, normalized=False, dimensions=64))
    assert np.allclose(raw, exact.encode(TEXTS, normalize=False, dimensions=64), atol=1e-4)
    assert np.allclose(np.linalg.norm(vectors(ask(client, input=TEXTS, normalized=None)), axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ({"input_type": "query"}, "retrieval.query"),
        ({"input_type": "search_document"}, "retrieval.passage"),
        ({"model": f"{MODEL}:separation"}, "separation"),
        ({"model": f"{MODEL}:separation", "task": "classification"}, "classification"),
        ({"model": f"jinaai/{MODEL}"}, None),
        ({"model": f"jina-ai/{MODEL}", "user": "somebody", "unknown": [], "return_multivector": False}, None),
        ({"input_type": "clustering"}, "separation"),
        ({"input_type": "classification"}, "classification"),
        ({"task": "clustering"}, "separation"),
        ({"task_type": "RETRIEVAL_QUERY"}, "retrieval.query"),
        ({"task_type": "SEMANTIC_SIMILARITY"}, "text-matching"),
    ],
)
def test_other_ways_to_name_model_and_task(client: httpx.Client, exact: Encoder, given: Any, task: str | None) -> None:
    answer = ask(client, input="a text", **given)
    assert np.allclose(vectors(answer)[0], exact.encode("a text", task=task), atol=1e-5)


def test_a_default_task_and_recognised_prompts(exact: Encoder) -> None:
    settings = ServerSettings(default_task="text-matching", recognize_prompts=True)
    prompt = "Represent the query for retrieving evidence documents: "
    with running(exact, settings) as url, httpx.Client(base_url=url) as client:
        assert np.allclose(vectors(ask(client, input="x"))[0], exact.encode("x", task="text-matching"), atol=1e-5)
        asked = client.post("/v1/embeddings", json={"model": MODEL, "input": "x", "task": None})
        assert asked.status_code == 200
    with running(exact, ServerSettings(recognize_prompts=True)) as url, httpx.Client(base_url=url) as client:
        recognized = vectors(ask(client, input=[f"{prompt}who?", f"{prompt}where?"]))
        assert np.allclose(recognized, exact.encode(["who?", "where?"], task="retrieval.query"), atol=1e-5)
        mixed = vectors(ask(client, input=[f"{prompt}who?", "where?"]))
        assert np.allclose(mixed, exact.encode([f"{prompt}who?", "where?"]), atol=1e-5)


def test_the_body_is_json_whatever_it_is_called(url: str) -> None:
    body = '{"model": "jina-embeddings-v3", "input": "a text"}'
    for kind in ("application/x-www-form-urlencoded", "text/plain", ""):
        response = httpx.post(f"{url}/v1/embeddings", content=body, headers={"Content-Type": kind}, timeout=30)
        assert response.status_code == 200, response.text


def test_tokens_are_counted(client: httpx.Client, exact: Encoder) -> None:
    answer = client.post("/v1/tokens", json={"input": TEXTS, "task": "retrieval.query"}).json()
    assert answer == {"tokens": exact.count_tokens(TEXTS, "retrieval.query")}
    assert client.post("/v1/tokens", json={"input": []}).status_code == 422


@pytest.mark.parametrize("dimensions", [768, 1024])
def test_sizes_of_larger_models_say_what_to_do(client: httpx.Client, dimensions: int) -> None:
    body = {"model": "jina-embeddings-v3", "input": "a text", "dimensions": dimensions}
    answer = client.post("/v1/embeddings", json=body)
    assert answer.status_code == 422
    told = answer.json()["detail"]
    assert f"from 1 to 384, got {dimensions}: this model has 384, jina-embeddings-v3 has 1024" in told
    assert "leave dimensions out, or use that model" in told
