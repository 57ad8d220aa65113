"""`MigratingConnector`: writes to both collections while a move is under way, and searches the one that is live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.retry import DEFAULT_RETRY, SHORT_RETRY, RetryPolicy, with_retries

from ..connector import VectorConnector
from ..documents import Document
from ..errors import ContractMissing, DocumentError
from ..ingestion.report import IngestReport
from ..store import Stored
from .changes import Writer, held
from .migration import Migration
from .switching import is_switched

NOTED_AT_ONCE = 100
TRIES, PAUSE = 3, 0.05
"""How often a write tries to bring its changes over, and seconds in between."""


class MigratingConnector:
    """Stands in for the connector of the old collection from before the first run until the old one is dropped.

    Writes go to the old collection as before. Each is noted first, and brought over to the new one: at once, or by the
    run that is under way. Search with `live`: the connector of the collection that is live, with its own encoder. A
    switch may happen at any time: no search fails, and none mixes the two.
    """

    def __init__(
        self, old: VectorConnector, migration: Migration, alias: Callable[[], Stored | None] | None = None
    ) -> None:
        """`alias` reads what the name that will be switched stands for (`opening.name_reader`). Without it, the
        migration's state says what is live.
        """
        if old.collection != migration.spec.source_collection:
            raise InvalidInput(
                f"the connector writes {old.collection!r}, the migration moves {migration.spec.source_collection!r}"
            )
        self.old, self.migration, self._alias = old, migration, alias

    @property
    def live(self) -> VectorConnector:
        """The connector of the collection that is live now."""
        new = self.migration.target
        if self._alias is None:
            return new if is_switched(self.migration) else self.old
        try:
            stored = with_retries(self._alias, SHORT_RETRY)
        except ContractMissing:
            return self.old
        named = stored.contract.collection_id if stored else ""
        return new if named and named == self._new_id() else self.old

    def ingest(
        self,
        documents: Iterable[Document | DocumentError],
        *,
        skip_bad: bool = False,
        retry: RetryPolicy = DEFAULT_RETRY,
        on_progress: Callable[[IngestReport], None] = lambda _: None,
    ) -> IngestReport:
        """As `VectorConnector.ingest`, into both. The report is the old collection's.

        Nothing is pruned: delete what is gone with `delete`.

        Raises:
            DocumentError, StoreError: as `VectorConnector.ingest`. What was noted is brought over by the next run.
        """
        with self._noting() as writer:
            noted = self._noted(documents, writer.name)
            report = self.old.ingest(noted, skip_bad=skip_bad, retry=retry, on_progress=on_progress)
        self._bring_over(skip_bad=skip_bad, retry=retry)
        return report

    def delete(self, document_ids: Sequence[str]) -> None:
        """Delete documents from both.

        Raises:
            InvalidInput, StoreError: as `VectorConnector.delete`.
        """
        with self._noting() as writer:
            self.migration.state.note(document_ids, writer.name)
            self.old.delete(document_ids)
        self._bring_over(skip_bad=True, retry=DEFAULT_RETRY)

    def _new_id(self) -> str:
        """Of the new collection, which another process may have made since this one was opened."""
        new = self.migration.target
        if not new.contract.collection_id:
            stored = with_retries(new.store.read, SHORT_RETRY)
            return stored.contract.collection_id if stored else ""
        return new.contract.collection_id

    @contextmanager
    def _noting(self) -> Iterator[Writer]:
        """A writer whose notes are settled at the end, whatever happened."""
        writer = Writer(self.migration.state)
        try:
            yield writer
        finally:
            self.migration.state.settle_writer(writer.name)
            writer.close()

    def _noted(self, documents: Iterable[Document | DocumentError], writer: str) -> Iterator[Document | DocumentError]:
        """The same documents. Each is noted before it can be written."""
        waiting = iter(documents)
        while some := list(islice(waiting, NOTED_AT_ONCE)):
            self.migration.state.note([one.id for one in some if isinstance(one, Document)], writer)
            yield from some

    def _bring_over(self, *, skip_bad: bool, retry: RetryPolicy) -> None:
        """Now, unless a run is under way: it will do it. One that has just looked for the last time does not."""
        time.sleep(self.old.store.counts_after)
        for _ in range(TRIES):
            with held(self.migration.state.lock_file, 0) as free:
                if free:
                    self.migration.follow_alone(skip_bad=skip_bad, retry=retry)
            if not self.migration.waiting():
                return
            time.sleep(PAUSE)
