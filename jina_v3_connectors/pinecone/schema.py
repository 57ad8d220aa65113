"""How an index is made, and the contract as its tags. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jina_v3_encoder.errors import InvalidInput

from ..contract import EmbeddingContract
from ..errors import StoreError

IndexKind = Literal["documents", "vectors"]
VECTOR = "embedding"
RESERVED_VECTOR = "_values"
"""The name of a vector index's vector in its description."""
DEFAULT_NAMESPACE = "__default__"
TAG = "jina_v3-"
WRITER_TAG = "jina_v3_writer"
"""The writer's tag. It is not part of the contract."""
TAG_CHARACTERS = 120
MAX_TAGS = 19
"""An index has 20; one is the writer's."""


@dataclass(frozen=True)
class PineconeLayout:
    """Which of the two interfaces an index has."""

    kind: IndexKind

    @property
    def hybrid(self) -> bool:
        return False


def stored_layout(index: Any) -> PineconeLayout:
    """The layout in what `indexes.describe` returns."""
    return PineconeLayout("vectors" if RESERVED_VECTOR in index.schema.fields else "documents")


def to_tags(contract: EmbeddingContract) -> dict[str, str]:
    """A tag for each field, as ASCII JSON. A value over 120 characters continues in tags numbered from 2.

    Raises:
        InvalidInput: it needs more tags than an index has for it.
    """
    tags: dict[str, str] = {}
    for name, value in contract.to_dict().items():
        text = json.dumps(value)
        pieces = [text[start : start + TAG_CHARACTERS] for start in range(0, len(text), TAG_CHARACTERS)]
        tags |= {f"{TAG}{name}" + (f"-{n}" if n > 1 else ""): piece for n, piece in enumerate(pieces, 1)}
    if len(tags) > MAX_TAGS:
        longest = max(contract.to_dict().items(), key=lambda entry: len(json.dumps(entry[1])))[0]
        raise InvalidInput(
            f"the contract needs {len(tags)} tags of {TAG_CHARACTERS} characters, it may have {MAX_TAGS} at most: "
            f"shorten {longest!r}, for a model by loading it from a shorter path"
        )
    return tags


def from_tags(tags: Mapping[str, str], index: str) -> EmbeddingContract | None:
    """Read back what `to_tags` wrote, None where there is nothing of it.

    Raises:
        StoreError: it is damaged, or of another version.
    """
    pieces: dict[str, dict[int, str]] = {}
    for key, piece in tags.items():
        if key.startswith(TAG):
            name, _, number = key.removeprefix(TAG).partition("-")
            pieces.setdefault(name, {})[int(number) if number.isdecimal() else 1] = piece
    if not pieces:
        return None
    try:
        values = {name: json.loads("".join(parts[n] for n in sorted(parts))) for name, parts in pieces.items()}
    except ValueError as error:
        raise StoreError(f"the tags of index {index!r} are damaged: {error}") from error
    return EmbeddingContract.from_dict(values, index)


def index_arguments(contract: EmbeddingContract, kind: IndexKind, cloud: str, region: str) -> dict[str, Any]:
    """Arguments of `indexes.create`, name and timeout aside."""
    tags = to_tags(contract)
    if kind == "vectors":
        spec = {"serverless": {"cloud": cloud, "region": region}}
        return {"dimension": contract.dimensions, "metric": "cosine", "spec": spec, "tags": tags}
    field = {"type": "dense_vector", "dimension": contract.dimensions, "metric": "cosine"}
    deployment = {"deployment_type": "managed", "cloud": cloud, "region": region}
    return {"schema": {"fields": {VECTOR: field}}, "deployment": deployment, "tags": tags}
