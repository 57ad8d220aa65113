"""Checks that compare records with each other: copies, and the chunks of a document.

Some 20 to 40 bytes are kept for each record: hashes of texts, vectors and ids, never these themselves.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from .checks import Keys, counted
from .findings import EXAMPLES, Finding, Severity
from .fit import key_hash
from .records import Record

Integers = NDArray[np.int64]
SAME_VECTOR_ERROR = 5
"""From so many different texts on one vector on, no tokenizer's or limit's fault explains it."""
MANY_COPIES = 0.1
LOST_CHARACTERS = 100
"""What a chunker leaves out between two chunks is white space, and not so much of it."""


class Copies:
    """The same vector for different texts, and the same text twice."""

    def __init__(self) -> None:
        self._texts, self._vectors, self._rows = array("q"), array("q"), array("q")
        self._row = -1

    def add(self, record: Record) -> None:
        self._row += 1
        if record.text is None or record.vector is None or not record.vector.any():
            return
        self._texts.append(_text_hash(record.text))
        digest = blake2b(np.ascontiguousarray(record.vector, dtype=np.float32).tobytes(), digest_size=8).digest()
        self._vectors.append(int.from_bytes(digest) >> 1)
        self._rows.append(self._row)

    def rows(self) -> list[int]:
        return [*self._same_vector()[2], *self._same_text()[1]]

    def findings(self, key_of: Mapping[int, Record]) -> Iterator[Finding]:
        groups, largest, examples = self._same_vector()
        if largest:
            yield Finding(
                Severity.ERROR if largest >= SAME_VECTOR_ERROR else Severity.WARNING,
                "same-vector",
                f"vectors that stand for several different texts: {groups:,} (one of them for {largest:,})",
                "another field than this text was encoded, or the texts differ only behind the model's limit: compare "
                "the field of the text (--text-field) with what was encoded",
                {"vectors": groups, "most_texts": largest},
                self._keys(examples, key_of),
            )
        copies, examples = self._same_text()
        if copies:
            many = copies > MANY_COPIES * len(self._texts)
            yield Finding(
                Severity.WARNING if many else Severity.NOTE,
                "same-text",
                f"records with a text that an earlier one holds too: {copies:,} of {len(self._texts):,}",
                "a search shows the same passage several times: leave copies out before they are encoded",
                {"records": copies},
                self._keys(examples, key_of),
            )

    def _same_vector(self) -> tuple[int, int, list[int]]:
        """How many vectors have several texts, the most texts of one, and rows of that one with different texts."""
        if not self._texts:
            return 0, 0, []
        texts, vectors = _integers(self._texts), _integers(self._vectors)
        order = np.lexsort((texts, vectors))
        is_new_vector = np.diff(vectors[order], prepend=vectors[order[0]] - 1) != 0
        is_new_text = is_new_vector | (np.diff(texts[order], prepend=texts[order[0]] - 1) != 0)
        group = np.cumsum(is_new_vector) - 1
        texts_of_group = np.bincount(group[is_new_text])
        largest = int(texts_of_group.max())
        if largest < 2:
            return 0, 0, []
        of_largest = order[is_new_text & (group == int(texts_of_group.argmax()))][:EXAMPLES]
        return int((texts_of_group > 1).sum()), largest, _integers(self._rows)[of_largest].tolist()

    def _same_text(self) -> tuple[int, list[int]]:
        """How many records have a text that another one had before, and rows of the text with the most of them."""
        texts = _integers(self._texts)
        _, inverse, counts = np.unique(texts, return_inverse=True, return_counts=True)
        copies = int((counts - 1).sum()) if len(counts) else 0
        if not copies:
            return 0, []
        return copies, _integers(self._rows)[np.flatnonzero(inverse == counts.argmax())[:EXAMPLES]].tolist()

    def _keys(self, rows: Sequence[int], key_of: Mapping[int, Record]) -> tuple[str, ...]:
        """The keys of records that are still what they were: others may write meanwhile."""
        stored = {row: text for row, text in zip(self._rows, self._texts, strict=True) if row in key_of}
        return tuple(
            key_of[row].key for row in rows if row in key_of and _text_hash(key_of[row].text or "") == stored[row]
        )


def _text_hash(text: str) -> int:
    """Of a text without its case and white space, which some tokenizers do not see."""
    return key_hash(" ".join(text.casefold().split()))


def _integers(values: array[int]) -> Integers:
    return np.frombuffer(values, dtype=np.int64) if values else np.zeros(0, dtype=np.int64)


class Chunks:
    """Whether the chunks of each document are all there, in order."""

    def __init__(self) -> None:
        self._documents, self._orders, self._starts, self._ends, self._rows = (array("q") for _ in range(5))
        self._alone = Keys()
        self._row = -1

    def add(self, record: Record) -> None:
        self._row += 1
        if record.document_id is None:
            self._alone.add(record.key)
            return
        for values, value in (
            (self._documents, key_hash(record.document_id)),
            (self._orders, record.order),
            (self._starts, record.start),
            (self._ends, record.end),
            (self._rows, self._row),
        ):
            values.append(-1 if value is None else value)

    @property
    def documents(self) -> int:
        return len(np.unique(_integers(self._documents)))

    def rows(self) -> list[int]:
        return [row for rows in self._troubled().values() for row in rows[:EXAMPLES]]

    def findings(self, key_of: Mapping[int, Record]) -> Iterator[Finding]:
        told = {
            "unnumbered-chunks": (
                "documents with several chunks and no numbers: {}",
                "their order is not known, so they can be neither joined nor cut again: name the field that holds it "
                "(--order-field)",
            ),
            "repeated-chunks": (
                "documents with two chunks of one number: {}",
                "an older version was not deleted: ingest these documents again, with their tails deleted",
            ),
            "missing-chunks": (
                "documents that lack a chunk between others, or their first one: {}",
                "a write failed and nobody noticed: ingest these documents again from where they come from",
            ),
            "unordered-chunks": (
                "documents with chunks whose numbers and positions disagree: {}",
                "the numbers come from somewhere else: leave --order-field out, or repair them",
            ),
            "missing-characters": (
                f"documents with more than {LOST_CHARACTERS} characters between two chunks that no chunk holds: {{}}",
                "a part of them cannot be found: ingest these documents again from where they come from",
            ),
        }
        for name, rows in self._troubled().items():
            what, remedy = told[name]
            examples = [key_of[row].document_id for row in rows[:EXAMPLES] if row in key_of]
            yield Finding(
                Severity.WARNING,
                name,
                what.format(f"{len(rows):,}"),
                remedy,
                {"documents": len(rows)},
                tuple(document for document in examples if document is not None),
            )
        if self._alone.count and len(self._documents):
            yield from counted(
                self._alone,
                "no-document",
                "records that name no document, though others do: {}",
                "each counts as a document of its own: name the field that holds the id (--document-field)",
                Severity.WARNING,
            )

    def _troubled(self) -> dict[str, list[int]]:
        """For each kind of trouble one row of each document that has it."""
        if not self._documents:
            return {}
        documents, orders, rows = (_integers(values) for values in (self._documents, self._orders, self._rows))
        order = np.lexsort((_integers(self._starts), orders, documents))
        documents, orders, rows = documents[order], orders[order], rows[order]
        starts, ends = _integers(self._starts)[order], _integers(self._ends)[order]
        same, numbered = documents[1:] == documents[:-1], orders[:-1] >= 0
        step, placed = np.diff(orders), (starts[1:] >= 0) & (ends[:-1] >= 0)
        between = {
            "unnumbered-chunks": same & (orders[:-1] < 0),
            "repeated-chunks": same & numbered & (step == 0),
            "missing-chunks": same & numbered & (step > 1),
            "unordered-chunks": same & numbered & placed & (starts[1:] < starts[:-1]),
            "missing-characters": same & numbered & (step == 1) & placed & (starts[1:] - ends[:-1] > LOST_CHARACTERS),
        }
        is_first = np.concatenate([[True], ~same])
        late_first = is_first & (orders > 1)
        troubled = {}
        for name, where in between.items():
            bad = np.concatenate([[False], where])
            if name == "missing-chunks":
                bad |= late_first
            _, firsts = np.unique(documents[bad], return_index=True)
            if len(firsts):
                troubled[name] = rows[bad][firsts].tolist()
        return troubled
