"""Checks before an ingest that the journal is the collection's, and that the collection holds what it says.

The rule for collections on servers: one journal at a time. A collection names the journal that wrote last, and the
number of that ingest. Another journal, or an older copy of the same one, does not know what is stored. So it must not
skip or prune, and is refused. With take-over it lists what is stored, and writes everything again. An ingest that runs
meanwhile stops before its next batch. Everybody may `delete` single documents: the next ingest notices it by the count.
Pinecone has room for one mark. In namespaces other than the default one, only the count shows that others wrote.
"""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

from jina_v3_encoder.retry import RetryPolicy, with_retries

from ..errors import AnotherWriter
from ..store import Store
from .journal import Difference, Journal

COUNT_PAUSE = 0.25
TAKE_OVER = "ingest once with take_over=True (--take-over)"


class Reconciled(NamedTuple):
    """The result of the checks."""

    complete: bool
    """Whether every chunk in the collection belongs to a document of the journal."""
    remarks: list[str]
    """Differences, as sentences for the user."""


def claim(collection: str, journal: Journal, store: Store, retry: RetryPolicy, *, take_over: bool) -> None:
    """Make `journal` the collection's. With `take_over` all rows are opened, and documents of others get one.

    Raises:
        AnotherWriter: another journal wrote last, or a later state of this one.
    """
    if take_over:
        journal.open_all()
        time.sleep(store.counts_after)
        with_retries(lambda: journal.compare(store.ids(), take_over=True), retry)
    else:
        check_writer(collection, journal, store, retry)
    token = f"{journal.id}/{journal.next_generation()}"
    with_retries(lambda: store.set_writer(token), retry)


def check_writer(collection: str, journal: Journal, store: Store, retry: RetryPolicy) -> None:
    """Check that `journal` knows the last ingest that the collection names.

    Raises:
        AnotherWriter: it is not.
    """
    token = with_retries(store.writer, retry)
    if token is not None:
        name, _, ingest = token.partition("/")
        if name != journal.id or not ingest.isdigit() or int(ingest) > journal.generation:
            raise AnotherWriter(collection, journal.file, older_copy=name == journal.id)


class WriterCheck:
    """The `check_writer` of a run. It asks the store no more often than the store allows."""

    def __init__(self, collection: str, journal: Journal, store: Store, retry: RetryPolicy) -> None:
        self._check = partial(check_writer, collection, journal, store, retry)
        self._pause, self._last = store.writer_pause, time.monotonic()

    def __call__(self) -> None:
        """Raises AnotherWriter."""
        if time.monotonic() - self._last >= self._pause:
            self._check()
            self._last = time.monotonic()


def reconcile(journal: Journal, store: Store, retry: RetryPolicy) -> Reconciled:
    """Compare counts. If they differ, compare documents, so that those the store lacks are written again."""
    remarks = []
    if not _counts_agree(journal, store, retry):
        difference = with_retries(lambda: journal.compare(store.ids()), retry)
        remarks = list(_remarks(difference, journal.expected().unknown))
    return Reconciled(journal.expected().unknown == 0 and store.counts_after == 0, remarks)


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
