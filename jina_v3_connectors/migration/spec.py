"""What is moved where: the settings of a migration, as they are kept from one command to the next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

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
    late_chunking: bool | Literal["blend"] | None = None
    window: int | None = None
    overlap: int | None = None
    rechunk_tokens: int | None = None
    """Cut whole documents anew into chunks of at most so many tokens. None keeps the chunks as they are."""
    chunker: str = DEFAULT_CHUNKER
    """The name of the chunker that cuts them anew."""


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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MigrationSpec:
        """Read back what `dataclasses.asdict` gave.

        Raises:
            TypeError, KeyError: unknown or missing fields.
        """
        names = dict(values["fields"])
        if names["metadata"] is not None:
            names["metadata"] = tuple(names["metadata"])
        return cls(**{**values, "fields": FieldNames(**names), "settings": MoveSettings(**values["settings"])})

    def differences(self, other: MigrationSpec) -> list[str]:
        """What differs, a line each: this one's value, then the other's."""
        mine, theirs = _flat(self), _flat(other)
        return [
            f"{name}: begun with {mine[name]!r}, now {theirs[name]!r}" for name in mine if mine[name] != theirs[name]
        ]


def _flat(spec: MigrationSpec) -> dict[str, Any]:
    values = asdict(spec)
    names = {f"field of {name}": value for name, value in values.pop("fields").items()}
    return {**values.pop("settings"), **values, **names}


def without_password(url: str) -> str:
    """A store's URL without its password and without parameters that may be secret. A user alone is kept."""
    if is_export(url):
        return url
    plain = USER.sub(r"\1", url)
    return url if shown_url(plain) == plain else shown_url(url)
