"""Renders conditions as Qdrant filters. The embedded engine and the client have almost the same classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..filters import (
    CHUNK,
    DOCUMENT_ID,
    All,
    AnyOf,
    Between,
    ChunkNumber,
    Condition,
    DocumentId,
    Equal,
    Native,
    Not,
    Portable,
)

METADATA = "metadata"


class Dialect(NamedTuple):
    """The classes of one library; all take the keywords used below."""

    filter: Callable[..., Any]
    field: Callable[..., Any]
    any_of: Callable[..., Any]
    value: Callable[..., Any]
    between: Callable[..., Any]
    flag: Callable[[bool], Any]
    """How the library writes a bool."""


class Translator:
    """Turns conditions into filters of one dialect."""

    def __init__(self, words: Dialect) -> None:
        self.words = words

    def filter(self, condition: Condition) -> Any:
        """A filter that holds where `condition` does."""
        return condition.value if isinstance(condition, Native) else self.words.filter(must=[self._part(condition)])

    def _part(self, condition: Portable) -> Any:
        words = self.words
        match condition:
            case All(parts):
                return words.filter(must=[self._part(part) for part in parts])
            case AnyOf(parts):
                return words.filter(should=[self._part(part) for part in parts])
            case Not(part):
                return words.filter(must_not=[self._part(part)])
            case DocumentId(ids):
                return words.field(key=DOCUMENT_ID, match=words.any_of(any=list(ids)))
            case ChunkNumber():
                return words.field(key=CHUNK, range=words.between(**dict(condition.bounds)))
            case Between(field, bounds):
                return words.field(key=metadata_key(field), range=words.between(**dict(bounds)))
            case Equal(field, texts, numbers, flags):
                return words.filter(should=list(self._matches(metadata_key(field), texts, numbers, flags)))

    def _matches(
        self, key: str, texts: tuple[str, ...], numbers: tuple[float, ...], flags: tuple[bool, ...]
    ) -> Iterator[Any]:
        """One condition for all texts, and one for each other value. A range finds int and float alike."""
        words = self.words
        if texts:
            yield words.field(key=key, match=words.any_of(any=list(texts)))
        for number in numbers:
            yield words.field(key=key, range=words.between(gte=number, lte=number))
        for flag in flags:
            yield words.field(key=key, match=words.value(value=words.flag(flag)))


def metadata_key(field: str) -> str:
    """The payload key of a field that a filter or a layout's index names."""
    if field in (DOCUMENT_ID, CHUNK):
        return field
    return ".".join([METADATA, *(f'"{part}"' for part in field.split("."))])
