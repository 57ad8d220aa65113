"""`QdrantLayout`: how a new collection is stored. It changes speed and size, not the vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.vectors import FloatArray, finish

from ..errors import StoreError

Datatype = Literal["float32", "float16"]
Quantization = Literal["scalar", "binary", "turbo"]
IndexKind = Literal["keyword", "integer", "float", "bool", "datetime", "text", "uuid"]
VECTOR = "dense"
WORDS = "words"
OVERSAMPLING = 8
"""Each stage of the funnel keeps this many times what the next one needs."""
LEAST_KEPT = 64
OVERSAMPLED = 3.0
"""Quantised vectors preselect this many times the limit. The stored vectors then score these."""


@dataclass(frozen=True)
class QdrantLayout:
    """How a collection is stored.

    Raises:
        InvalidInput: an unknown name, or slices that do not grow.
    """

    slices: tuple[int, ...] = ()
    """Sizes of Matryoshka slices that are stored as named vectors of their own, smallest first. A search then goes
    through a funnel: the smallest slice preselects, larger ones and at last the full vector score what is left."""
    datatype: Datatype = "float32"
    quantization: Quantization | None = None
    """"scalar": int8, 4 times smaller. "binary": 1 bit, 32 times, for 512 dimensions and more. "turbo": 4 bits, 8
    times. Searches rescore with the stored vectors."""
    on_disk: bool = False
    """Vectors and payloads stay on disk; quantised copies in memory."""
    hybrid: bool = False
    """Store BM25 word weights beside the vectors, for `search(hybrid=True)`."""
    indexes: Mapping[str, IndexKind] = field(default_factory=dict)
    """Metadata fields that filters name often, with their type."""
    vector: str = VECTOR
    """The name of the vector that is searched. Another one after a move in place."""

    def __post_init__(self) -> None:
        for name, kind in (("on_disk", bool), ("hybrid", bool), ("indexes", Mapping)):
            if not isinstance(getattr(self, name), kind):
                raise InvalidInput(f"{name} must be a {kind.__name__.lower()}, got {getattr(self, name)!r:.100}")
        for name, value, known in (
            ("datatype", self.datatype, get_args(Datatype)),
            ("quantization", self.quantization, (None, *get_args(Quantization))),
            *((f"index of {key!r}", kind, get_args(IndexKind)) for key, kind in self.indexes.items()),
        ):
            if value not in known:
                raise InvalidInput(f"unknown {name} {value!r}: use one of {', '.join(map(str, known))}")
        sizes = list(self.slices)
        if any(not isinstance(size, int) or size < 1 for size in sizes) or sizes != sorted(set(sizes)):
            raise InvalidInput(f"slices must be whole numbers above 0 that grow, got {self.slices!r}")
        object.__setattr__(self, "slices", tuple(sizes))

    def check(self, dimensions: int) -> None:
        """Raises InvalidInput where a slice is not smaller than the vector, or the vector has another name."""
        if self.vector != VECTOR:
            raise InvalidInput(f"the vector of a new collection is called {VECTOR!r}, got {self.vector!r}")
        if self.slices and self.slices[-1] >= dimensions:
            raise InvalidInput(f"slices must be smaller than the vectors' {dimensions} dimensions, got {self.slices}")

    def vectors(self, full: FloatArray) -> dict[str, FloatArray]:
        """The named vectors of rows (n, dimensions): slices are renormalised in float32."""
        slices = {slice_name(size): finish(full[:, :size].copy(), normalize=True) for size in self.slices}
        return {self.vector: full, **slices}

    def funnel(self, limit: int) -> list[tuple[str, int]]:
        """(vector, how many to keep) of each stage before the last, the smallest slice first."""
        kept = max(limit * OVERSAMPLING, LEAST_KEPT)
        stages = []
        for size in reversed(self.slices):
            stages.append((slice_name(size), kept))
            kept *= OVERSAMPLING
        return stages[::-1]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "slices": list(self.slices), "indexes": dict(self.indexes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], collection: str) -> QdrantLayout:
        """Read back what `to_dict` wrote.

        Raises:
            StoreError: it was written by another version, or damaged.
        """
        try:
            return cls(**{**values, "slices": tuple(values.get("slices", ()))})
        except (AttributeError, TypeError, InvalidInput) as error:
            raise StoreError(f"collection {collection!r} has a layout this version cannot read: {error}") from error


def layout_of(config: Mapping[str, Any], wanted: QdrantLayout) -> QdrantLayout:
    """The layout of a collection that does not name it, as its configuration shows it; the indexes are those wanted.

    `config` has the vectors, sparse vectors and quantization in the form of Qdrant's own JSON.
    """
    vectors = config.get("vectors") or {}
    dense = vectors[VECTOR]
    datatype: Any = dense.get("datatype") or "float32"
    quantizations = config.get("quantization_config") or dense.get("quantization_config") or {}
    return QdrantLayout(
        slices=tuple(sorted(vector["size"] for name, vector in vectors.items() if name == slice_name(vector["size"]))),
        datatype=datatype if datatype in get_args(Datatype) else "float32",
        quantization=next((name for name in get_args(Quantization) if quantizations.get(name)), None),
        on_disk=bool(dense.get("on_disk")) or dense.get("memory") == "cold",
        hybrid=WORDS in (config.get("sparse_vectors") or {}),
        indexes=wanted.indexes,
    )


def slice_name(size: int) -> str:
    return f"{VECTOR}_{size}"
