from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jina_v3_connectors.cli import main
from jina_v3_connectors.cli.options import MODEL_VARIABLE
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.task import TASK_NAMES


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, ["info", *arguments])


def values(*arguments: str, **environment: str) -> Any:
    result = run("--json", *arguments, **environment)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_bundled_model_is_the_default(nano: Encoder) -> None:
    info = values()
    assert (info["model"], info["dimensions"], info["max_tokens"]) == ("nano", 384, 8192)
    assert info["late_chunking_window"] == 1024
    assert info["fingerprint"] == nano.fingerprint
    assert info["matryoshka_dimensions"] == "32, 64, 128, 256, 384"


def test_the_licence_of_the_weights(original_folder: Path) -> None:
    assert values()["licence"] == "CC BY-SA 4.0"
    assert values("--model", str(original_folder))["licence"].startswith("not known here")
    assert "CC BY-SA 4.0" in run().stdout


def test_tasks_are_shown_with_their_prompts() -> None:
    tasks = values()["tasks"]
    assert [task.partition(":")[0] for task in tasks] == list(TASK_NAMES)
    assert any("Represent the query" in task for task in tasks)
    assert "separation: no prompt" in tasks


def test_a_folder_and_a_dtype(original_folder: Path) -> None:
    info = values("--model", str(original_folder), "--dtype", "float32", "--device", "cpu")
    assert (info["model"], info["dtype"], info["device"]) == (str(original_folder), "float32", "cpu")


def test_the_model_from_the_environment(original_folder: Path) -> None:
    assert values(**{MODEL_VARIABLE: str(original_folder)})["model"] == str(original_folder)
    assert values("--model", "nano", **{MODEL_VARIABLE: str(original_folder)})["model"] == "nano", "the option wins"


def test_the_table_says_the_same() -> None:
    result = run()
    assert result.exit_code == 0
    for text in ("nano", "384", "8192", "fingerprint", "threads", "text-matching"):
        assert text in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "./nowhere"], "nowhere"),
        (["--dtype", "int3"], "int3"),
        (["--device", "tpu"], "tpu"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert "Traceback" not in result.output
