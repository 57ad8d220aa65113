"""Connectors, Haystack, LlamaIndex and the command line over a server give what they give over a local model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from haystack import Document as HaystackDocument
from haystack import Pipeline

from haystack_integrations.components.embedders.jina_v3 import JinaV3DocumentEmbedder, JinaV3TextEmbedder
from jina_v3_connectors import Document
from jina_v3_connectors.chunking import WholeDocument
from jina_v3_connectors.cli import main
from jina_v3_connectors.errors import ContractMismatch
from jina_v3_connectors.llama_index import JinaV3Embedding
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_connectors.shared_encoders import forget_encoders
from jina_v3_encoder import RemoteEncoder
from jina_v3_encoder.encoder import Encoder

from ..support.running import running

TEXTS = ["A lighthouse warns ships of rocks.", "Bread is baked from flour.", "The moon turns around the earth."]


@pytest.fixture
def remote(url: str) -> Iterator[RemoteEncoder]:
    with RemoteEncoder(url) as encoder:
        yield encoder


def test_a_collection_is_shared_by_both(remote: RemoteEncoder, exact: Encoder, tmp_path: Path) -> None:
    """The fingerprint is the server's, so that its collection opens with the same model here, and with no other."""
    chunker = WholeDocument()
    with QdrantConnector(remote, "docs", path=tmp_path, dimensions=64, chunker=chunker, late_chunking=True) as store:
        store.ingest(Document(str(number), text) for number, text in enumerate(TEXTS))
        hits = store.search("What warns ships?", limit=1)
    with QdrantConnector(exact, "docs", path=tmp_path, dimensions=64, chunker=chunker, late_chunking=True) as store:
        again = store.search("What warns ships?", limit=1)
    assert hits[0].chunk.document_id == again[0].chunk.document_id == "0"
    assert hits[0].score == pytest.approx(again[0].score, abs=1e-4)


def test_another_model_behind_the_address_is_refused(url: str, encoder: Encoder, tmp_path: Path) -> None:
    with running(encoder) as other, RemoteEncoder(other) as small, RemoteEncoder(url) as right:
        with QdrantConnector(right, "docs", path=tmp_path, dimensions=32, chunker=WholeDocument()) as store:
            store.ingest([Document("a", "text")])
        with pytest.raises(ContractMismatch, match="fingerprint"):
            QdrantConnector(small, "docs", path=tmp_path, dimensions=32, chunker=WholeDocument())


def test_long_documents_are_read_in_the_models_own_windows(url: str, remote: RemoteEncoder, exact: Encoder) -> None:
    chunks = [f"{TEXTS[number % 3]} This is sentence number {number}." for number in range(120)]
    wanted = exact.encode_chunks(chunks, task="retrieval.passage")
    assert exact.count_tokens(" ".join(chunks)) > 1024
    assert remote.info.late_chunking_window == exact.info.late_chunking_window == 1024
    assert np.allclose(remote.encode_chunks(chunks, task="retrieval.passage"), wanted, atol=1e-5)
    asked = {"model": "jina-embeddings-v3", "input": chunks, "late_chunking": True, "task": "retrieval.passage"}
    told = httpx.post(f"{url}/v1/embeddings", json=asked).raise_for_status().json()["data"]
    assert np.allclose([row["embedding"] for row in told], wanted, atol=1e-5)
    whole = exact.encode_chunks(chunks, task="retrieval.passage", window=exact.max_tokens)
    assert not np.allclose(whole, wanted, atol=1e-3)


def test_haystack(remote: RemoteEncoder, exact: Encoder) -> None:
    question = JinaV3TextEmbedder(encoder=remote, dimensions=64).run("who?")
    assert np.allclose(question["embedding"], exact.encode("who?", task="retrieval.query", dimensions=64), atol=1e-5)
    given = [HaystackDocument(content=text, meta={"source_id": "s", "split_idx_start": 0}) for text in TEXTS[:1]]
    late = JinaV3DocumentEmbedder(encoder=remote, late_chunking=True, progress_bar=False).run(given)
    wanted = exact.encode_spans(TEXTS[0], [(0, len(TEXTS[0]))], task="retrieval.passage", overlap=512)
    assert np.allclose([document.embedding for document in late["documents"]], wanted, atol=1e-5)
    assert late["meta"]["usage"]["total_tokens"] > 0


def test_llama_index(remote: RemoteEncoder, exact: Encoder) -> None:
    embedding = JinaV3Embedding("remote", encoder=remote, dimensions=64)
    wanted = exact.encode(TEXTS, task="retrieval.passage", dimensions=64)
    assert np.allclose(embedding.get_text_embedding_batch(TEXTS), wanted, atol=1e-5)
    query = exact.encode("who?", task="retrieval.query", dimensions=64)
    assert np.allclose(embedding.get_query_embedding("who?"), query, atol=1e-5)


def test_a_saved_haystack_pipeline_names_the_server(url: str, exact: Encoder) -> None:
    pipeline = Pipeline()
    pipeline.add_component("embedder", JinaV3TextEmbedder(url, dimensions=64))
    text = pipeline.dumps()
    assert url in text
    again = Pipeline.loads(text).run({"embedder": {"text": "who?"}})
    wanted = exact.encode("who?", task="retrieval.query", dimensions=64)
    assert np.allclose(again["embedder"]["embedding"], wanted, atol=1e-5)
    forget_encoders()


def test_saved_llama_index_settings_name_the_server(url: str, exact: Encoder) -> None:
    embedding = JinaV3Embedding.from_dict(JinaV3Embedding(url, dimensions=64).to_dict())
    wanted = exact.encode("who?", task="retrieval.query", dimensions=64)
    assert np.allclose(embedding.get_query_embedding("who?"), wanted, atol=1e-5)
    forget_encoders()


def test_quantize_is_a_setting_like_any_other() -> None:
    text = JinaV3TextEmbedder("nano", quantize="int8")
    assert text.to_dict()["init_parameters"]["quantize"] == "int8"
    documents = JinaV3DocumentEmbedder("nano", quantize="int8")
    assert documents.to_dict()["init_parameters"]["quantize"] == "int8"
    assert JinaV3Embedding.from_dict(JinaV3Embedding("nano", quantize="int8").to_dict()).quantize == "int8"


def test_the_command_line(url: str, exact: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["embed", "--encoder", url, "--task", "retrieval.query", "--dimensions", "32"]
    done = CliRunner().invoke(main, arguments, input="who?\n")
    assert done.exit_code == 0, done.stderr
    wanted = exact.encode("who?", task="retrieval.query", dimensions=32)
    assert np.allclose(json.loads(done.stdout)["embedding"], wanted, atol=1e-5)
    file = tmp_path / "notes.txt"
    file.write_text("\n\n".join(TEXTS))
    store = f"qdrant:{tmp_path / 'store'}"
    filled = CliRunner().invoke(main, ["ingest", str(file), "--to", store, "--encoder", url, "--late-chunking"])
    assert filled.exit_code == 0, filled.stderr
    monkeypatch.setenv("JINA_V3_ENCODER", url)
    searched = CliRunner().invoke(main, ["search", "What warns ships?", "--from", store, "--limit", "1"])
    assert searched.exit_code == 0, searched.stderr
    both = CliRunner().invoke(main, ["embed", "--encoder", url, "--model", "nano"], input="x\n")
    assert both.exit_code == 1
    assert "not both" in both.stderr
