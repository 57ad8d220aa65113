"""`EmbeddingContract`: how a collection was filled, kept with it and checked on every open, write and search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, get_args, get_type_hints

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import Task
from jina_v3_encoder.texts.blend import Blend, blend_of
from jina_v3_encoder.texts.late_chunking import resolve_window

from .errors import ContractMismatch, StoreError

SCHEMA_VERSION = 2
METRIC = "cosine"
INFORMATIVE = frozenset({"model", "revision", "collection_id"})
"""Fields that may differ. A moved folder keeps its fingerprint, and each collection has its own id."""


@dataclass(frozen=True)
class EmbeddingContract:
    """Everything that must agree for two vectors to be comparable. Tasks are task names, sizes are in tokens.

    `collection_id` is random for each new collection, so that it never uses the journal of a deleted one with its name.
    """

    model: str
    revision: str | None
    fingerprint: str
    dimensions: int
    chunker: str
    late_chunking: bool | str = False
    """A str is a blend with its weights."""
    window: int | None = None
    overlap: int | None = None
    passage_task: str | None = Task.RETRIEVAL_PASSAGE.value
    query_task: str | None = Task.RETRIEVAL_QUERY.value
    prompts: bool = True
    normalized: bool = True
    output_type: str = "float32"
    schema_version: int = SCHEMA_VERSION
    collection_id: str = ""

    @property
    def reading(self) -> bool | Blend:
        """How chunks are read, a blend with its weights."""
        return Blend.read(self.late_chunking) if isinstance(self.late_chunking, str) else self.late_chunking

    @property
    def blend(self) -> Blend | None:
        """The weights, where chunks are read alone and inside their document."""
        return blend_of(self.reading)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], collection: str) -> EmbeddingContract:
        """Read back what `to_dict` wrote.

        Raises:
            StoreError: fields are missing, unknown, or of another type, as in a store written by a newer version.
        """
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            odd = ", ".join(sorted(names.symmetric_difference(values)))
            raise StoreError(
                f"collection {collection!r} has a contract this version cannot read (differs in: {odd}); "
                "it was damaged or written by another version of jina-v3-connectors"
            )
        for name, kind in get_type_hints(cls).items():
            if type(values[name]) not in (get_args(kind) or (kind,)):
                raise StoreError(
                    f"collection {collection!r} has a contract this version cannot read: its {name} is "
                    f"{values[name]!r:.100}; it was damaged or written by another version of jina-v3-connectors"
                )
        contract = cls(**values)
        try:
            _ = contract.blend
        except InvalidInput as error:
            raise StoreError(f"collection {collection!r} has a contract this version cannot read: {error}") from error
        if contract.overlap is not None and contract.window is not None and contract.overlap >= contract.window:
            # The first versions let this be. No document past the window could be stored, so no vector depends on it.
            return replace(contract, overlap=resolve_window(contract.window, None, contract.window).overlap)
        return contract

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, collection: str) -> EmbeddingContract:
        """Read back what `to_json` wrote.

        Raises:
            StoreError: it is damaged, or of another version.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise StoreError(f"the contract of collection {collection!r} is damaged: {error}") from error
        return cls.from_dict(values if isinstance(values, Mapping) else {}, collection)

    def deciding(self) -> dict[str, Any]:
        """The fields that decide vectors."""
        return {name: value for name, value in asdict(self).items() if name not in INFORMATIVE}

    def check(self, other: EmbeddingContract, collection: str) -> None:
        """Compare the stored contract (self) with the one in use.

        Raises:
            ContractMismatch: any field that decides vectors differs.
        """
        theirs = other.deciding()
        ours = self.deciding()
        differences = {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}
        if differences:
            raise ContractMismatch(collection, differences)


def check_vector(collection: str, dimensions: int, metric: str, contract: EmbeddingContract) -> None:
    """Check a collection without a contract, as far as possible, before it is adopted.

    Raises:
        ContractMismatch: its vectors have another size, or are not compared by cosine.
    """
    pairs = {"dimensions": (dimensions, contract.dimensions), "metric": (metric.lower(), METRIC)}
    differences = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if differences:
        raise ContractMismatch(collection, differences)
