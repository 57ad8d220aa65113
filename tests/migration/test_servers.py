"""`migrate doctor` and `migrate compare` against database servers tell the same as against the embedded engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors import Chunk, Document, SemanticChunker
from jina_v3_connectors.backends import open_store
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.state import STATE_VARIABLE
from tests.support.texts import ANSWERS, TRANSLATIONS

from ..support.backends import REACHED_BY_OTHERS, Backend
from .test_commands import run

SERVERS = [name for name in REACHED_BY_OTHERS if name != "embedded"]
SAME_TEXTS = 40
"""Different texts with one vector, in the damaged collection."""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options of compare: the questions and which passages answer them."""
    folder = tmp_path_factory.mktemp("questions")
    rows = [{"id": f"q{number}", "text": question} for number, (question, _, _) in enumerate(ANSWERS)]
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "qrels.tsv").write_text("".join(f"q{number}\td{number}\t1\n" for number in range(len(ANSWERS))))
    return "--questions", str(folder / "questions.jsonl"), "--judgements", str(folder / "qrels.tsv")


def passages() -> list[Document]:
    answers = [Document(f"d{number}", passage, {"lang": "en"}) for number, (_, _, passage) in enumerate(ANSWERS)]
    return answers + [Document(f"o{number}", text) for number, text in enumerate(TRANSLATIONS["de"])]


def fill_old(url: str, nano: Encoder) -> None:
    with open_store(url, nano, "old", dimensions=64) as old:
        old.ingest(passages())


def fill_new(url: str, nano: Encoder) -> None:
    chunker = SemanticChunker(nano.tokenizer_file, 12)
    with open_store(url, nano, "new", dimensions=128, late_chunking=True, chunker=chunker) as new:
        new.ingest(passages())


def damage(url: str, nano: Encoder) -> None:
    """Write chunks of several texts with one vector, as a wrong text column gives them."""
    with open_store(url, nano, "old") as old:
        assert old.stored is not None
        vectors = nano.encode(["None"] * SAME_TEXTS, task="retrieval.passage", dimensions=64)
        chunks = [Chunk(f"x{n}", 0, 0, 8, f"Text {n:03}", {}) for n in range(SAME_TEXTS)]
        old.store.upsert(chunks, vectors, old.stored.layout)


def told(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def diagnosed(url: str) -> dict[str, Any]:
    """What doctor tells, but for names of places."""
    values = told("doctor", "--from", url, "--collection", "old", "--model", "nano")
    values.pop("collection")
    return values


def compared(old: str, new: str, questions: tuple[str, ...]) -> dict[str, Any]:
    """The figures of compare."""
    sides = ("--from", old, "--collection", "old", "--to", new, "--into", "new")
    values = told("compare", *sides, *questions, "--threshold", "0.4")
    shown = ("overlap", "rbo", "overlaps", "changed", "percentiles", "thresholds", "judged", "notes")
    assert values.keys() >= set(shown)
    figures = {name: values[name] for name in shown}
    for side in ("old", "new"):
        figures |= {f"{side} {name}": values[side][name] for name in ("records", "documents", "dimensions", "fit")}
    return figures


@pytest.mark.parametrize("backend", SERVERS, indirect=True)
def test_doctor(backend: Backend, nano: Encoder, tmp_path: Path) -> None:
    embedded = f"qdrant:{tmp_path / 'embedded'}"
    for url in (backend.url, embedded):
        fill_old(url, nano)
    sound = diagnosed(backend.url)
    assert_same(sound, diagnosed(embedded))
    assert sound["worst"] == "note"
    for url in (backend.url, embedded):
        damage(url, nano)
    damaged = diagnosed(backend.url)
    assert_same(damaged, diagnosed(embedded))
    assert damaged["findings"][0]["name"] == "same-vector"
    assert damaged["findings"][0]["figures"]["most_texts"] == SAME_TEXTS
    failed = run("doctor", "--from", backend.url, "--collection", "old", "--fail-on", "error")
    assert failed.exit_code == 1
    assert "vectors that stand for several different texts" in " ".join(failed.stdout.split())


@pytest.mark.parametrize("backend", SERVERS, indirect=True)
def test_compare(backend: Backend, nano: Encoder, tmp_path: Path, questions: tuple[str, ...]) -> None:
    """Pinecone keeps one contract for all namespaces of an index, so there the new collection is in another store."""
    embedded = f"qdrant:{tmp_path / 'embedded'}"
    new = embedded if backend.name == "pinecone" else backend.url
    fill_old(backend.url, nano)
    fill_old(embedded, nano)
    for url in {new, embedded}:
        fill_new(url, nano)
    figures = compared(backend.url, new, questions)
    assert_same(figures, compared(embedded, embedded, questions))
    assert figures["judged"] is not None
    assert figures["old fit"]["fitting"] == figures["old fit"]["sampled"] > 0


def assert_same(values: object, wanted: object, where: str = "") -> None:
    """Equal but for rounding of stored numbers."""
    if isinstance(wanted, dict):
        assert isinstance(values, dict), where
        assert values.keys() == wanted.keys(), where
        for name, value in wanted.items():
            assert_same(values[name], value, f"{where}/{name}")
    elif isinstance(wanted, list):
        assert isinstance(values, list), where
        assert len(values) == len(wanted), where
        for number, value in enumerate(wanted):
            assert_same(values[number], value, f"{where}/{number}")
    elif isinstance(wanted, float):
        assert values == pytest.approx(wanted, abs=1e-3), where
    else:
        assert values == wanted, where
