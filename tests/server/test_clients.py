"""Other people's clients, over a socket: each one's vectors are the encoder's own."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import subprocess
from typing import Any

import numpy as np
import openai
import pytest
from haystack import Document
from haystack.utils import Secret

from jina_v3_encoder.encoder import Encoder

MODEL = "jina-embeddings-v3"
TEXTS = ["A lighthouse warns ships.", "Das Brot ist frisch.", "Two plus two"]


def same(vectors: Any, wanted: Any) -> bool:
    return np.allclose(np.array(vectors, dtype=np.float32), wanted, atol=1e-5)


@pytest.mark.parametrize("form", ["float", "base64", openai.omit])
def test_openai(url: str, exact: Encoder, form: Any) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any") as client:
        task = {"task": "retrieval.passage"}
        answer = client.embeddings.create(
            model=MODEL, input=TEXTS, dimensions=64, encoding_format=form, extra_body=task
        )
        rows = [row.embedding for row in answer.data]
        if form == "base64":
            rows = [np.frombuffer(base64.b64decode(row), dtype="<f4") for row in rows]  # type: ignore[arg-type, misc]
        assert same(rows, exact.encode(TEXTS, task="retrieval.passage", dimensions=64))
        assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
        assert MODEL in [model.id for model in client.models.list()]
        assert client.models.retrieve(MODEL).id == MODEL


def test_openai_late_chunking_and_the_task_in_the_name(url: str, exact: Encoder) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any") as client:
        late = client.embeddings.create(model=MODEL, input=TEXTS, extra_body={"late_chunking": True})
        assert same([row.embedding for row in late.data], exact.encode_chunks(TEXTS))
        named = client.embeddings.create(model=f"{MODEL}:retrieval.query", input="who?")
        assert same(named.data[0].embedding, exact.encode("who?", task="retrieval.query"))


def test_openai_async(url: str, exact: Encoder) -> None:
    async def ask() -> Any:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any") as client:
            return await asyncio.gather(*(client.embeddings.create(model=MODEL, input=text) for text in TEXTS))

    assert same([answer.data[0].embedding for answer in asyncio.run(ask())], exact.encode(TEXTS))


def test_openai_reads_our_errors(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError, match="is not served here") as wrong:
            client.embeddings.create(model="text-embedding-3-small", input="x")
        assert wrong.value.code == "INPUT_MODEL_NOT_FOUND"
        with pytest.raises(openai.UnprocessableEntityError, match="dimensions"):
            client.embeddings.create(model=MODEL, input="x", dimensions=4000)


def test_jina_haystack(url: str, exact: Encoder) -> None:
    from haystack_integrations.components.embedders.jina import JinaDocumentEmbedder, JinaTextEmbedder

    settings: dict[str, Any] = {"api_key": Secret.from_token("any"), "base_url": f"{url}/v1/embeddings", "model": MODEL}
    text = JinaTextEmbedder(**settings, task="retrieval.query", dimensions=64).run("who?")
    assert same(text["embedding"], exact.encode("who?", task="retrieval.query", dimensions=64))
    documents = JinaDocumentEmbedder(**settings, task="retrieval.passage", batch_size=2, progress_bar=False)
    embedded = documents.run([Document(content=content) for content in TEXTS])
    assert same(
        [document.embedding for document in embedded["documents"]], exact.encode(TEXTS, task="retrieval.passage")
    )
    with pytest.raises(RuntimeError, match="Input should be"):
        JinaTextEmbedder(**settings, task="nonsense").run("x")


@pytest.mark.parametrize("form", ["float", "binary", "ubinary"])
def test_llama_index_jinaai(url: str, exact: Encoder, form: str) -> None:
    from llama_index.embeddings.jinaai import JinaEmbedding

    client = JinaEmbedding(
        api_key="any", model=MODEL, task="text-matching", encoding_queries=form, encoding_documents=form
    )
    client._api.api_url = f"{url}/v1/embeddings"
    wanted = exact.encode(TEXTS, task="text-matching")
    vectors = client.get_text_embedding_batch(TEXTS)
    assert same(vectors, wanted if form == "float" else (wanted > 0))


@pytest.mark.filterwarnings("ignore:.*being sunset")
def test_langchain_community(url: str, exact: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    from langchain_community.embeddings import jina

    monkeypatch.setattr(jina, "JINA_API_URL", f"{url}/v1/embeddings")
    settings: dict[str, Any] = {"jina_api_key": "any", "model_name": f"{MODEL}:retrieval.passage"}
    client = jina.JinaEmbeddings(**settings)
    assert same(client.embed_documents(TEXTS), exact.encode(TEXTS, task="retrieval.passage"))
    assert same(client.embed_query("who?"), exact.encode("who?", task="retrieval.passage"))


def test_curl(url: str, exact: Encoder) -> None:
    """As the hosted service's documentation calls it."""
    body = {
        "model": MODEL,
        "task": "text-matching",
        "late_chunking": False,
        "dimensions": 128,
        "embedding_type": "float",
    }
    command = ["curl", "-s", f"{url}/v1/embeddings", "-H", "Content-Type: application/json"]
    command += ["-H", "Authorization: Bearer any", "-d", json.dumps({**body, "input": TEXTS})]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    rows = [row["embedding"] for row in answer["data"]]
    assert same(rows, exact.encode(TEXTS, task="text-matching", dimensions=128))


def test_curl_with_late_chunking_over_five_languages(url: str, exact: Encoder) -> None:
    """A body laid out by hand, with tabs and line breaks, as articles show it."""
    chunks = [
        "Soap for dry skin.",
        "Seife für trockene Haut.",
        "Jabón para piel seca.",
        "适合干性皮肤的肥皂",
        "乾燥肌用の石鹸",
    ]
    listed = ", \n".join(f"\t\t{json.dumps(chunk, ensure_ascii=False)}" for chunk in chunks)
    body = f"""{{
\t"model": "{MODEL}",
\t"task": "text-matching",
\t"dimensions": {exact.dimensions},
\t"late_chunking": true,
\t"input": [
{listed}
    ]}}"""
    command = ["curl", "-s", f"{url}/v1/embeddings", "-H", "Content-Type: application/json"]
    command += ["-H", "Authorization: Bearer jina_YOUR_KEY", "-d", body]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    rows = [row["embedding"] for row in answer["data"]]
    assert same(rows, exact.encode_chunks(chunks, task="text-matching"))


def test_curl_asking_for_more_than_the_model_has(url: str, exact: Encoder) -> None:
    body = json.dumps({"model": MODEL, "dimensions": 1024, "input": "x"})
    told = subprocess.run(["curl", "-s", f"{url}/v1/embeddings", "-d", body], capture_output=True, check=True).stdout
    assert "1024" in json.loads(told)["detail"]
    assert str(exact.dimensions) in json.loads(told)["detail"]


def test_milvus_model(url: str, exact: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    jinaai: Any = importlib.import_module("milvus_model.dense.jinaai")
    monkeypatch.setattr(jinaai, "API_URL", f"{url}/v1/embeddings")
    client = jinaai.JinaEmbeddingFunction(MODEL, api_key="any", task="text-matching")
    assert client.dim == exact.dimensions, "it asks for the vector of an empty text"
    assert same(client.encode_documents(TEXTS), exact.encode(TEXTS, task="retrieval.passage"))
    assert same(client.encode_queries(["who?"]), exact.encode(["who?"], task="retrieval.query"))
    assert same(client(TEXTS), exact.encode(TEXTS, task="text-matching"))
    late = jinaai.JinaEmbeddingFunction(MODEL, api_key="any", dimensions=64, late_chunking=True)
    assert same(late.encode_documents(TEXTS), exact.encode_chunks(TEXTS, task="retrieval.passage", dimensions=64))
    for closing in (client, late):
        closing._session.close()


@pytest.mark.filterwarnings("ignore")
def test_chroma(url: str, exact: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection of Chroma's own, filled and searched through our server, each side with its task."""
    import chromadb
    from chromadb.config import Settings
    from chromadb.utils.embedding_functions import JinaEmbeddingFunction

    monkeypatch.setenv("CHROMA_JINA_API_KEY", "any")
    monkeypatch.delenv("JINA_API_KEY", raising=False)
    settings: dict[str, Any] = {"task": "retrieval.passage", "dimensions": 64, "truncate": True, "normalized": True}
    function = JinaEmbeddingFunction(model_name=MODEL, **settings, query_config={"task": "retrieval.query"})
    function._api_url = f"{url}/v1/embeddings"
    wanted = exact.encode(TEXTS, task="retrieval.passage", dimensions=64)
    query = exact.encode("ships and lights", task="retrieval.query", dimensions=64)
    assert same(function(TEXTS), wanted)
    assert same(function.embed_query(["ships and lights"]), [query])
    client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
    collection = client.create_collection("texts", embedding_function=function)
    collection.add(ids=["0", "1", "2"], documents=TEXTS)
    answer = collection.query(query_texts=["ships and lights"], n_results=3)
    assert answer["ids"][0] == [str(number) for number in np.argsort(-(wanted @ query))]
    function._session.close()


def test_chroma_with_late_chunking(url: str, exact: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    from chromadb.utils.embedding_functions import JinaEmbeddingFunction

    monkeypatch.setenv("CHROMA_JINA_API_KEY", "any")
    monkeypatch.delenv("JINA_API_KEY", raising=False)
    function = JinaEmbeddingFunction(model_name=MODEL, task="retrieval.passage", late_chunking=True)
    function._api_url = f"{url}/v1/embeddings"
    assert same(function(TEXTS), exact.encode_chunks(TEXTS, task="retrieval.passage"))
    function.model_name = "jina-clip-v2"
    with pytest.raises(RuntimeError, match="is not served here"):
        function(TEXTS)
    function._session.close()
