"""Each measurement is one command with a help that teaches, and prints a table, JSON or a plot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from benchmarks import attack, chunk, export, hybrid, ingest, late, order, serve, tasks

SMALL = ["--layers", "1", "--vocabulary", "2000", "--runs", "1", "--threads", "1"]
ROOT = Path(__file__).parents[2]
COMMANDS = {
    module.__name__: module.command for module in (attack, chunk, export, hybrid, ingest, late, order, serve, tasks)
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_how_each_is_run(name: str) -> None:
    shown = CliRunner().invoke(COMMANDS[name], ["-h"]).output
    assert "\\b" not in shown
    assert f"Example:\n    python -m {name}" in shown


def test_a_measurement_is_started_from_the_checkout() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.tasks", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "Usage: python -m benchmarks.tasks" in done.stdout


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (late.command, ["--documents", "1", "--corpus", "long"]),
        (tasks.command, ["--texts", "5", "--corpus", "short", "--dtype", "float32"]),
    ],
    ids=["late", "tasks"],
)
def test_they_print_tables_json_and_plots(command: click.Command, arguments: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "plot.png"
    shown = CliRunner().invoke(command, [*arguments, *SMALL, "--plot", str(picture)])
    assert shown.exit_code == 0, shown.output
    assert "medians of 1 rounds" in " ".join(shown.stdout.split())
    assert picture.read_bytes().startswith(b"\x89PNG")
    done = CliRunner().invoke(command, [*arguments, *SMALL, "--json"])
    values: dict[str, Any] = json.loads(done.stdout)
    assert (values["layers"], values["threads"], values["vocabulary"]) == (1, 1, 2000)
    assert all(row["seconds"][0] > 0 for row in values["rows"])


def test_errors_are_one_line() -> None:
    result = CliRunner().invoke(ingest.command, ["--model", "./no-such-folder"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "no-such-folder" in result.stderr
