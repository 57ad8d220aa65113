"""How a collection lies in its folder: the shard, with the contract and the journal beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from qdrant_edge import Distance, EdgeConfig, EdgeVectorParams

from ..contract import EmbeddingContract
from ..errors import StoreError
from .convert import VECTOR

SHARD_FOLDER = "shard"
CONTRACT_FILE = "collection.json"
JOURNAL_FILE = "journal.sqlite"


def edge_config(contract: EmbeddingContract) -> EdgeConfig:
    """One cosine vector of the contract's size."""
    return EdgeConfig(vectors={VECTOR: EdgeVectorParams(size=contract.dimensions, distance=Distance.Cosine)})


def read_contract(folder: Path) -> EmbeddingContract | None:
    """The contract in a collection's folder, None where there is none.

    Raises:
        StoreError: there is data without a contract, or the contract cannot be read.
    """
    path = folder / CONTRACT_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (folder / SHARD_FOLDER).exists():
            raise StoreError(
                f"{folder} holds vectors but no {CONTRACT_FILE}, so nothing says which model made them; "
                "restore the file, or ingest into a new collection"
            ) from None
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise StoreError(f"{path} holds {type(values).__name__}, expected a JSON object")
    return EmbeddingContract.from_dict(values, folder.name)


def write_contract(folder: Path, contract: EmbeddingContract) -> None:
    """Write the contract so that a crash leaves either all of it or none."""
    partial = folder / f"{CONTRACT_FILE}.partial"
    with partial.open("w", encoding="utf-8") as file:
        json.dump(contract.to_dict(), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / CONTRACT_FILE)
