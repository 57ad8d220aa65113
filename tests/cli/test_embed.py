from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from jina_v3_connectors.cli import main
from jina_v3_encoder.encoder import Encoder

LINES = "the first line\n\n東京 and more\r\nlast without end"
TEXTS = ["the first line", "", "東京 and more", "last without end"]


@pytest.fixture
def run(original_folder: Path) -> Any:
    def run(*arguments: str, stdin: str | bytes = LINES) -> Result:
        common = ["--model", str(original_folder), "--dtype", "float32"]
        return CliRunner().invoke(main, ["embed", *common, *arguments], input=stdin)

    return run


def test_jsonl_to_standard_output(run: Any, encoder: Encoder) -> None:
    result = run("--task", "retrieval.query", "--dimensions", "16")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["text"] for row in rows] == TEXTS
    vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
    assert np.array_equal(vectors, encoder.encode(TEXTS, task="retrieval.query", dimensions=16))


def test_the_default_task_is_passage_and_none_is_the_base_model(run: Any, encoder: Encoder) -> None:
    for arguments, task in (([], "retrieval.passage"), (["--task", "none"], None)):
        row = json.loads(run(*arguments, stdin="hello\n").stdout)
        assert np.array_equal(np.array(row["embedding"], dtype=np.float32), encoder.encode("hello", task=task))


def test_npy(run: Any, encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "out.npy"
    assert run("--output", str(path)).exit_code == 0
    assert np.array_equal(np.load(path), encoder.encode(TEXTS, task="retrieval.passage"))


def test_jsonl_file(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    result = run("--output", str(path), "--output-type", "binary")
    assert result.stdout == ""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 4
    assert len(rows[0]["embedding"]) == 8


def test_base64(run: Any, encoder: Encoder) -> None:
    row = json.loads(run("--output-type", "base64", stdin="hello\n").stdout)
    decoded = np.frombuffer(base64.b64decode(row["embedding"]), dtype="<f4")
    assert np.array_equal(decoded, encoder.encode("hello", task="retrieval.passage"))


@pytest.mark.parametrize("name", ["out.npy", "out.jsonl"])
def test_no_lines(run: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert run("--output", str(path), "--dimensions", "16", stdin="").exit_code == 0
    if name.endswith("npy"):
        assert np.load(path).shape == (0, 16)
    else:
        assert path.read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        ([], "fine\n" + "the " * 600, "tokens, the limit is 512: split it, or pass --truncate"),
        ([], "fine\n" + "x" * 2**20, "line 2 has"),
        ([], b"fine\ncaf\xe9\n", "line 2 is not UTF-8 (byte 3)"),
        (["--dimensions", "65"], "a", "dimensions must be a whole number from 1 to 64, got 65"),
        (["--output", "out.csv"], "a", "must end in .npy or .jsonl"),
        (["--output", "out.npy", "--output-type", "base64"], "a", "write it to .jsonl"),
        (["--model", "./nowhere"], "a", "is no folder"),
        (["--device", "abacus"], "a", "cannot be used here"),
    ],
)
def test_errors_are_one_line_without_traceback(run: Any, arguments: list[str], stdin: str, words: str) -> None:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 1
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert result.stderr.startswith("error: ")


def test_an_output_that_cannot_be_written(run: Any) -> None:
    for name in ("/proc/none/x.npy", "/proc/none/x.jsonl"):
        result = run("--output", name)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")


def test_truncate(run: Any) -> None:
    assert run("--truncate", stdin="the " * 600).exit_code == 0


@pytest.mark.parametrize("arguments", [["--task", "retrieval"], ["--output-type", "int4"], ["--dimensions", "x"]])
def test_wrong_usage_exits_with_two(run: Any, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_warnings_are_one_line_too(original_folder: Path) -> None:
    command = [sys.executable, "-m", "jina_v3_connectors", "embed", "--model", str(original_folder)]
    done = subprocess.run([*command, "--dimensions", "20"], input="a\n", capture_output=True, text=True, check=True)
    assert done.stderr.startswith("warning: 20 is not among the dimensions the model was trained for")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_goes_away(original_folder: Path) -> None:
    command = (
        f"yes hello | head -5000 | {sys.executable} -m jina_v3_connectors embed --model {original_folder} | head -1"
    )
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert json.loads(result.stdout)["text"] == "hello"
    assert "Traceback" not in result.stderr
