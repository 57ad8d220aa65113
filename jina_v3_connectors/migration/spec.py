"""What is moved where: the settings of a migration, as they are kept from one command to the next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

from jina_v3_encoder.config import Quantization
from jina_v3_encoder.texts.blend import BLEND, Blend, LateChunking, as_late_chunking

from ..backends import shown_url
from ..chunking.names import DEFAULT_CHUNKER
from .records import RECOGNISED, FieldNames
from .sources.open import is_export

USER = re.compile(r"^([a-z+]+://)[\w.-]+@(?=[^@]*$)")
"""A user without a password."""


@dataclass(frozen=True)
class MoveSettings:
    """How the new collection is made. None means the default of a connector."""

    dimensions: int | None = None
    late_chunking: LateChunking | str | None = None
    """A blend is kept as text with its weights, as contracts have it."""
    window: int | None = None
    overlap: int | None = None
    rechunk_tokens: int | None = None
    """Cut whole documents anew into chunks of at most so many tokens. None keeps the chunks as they are."""
    chunker: str | None = None
    """The name of the chunker that cuts them anew, None for the usual one."""
    min_chunk_tokens: int | None = None
    chunk_overlap: int | None = None
    chunk_sentences: int | None = None
    """How it cuts; see `ChunkerOptions`."""
    llm: str | None = None
    """The address of the language model that it asks. It is kept without a password."""
    llm_model: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.reading, Blend):
            object.__setattr__(self, "late_chunking", str(self.reading))

    @property
    def reading(self) -> bool | Blend | None:
        """How chunks are read, a blend with its weights.

        Raises:
            InvalidInput: `late_chunking` is no reading.
        """
        late = self.late_chunking
        if late is None:
            return None
        return Blend.read(late) if isinstance(late, str) and late != BLEND else as_late_chunking(late)


_T = TypeVar("_T", FieldNames, MoveSettings)
OF_CHUNKER = ("chunker", "min_chunk_tokens", "chunk_overlap", "chunk_sentences", "llm", "llm_model")
"""Settings that say how documents are cut anew."""
DECIDED = ("dimensions", "late_chunking", "window", "overlap")
"""Settings that the new collection's contract decides, where the move was begun with their defaults."""


@dataclass(frozen=True)
class ModelName:
    """The new model, as a run named it. None where it did not, or where it was an encoder in memory."""

    model: str | None = None
    revision: str | None = None
    quantize: Quantization | None = None
    server: str | None = None
    """A server of vectors in place of a model, without its password."""


NAMELESS = ModelName()
DEFAULTS = MoveSettings()


@dataclass(frozen=True)
class MigrationSpec:
    """URLs are kept without passwords."""

    source: str
    """URL of the old collection's store, or of a JSONL export."""
    source_collection: str
    target: str
    target_collection: str
    fields: FieldNames = RECOGNISED
    """Of the old collection."""
    settings: MoveSettings = DEFAULTS
    model: ModelName = NAMELESS
    in_place: bool = False
    """The new vectors stand beside the old ones. `target_collection` names both, with a point between."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MigrationSpec:
        """Read back what `dataclasses.asdict` gave.

        Raises:
            TypeError, KeyError: unknown or missing fields.
        """
        names = dict(values["fields"])
        if names["metadata"] is not None:
            names["metadata"] = tuple(names["metadata"])
        parts = {
            "fields": FieldNames(**names),
            "settings": MoveSettings(**values["settings"]),
            "model": ModelName(**values.get("model", {})),
        }
        return cls(**{**values, **parts})

    def differences(self, now: MigrationSpec) -> list[str]:
        """What `now` contradicts, a line each: this one's value, then its own. What it leaves out contradicts nothing.

        The model is not compared: it may have another name today, and the contract knows it by its fingerprint.
        """
        mine, theirs = _flat(self), _flat(now)
        if self.settings.rechunk_tokens is not None:
            mine["chunker"] = mine["chunker"] or DEFAULT_CHUNKER
        return [
            f"{name}: begun with {value!r}, now {theirs[name]!r}"
            for name, value in mine.items()
            if theirs[name] not in (None, value) and not (value is None and name in DECIDED)
        ]

    def moves_other_than(self, other: MigrationSpec) -> bool:
        """Whether the two sides are others."""
        sides = ("source", "source_collection", "target", "target_collection")
        return any(getattr(self, side) != getattr(other, side) for side in sides)

    def continued(self, now: MigrationSpec) -> MigrationSpec:
        """`now`, with this one's values where it leaves them out."""
        return replace(
            now,
            fields=_filled(now.fields, self.fields),
            settings=_filled(now.settings, self.settings),
            model=self.model if now.model == NAMELESS else now.model,
            in_place=self.in_place,
        )


def column_of(spec: MigrationSpec) -> str:
    """The name of the new vectors of a move in place."""
    return spec.target_collection.removeprefix(f"{spec.source_collection}.")


def _filled(now: _T, before: _T) -> _T:
    """`now`, with the values of `before` in place of None."""
    given = {one.name: getattr(now, one.name) for one in fields(now)}
    return replace(before, **{name: value for name, value in given.items() if value is not None})


def _flat(spec: MigrationSpec) -> dict[str, Any]:
    values = asdict(spec)
    del values["model"], values["in_place"]
    names = {f"field of {name}": value for name, value in values.pop("fields").items()}
    return {**values.pop("settings"), **values, **names}


def without_password(url: str) -> str:
    """A store's URL without its password and without parameters that may be secret. A user alone is kept."""
    if is_export(url):
        return url
    plain = USER.sub(r"\1", url)
    return url if shown_url(plain) == plain else shown_url(url)
