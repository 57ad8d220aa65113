"""The contract beside the shard: written whole or not at all, and never read wrongly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors import EmbeddingContract, StoreError
from jina_v3_connectors.qdrant import QdrantLayout
from jina_v3_connectors.qdrant.schema import (
    CONTRACT_FILE,
    SHARD_FOLDER,
    named_folder,
    read_folder,
    write_alias,
    write_folder,
)
from jina_v3_connectors.store import Stored

CONTRACT = EmbeddingContract("nano", None, "0123456789abcdef", 256, "sentences", late_chunking=True, window=512)
LAYOUT = QdrantLayout(slices=(32, 64), quantization="scalar", hybrid=True, indexes={"year": "integer"})
STORED = Stored(CONTRACT, LAYOUT)


def stored(**parts: Any) -> str:
    return json.dumps({"contract": CONTRACT.to_dict(), "layout": LAYOUT.to_dict()} | parts)


def test_round_trip(tmp_path: Path) -> None:
    write_folder(tmp_path, CONTRACT, LAYOUT)
    assert read_folder(tmp_path) == STORED
    assert [path.name for path in tmp_path.iterdir()] == [CONTRACT_FILE], "no partial file is left"


def test_writing_again_replaces(tmp_path: Path) -> None:
    write_folder(tmp_path, CONTRACT, LAYOUT)
    write_folder(tmp_path, replace(CONTRACT, dimensions=128), LAYOUT)
    assert read_folder(tmp_path) == Stored(replace(CONTRACT, dimensions=128), LAYOUT)


def test_a_leftover_of_a_crash_is_not_read(tmp_path: Path) -> None:
    (tmp_path / f"{CONTRACT_FILE}.partial").write_text("{")
    assert read_folder(tmp_path) is None
    write_folder(tmp_path, CONTRACT, LAYOUT)
    assert read_folder(tmp_path) == STORED


def test_an_empty_folder_has_no_contract(tmp_path: Path) -> None:
    assert read_folder(tmp_path) is None
    assert read_folder(tmp_path / "absent") is None


def test_vectors_without_a_contract_are_refused(tmp_path: Path) -> None:
    (tmp_path / SHARD_FOLDER).mkdir()
    with pytest.raises(StoreError, match="does not say which model made its vectors"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "expected an object with contract and layout"),
        ("{}", "expected an object with contract and layout"),
        (stored(contract=CONTRACT.to_dict() | {"new_field": 1}), "differs in: new_field"),
        (stored(contract={}), "this version cannot read"),
    ],
)
def test_damaged_contracts(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / CONTRACT_FILE).write_text(content)
    with pytest.raises(StoreError, match=message):
        read_folder(tmp_path)


@pytest.mark.parametrize("layout", [{"shape": "round"}, {"datatype": "float8"}, {"slices": [64, 32]}])
def test_damaged_layouts(tmp_path: Path, layout: dict[str, Any]) -> None:
    (tmp_path / CONTRACT_FILE).write_text(stored(layout=layout))
    with pytest.raises(StoreError, match="has a layout this version cannot read"):
        read_folder(tmp_path)


def test_an_alias_names_a_folder(tmp_path: Path) -> None:
    assert named_folder(tmp_path, "live") == tmp_path / "live"
    write_alias(tmp_path, "live", "first")
    assert named_folder(tmp_path, "live") == tmp_path / "first"
    write_alias(tmp_path, "live", "second")
    assert named_folder(tmp_path, "live") == tmp_path / "second"
    (tmp_path / "second").mkdir()
    with pytest.raises(StoreError, match="is a collection"):
        write_alias(tmp_path, "second", "first")


@pytest.mark.parametrize("content", ["", "../outside", "/etc", "a/b"])
def test_an_alias_cannot_leave_its_folder(tmp_path: Path, content: str) -> None:
    (tmp_path / "live.alias").write_text(content)
    with pytest.raises(StoreError, match="is damaged"):
        named_folder(tmp_path, "live")
