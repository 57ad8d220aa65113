"""What several commands share: which encoder is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from jina_v3_connectors.cli.options import (
    DEFAULT_MODEL,
    ModelChoice,
    as_task_name,
    encoder_options,
    model_options,
    task_option,
)
from jina_v3_connectors.shared_encoders import tokenizer_of
from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput, RemoteError
from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.testing import FakeEncoder

PLAIN = ModelChoice(None, None, "auto", "auto", None)


def asked(arguments: list[str], decorate: Any = encoder_options, **environment: str) -> ModelChoice:
    choices: list[ModelChoice] = []

    def keep(choice: ModelChoice) -> None:
        choices.append(choice)

    result = CliRunner().invoke(click.command()(decorate(keep)), arguments, env=environment, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return choices[0]


def test_nothing_said_is_the_default() -> None:
    assert asked([]) == PLAIN


def test_every_option_arrives() -> None:
    arguments = [
        "--model",
        "m",
        "--revision",
        "r",
        "--device",
        "cpu",
        "--dtype",
        "float32",
        "--quantize",
        "int8",
        "--threads",
        "3",
    ]
    assert asked([*arguments, "--encoder", "http://h"]) == ModelChoice(
        "m", "r", "cpu", "float32", "int8", 3, "http://h"
    )
    assert asked(arguments, model_options) == ModelChoice("m", "r", "cpu", "float32", "int8", 3)


def test_the_environment_names_model_and_server() -> None:
    choice = asked([], JINA_V3_MODEL="some/model", JINA_V3_ENCODER="http://host:1")
    assert (choice.model, choice.url) == ("some/model", "http://host:1")


@pytest.mark.parametrize("arguments", [["--quantize", "int4"], ["--nothing"]])
def test_what_is_no_option(arguments: list[str]) -> None:
    @click.command()
    @model_options
    def command(choice: ModelChoice) -> None:
        raise AssertionError(choice)

    assert CliRunner().invoke(command, arguments).exit_code == 2


def test_the_same_encoder_for_another_process() -> None:
    given = ModelChoice("m", "r", "cpu", "float32", "int8", 3)
    assert asked(given.arguments(), model_options) == given
    assert asked(PLAIN.arguments(), model_options).model == DEFAULT_MODEL


def test_loading_takes_the_callers_model_where_none_was_asked_for(original_folder: Path, hf_folder: Path) -> None:
    encoder = ModelChoice(str(original_folder), None, "cpu", "float32", None).load(str(hf_folder))
    assert encoder.model_id == str(original_folder)
    other = ModelChoice(None, None, "cpu", "float32", None).text_encoder(str(hf_folder))
    assert other.model_id == str(hf_folder)


def test_a_server_and_a_model_exclude_each_other() -> None:
    with pytest.raises(InvalidInput, match="--encoder or --model, not both"):
        ModelChoice("m", None, "auto", "auto", None, url="http://127.0.0.1:9").text_encoder()


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:9"):
        ModelChoice(None, None, "auto", "auto", None, url="http://127.0.0.1:9").text_encoder()


@pytest.mark.parametrize("task", [*TASK_NAMES, "none"])
def test_tasks_by_name(task: str) -> None:
    @click.command()
    @task_option("separation")
    def command(task: str) -> None:
        click.echo(json.dumps(as_task_name(task)))

    assert json.loads(CliRunner().invoke(command, ["--task", task]).stdout) == (None if task == "none" else task)
    assert json.loads(CliRunner().invoke(command, []).stdout) == "separation"
    assert CliRunner().invoke(command, ["--task", "retrieval"]).exit_code == 2


def test_chunks_are_measured_by_the_encoders_own_tokenizer(encoder: Encoder) -> None:
    assert tokenizer_of(encoder) == encoder.tokenizer_file
    assert tokenizer_of(FakeEncoder()) == find_checkpoint(DEFAULT_MODEL).tokenizer_file
