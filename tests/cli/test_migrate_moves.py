"""What is kept of a move's model, and what a later command makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jina_v3_connectors.cli.migrate_moves import model_name, options_of, remembered
from jina_v3_connectors.cli.options import ModelChoice
from jina_v3_connectors.migration.records import FieldNames
from jina_v3_connectors.migration.spec import MigrationSpec, ModelName, MoveSettings
from jina_v3_encoder.errors import InvalidInput


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        (ModelChoice(), ModelName("nano")),
        (ModelChoice("jinaai/jina-embeddings-v3", "main"), ModelName("jinaai/jina-embeddings-v3", "main")),
        (ModelChoice(quantize="int8", device="cpu"), ModelName("nano", quantize="int8")),
        (ModelChoice(url="http://host:8080#nano"), ModelName(server="http://host:8080#nano")),
        (ModelChoice(url="http://me:secret@host:8080"), ModelName(server="http://***@host:8080")),
    ],
    ids=["default", "hub", "int8", "server", "password"],
)
def test_what_is_kept(choice: ModelChoice, kept: ModelName) -> None:
    assert model_name(choice) == kept


def test_a_folder_is_kept_with_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    assert model_name(ModelChoice("weights")) == ModelName(str(tmp_path / "weights"))


def test_a_later_command_has_the_same_model_on_its_own_device() -> None:
    name = ModelName("nano", quantize="int8")
    assert remembered(ModelChoice(device="cpu", threads=2), name) == ModelChoice(
        "nano", quantize="int8", device="cpu", threads=2
    )
    assert remembered(ModelChoice("other"), name) == ModelChoice("other")
    assert remembered(ModelChoice(), ModelName(server="http://host")) == ModelChoice(url="http://host")
    assert remembered(ModelChoice(), ModelName()) == ModelChoice()


def test_a_password_is_asked_for_again() -> None:
    with pytest.raises(InvalidInput, match="kept without its password: give --encoder once more"):
        remembered(ModelChoice(), ModelName(server="http://***@host:8080"))


def test_a_move_as_options() -> None:
    fields = FieldNames(text="the body", metadata=("a", "b"))
    settings = MoveSettings(256, "blend", rechunk_tokens=200)
    spec = MigrationSpec("qdrant:a", "x", "qdrant:b", "y", fields, settings, ModelName("nano"))
    assert options_of(spec) == (
        "--model nano --dimensions 256 --rechunk 200 --text-field 'the body' --metadata-fields a,b --blend"
    )
