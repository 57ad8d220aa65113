"""The measurement is right; what it measures is never asserted."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from jina_v3_connectors.bench.corpus import LONGEST_WORDS, mixed_texts
from jina_v3_connectors.bench.encode import EncodeReport, Side, bench_encode
from jina_v3_connectors.cli import main
from jina_v3_encoder.errors import MissingExtra
from jina_v3_encoder.task import Task

SMALL = ["--layers", "1", "--vocabulary", "2000", "--texts", "3", "--runs", "1", "--threads", "1"]


def test_texts_are_mixed_and_repeatable() -> None:
    texts = mixed_texts(200)
    lengths = sorted(len(text.split()) for text in texts)
    assert texts == mixed_texts(200)
    assert lengths[0] < 40
    assert lengths[-1] > 400
    assert lengths[-1] <= LONGEST_WORDS


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", [None, Task.SEPARATION])
def test_both_sides_compute_the_same_vectors(task: Task | None) -> None:
    report = bench_encode(
        against=["sentence-transformers"],
        dtype="float32",
        layers=1,
        vocabulary=2000,
        texts=3,
        runs=2,
        threads=1,
        task=task,
        announce=lambda _: None,
    )
    ours, theirs = report.sides
    assert theirs.cosine > 0.99999
    assert len(ours.seconds) == len(theirs.seconds) == 2
    assert set(report.ratios) == {"sentence-transformers"}


def test_ratios_and_rates() -> None:
    side = Side("a", [2.0, 1.0, 9.0])
    report = EncodeReport("float32", 1, 1, None, 1, 100, [side], {})
    assert report.tokens_per_second(side) == 50
    assert report.to_dict()["sides"][0]["tokens_per_second"] == 50


def test_the_command_prints_json() -> None:
    result = CliRunner().invoke(main, ["bench", "encode", *SMALL, "--dtype", "bfloat16", "--json"])
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert (values["dtype"], values["layers"], values["texts"]) == ("bfloat16", 1, 3)
    assert values["sides"][0]["name"] == "jina-v3"
    assert values["sides"][0]["seconds"][0] > 0


def test_a_peer_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    result = CliRunner().invoke(main, ["bench", "encode", *SMALL, "--against", "sentence-transformers"])
    assert result.exit_code == 1
    assert "pip install 'jina-v3-connectors[bench]'" in result.stderr
    assert issubclass(MissingExtra, ImportError)
