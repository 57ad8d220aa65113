"""Moves in place, in whatever backend: the store of the new vectors, and the records with them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from jina_v3_encoder.errors import InvalidInput

from ..backends import find_location
from ..errors import StoreError
from .records import Source
from .second_vector import EachRowAlone, SecondVector
from .sources.open import is_export, open_source
from .spec import MigrationSpec, column_of


def second_vector(url: str, spec: MigrationSpec, *, to_new: bool = True) -> SecondVector:
    """The store of the new vectors. `to_new`: whether `point_alias` leads to them, or back to the old ones.

    Raises:
        InvalidInput: the collection has no such vectors.
        StoreError: it cannot be opened, or cannot be moved in place.
    """
    if find_location(url)[0].name == "qdrant":
        from .qdrant_vector import qdrant_vector

        return qdrant_vector(url, spec, to_new=to_new)
    from .postgres_column import PostgresColumn

    return PostgresColumn(url, spec, to_new=to_new)


def new_vectors(url: str, spec: MigrationSpec) -> Source:
    """The same records with the new vectors. It says how they were made.

    Raises:
        StoreError: nothing was moved yet, or the collection cannot be read.
    """
    with closing(second_vector(url, spec)) as store:
        stored, name, where = store.read(), store.filled, store.where
    if stored is None or name is None:
        raise StoreError(f"{where} has no {column_of(spec)!r} yet: run the move first")
    source = open_source(url, spec.source_collection, replace(spec.fields, vector=name))
    return source if source.contract is not None else EachRowAlone(source, stored.contract)


def begun_in_place(url: str, spec: MigrationSpec) -> MigrationSpec:
    """A new move in place, with the old vectors' name. Others stay as they are.

    Raises:
        InvalidInput: the backend has no second vectors, or settings cannot be kept in place.
        StoreError: the collection cannot be moved in place.
    """
    if not spec.in_place:
        return spec
    backend = None if is_export(url) else find_location(url)[0]
    if backend is not None and backend.name == "postgresql":
        from . import postgres_column

        return postgres_column.in_place(url, spec)
    if backend is not None and backend.name == "qdrant":
        if find_location(url)[1].path is not None:  # before the import: a folder needs no client
            raise InvalidInput(
                f"--in-place needs a Qdrant server, and {url} is a folder: give --to and --into, a new collection"
            )
        from . import qdrant_vector

        return qdrant_vector.in_place(url, spec)
    title = "an export" if backend is None else backend.title
    raise InvalidInput(
        f"--in-place is for tables in PostgreSQL and for collections on a Qdrant server, and not for {title}: give "
        "--to and --into, a new collection"
    )
