"""The first five minutes: the bundled model's answers, as `make demo` shows them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jina_v3_connectors import SemanticChunker, demo
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_encoder.encoder import Encoder

WIDE = os.environ | {"COLUMNS": "200"}
COMMAND = [sys.executable, "-W", "error", "-m", "jina_v3_connectors"]


def test_the_corpus_keeps_its_promises() -> None:
    documents = list(demo.documents())
    assert len({document.id for document in documents}) == len(documents) == 16
    assert len({document.metadata["lang"] for document in documents}) >= 6
    assert sum(document.text.count("\n\n") + 1 for document in documents) >= 40
    assert {question.document_id for question in demo.QUESTIONS} <= {document.id for document in documents}
    assert len({question.language for question in demo.QUESTIONS}) == len(demo.QUESTIONS) == 7


@pytest.mark.parametrize("late_chunking", [True, False])
def test_most_questions_find_their_document(nano: Encoder, tmp_path: Path, late_chunking: bool) -> None:
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
    assert "late chunking" in result.stdout
    found = subprocess.run(
        [*COMMAND, "search", demo.QUESTIONS[0].text, "--from", f"qdrant:{tmp_path}", "--collection", "late", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stderr == ""
    assert json.loads(found.stdout.splitlines()[0])["document_id"] == "bees"


def test_the_bundled_model_is_small_and_in_the_original_layout(nano: Encoder) -> None:
    folder = nano.tokenizer_file.parent
    assert sum(path.stat().st_size for path in folder.iterdir() if path.suffix in (".safetensors", ".json")) < 28e6
    assert (nano.model_id, nano.dimensions, nano.max_tokens) == ("nano", 384, 8192)
    assert nano.config.task_instructions["retrieval.query"].startswith("Represent the query")


def test_texts_of_one_meaning_are_near_in_several_languages(nano: Encoder) -> None:
    animals = ["The dog sleeps.", "Der Hund schläft.", "El perro duerme.", "犬は寝ている。"]
    english, *others, market = nano.encode([*animals, "The stock market fell sharply."], task="text-matching")
    assert min(float(english @ other) for other in others) > float(english @ market)
