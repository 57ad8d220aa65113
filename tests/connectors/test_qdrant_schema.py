"""The contract beside the shard: written whole or not at all, and never read wrongly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jina_v3_connectors import EmbeddingContract, StoreError
from jina_v3_connectors.qdrant.convert import VECTOR
from jina_v3_connectors.qdrant.schema import (
    CONTRACT_FILE,
    SHARD_FOLDER,
    edge_config,
    read_contract,
    write_contract,
)

CONTRACT = EmbeddingContract("nano", None, "0123456789abcdef", 256, "sentences", late_chunking=True, window=512)


def test_round_trip(tmp_path: Path) -> None:
    write_contract(tmp_path, CONTRACT)
    assert read_contract(tmp_path) == CONTRACT
    assert [path.name for path in tmp_path.iterdir()] == [CONTRACT_FILE], "no partial file is left"


def test_writing_again_replaces(tmp_path: Path) -> None:
    write_contract(tmp_path, CONTRACT)
    write_contract(tmp_path, replace(CONTRACT, dimensions=128))
    found = read_contract(tmp_path)
    assert found is not None
    assert found.dimensions == 128


def test_a_leftover_of_a_crash_is_not_read(tmp_path: Path) -> None:
    (tmp_path / f"{CONTRACT_FILE}.partial").write_text("{")
    assert read_contract(tmp_path) is None
    write_contract(tmp_path, CONTRACT)
    assert read_contract(tmp_path) == CONTRACT


def test_an_empty_folder_has_no_contract(tmp_path: Path) -> None:
    assert read_contract(tmp_path) is None
    assert read_contract(tmp_path / "absent") is None


def test_vectors_without_a_contract_are_refused(tmp_path: Path) -> None:
    (tmp_path / SHARD_FOLDER).mkdir()
    with pytest.raises(StoreError, match=f"holds vectors but no {CONTRACT_FILE}"):
        read_contract(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "holds list, expected a JSON object"),
        ("{}", "this version cannot read"),
        (json.dumps(CONTRACT.to_dict() | {"new_field": 1}), "differs in: new_field"),
    ],
)
def test_damaged_contracts(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / CONTRACT_FILE).write_text(content)
    with pytest.raises(StoreError, match=message):
        read_contract(tmp_path)


@pytest.mark.parametrize("dimensions", [1, 32, 1024])
def test_the_shard_has_the_contracts_size(dimensions: int) -> None:
    config = edge_config(replace(CONTRACT, dimensions=dimensions))
    assert VECTOR in repr(config)
    assert str(dimensions) in repr(config)
    assert "Cosine" in repr(config)
