"""`migrate compare` and `migrate doctor` over real collections of the embedded engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jina_v3_connectors import Document, SemanticChunker
from jina_v3_connectors.cli import main
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.state import STATE_VARIABLE
from tests.support.texts import ANSWERS, TRANSLATIONS


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["migrate", *map(str, arguments)], env={"COLUMNS": "160"})


def passages() -> list[Document]:
    answers = [Document(f"d{number}", passage, {"lang": "en"}) for number, (_, _, passage) in enumerate(ANSWERS)]
    others = [Document(f"o{number}", text) for number, text in enumerate(TRANSLATIONS["en"] + TRANSLATIONS["de"])]
    return answers + others


@pytest.fixture(scope="module")
def store(nano: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of whole documents, and a smaller one with late chunks, in one folder; and a foreign export."""
    folder = tmp_path_factory.mktemp("stores")
    with QdrantConnector(nano, "old", path=folder) as old:
        old.ingest(passages())
        stored = {chunk.document_id: vector for chunk, vector in old.store.sample(1000)}
    chunker = SemanticChunker(nano.tokenizer_file, 12)
    with QdrantConnector(nano, "new", path=folder, dimensions=128, late_chunking=True, chunker=chunker) as new:
        new.ingest(passages())
    rows = [
        {"id": document.id, "body": document.text, "embedding": stored[document.id].tolist()} for document in passages()
    ]
    (folder / "export.jsonl").write_text("\n".join(map(json.dumps, rows)))
    questions = [
        {"id": f"{lang}{number}", "text": text, "lang": lang}
        for number, (english, german, _) in enumerate(ANSWERS)
        for lang, text in (("en", english), ("de", german))
    ]
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, questions)))
    lines = [f"{lang}{number}\td{number}\t1\n" for number in range(len(ANSWERS)) for lang in ("en", "de")]
    (folder / "qrels.tsv").write_text("".join(lines))
    return folder


def compared(store: Path, *arguments: object) -> Result:
    return run(
        "compare",
        *("--from", f"qdrant:{store}", "--collection", "old", "--to", f"qdrant:{store}", "--into", "new"),
        *("--questions", store / "questions.jsonl", *arguments),
    )


@pytest.mark.parametrize("name", ["compare", "doctor"])
def test_help_teaches_with_an_example(name: str) -> None:
    shown = run(name, "--help").output
    assert f"Example:\n    jina-v3 migrate {name} " in shown
    for option in ("--text-field", "--document-field", "--order-field", "--metadata-fields", "--model", "--html"):
        assert option in shown


def test_compare_with_judgements(store: Path, tmp_path: Path) -> None:
    result = compared(
        store,
        "--judgements",
        store / "qrels.tsv",
        "--tolerance",
        "0.5",
        "--threshold",
        "0.4",
        "--html",
        tmp_path / "a.html",
    )
    assert result.exit_code == 0, result.output
    for words in ("nDCG@10", "recall@10", "MRR@10", "overlap@10", "rank-biased overlap", "GO: ", "By language"):
        assert words in result.stdout
    assert "reading old in qdrant:" in result.stderr
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    assert ANSWERS[0][0] in page or "Questions that changed most" in page


def test_compare_as_json(store: Path) -> None:
    values = json.loads(compared(store, "--json").stdout)
    assert (values["questions"], values["limit"]) == (20, 10)
    assert 0.5 < values["overlap"] <= 1
    assert values["judged"] is None
    assert values["new"]["fit"]["fitting"] == values["new"]["fit"]["sampled"] > 0
    assert values["new"]["fit"]["recipe"] == "nano with retrieval.passage, late chunking"
    assert (values["old"]["documents"], values["new"]["documents"]) == (34, 34)
    assert values["new"]["records"] > 34
    assert values["notes"] == []


def test_compare_an_export_of_somebody_else(store: Path) -> None:
    arguments = [
        *("compare", "--from", f"jsonl:{store / 'export.jsonl'}", "--text-field", "body"),
        *("--to", f"qdrant:{store}", "--into", "old", "--questions", store / "questions.jsonl", "--json"),
    ]
    missing = run(*arguments)
    assert missing.exit_code == 1
    assert "does not say which model filled it: name it with --old-model" in missing.stderr
    exactly = ("--dtype", "float32")  # beside other work, batches are split in other ways: bfloat16's last digits move
    result = run(*arguments, "--old-model", "nano", *exactly)
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert (values["overlap"], values["changed"]) == (1.0, [])
    wrong = run(*arguments, "--old-model", "nano", "--old-task", "separation")
    assert wrong.exit_code == 1
    assert "only 0 of 16 sampled vectors are those of nano with separation" in wrong.stderr
    unchecked = run(*arguments, "--old-model", "nano", "--old-task", "separation", "--unchecked")
    assert "nobody checked" in " ".join(json.loads(unchecked.stdout)["notes"])


def test_a_verdict_can_be_required(store: Path) -> None:
    assert compared(store, "--require-go").exit_code == 1
    judged = ("--judgements", store / "qrels.tsv", "--require-go")
    go = compared(store, *judged, "--tolerance", "0.5")
    assert go.exit_code == 0, go.output
    undecided = compared(store, *judged, "--tolerance", "0")
    assert "UNDECIDED" in undecided.stdout or "NO-GO" in undecided.stdout
    assert undecided.exit_code == 1


def test_what_a_collection_says_is_not_said_again(store: Path) -> None:
    result = compared(store, "--old-task", "separation")
    assert result.exit_code == 1
    assert "says itself how it was filled: leave --old-task out" in result.stderr


def test_another_model_than_the_contracts(store: Path, original_folder: Path) -> None:
    result = compared(store, "--model", original_folder)
    assert result.exit_code == 1
    assert "fingerprint" in result.stderr


def diagnosed(store: Path, *arguments: object) -> Result:
    return run("doctor", "--from", f"qdrant:{store}", *arguments)


def test_doctor_of_a_sound_collection(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "doctor.html"
    result = diagnosed(store, "--collection", "new", "--model", "nano", "--fail-on", "warning", "--html", page)
    assert result.exit_code == 0, result.output
    assert "34 documents" in result.stdout
    assert "late chunking" in result.stdout
    content = page.read_text(encoding="utf-8")
    assert "retrieval.passage, late chunking" in content
    assert not any(document.text in content for document in passages())


def test_doctor_fails_as_it_is_told(nano: Encoder, tmp_path: Path) -> None:
    """One export with forty vectors of a wrong column, one with copies only."""
    texts = [text for texts in TRANSLATIONS.values() for text in texts]
    (vector,) = nano.encode(["None"], task="retrieval.passage")
    rows = [{"id": str(row), "text": text, "embedding": vector.tolist()} for row, text in enumerate(texts[:40])]
    (tmp_path / "wrong.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = ["doctor", "--from", f"jsonl:{tmp_path / 'wrong.jsonl'}"]
    assert run(*arguments).exit_code == 0
    result = run(*arguments, "--fail-on", "error", "--json")
    assert result.exit_code == 1
    values = json.loads(result.stdout)
    assert values["worst"] == "error"
    assert values["findings"][0]["name"] == "same-vector"
    assert values["findings"][0]["figures"]["most_texts"] == 40
    shown = run(*arguments, "--limit", "10").stdout
    assert "10 records" in shown
    assert "leave --limit out" in shown


def test_doctor_of_what_is_not_there(store: Path) -> None:
    result = diagnosed(store, "--collection", "nothing")
    assert result.exit_code == 1
    assert "'nothing'" in result.stderr


def test_a_page_that_cannot_be_written_is_told_first(store: Path) -> None:
    result = compared(store, "--html", store / "nowhere" / "a.html")
    assert result.exit_code == 2
    assert "there is no folder" in result.stderr
    assert "reading" not in result.stderr


def test_a_migration_is_compared_by_its_name(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fields and collections are those that it was begun with."""
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    questions = ("--questions", store / "questions.jsonl", "--old-model", "nano", "--json")
    unknown = run("compare", *questions)
    assert unknown.exit_code == 1
    assert "no migration was begun on this machine" in unknown.stderr
    half = run("compare", *questions, "--from", "jsonl:export.jsonl")
    assert "name both collections, with --from, --to and --into; or a migration" in half.stderr
    target = f"qdrant:{tmp_path / 'store'}"
    sides = ("--from", f"jsonl:{store / 'export.jsonl'}", "--text-field", "body", "--to", target, "--into", "moved")
    begun = run("run", *sides, "--dimensions", "128")
    assert begun.exit_code == 0, begun.output
    for name in ((), ("moved",), ("moved", "--to", target)):
        result = run("compare", *name, *questions)
        assert result.exit_code == 0, result.output
        values = json.loads(result.stdout)
        assert (values["old"]["dimensions"], values["new"]["dimensions"]) == (384, 128)
        assert values["old"]["documents"] == values["new"]["documents"] == 34
        assert values["notes"] == []
