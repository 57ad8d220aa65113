"""The portable filter in Qdrant's words, which the embedded engine and the client spell almost alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..filters import OWN_FIELDS, All, AnyOf, Between, Condition, Equal, Native, Not, Value

METADATA = "metadata"


class Dialect(NamedTuple):
    """The classes of one library; all take the keywords used below."""

    filter: Callable[..., Any]
    field: Callable[..., Any]
    any_of: Callable[..., Any]
    value: Callable[..., Any]
    between: Callable[..., Any]
    flag: Callable[[bool], Any]
    """What stands for a bool."""


class Translator:
    """Turns conditions into filters of one dialect. Qdrant takes an empty `should` for true: nothing is spelled out."""

    def __init__(self, words: Dialect) -> None:
        self.words = words

    def filter(self, condition: Condition) -> Any:
        """A filter that holds where `condition` does."""
        make = self.words.filter
        match condition:
            case All(parts):
                return make(must=[self.filter(part) for part in parts])
            case AnyOf(parts):
                return make(should=[self.filter(part) for part in parts]) if parts else self._nothing()
            case Not(part):
                return make(must_not=[self.filter(part)])
            case Between(field, gt, gte, lt, lte):
                bounds = self.words.between(gt=gt, gte=gte, lt=lt, lte=lte)
                return make(must=[self.words.field(key=metadata_key(field), range=bounds)])
            case Native(value):
                return value
            case Equal(field, values):
                conditions = self._matches(metadata_key(field), values)
                return make(should=conditions) if conditions else self._nothing()

    def _matches(self, key: str, values: tuple[Value, ...]) -> list[Any]:
        """One condition for all strings, and one for each other value; numbers match stored as int or as float."""
        words = self.words
        texts = [value for value in values if isinstance(value, str)]
        found = [words.field(key=key, match=words.any_of(any=texts))] if texts else []
        for value in values:
            if isinstance(value, bool):
                found.append(words.field(key=key, match=words.value(value=words.flag(value))))
            elif not isinstance(value, str):
                found.append(words.field(key=key, range=words.between(gte=value, lte=value)))
        return found

    def _nothing(self) -> Any:
        make = self.words.filter
        return make(must_not=[make(must=[])])


def metadata_key(field: str) -> str:
    """The payload key that a filter field means."""
    if field in OWN_FIELDS:
        return field
    return ".".join([METADATA, *(f'"{part}"' for part in field.split("."))])
