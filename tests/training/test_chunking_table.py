"""The table of chunkers: every set, every reading, and a run that goes on where it was ended."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from training.nano import chunking
from training.nano.chunking import LANGUAGES, command, medquad, squad, xquad

TEXTS = (
    "The tower stands in Paris. It was built for a fair. It is made of iron.",
    "The wall stands in China. It was built against riders. It is made of stone.",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    asked = [["1", "What is made of iron?", ["iron"]]], [["2", "What is made of stone?", ["stone"]]]
    squad_rows = [
        {"title": name, "paras": [{"t": text, "qas": qas}]}
        for name, text, qas in zip(("Tower", "Wall"), TEXTS, asked, strict=True)
    ]
    xquad_rows = [
        {"lang": language, "title": name, "context": text, "qas": [["1", "What is it made of?", answer]]}
        for language in LANGUAGES
        for name, text, answer in zip(("Tower", "Wall"), TEXTS, ("iron", "stone"), strict=True)
    ]
    medquad_rows = [
        {"focus": focus, "q": f"What is {focus}?", "a": f"{focus} is an illness. {kind}.", "qtype": kind}
        for focus in ("flu", "gout")
        for kind in ("causes", "treatment")
    ]
    tables: dict[str, list[dict[str, Any]]] = {
        "squad_dev_eval": squad_rows,
        "xquad_eval": xquad_rows,
        "medquad_eval": medquad_rows,
    }
    for name, table_rows in tables.items():
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in table_rows)
    return tmp_path


def table(data: Path) -> str:
    options = ["--chunkers", "splitter,markdown", "--chunk-tokens", "12", "--results", str(data / "results.jsonl")]
    done = CliRunner().invoke(command, [str(data), *options], catch_exceptions=False)
    return done.stdout


def test_sets(data: Path) -> None:
    assert squad(data).dataset.answers == {"q0": "iron", "q1": "stone"}
    german = xquad(data, "de").dataset
    assert [passage.document for passage in german.passages] == ["Tower", "Wall"]
    headed = medquad(data, "markdown").dataset
    assert headed.passages[0].text.startswith("## Causes\n\nflu is an illness.")
    assert [german.name, headed.name] == ["XQuAD de", "MedQuAD, Markdown"]


def test_the_table_goes_on_where_it_was_ended(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = table(data)
    rows = [line for line in first.splitlines() if line.startswith("| ") and not line.startswith("| data")]
    assert sum(row.startswith("| XQuAD zh | splitter |") for row in rows) == 1
    assert sum("| markdown |" in row for row in rows) == 3, "Markdown alone, in each of the three tables"
    figures = next(row for row in rows if row.startswith("| SQuAD | splitter | 6 |")).split("|")[5:-1]
    assert all(0 <= float(figure) <= 1 for figure in figures)
    assert len(figures) == 6

    def refuse(*_: Any) -> None:
        raise AssertionError("it was measured before")

    monkeypatch.setattr(chunking, "measured", refuse)
    assert table(data) == first
