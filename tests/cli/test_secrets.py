"""Keys and passwords from a folder, as containers get them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from jina_v3_connectors.cli import main
from jina_v3_connectors.cli.secrets import FOLDER_VARIABLE, NAMES, read_secrets


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def test_a_file_sets_the_variable_of_its_name(folder: Path) -> None:
    (folder / "JINA_V3_SERVER_KEYS").write_text("one\ntwo\n")
    (folder / "PGPASSWORD").write_text("with a space\n")
    read_secrets()
    assert os.environ["JINA_V3_SERVER_KEYS"] == "one,two"
    assert os.environ["PGPASSWORD"] == "with a space"
    assert os.environ["JINA_V3_API_KEY"] == ""


def test_a_variable_that_is_set_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "mine")
    (folder / "PGPASSWORD").write_text("other\n")
    read_secrets()
    assert os.environ["PGPASSWORD"] == "mine"


def test_other_files_set_nothing(folder: Path) -> None:
    (folder / "PATH_OF_SOMETHING").write_text("value")
    read_secrets()
    assert "PATH_OF_SOMETHING" not in os.environ


def test_a_folder_that_is_not_there_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder / "none"))
    result = CliRunner().invoke(main, ["info"])
    assert result.exit_code == 1
    assert f"${FOLDER_VARIABLE}={folder / 'none'} is no folder" in result.output


def test_a_file_that_is_no_text_is_named_and_not_shown(folder: Path) -> None:
    (folder / "PGPASSWORD").write_bytes(b"secret\xff")
    result = CliRunner().invoke(main, ["info"])
    assert result.exit_code == 1
    assert f"{folder / 'PGPASSWORD'} cannot be read: it is no text in UTF-8" in result.output
    assert "secret\\xff" not in result.output
