"""What clients of other services send: each vector is the encoder's own for the task that is meant."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import llama_index.core
import numpy as np
import pytest
import tiktoken

from jina_v3_connectors.server import Models, ServerSettings
from jina_v3_connectors.server.rerank import SCORES
from jina_v3_connectors.server.settings import hash_key
from jina_v3_connectors.server.token_ids import load
from jina_v3_encoder.config import PROMPTS
from jina_v3_encoder.encoder import Encoder

from ..support.running import running

MODEL = "jina-embeddings-v3"
TEXTS = ["A lighthouse warns ships.", "Das Brot ist frisch.", "日本語のテキスト"]
QUERY, PASSAGE = "retrieval.query", "retrieval.passage"
OPENAI = {"User-Agent": "OpenAI/Python 3.52.0"}


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    """Answers of these routes are not the hosted service's, so they are not held against its interface."""
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


def vectors(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    rows = [row["embedding"] for row in answer.json()["data"]]
    return np.array([np.frombuffer(b64decode(row), "<f4") if isinstance(row, str) else row for row in rows], np.float32)


def same(given: Any, wanted: Any) -> bool:
    return np.allclose(np.array(given, np.float32), wanted, atol=1e-6)


# Requests to /v1/embeddings: what the client sends beside its texts, and what it means.
BODIES: dict[str, tuple[dict[str, Any], str | None, int | None]] = {
    "LiteLLM for Voyage": ({"model": MODEL, "input_type": "query", "output_dimension": 64}, QUERY, 64),
    "Milvus' Voyage function": (
        {
            "model": MODEL,
            "input_type": "document",
            "truncation": True,
            "output_dimension": 128,
            "output_dtype": "float",
        },
        PASSAGE,
        128,
    ),
    "Milvus' vLLM function": ({}, None, None),
    "Vespa's Voyage embedder": (
        {"model": MODEL, "input_type": "query", "truncation": True, "output_dimension": 64},
        QUERY,
        64,
    ),
    "Weaviate's text2vec-jinaai, storing": (
        {"model": MODEL, "embedding_type": "float", "normalized": True, "task": PASSAGE, "dimensions": 64},
        PASSAGE,
        64,
    ),
    "Weaviate's text2vec-jinaai, searching": ({"model": MODEL, "embedding_type": "float", "task": QUERY}, QUERY, None),
    "Elasticsearch's custom service": ({"model": MODEL, "input_type": "document"}, PASSAGE, None),
    "OpenSearch's connector": ({"model": MODEL, "task": QUERY}, QUERY, None),
    "Milvus' OpenAI function": (
        {"model": f"{MODEL}:{PASSAGE}", "encoding_format": "float", "user": "x"},
        PASSAGE,
        None,
    ),
    "Flowise's custom OpenAI node": ({"model": f"{MODEL}:{PASSAGE}", "encoding_format": "base64"}, PASSAGE, None),
    "Dify's Jina plugin": ({"model": MODEL, "task": PASSAGE}, PASSAGE, None),
    "Open WebUI with its prefix in a field": ({"model": MODEL, "task": QUERY, "encoding_format": "float"}, QUERY, None),
    "Gemini's names": ({"model": MODEL, "task_type": "CLUSTERING", "output_dimensionality": 32}, "separation", 32),
    "Cohere's names": ({"model": MODEL, "texts": TEXTS, "input_type": "classification"}, "classification", None),
    "jina-embeddings-v5's name of a task": ({"model": MODEL, "task": "clustering"}, "separation", None),
    "LangChain JS": ({"model": MODEL, "normalized": True, "dimensions": 64, "task": QUERY}, QUERY, 64),
    "OpenAI with a user": ({"model": MODEL, "user": "somebody", "encoding_format": "float"}, None, None),
}


@pytest.mark.parametrize("name", BODIES)
def test_recorded_requests(client: httpx.Client, exact: Encoder, name: str) -> None:
    body, task, size = BODIES[name]
    answer = client.post("/v1/embeddings", json=body if "texts" in body else {"input": TEXTS, **body})
    assert same(vectors(answer), exact.encode(TEXTS, task=task, dimensions=size))
    assert answer.headers["jina-v3-task"] == (task or "none")
    assert 0 < int(answer.headers["x-ratelimit-remaining-tokens"]) <= int(answer.headers["x-ratelimit-limit-tokens"])


@pytest.mark.parametrize("path", ["/v1/embeddings/", "/embeddings", "/embeddings/", "/v1/v1/embeddings"])
@pytest.mark.parametrize("azure", ["", "/openai/deployments/any", "/openai/v1"])
def test_addresses_are_understood(client: httpx.Client, exact: Encoder, azure: str, path: str) -> None:
    answer = client.post(f"{azure}{path}?api-version=2024-10-21", json={"model": MODEL, "input": TEXTS})
    assert same(vectors(answer), exact.encode(TEXTS))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/embedding", "did you mean /v1/embeddings?"),
        ("/v1/batch/embeddings", "batch operations are the hosted service's, for jina-embeddings-v5"),
        ("/v1/batches", "send several requests"),
        ("/v1/chat/completions", "generates no text"),
        ("/embed_sparse", "/embed makes dense ones"),
        ("/nonsense", "There are /embed, "),
    ],
)
def test_other_addresses_say_what_there_is(client: httpx.Client, path: str, told: str) -> None:
    answer = client.post(path, json={})
    assert answer.status_code == 404
    assert told in answer.json()["detail"]


def test_a_field_that_asks_for_something_else_is_refused(client: httpx.Client) -> None:
    asked = {"model": MODEL, "input": "x"}
    for field, value in (("return_multivector", True), ("output_dim", 64), ("truncate_prompt_tokens", 5)):
        answer = client.post("/v1/embeddings", json={**asked, field: value})
        assert answer.status_code == 422
        assert f"this server knows no '{field}'" in answer.json()["detail"]
        assert "dimensions" in answer.json()["detail"], "what it knows is told"
    twice = client.post("/v1/embeddings", json={**asked, "dimensions": 64, "output_dimension": 128}).json()
    assert "dimensions is given twice" in twice["detail"]
    same_value = client.post("/v1/embeddings", json={**asked, "dimensions": 64, "output_dimension": 64})
    assert vectors(same_value).shape == (1, 64)


def test_the_model_is_looked_at_before_its_sizes(client: httpx.Client) -> None:
    wrong = client.post("/v1/embeddings", json={"model": "gpt-4", "input": "x", "dimensions": 5000}).json()
    assert wrong["code"] == "INPUT_MODEL_NOT_FOUND"
    size = client.post("/v1/embeddings", json={"model": MODEL, "input": "x", "dimensions": 5000}).json()
    assert "5000" in size["detail"]
    assert "384" in size["detail"]


@pytest.mark.parametrize("body", [{"dimensions": 1.5}, {"input": [1, "x"]}, {"unknown": 1}, {"task": "x"}])
def test_messages_are_for_readers(client: httpx.Client, body: dict[str, Any]) -> None:
    detail = client.post("/v1/embeddings", json={"model": MODEL, "input": "x", **body}).json()["detail"]
    assert "Value error" not in detail
    assert "TokenIds" not in detail


def test_several_types_in_one_answer(client: httpx.Client, exact: Encoder) -> None:
    body = {"model": MODEL, "input": TEXTS, "embedding_type": ["float", "ubinary"]}
    rows = [row["embedding"] for row in client.post("/v1/embeddings", json=body).json()["data"]]
    assert same([row["float"] for row in rows], exact.encode(TEXTS))
    assert [row["ubinary"] for row in rows] == np.packbits(exact.encode(TEXTS) > 0, axis=1).tolist()
    assert same(vectors(client.post("/v1/embeddings", json={**body, "embedding_type": ["float"]})), exact.encode(TEXTS))


# Instructions at the head of texts


@pytest.mark.parametrize("task", [QUERY, PASSAGE])
def test_an_instruction_is_read_as_its_task(client: httpx.Client, exact: Encoder, task: str) -> None:
    texts = [PROMPTS[task] + text for text in TEXTS]
    answer = client.post("/v1/embeddings", json={"model": MODEL, "input": texts})
    assert same(vectors(answer), exact.encode(TEXTS, task=task))
    assert answer.headers["jina-v3-note"] == f"the texts begin with v3's instruction for {task}: read with that task"


def test_an_instruction_stays_where_a_task_is_told(client: httpx.Client, exact: Encoder) -> None:
    texts = [PROMPTS[QUERY] + text for text in TEXTS]
    for told in (None, "separation"):
        answer = client.post("/v1/embeddings", json={"model": MODEL, "input": texts, "task": told})
        assert same(vectors(answer), exact.encode(texts, task=told))
    mixed = client.post("/v1/embeddings", json={"model": MODEL, "input": [texts[0], TEXTS[1]]})
    assert same(vectors(mixed), exact.encode([texts[0], TEXTS[1]]))
    assert "read as they are" in mixed.headers["jina-v3-note"]


# Token ids


@pytest.fixture
def cl100k(monkeypatch: pytest.MonkeyPatch) -> tiktoken.Encoding:
    """LlamaIndex brings the file that tiktoken would download."""
    folder = Path(llama_index.core.__file__).parent / "_static/tiktoken_cache"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    return load("cl100k_base")


def ids(encoding: tiktoken.Encoding, texts: Sequence[str]) -> list[list[int]]:
    return [encoding.encode(text) for text in texts]


def test_token_ids_of_langchain_are_decoded(client: httpx.Client, exact: Encoder, cl100k: tiktoken.Encoding) -> None:
    texts = [*TEXTS, ""]
    answer = client.post("/v1/embeddings", json={"model": MODEL, "input": ids(cl100k, texts)}, headers=OPENAI)
    assert same(vectors(answer), exact.encode(texts))
    assert answer.headers["jina-v3-note"] == "token ids of cl100k_base were decoded"
    one = client.post("/v1/embeddings", json={"model": MODEL, "input": ids(cl100k, TEXTS)[0]}, headers=OPENAI)
    assert same(vectors(one), exact.encode(TEXTS[:1]))


def test_a_character_that_was_cut_in_two_is_left_out(
    client: httpx.Client, exact: Encoder, cl100k: tiktoken.Encoding
) -> None:
    (row,) = ids(cl100k, ["🏳️‍🌈 flags 🏴‍☠️"])
    answer = client.post("/v1/embeddings", json={"model": MODEL, "input": [row[1:-1]]}, headers=OPENAI)
    assert vectors(answer).shape == (1, exact.dimensions)


def test_token_ids_of_nobody_knows_which_tokenizer_are_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/embeddings", json={"model": MODEL, "input": [[1, 2]]})
    assert answer.status_code == 422
    assert "check_embedding_ctx_length=False" in answer.json()["detail"]
    assert "--token-ids cl100k_base" in answer.json()["detail"]


@pytest.mark.parametrize("number", [10**6, -1, 2**62])
def test_ids_that_the_tokenizer_does_not_have(client: httpx.Client, cl100k: tiktoken.Encoding, number: int) -> None:
    answer = client.post("/v1/embeddings", json={"model": MODEL, "input": [[5], [number]]}, headers=OPENAI)
    assert answer.status_code == 422
    assert "input[1]: it holds token ids that cl100k_base does not have" in answer.json()["detail"]


@pytest.mark.parametrize("wrong", [[1, "x"], [[1], ["x"]], [[1], 2], [[1, 2.5]], [[2**70]], [[True]]])
def test_lists_that_are_no_ids(client: httpx.Client, wrong: Any) -> None:
    answer = client.post("/v1/embeddings", json={"model": MODEL, "input": wrong}, headers=OPENAI)
    assert answer.status_code == 422


# Reranking


def test_documents_are_ranked_by_cosine(client: httpx.Client, exact: Encoder) -> None:
    body = {"model": MODEL, "query": "ships at sea", "documents": [TEXTS[1], {"text": TEXTS[0]}, TEXTS[2]], "top_n": 2}
    texts = [TEXTS[1], TEXTS[0], TEXTS[2]]
    cosines = exact.encode(texts, task=PASSAGE) @ exact.encode("ships at sea", task=QUERY)
    for path in ("/v1/rerank", "/rerank"):
        answer = client.post(path, json=body).json()
        assert answer["scores"] == SCORES
        assert [result["index"] for result in answer["results"]] == np.argsort(-cosines)[:2].tolist()
        assert same([result["relevance_score"] for result in answer["results"]], np.sort(cosines)[::-1][:2])
        assert answer["results"][0]["document"] == {"text": TEXTS[0]}
        assert answer["usage"]["total_tokens"] == sum(exact.count_tokens(texts, PASSAGE)) + exact.count_tokens(
            "ships at sea", QUERY
        )
    bare = client.post("/v1/rerank", json={**body, "return_documents": False, "top_n": None}).json()
    assert [result.keys() for result in bare["results"]] == [{"index", "relevance_score"}] * 3


def test_candidates_may_be_chunks_of_one_document(client: httpx.Client, exact: Encoder) -> None:
    body = {"query": "ships", "documents": TEXTS, "late_chunking": True, "return_documents": False}
    wanted = exact.encode_chunks(TEXTS, task=PASSAGE) @ exact.encode("ships", task=QUERY)
    scored = {row["index"]: row["relevance_score"] for row in client.post("/v1/rerank", json=body).json()["results"]}
    assert same([scored[index] for index in range(3)], wanted)


def test_ranking_as_text_embeddings_inference_does(client: httpx.Client, exact: Encoder) -> None:
    body = {"query": "ships", "texts": TEXTS, "raw_scores": True, "return_text": True}
    rows = client.post("/rerank", json=body).json()
    wanted = exact.encode(TEXTS, task=PASSAGE) @ exact.encode("ships", task=QUERY)
    assert {row["index"]: row["text"] for row in rows} == dict(enumerate(TEXTS))
    assert same([row["score"] for row in rows], np.sort(wanted)[::-1])


@pytest.mark.parametrize("change", [{"documents": []}, {"query": None}, {"top_n": 0}, {"max_chunks_per_doc": 3}])
def test_wrong_requests_to_rank(client: httpx.Client, change: dict[str, Any]) -> None:
    assert client.post("/v1/rerank", json={"query": "x", "documents": ["y"], **change}).status_code == 422


def test_ranking_for_voyages_and_coheres_clients(client: httpx.Client, exact: Encoder) -> None:
    """Voyage's read `data`, Cohere's call /v2."""
    wanted = exact.encode(TEXTS, task=PASSAGE) @ exact.encode("ships", task=QUERY)
    body = {"query": "ships", "documents": TEXTS, "model": MODEL}
    voyage = client.post("/v1/rerank", json={**body, "top_k": 2, "truncation": True}).json()
    assert [row["index"] for row in voyage["data"]] == np.argsort(-wanted)[:2].tolist()
    assert same([row["relevance_score"] for row in voyage["data"]], np.sort(wanted)[::-1][:2])
    assert "document" not in voyage["data"][0]
    cohere = client.post("/v2/rerank", json={**body, "top_n": 1}).json()
    assert [row["index"] for row in cohere["results"]] == np.argsort(-wanted)[:1].tolist()


# Cohere


def test_cohere(client: httpx.Client, exact: Encoder) -> None:
    body = {"model": MODEL, "texts": TEXTS, "input_type": "search_document", "embedding_types": ["float", "ubinary"]}
    answer = client.post("/v2/embed", json={**body, "output_dimension": 64})
    wanted = exact.encode(TEXTS, task=PASSAGE, dimensions=64)
    assert same(answer.json()["embeddings"]["float"], wanted)
    assert answer.json()["embeddings"]["ubinary"] == np.packbits(wanted > 0, axis=1).tolist()
    assert answer.json()["meta"]["billed_units"]["input_tokens"] == sum(exact.count_tokens(TEXTS, PASSAGE))
    assert answer.headers["jina-v3-task"] == PASSAGE
    milvus = {**body, "embedding_types": ["float"], "truncate": "END"}
    told = client.post("/v2/embed", json=milvus, headers={"Authorization": "bearer any"}).json()
    assert same(told["embeddings"]["float"], exact.encode(TEXTS, task=PASSAGE))
    plain = client.post("/v2/embed", json={"model": f"{MODEL}:{QUERY}", "texts": TEXTS}).json()
    assert same(plain["embeddings"]["float"], exact.encode(TEXTS, task=QUERY))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"embedding_types": ["int8"]}, "Input should be 'float', 'base64', 'binary' or 'ubinary'"),
        ({"input_type": "image"}, "Input should be 'query'"),
        ({"truncate": "START"}, "Input should be 'NONE' or 'END'"),
        ({"images": ["data:…"]}, "this server knows no 'images'"),
        ({"texts": ["word " * 9000], "truncate": "NONE"}, "the limit of jina-embeddings-v3 is 8,192"),
    ],
)
def test_what_cohere_has_and_we_have_not(client: httpx.Client, change: dict[str, Any], told: str) -> None:
    answer = client.post("/v2/embed", json={"model": MODEL, "texts": TEXTS, **change})
    assert answer.status_code in (400, 422)
    assert told in answer.json()["detail"]


# text-embeddings-inference


@pytest.mark.parametrize("path", ["/embed", "/embed/", "/v1/embed", "/"])
def test_tei(client: httpx.Client, exact: Encoder, path: str) -> None:
    assert same(client.post(path, json={"inputs": TEXTS}).json(), exact.encode(TEXTS))
    assert same(client.post(path, json={"inputs": "one text"}).json(), [exact.encode("one text")])
    for prompt_name, task in ((QUERY, QUERY), ("passage", PASSAGE), ("separation", "separation")):
        body = {"inputs": TEXTS, "prompt_name": prompt_name, "dimensions": 64, "truncate": True}
        assert same(client.post(path, json=body).json(), exact.encode(TEXTS, task=task, dimensions=64))
    long = client.post(path, json={"inputs": TEXTS, "normalize": False}).json()
    assert not np.allclose(np.linalg.norm(long, axis=1), 1, atol=0.01)


@pytest.mark.parametrize("task", [QUERY, PASSAGE])
def test_milvus_tei_function(client: httpx.Client, exact: Encoder, task: str) -> None:
    """It puts `ingestion_prompt` or `search_prompt` in front of each text."""
    body = {"inputs": [PROMPTS[task] + text for text in TEXTS], "truncate": True, "truncation_direction": "Right"}
    assert same(client.post("/embed", json=body).json(), exact.encode(TEXTS, task=task))


def test_sagemakers_own_client_reads_a_ranking(client: httpx.Client, exact: Encoder) -> None:
    """As jina-sagemaker sends it; it reads `data`."""
    documents = [{"text": text} for text in TEXTS]
    answer = client.post("/invocations", json={"data": {"documents": documents, "query": "ships", "top_n": 3}}).json()
    scored = {row["index"]: row["relevance_score"] for row in answer["data"]}
    wanted = exact.encode(TEXTS, task=PASSAGE) @ exact.encode("ships", task=QUERY)
    assert same([scored[index] for index in range(3)], wanted)


def test_tei_errors_are_texts(client: httpx.Client) -> None:
    wrong = client.post("/embed", json={"inputs": "x", "prompt_name": "nonsense"})
    assert wrong.status_code == 422
    assert "prompt_name" in wrong.json()["error"]
    assert "'retrieval.query', 'retrieval.passage'" in wrong.json()["error"]
    assert isinstance(client.post("/embed", json={"inputs": []}).json()["error"], str)


def test_tei_info(client: httpx.Client, exact: Encoder) -> None:
    told = client.get("/info").json()
    assert (told["max_input_length"], told["max_client_batch_size"]) == (exact.max_tokens, 2048)
    assert told["model_type"] == {"embedding": {"pooling": "mean"}}


# Qdrant and SageMaker


def qdrant_body(texts: Sequence[str], **more: Any) -> dict[str, Any]:
    """As Qdrant writes it."""
    inputs = [{"data": text, "data_type": "text", "model": f"jinaai/{MODEL}", "options": None} for text in texts]
    return {"inputs": inputs, "inference": "update", "token": None, **more}


@pytest.mark.parametrize("path", ["/qdrant", "/"])
@pytest.mark.parametrize(("inference", "task"), [("update", PASSAGE), ("search", QUERY)])
def test_qdrant(client: httpx.Client, exact: Encoder, path: str, inference: str, task: str) -> None:
    answer = client.post(path, json=qdrant_body(TEXTS, inference=inference))
    assert same(answer.json()["embeddings"], exact.encode(TEXTS, task=task))


def test_qdrant_with_options_of_each_text(client: httpx.Client, exact: Encoder) -> None:
    body = qdrant_body(TEXTS)
    body["inputs"][1]["options"] = {"task": "text-matching", "dimensions": 64}
    rows = client.post("/qdrant", json=body).json()["embeddings"]
    assert same(rows[0], exact.encode(TEXTS[0], task=PASSAGE))
    assert same(rows[1], exact.encode(TEXTS[1], task="text-matching", dimensions=64))
    assert same(rows[2], exact.encode(TEXTS[2], task=PASSAGE))
    body["inputs"][1]["options"] = {"late_chunking": True}
    refused = client.post("/qdrant", json=body)
    assert refused.status_code == 422
    assert "this server knows no 'late_chunking'" in refused.json()["error"]


def test_the_limit_of_texts_holds_for_all_options_together(exact: Encoder) -> None:
    body = qdrant_body(["x"] * 4)
    for size, asked in enumerate(body["inputs"], 1):
        asked["options"] = {"dimensions": 32 * size}
    with running(exact, ServerSettings(max_items=3)) as url:
        refused = httpx.post(f"{url}/qdrant", json=body)
        assert refused.status_code == 422
        assert refused.json()["error"] == "inputs: 4 texts, the limit is 3"


def test_qdrant_sends_its_key_in_the_body(exact: Encoder) -> None:
    settings = ServerSettings(key_hashes=frozenset({hash_key("right")}))
    with running(exact, settings) as url:
        for path in ("/qdrant", "/"):
            for token, status in ((None, 401), ("wrong", 401), ("right", 200)):
                assert httpx.post(url + path, json=qdrant_body(["x"], token=token), timeout=60).status_code == status
        for body in ({"inputs": "x"}, {"content": "x"}):
            assert httpx.post(f"{url}/", json=body).status_code == 401, "the address has other uses, which need a key"
            assert httpx.post(f"{url}/", json=body, headers={"api-key": "right"}, timeout=60).status_code == 200
        for name in ("api-key", "x-api-key"):
            good = {"model": MODEL, "input": "x"}
            assert httpx.post(f"{url}/v1/embeddings", json=good, headers={name: "right"}, timeout=60).is_success
            assert httpx.post(f"{url}/v1/embeddings", json=good, headers={name: "wrong"}).status_code == 401


def test_sagemaker(client: httpx.Client, exact: Encoder) -> None:
    parameters = {"task": PASSAGE, "dimensions": 64, "late_chunking": False}
    body = {"data": [{"text": text} for text in TEXTS], "parameters": parameters}
    assert same(vectors(client.post("/invocations", json=body)), exact.encode(TEXTS, task=PASSAGE, dimensions=64))
    one = client.post("/invocations", json={"data": {"text": TEXTS[0]}, "parameters": {"input_type": "query"}})
    assert same(vectors(one), exact.encode(TEXTS[:1], task=QUERY))
    ranking = {"query": "ships", "documents": [{"text": "x"}], "top_n": 1}
    refused = client.post("/invocations", json={"data": ranking, "parameters": {"dimensions": 64}})
    assert refused.status_code == 422
    assert "parameters: they are for texts" in refused.json()["detail"]
    ranked = client.post("/invocations", json={"data": ranking})
    assert ranked.json()["results"][0]["index"] == 0
    assert client.get("/ping").status_code == 200


def test_the_address_without_a_path(client: httpx.Client) -> None:
    assert client.post("/", json={"content": "one line"}).json()["num_tokens"] > 0
    assert "/v1/embeddings" in client.post("/", json={"input": "x"}).json()["detail"]
    assert client.get("/").json()["models"] == [MODEL]
    wrong = client.post("/", json={"inputs": "x", "wrong": 1})
    assert "this server knows no 'wrong'" in wrong.json()["error"]


def test_a_client_with_a_fixed_name(exact: Encoder) -> None:
    with running(Models.of([exact], served_names=["text-embedding-3-small"])) as url:
        answer = httpx.post(
            f"{url}/v1/embeddings", json={"model": "text-embedding-3-small", "input": TEXTS}, timeout=60
        )
        assert same(vectors(answer), exact.encode(TEXTS))
        names = [row["id"] for row in httpx.get(f"{url}/v1/models").json()["data"]]
        assert "text-embedding-3-small" in names
        other = httpx.post(f"{url}/v1/embeddings", json={"model": "text-embedding-3-large", "input": "x"})
        assert "text-embedding-3-small" in other.json()["detail"]
        assert json.loads(other.text)["code"] == "INPUT_MODEL_NOT_FOUND"


@pytest.mark.parametrize(
    ("path", "body", "reads"),
    [
        ("/v1/rerank", {"query": "x", "documents": ["y"]}, "retrieval.query and retrieval.passage"),
        ("/v1/classify", {"input": ["x"], "labels": ["a", "b"]}, "classification"),
        ("/v1/train", {"input": [{"text": "x", "label": "a"}, {"text": "y", "label": "b"}]}, "classification"),
    ],
    ids=["rerank", "classify", "train"],
)
def test_a_task_in_the_name_is_not_passed_over(
    client: httpx.Client, path: str, body: dict[str, Any], reads: str
) -> None:
    refused = client.post(path, json={**body, "model": f"{MODEL}:separation"})
    assert refused.status_code == 422
    assert f"this address reads with {reads}, and " in refused.json()["detail"]
    assert "leave ':separation' out" in refused.json()["detail"]
