"""`PostgresLayout`: how a new table is stored, its columns, and values that they cannot hold."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, get_args

from jina_v3_encoder.errors import InvalidInput

from ..errors import StoreError

Datatype = Literal["vector", "halfvec"]
MOST_DIMENSIONS = {"vector": 2000, "halfvec": 4000}
"""The most dimensions of pgvector's HNSW index."""
LONGEST_NAME = 63
"""Characters of a table's name. PostgreSQL cuts off the rest, so two names could mean one table."""
CHARACTERS = {"\0": "\x010", "\x01": "\x011"}
"""PostgreSQL's texts cannot hold NUL. Two other characters stand for it, and those two are escaped as well."""
COLUMNS = {"id": "uuid", "document_id": "text", "chunk": "integer", "start": "integer", "end": "integer"}
COLUMNS |= {"text": "text", "metadata": "json", "terms": "jsonb"}
"""All columns but "dense". Metadata is plain json: jsonb would lose NUL, the order of keys, and 1e300 as a float."""


@dataclass(frozen=True)
class PostgresLayout:
    """How a collection is stored.

    Raises:
        InvalidInput: an unknown datatype, or a value of another type.
    """

    datatype: Datatype = "vector"
    """"halfvec": 16 bits a number, half the size; also for more than 2,000 dimensions."""
    hybrid: bool = False
    """Keep the texts' words too, for `search(hybrid=True)`; those of a chunk's first 131,072 characters."""
    index_from: int = 10_000
    """An ingest that ends with this many chunks builds the HNSW index. Fewer are compared one by one, in
    milliseconds."""

    def __post_init__(self) -> None:
        if self.datatype not in get_args(Datatype):
            raise InvalidInput(f"unknown datatype {self.datatype!r}: use one of {', '.join(get_args(Datatype))}")
        if type(self.hybrid) is not bool or type(self.index_from) is not int:
            raise InvalidInput(f"hybrid must be a bool and index_from an int, got {self.hybrid!r}, {self.index_from!r}")

    def check(self, dimensions: int) -> None:
        """Raises StoreError where vectors of that size cannot be indexed."""
        if dimensions > MOST_DIMENSIONS[self.datatype]:
            raise StoreError(
                f"{dimensions:,} dimensions: pgvector indexes {MOST_DIMENSIONS[self.datatype]:,} of a {self.datatype} "
                "at most; use fewer, or PostgresLayout(datatype='halfvec') for up to 4,000. Nothing was made"
            )


def table_name(collection: str) -> str:
    """The collection's name. If it is too long, a hash replaces its end. No collection's name holds a "~"."""
    if len(collection) <= LONGEST_NAME:
        return collection
    return f"{collection[:46]}~{hashlib.blake2b(collection.encode(), digest_size=8).hexdigest()}"


def storable(text: str) -> str:
    return re.sub("[\0\x01]", lambda match: CHARACTERS[match[0]], text)


def restored(text: str) -> str:
    return re.sub("\x01([01])", lambda match: "\0" if match[1] == "0" else "\x01", text)
