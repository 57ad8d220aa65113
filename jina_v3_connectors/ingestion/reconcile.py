"""Checks before an ingest that the journal is the collection's, and that the collection holds what it says.

The rule for collections on servers: one journal at a time. A collection names the journal that wrote last, and the
number of that ingest. Another journal, or an older copy of the same one, does not know what is stored. So it must not
skip or prune, and is refused. With take-over it lists what is stored, and writes everything again. An ingest that runs
meanwhile stops before its next batch. Everybody may `delete` single documents: the next ingest notices it by the count.
Pinecone has room for one mark. In namespaces other than the default one, only the count shows that others wrote.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from jina_v3_encoder.retry import SHORT_RETRY, RetryPolicy, with_retries

from ..errors import AnotherWriter, StoreError
from ..store import Store
from .journal import Difference, Journal

COUNT_PAUSE = 0.25
UNKNOWN_INGEST = 2**63
"""The number of an ingest whose mark cannot be read: later than all."""
TAKE_OVER = "ingest once with take_over=True (--take-over)"


class Reconciled(NamedTuple):
    """The result of the checks."""

    complete: bool
    """Whether every chunk in the collection belongs to a document of the journal."""
    remarks: list[str]
    """Differences, as sentences for the user."""


class Claim:
    """A run's hold on its collection. Each batch asks it first whether the collection is still the run's own."""

    def __init__(self, collection: str, journal: Journal, store: Store, token: str, *, marked: bool) -> None:
        """`token` is the run's mark. `marked` says that the store keeps it."""
        self._collection, self._journal, self._store, self._token = collection, journal, store, token
        self._marked, self._last = marked, time.monotonic()

    def check_now_and_then(self) -> None:
        """As `check`, no more often than the store allows."""
        if time.monotonic() - self._last >= self._store.writer_pause:
            self.check()
            self._last = time.monotonic()

    def check(self) -> None:
        """Ask the store who writes. One try: the caller repeats it where the store is busy.

        Raises:
            AnotherWriter: another journal has taken over.
            StoreBusy: the store cannot answer now.
            StoreError: the name stands for another collection by now.
        """
        if not self._marked:
            return
        writer = Writer.parse(self._store.writer())
        if writer is None and self._is_the_same():
            self._store.set_writer(self._token)  # Milvus 2.3 forgets a mark when it is killed
            return
        if writer is None or writer.collection_id not in ("", _collection_id(self._journal)):
            raise StoreError(
                f"collection {self._collection!r} is another one than when this ingest began: an alias was moved, or "
                "it was deleted and made again. What was acknowledged is kept in the old one; run the same again"
            )
        _check_journal(self._collection, self._journal, writer)

    def _is_the_same(self) -> bool:
        stored = self._store.read()
        return stored is not None and stored.contract.collection_id == _collection_id(self._journal)


class Writer(NamedTuple):
    """The mark of the last ingest, kept with the collection as "journal/ingest/collection id"."""

    journal_id: str
    ingest: int
    collection_id: str
    """Empty in the marks of the first versions."""

    @classmethod
    def parse(cls, token: str | None) -> Writer | None:
        if token is None:
            return None
        journal_id, _, rest = token.partition("/")
        ingest, _, collection_id = rest.partition("/")
        return cls(journal_id, int(ingest) if ingest.isdecimal() else UNKNOWN_INGEST, collection_id)


def claim(collection: str, journal: Journal, store: Store, retry: RetryPolicy, *, take_over: bool) -> Claim:
    """Make `journal` the collection's. With `take_over` all rows are opened, and documents of others get one.

    Raises:
        AnotherWriter: another journal wrote last, or a later state of this one.
    """
    if take_over:
        journal.open_all()
        time.sleep(store.counts_after)
        with_retries(lambda: journal.compare(store.ids(), take_over=True), retry)
    else:
        writer = Writer.parse(with_retries(store.writer, retry))
        if writer is not None:
            _check_journal(collection, journal, writer)
    token = f"{journal.id}/{journal.next_generation()}/{_collection_id(journal)}"
    with_retries(lambda: store.set_writer(token), retry)
    return Claim(collection, journal, store, token, marked=with_retries(store.writer, retry) is not None)


def _check_journal(collection: str, journal: Journal, writer: Writer) -> None:
    """Raises AnotherWriter where `journal` does not know the last ingest."""
    if writer.collection_id not in ("", _collection_id(journal)) or writer.journal_id != journal.id:
        raise AnotherWriter(collection, journal.file, older_copy=False)
    if writer.ingest > journal.generation:
        raise AnotherWriter(collection, journal.file, older_copy=True)


def _collection_id(journal: Journal) -> str:
    return journal.target.partition("/")[0]


def reconcile(journal: Journal, store: Store, retry: RetryPolicy) -> Reconciled:
    """Compare counts. If they differ, compare documents, so that those the store lacks are written again."""
    remarks = []
    if not _counts_agree(journal, store, retry):
        difference = with_retries(lambda: journal.compare(store.ids()), retry)
        remarks = list(_remarks(difference, journal.expected().unknown))
    return Reconciled(journal.expected().unknown == 0 and store.counts_after == 0, remarks)


def holds_nothing(store: Store) -> bool:
    """Whether a collection is empty, as after an ingest whose first document was refused. False in doubt."""
    try:
        return store.counts_after == 0 and with_retries(store.count, SHORT_RETRY) == 0
    except StoreError:
        return False


def _counts_agree(journal: Journal, store: Store, retry: RetryPolicy) -> bool:
    """Whether the count is right. A store whose count comes late gets the time it needs.

    While documents are open, the count proves nothing: their new chunks may hide missing chunks of other documents.
    """
    whole, opened, unknown = journal.expected()
    if opened:
        return False
    until = time.monotonic() + store.counts_after
    while with_retries(store.count, retry) != whole + unknown:
        if time.monotonic() >= until:
            return False
        time.sleep(COUNT_PAUSE)
    return True


def _remarks(difference: Difference, unknown_chunks: int) -> list[str]:
    remarks = []
    if difference.opened:
        remarks.append(
            f"{difference.opened:,} documents were not in the collection as this machine's journal says: "
            "they are written again when they are ingested"
        )
    if difference.unknown:
        remarks.append(
            f"the collection holds {difference.unknown:,} documents ({unknown_chunks:,} chunks) that this machine's "
            f"journal does not know, and prune leaves them: to have them replaced and pruned as well, {TAKE_OVER}"
        )
    return remarks
