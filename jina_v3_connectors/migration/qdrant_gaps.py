"""What others write to a Qdrant collection while it gets a second vector, without triggers.

A point that is new, or was written anew as a whole, has no new vector. So the points without one are the notes, kept
by the server itself. A point that was deleted took its vector along. What this cannot see is a text that was changed
by `set_payload`, which leaves all vectors as they are: the next run sees it, since it reads all texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Protocol

from ..connector import VectorConnector
from ..ingestion.journal import Journal
from .changes import Noted, documents_of, records_changed
from .records import Source
from .state import AT_ONCE, MigrationState


class Points(Protocol):
    """The collection, as far as it is asked here."""

    def lacking(self) -> Iterator[tuple[str, str]]:
        """(key, document) of each point that has no new vector."""

    def present(self, keys: Sequence[str]) -> set[str]:
        """Those of some points that are there."""


class Gaps:
    """Points without the new vector, but for those that could not be moved, and listed points that are gone."""

    def __init__(self, points: Points, target: VectorConnector, state: MigrationState) -> None:
        self._points, self._target, self._state = points, target, state

    def noted(self, source: Source, state: MigrationState) -> Noted:
        """The journal forgets documents that lost their vectors: it would say that they are unchanged."""
        gaps = list(islice(self._gaps(), AT_ONCE))
        lost = self._whole({document for _, document in gaps})
        if lost:
            self._target.delete(lost)
        documents = records_changed(source, state, [key for key, _ in gaps])
        if source.count() < state.totals().records:
            documents = list(dict.fromkeys([*documents, *records_changed(source, state, self._gone())]))
        return Noted(documents, list(range(len(documents))))

    def drop(self, numbers: Sequence[int]) -> None:
        """A gap is gone when its point has a vector."""

    def waiting(self) -> int:
        return sum(1 for _ in self._gaps())

    def documents(self, source: Source, state: MigrationState) -> set[str]:
        return documents_of(source, state, [key for key, _ in islice(self._gaps(), AT_ONCE)])

    def _gaps(self) -> Iterator[tuple[str, str]]:
        """A point that is not listed is new. One whose document was stored whole was replaced.

        Others are listed and were never stored: a run does it, or could not.
        """
        lacking = self._points.lacking()
        while page := list(islice(lacking, AT_ONCE)):
            listed = self._state.documents_of([key for key, _ in page])
            whole = self._whole({document for _, document in page})
            yield from ((key, document) for key, document in page if key not in listed or document in whole)

    def _whole(self, documents: set[str]) -> set[str]:
        """Those of some documents that are stored whole, as the journal says, wherever their vectors are by now."""
        store = self._target.store
        stored = store.read()
        if stored is None:
            return set()
        with closing(Journal(store.journal_file, stored.contract.collection_id)) as journal:
            entries = [(document, journal.get(document)) for document in documents]
        return {document for document, entry in entries if entry is not None and entry.digest is not None}

    def _gone(self) -> list[str]:
        """Listed points that are not there any more."""
        gone: list[str] = []
        listed = (key for _, keys in self._state.documents() for key in keys)
        while page := list(islice(listed, AT_ONCE)):
            there = self._points.present(page)
            gone += [key for key in page if key not in there]
        return gone
