"""How near exported graphs come: every file gets a line, with a cosine for each length."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from benchmarks.export import command
from jina_v3_encoder.export.formats import ONNX_FILE, ROUNDED_ONNX_FILE
from jina_v3_encoder.testing import tiny_config, write_random_checkpoint


def test_cosines_by_file_and_length(tmp_path: Path) -> None:
    folder = write_random_checkpoint(tmp_path / "model", tiny_config(num_hidden_layers=1))
    result = CliRunner().invoke(command, ["--model", str(folder), "--task", "separation", "--longest", "17"])
    assert result.exit_code == 0, result.output
    lines = {line.split()[1]: line.split()[2:] for line in result.output.splitlines() if line.startswith("separation ")}
    assert list(lines) == [ONNX_FILE, ROUNDED_ONNX_FILE]
    assert [len(cosines) for cosines in lines.values()] == [3, 3]
    assert min(map(float, lines[ONNX_FILE])) >= 0.9999
    assert min(map(float, lines[ROUNDED_ONNX_FILE])) >= 0.99
    assert "GiB" in result.output
