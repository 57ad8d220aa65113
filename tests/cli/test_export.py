from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from jina_v3_connectors.cli import main
from jina_v3_encoder import Encoder
from jina_v3_encoder.export.formats import FORMATS


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["export", *arguments])


def test_a_merged_folder(original_folder: Path, encoder: Encoder, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    out = tmp_path / "merged"
    result = run(
        str(original_folder), "--task", "retrieval.query", "--format", "sentence-transformers", "--out", str(out)
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == f"loading {original_folder}"
    assert f"{out} is ready, its README.md says how to use it. Licence of the weights: not known" in result.stderr
    vectors = SentenceTransformer(str(out), device="cpu").encode(["a lightsaber"])
    assert np.abs(vectors - encoder.encode(["a lightsaber"], task="retrieval.query")).max() <= 1e-5


def test_the_base_model(original_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "base"
    result = run(str(original_folder), "--task", "none", "--format", "sentence-transformers", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "| task | none |" in (out / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "all", "--format", "sentence-transformers"], "export one folder for each"),
        (["--task", "none", "--format", "sentence-transformers", "--quantize", "int8"], "leave quantize out"),
    ],
)
def test_what_cannot_be_exported_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = run("nano", *arguments, "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_help_teaches() -> None:
    text = run("--help").stdout
    assert "jina-v3 export nano --task retrieval.passage --format onnx --out passage-onnx" in text
    for name in FORMATS:
        assert name in text
