"""Collections in memory for tests of what reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from jina_v3_connectors.contract import EmbeddingContract
from jina_v3_connectors.migration.records import Record
from jina_v3_encoder.text_encoder import TextEncoder


class MemorySource:
    """A list of records as a `Source`. It counts what was read."""

    def __init__(self, records: Sequence[Record], contract: EmbeddingContract | None = None) -> None:
        self._records, self.contract = list(records), contract
        self.read_records = 0

    @property
    def description(self) -> str:
        return "plain" if self.contract is None else "jina-v3"

    @property
    def dimensions(self) -> int | None:
        return next((len(record.vector) for record in self._records if record.vector is not None), None)

    def records(self, *, vectors: bool, after: str | None = None) -> Iterator[Record]:
        assert after is None
        for record in self._records:
            self.read_records += 1
            yield record if vectors else replace(record, vector=None)

    def read(self, keys: Sequence[str], *, vectors: bool = False) -> list[Record]:
        by_key = {record.key: record for record in self._records}
        shown = [by_key[key] for key in keys if key in by_key]
        return shown if vectors else [replace(record, vector=None) for record in shown]

    def count(self) -> int:
        return len(self._records)

    def close(self) -> None:
        """Do nothing."""


def encoded(
    encoder: TextEncoder, texts: Sequence[str], task: str | None, dimensions: int | None = None, *, first: int = 0
) -> list[Record]:
    """Texts as records, each a document of its own, with the vectors that a model makes of them."""
    vectors = encoder.encode(texts, task=task, dimensions=dimensions)
    return [
        Record(f"k{number}", text, vector)
        for number, (text, vector) in enumerate(zip(texts, vectors, strict=True), first)
    ]
