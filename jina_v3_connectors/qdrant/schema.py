"""Files beside the shard in an embedded collection's folder: contract, layout, journal. And aliases of folders."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jina_v3_encoder.json_file import is_special

from ..contract import EmbeddingContract
from ..errors import ContractMissing, StoreError
from ..store import Stored
from .layout import QdrantLayout

SHARD_FOLDER = "shard"
CONTRACT_FILE = "collection.json"
JOURNAL_FILE = "journal.sqlite"
ALIAS_SUFFIX = ".alias"


def read_folder(folder: Path) -> Stored | None:
    """Read contract and layout from a collection's folder. None if there is no collection.

    Raises:
        ContractMissing: there is data without a contract.
        StoreError: the contract or the layout cannot be read.
    """
    values = _read(folder)
    if values is None:
        return None
    contract = EmbeddingContract.from_dict(values["contract"], folder.name)
    return Stored(contract, QdrantLayout.from_dict(values["layout"], folder.name))


def write_folder(folder: Path, contract: EmbeddingContract, layout: QdrantLayout) -> None:
    """Write both. A crash leaves all of it or nothing."""
    values = {"contract": contract.to_dict(), "layout": layout.to_dict()}
    _write(folder / CONTRACT_FILE, json.dumps(values, indent=2))


def shard_config(folder: Path) -> dict[str, Any]:
    """What the engine's own file says of the shard: vectors, sparse vectors, quantization."""
    return dict(json.loads((folder / SHARD_FOLDER / "edge_config.json").read_text(encoding="utf-8")))


def shard_vectors(folder: Path) -> dict[str, tuple[int, str]]:
    """(size, metric) of the shard's dense vectors, by name."""
    vectors = shard_config(folder)["vectors"].items()
    return {
        name: (vector["size"], str(vector["distance"]).lower())
        for name, vector in vectors
        if not vector.get("multivector_config")
    }


def named_folder(path: Path, name: str) -> Path:
    """The folder of a collection, or of the collection that an alias names.

    Raises:
        StoreError: the alias cannot be read.
    """
    alias = path / f"{name}{ALIAS_SUFFIX}"
    if is_special(alias):
        raise StoreError(f"{alias} is no regular file: this is no alias")
    try:
        target = alias.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return path / name
    except (OSError, ValueError) as error:
        raise StoreError(f"alias {name!r} in {path} cannot be read: {error}") from error
    if not target or Path(target).name != target:
        raise StoreError(f"alias {name!r} in {path} is damaged: it names {target!r:.200}; set it again")
    return path / target


def write_alias(path: Path, alias: str, collection: str) -> None:
    """Let `alias` name a collection. Other processes see the old one or the new one, nothing in between.

    Raises:
        StoreError: a collection itself has this name.
    """
    if (path / alias).exists():
        raise StoreError(f"{path / alias} is a collection, so {alias!r} cannot be an alias")
    _write(path / f"{alias}{ALIAS_SUFFIX}", collection)


def _read(folder: Path) -> Mapping[str, Any] | None:
    path = folder / CONTRACT_FILE
    if is_special(path):
        raise StoreError(f"{path} is no regular file, so this is no collection")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (folder / SHARD_FOLDER).exists():
            raise ContractMissing(str(folder)) from None
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict) or not all(isinstance(values.get(key), dict) for key in ("contract", "layout")):
        raise StoreError(f"{path} is damaged, or of another version: expected an object with contract and layout")
    return values


def _write(path: Path, content: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
