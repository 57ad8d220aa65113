"""The card's tables are the measured figures and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from training.nano.card import END, START, main

NANO = {
    "xquad-en-en, nDCG@10, 384 dimensions": 0.9,
    "xquad-en-en, nDCG@10, 64 dimensions": 0.81,
    "STS-B en, Spearman": 0.75,
    "xquad-en-en with retrieval pair, nDCG@10": 0.9,
    "STS-B en with text-matching": 0.75,
    "STS-B en with None": 0.7,
    "squad-chunks, late chunks, nDCG@10": 0.5,
    "late − naive, nDCG@10": 0.01,
    "passkey, 256 tokens, accuracy": 0.4,
}


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(f"# nano\n\n{START}\nold figures\n{END}\n\nThe end.\n")
    return path


def run(tmp_path: Path, card: Path, *arguments: str) -> Result:
    (tmp_path / "nano.json").write_text(json.dumps(NANO))
    return CliRunner().invoke(main, [str(tmp_path / "nano.json"), "--card", str(card), *arguments])


def test_figures_take_the_place_of_old_ones(tmp_path: Path, card: Path) -> None:
    assert run(tmp_path, card).exit_code == 0
    text = card.read_text()
    assert "old figures" not in text
    assert text.startswith("# nano")
    assert text.endswith("The end.\n")
    assert "| xquad-en-en, nDCG@10, 64 dimensions | 0.810 (90%) |" in text
    assert "| STS-B en, Spearman | 0.750 |" in text
    assert "| no adapter |  |  |  | 0.700 |  |  |" in text
    assert "| late − naive, nDCG@10 | 0.010 |" in text
    assert "| passkey, 256 tokens, accuracy | 0.400 |" in text


def test_twice_is_once(tmp_path: Path, card: Path) -> None:
    run(tmp_path, card)
    once = card.read_text()
    run(tmp_path, card)
    assert card.read_text() == once


def test_others_stand_beside(tmp_path: Path, card: Path) -> None:
    (tmp_path / "minilm.json").write_text(json.dumps({"STS-B en, Spearman": 0.8}))
    (tmp_path / "bm25.json").write_text(json.dumps({"BM25 xquad-en-en, nDCG@10": 0.95}))
    run(tmp_path, card, "--minilm", str(tmp_path / "minilm.json"), "--bm25", str(tmp_path / "bm25.json"))
    text = card.read_text()
    assert "| measure | nano | MiniLM | BM25 |" in text
    assert "| STS-B en, Spearman | 0.750 | 0.800 |  |" in text
    assert "| xquad-en-en, nDCG@10, 384 dimensions | 0.900 (100%) |  | 0.950 |" in text
    assert "| xquad-en-en, nDCG@10, 64 dimensions | 0.810 (90%) |  |  |" in text


def test_a_card_without_marks_is_left_alone(tmp_path: Path, card: Path) -> None:
    card.write_text("# nano\n")
    result = run(tmp_path, card)
    assert result.exit_code == 1
    assert "must hold" in result.output
    assert card.read_text() == "# nano\n"
