"""Metadata as keywords, for engines whose own comparisons of JSON values differ from one another.

A chunk's terms are stored beside its metadata: "lang:de" for a str, "year=2020" for a number, "draft=true" for a bool,
and "year#" for a field that holds a number. A list gives a term for each element, "author.name:Ada" lies in an object.
So "equal" is one keyword lookup, with the same meaning everywhere. It is false, and not unknown, if the field is
absent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

FIELD = re.compile(r"[\w-]+(\.[\w-]+)*")
"""A metadata field that a filter can name. Dots separate the levels of an object."""
Value: TypeAlias = str | int | float | bool

LONGEST = 200
"""Characters of a term. A longer one is replaced by a hash, which is just as good for equality."""


def terms_of(metadata: Mapping[str, Any]) -> list[str]:
    """All terms of a chunk's metadata, each once, in order of appearance. Keys that no filter can name have none."""
    return list(dict.fromkeys(_terms("", metadata)))


def term(field: str, value: Value) -> str:
    """The term of one value. Numbers are equal as int and float."""
    if isinstance(value, bool):
        return f"{field}={str(value).lower()}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = f"{field}:{value}" if isinstance(value, str) else f"{field}={value}"
    if len(text) <= LONGEST:
        return text
    return f"{field[:100]}~{hashlib.blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def number_term(field: str) -> str:
    """The term of a field that holds any number."""
    return f"{field}#"


def numbers_of(metadata: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The fields that hold a number, by their dotted names."""
    for key, value in metadata.items():
        if not isinstance(key, str) or not FIELD.fullmatch(key) or "." in key:
            continue
        if isinstance(value, Mapping):
            yield from numbers_of(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{key}", value


def _terms(prefix: str, metadata: Mapping[str, Any]) -> Iterator[str]:
    for key, value in metadata.items():
        if not isinstance(key, str) or not FIELD.fullmatch(key) or "." in key:
            continue
        field = prefix + key
        if isinstance(value, Mapping):
            yield from _terms(f"{field}.", value)
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield number_term(field)
        for element in value if isinstance(value, list | tuple) else (value,):
            if isinstance(element, str | int | float):
                yield term(field, element)
