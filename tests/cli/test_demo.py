"""The first five minutes: the bundled model's answers, as `make demo` shows them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pymilvus import MilvusClient
from qdrant_client import QdrantClient

from jina_v3_connectors import SemanticChunker, demo
from jina_v3_connectors.cli import main
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.state import STATE_VARIABLE
from tests.servers.qdrant import qdrant_server
from tests.support.running import running

WIDE = os.environ | {"COLUMNS": "200"}
COMMAND = [sys.executable, "-W", "error", "-m", "jina_v3_connectors"]


def test_the_corpus_keeps_its_promises() -> None:
    documents = list(demo.documents())
    assert len({document.id for document in documents}) == len(documents) == 16
    assert len({document.metadata["lang"] for document in documents}) >= 6
    assert sum(document.text.count("\n\n") + 1 for document in documents) >= 40
    assert {question.document_id for question in demo.QUESTIONS} <= {document.id for document in documents}
    assert len({question.language for question in demo.QUESTIONS}) == len(demo.QUESTIONS) == 7


@pytest.mark.parametrize("late_chunking", [True, False, "blend"])
def test_most_questions_find_their_document(nano: Encoder, tmp_path: Path, late_chunking: Any) -> None:
    chunker = SemanticChunker(nano.tokenizer_file, demo.CHUNK_TOKENS)
    with QdrantConnector(nano, "demo", path=tmp_path, late_chunking=late_chunking, chunker=chunker) as store:
        store.ingest(demo.documents())
        hits = store.search_many([question.text for question in demo.QUESTIONS], limit=1)
    right = [
        question.language
        for question, (best, *_) in zip(demo.QUESTIONS, hits, strict=True)
        if best.chunk.document_id == question.document_id
    ]
    assert len(right) >= 5, right
    assert len(set(right)) >= 4


def test_the_demo_runs_without_noise(tmp_path: Path) -> None:
    result = subprocess.run(
        [*COMMAND, "demo", "--store", str(tmp_path)], capture_output=True, text=True, check=True, env=WIDE
    )
    assert result.stderr == ""
    assert "16 documents" in result.stdout
    for question in demo.QUESTIONS:
        assert question.text in result.stdout
    plain, late, blend, words = re.findall(r"demo_[0-9a-f]{8}_\w+", result.stdout)
    assert {path.name for path in tmp_path.iterdir()} == {plain, late, blend, words}
    meaning, shared = result.stdout.partition(demo.HYBRID_QUESTION.text)[2].split("Sagrada Familia", 1)
    assert "O fado" in meaning, "a name says little to the bundled model"
    assert "Antoni Gaudí" in shared
    search = ["search", demo.QUESTIONS[0].text, "--from", f"qdrant:{tmp_path}", "--collection", blend, "--json"]
    search_result = subprocess.run([*COMMAND, *search], capture_output=True, text=True, check=True)
    assert search_result.stderr == ""
    assert json.loads(search_result.stdout.splitlines()[0])["document_id"] == "bees"


def test_the_demo_leaves_nothing_behind_unless_told(tmp_path: Path) -> None:
    environment = WIDE | {"TMPDIR": str(tmp_path)}
    result = subprocess.run([*COMMAND, "demo"], capture_output=True, text=True, check=True, env=environment)
    assert "demo_" not in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_several_stores_are_filled_by_a_model_on_a_server(nano: Encoder, tmp_path: Path) -> None:
    """What the ingest job of docker-compose.yml does."""
    with running(nano) as url, qdrant_server() as qdrant:
        stores = ["--store", f"qdrant+{qdrant}", "--store", f"milvus:{tmp_path / 'demo.db'}"]
        environment = WIDE | {"JINA_V3_STATE": str(tmp_path / "state")}
        result = subprocess.run(
            [*COMMAND, "demo", "--encoder", url, *stores], capture_output=True, text=True, env=environment, timeout=300
        )
        assert result.returncode == 0, result.stderr
        names = set(re.findall(r"demo_[0-9a-f]{8}_\w+", result.stdout))
        client = QdrantClient(url=qdrant, check_compatibility=False)
        assert len(names) == 4
        chunker = SemanticChunker(nano.tokenizer_file, demo.CHUNK_TOKENS)
        chunks = sum(len(chunker.spans(document.text)) for document in demo.documents())
        assert {client.count(name).count for name in names} == {chunks}
        client.close()
    assert "Milvus, embedded" in result.stdout


def test_a_milvus_without_bm25_is_filled_without_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MilvusClient, "get_server_version", lambda *_, **__: "v2.3.5")
    store = f"milvus:{tmp_path / 'demo.db'}"
    environment = {"COLUMNS": "200", STATE_VARIABLE: str(tmp_path / "state")}
    result = CliRunner().invoke(main, ["demo", "--store", store], env=environment)
    assert result.exit_code == 0, result.output
    told = " ".join(result.stdout.split())
    assert "stored 3 times in Milvus, embedded: each chunk on its own, late chunking, both added (48 documents" in told
    assert "has no BM25: leave out hybrid, or use 2.5 or later; nothing was made" in told
    assert demo.LATE_QUESTION.text in told
    assert demo.HYBRID_QUESTION.text not in told
    client = MilvusClient(str(tmp_path / "demo.db"))
    assert set(client.list_collections()) == set(
        re.findall(r"demo_[0-9a-f]{8}_\w+_256(?=,| A| Q|$)", told.split("collections:")[1])
    )
    client.close()


def test_the_bundled_model_is_small_and_in_the_original_layout(nano: Encoder) -> None:
    folder = nano.tokenizer_file.parent
    assert sum(path.stat().st_size for path in folder.iterdir() if path.suffix in (".safetensors", ".json")) < 28e6
    assert (nano.model_id, nano.dimensions, nano.max_tokens) == ("nano", 384, 8192)
    assert nano.info.prompts["retrieval.query"].startswith("Represent the query")


def test_texts_of_one_meaning_are_near_in_several_languages(nano: Encoder) -> None:
    animals = ["The dog sleeps.", "Der Hund schläft.", "El perro duerme.", "犬は寝ている。"]
    english, *others, market = nano.encode([*animals, "The stock market fell sharply."], task="text-matching")
    assert min(float(english @ other) for other in others) > float(english @ market)
