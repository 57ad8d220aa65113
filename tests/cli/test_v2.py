"""The commands with a folder of jina-embeddings-v2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from jina_v3_connectors.cli import main
from jina_v3_encoder.encoder import Encoder


@pytest.fixture
def run(v2_folder: Path) -> Any:
    def run(*arguments: str, model: bool = True, stdin: str = "") -> Result:
        chosen = ["--model", str(v2_folder), "--dtype", "float32"] if model else []
        return CliRunner(env={"COLUMNS": "250"}).invoke(main, [*arguments, *chosen], input=stdin)

    return run


def refused(result: Result) -> str:
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    return result.stderr


def test_info(run: Any, v2: Encoder) -> None:
    result = run("info", "--json")
    assert result.exit_code == 0, result.output
    info = json.loads(result.stdout)
    assert (info["tasks"], info["dimensions"], info["matryoshka_dimensions"]) == ("none", 96, "96")
    assert info["fingerprint"] == v2.fingerprint
    assert "none" in run("info").stdout


def test_embed(run: Any, v2: Encoder) -> None:
    for arguments in ([], ["--task", "none"]):
        result = run("embed", *arguments, stdin="the first line\n")
        assert result.exit_code == 0, result.output
        vector = np.array(json.loads(result.stdout)["embedding"], dtype=np.float32)
        assert np.array_equal(vector, v2.encode("the first line"))


def test_what_v2_has_not_is_told_in_one_line(run: Any) -> None:
    assert "jina-embeddings-v2 has no tasks" in refused(run("embed", "--task", "retrieval.passage", stdin="a\n"))
    assert "was not trained for slices" in refused(run("embed", "--dimensions", "32", stdin="a\n"))


@pytest.mark.parametrize("mode", ["--late-chunking", "--no-late-chunking"])
def test_ingest_and_search(run: Any, tmp_path: Path, mode: str) -> None:
    (tmp_path / "notes.txt").write_text("The first part of it. " * 400)
    store = f"qdrant:{tmp_path / 'store'}"
    result = run("ingest", str(tmp_path / "notes.txt"), "--to", store, "--chunk-tokens", "40", mode)
    assert result.exit_code == 0, result.output
    answer = run("search", "the first part", "--from", store, "--json", model=False)
    assert answer.exit_code == 0, answer.output
    assert len(answer.stdout.splitlines()) == 5
    assert "fingerprint" in refused(run("search", "part", "--from", store, "--model", "nano", model=False))


def test_eval(run: Any, tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "tea", "text": "Tea is a drink."}\n{"_id": "ice", "text": "Ice."}\n'
    )
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "Which drink?"}\n')
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("q\ttea\t1\n")
    result = run("eval", str(tmp_path), "--json", "-")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["query_task"], report["passage_task"]) == (None, None)
    assert {figures["dimensions"] for figures in report["figures"]} == {96}
    assert "was not trained for slices" in refused(run("eval", str(tmp_path), "--dimensions", "32"))


def test_demo(run: Any) -> None:
    result = run("demo")
    assert result.exit_code == 0, result.output
    assert "96 of 96 dimensions" in result.stdout


def test_export(run: Any, v2_folder: Path, v2: Encoder, tmp_path: Path) -> None:
    import onnxruntime

    result = run("export", str(v2_folder), "--task", "none", "--out", str(tmp_path / "onnx"), model=False)
    assert result.exit_code == 0, result.output
    ids = v2.engine.text_ids(["the first line"], [None], prompt=True)[0][None]
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "onnx" / "model.onnx")
    (vectors,) = session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert np.abs(vectors[0] - v2.encode("the first line")).max() <= 1e-5


@pytest.mark.parametrize(
    ("task", "file_format", "words"),
    [("all", "onnx", "jina-embeddings-v2 has no tasks"), ("none", "sentence-transformers", "as onnx or openvino")],
)
def test_what_cannot_be_exported(
    run: Any, v2_folder: Path, tmp_path: Path, task: str, file_format: str, words: str
) -> None:
    out = tmp_path / "out"
    result = run("export", str(v2_folder), "--task", task, "--format", file_format, "--out", str(out), model=False)
    assert words in refused(result)
    assert not out.exists()
