from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from jina_v3_connectors.cli import main
from jina_v3_connectors.cli.main import COMMANDS


def test_help_lists_every_command_and_first_steps() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.output
    assert "jina-v3 demo" in result.output


@pytest.mark.parametrize("name", [*COMMANDS, "bench encode"])
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(main, [*name.split(), "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output
    assert len(result.output.splitlines()) > 5


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from jina_v3_connectors.cli import main; "
        "CliRunner().invoke(main, ['--help']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'rich', 'qdrant_edge', 'tokenizers')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_commands() -> None:
    result = CliRunner().invoke(main, ["serach"])
    assert result.exit_code == 2
    assert "serach" in result.output


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.output.startswith("jina-v3, version ")


def test_info(original_folder: Path) -> None:
    result = CliRunner().invoke(main, ["info", "--model", str(original_folder), "--dtype", "float32", "--json"])
    values = json.loads(result.stdout)
    assert (values["dimensions"], values["max_tokens"], values["dtype"], values["device"]) == (
        64,
        512,
        "float32",
        "cpu",
    )
    assert len(values["tasks"]) == 5
    assert values["tasks"][1] == "retrieval.passage: Represent the document for retrieval: "
    assert values["threads"] >= 1


def test_info_as_a_table(original_folder: Path) -> None:
    result = CliRunner().invoke(main, ["info", "--model", str(original_folder)])
    assert result.exit_code == 0
    assert "fingerprint" in result.stdout


def test_the_model_comes_from_the_environment(original_folder: Path) -> None:
    result = CliRunner().invoke(main, ["info", "--json"], env={"JINA_V3_MODEL": str(original_folder)})
    assert json.loads(result.stdout)["model"] == str(original_folder)


@pytest.mark.parametrize(
    "arguments", ["embed", "ingest", "search", "info", "eval", "demo", "bench", "bench encode", "bench query"]
)
def test_examples_in_help_keep_their_lines(arguments: str) -> None:
    shown = CliRunner().invoke(main, [*arguments.split(), "--help"]).output
    assert "\\b" not in shown
    if "Example:" in shown:
        assert re.search(r"Example:\n +(jina-v3|cat|echo|printf) ", shown)
