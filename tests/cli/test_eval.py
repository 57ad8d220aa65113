from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jina_v3_connectors.cli import main
from jina_v3_encoder.encoder import Encoder

PAGES = {
    "tea": "Tea is a hot drink made from leaves. It comes from China. People drink it in the afternoon.",
    "ice": "Ice is frozen water. It floats on lakes in winter. Skaters like it.",
    "sun": "The sun is a star. It shines in the day. Plants need its light.",
}
ASKED = {"q1": ("Which drink is made from leaves?", "tea"), "q2": ("Was schwimmt im Winter auf Seen?", "ice")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [json.dumps({"_id": name, "text": text}) for name, text in PAGES.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(rows), encoding="utf-8")
    asked = [json.dumps({"_id": name, "text": text}) for name, (text, _) in ASKED.items()]
    (tmp_path / "queries.jsonl").write_text("\n".join(asked), encoding="utf-8")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("".join(f"{q}\t{page}\t1\n" for q, (_, page) in ASKED.items()))
    return tmp_path


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["eval", str(folder), "--chunk-tokens", "20", *arguments])


def figures(folder: Path, *arguments: str) -> Any:
    result = run(folder, "--json", "-", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["figures"]


def test_a_table_of_variants_and_sizes(folder: Path, nano: Encoder) -> None:
    result = run(folder)
    assert result.exit_code == 0, result.output
    for text in (
        "each row alone",
        "chunks alone",
        "late chunks",
        "blended chunks",
        "nDCG@10",
        "kept",
        "recall@10",
        "MRR@10",
        "2 queries",
    ):
        assert text in result.stdout
    for size in nano.config.matryoshka_dimensions:
        assert f" {size} " in result.stdout


def test_the_bundled_model_finds_both_pages(folder: Path) -> None:
    (row,) = figures(folder, "--late-chunking", "off", "--dimensions", "384")
    assert (row["variant"], row["ndcg"], row["recall"], row["mrr"]) == ("each row alone", 1.0, 1.0, 1.0)


def test_choices(folder: Path) -> None:
    rows = figures(folder, "--late-chunking", "on", "--dimensions", "64,128,64")
    assert [(row["variant"], row["dimensions"]) for row in rows] == [("late chunks", 128), ("late chunks", 64)]


def test_json_and_plot_files(folder: Path) -> None:
    result = run(folder, "--json", str(folder / "out.json"), "--plot", str(folder / "out.svg"))
    assert result.exit_code == 0, result.output
    assert "nDCG@10" in result.stdout, "the table is still shown"
    written = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert written["model"] == "nano"
    assert written["vectors"]["late chunks"] > written["passages"]
    assert "<svg" in (folder / "out.svg").read_text(encoding="utf-8")


def test_neither_text_nor_json_has_an_interval_of_a_few_documents(folder: Path) -> None:
    result = run(folder, "--json", str(folder / "out.json"))
    assert "(an interval needs 20 documents or more, here are 2)" in " ".join(result.stdout.split())
    differences = json.loads((folder / "out.json").read_text(encoding="utf-8"))["differences"]
    assert differences
    assert all(one["all"]["low"] is one["all"]["high"] is None for one in differences)
    assert all(isinstance(one["all"]["mean"], float) for one in differences)


def test_tasks_reach_the_report(folder: Path) -> None:
    result = run(folder, "--query-task", "none", "--passage-task", "text-matching", "--json", "-")
    written = json.loads(result.stdout)
    assert (written["query_task"], written["passage_task"]) == (None, "text-matching")


def test_chunkers_beside_each_other(folder: Path) -> None:
    names = "splitter,sentences"
    result = run(folder, "--chunker", names, "--late-chunking", "both", "--dimensions", "64", "--json", "-")
    assert result.exit_code == 0, result.output
    reports = json.loads(result.stdout)["chunkers"]
    assert [report["chunker"] for report in reports] == ["splitter", "sentences"]
    assert all(report["vectors"]["late chunks"] >= 3 for report in reports)


def test_rows_of_a_document_are_joined_and_cut_anew(folder: Path) -> None:
    rows = [json.dumps({"_id": name, "text": text, "document": "all"}) for name, text in PAGES.items()]
    (folder / "corpus.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (kept,) = figures(folder, "--late-chunking", "off", "--dimensions", "384")
    cut = figures(folder, "--late-chunking", "both", "--dimensions", "384", "--chunker", "sentences")
    assert kept["variant"] == "each row alone"
    assert [row["variant"] for row in cut] == ["each row alone", "late chunks"]
    assert all(row["inside"] is not None for row in cut), "in its document, apart from in the corpus"
    result = run(folder, "--late-chunking", "off", "--chunker", "sentences,fixed")
    assert "chunker sentences" in result.stdout
    assert "document" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dimensions", "64,x"], "must be whole numbers"),
        (["--dimensions", "0"], "0"),
        (["--dimensions", "385"], "385"),
        (["--plot", "a.txt"], "must end in .png, .svg, .pdf"),
        (["--chunker", "fixed,lines", "--plot", "a.svg"], "--plot draws one chunker"),
        (["--chunker", "words"], "there is no chunker 'words'"),
        (["--split", "dev"], "judgements of split 'dev' are missing"),
        (["--window", "1"], "window must be"),
    ],
)
def test_bad_input(folder: Path, arguments: list[str], message: str) -> None:
    result = run(folder, *arguments)
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_a_folder_that_is_no_dataset(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "has no corpus.jsonl" in result.stderr
