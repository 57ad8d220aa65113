"""`VectorConnector`: every loop and every check; a `Store` adds storage only."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.protocol import TextEncoder
from jina_v3_encoder.retry import DEFAULT_RETRY, SHORT_RETRY, RetryPolicy, with_retries

from .chunking import Chunker, WholeDocument
from .contract import EmbeddingContract
from .document_checks import check_characters
from .documents import Document, Hit
from .errors import ContractMismatch, ContractMissing, StoreError, StoreNotFound
from .filters import Filter, as_condition, chunks_of
from .ingestion.ingestion import DELETED_AT_ONCE, Ingestion, IngestOptions, IngestReport, delete_documents
from .ingestion.journal import Journal
from .ingestion.reconcile import WriterCheck, check_writer, claim, reconcile
from .limits import check_vectors
from .settings import Settings, agree
from .store import Store

FloatArray = NDArray[np.float32]
COLLECTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def check_collection_name(name: object) -> str:
    """`name`, which becomes a folder's name in embedded stores.

    Raises:
        InvalidInput: it is not 1 to 128 letters, digits, `_`, `.` and `-`.
    """
    if not isinstance(name, str) or not COLLECTION_NAME.fullmatch(name):
        raise InvalidInput(
            f"collection name {name!r} must be 1 to 128 letters, digits, '_', '.' or '-', "
            "and start with a letter or digit"
        )
    return name


def _as_id(document_id: object) -> str:
    """An id to look for; those that earlier versions stored may hold control characters."""
    if not isinstance(document_id, str):
        raise InvalidInput(f"a document's id must be a str, got {document_id!r:.200}")
    check_characters(document_id, f"document id {document_id!r:.200}")
    return document_id


class VectorConnector:
    """A collection that is filled with `retrieval.passage` and searched with `retrieval.query`, and checked to be so.

    Arguments left at None take the collection's own value, or the default where there is no collection yet.
    Use as a context manager, or call `close`. The `..._async` methods run their namesakes in a thread.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        collection: str,
        store: Store | Callable[[], Store],
        *,
        dimensions: int | None = None,
        late_chunking: bool | None = None,
        chunker: Chunker | None = None,
        window: int | None = None,
        overlap: int | None = None,
        adopt: bool = False,
        stored: EmbeddingContract | None = None,
    ) -> None:
        """Connect, and compare with the contract of an existing collection.

        Args:
            encoder: Any `TextEncoder`.
            collection: Letters, digits, `_`, `.` and `-`.
            store: The backend, or a function that opens it, which is called when all else is known to be right.
                Connectors of a backend bring their own.
            dimensions: Stored components, 1 to the encoder's own (Matryoshka); default all.
            late_chunking: Encode each document as a whole and pool its chunks; default off.
            chunker: How documents are cut; default one chunk per document.
            window, overlap: Tokens read at once and shared between windows, for late chunking of long documents.
            adopt: Take over a collection that has no contract, on your word that these settings are how it was
                filled; the size and the metric of its vectors are checked.
            stored: The collection's contract, where it was just read; searches read it again.

        Raises:
            ContractMismatch: the collection was filled in another way.
            ContractMissing: nothing says how it was filled, and `adopt` is off.
            InvalidInput: a bad name or number.
            StoreError: the store cannot be opened.
        """
        self.encoder, self.collection = encoder, collection
        self._settings = Settings(dimensions, late_chunking, chunker, window, overlap)
        self._chunker: Chunker = chunker or WholeDocument()
        self._creating = threading.Lock()
        opened = store if isinstance(store, Store) else None
        try:
            check_collection_name(collection)
            self._settings.check(encoder)
            opened = opened or store()  # type: ignore[operator]  # not a Store here
            self.store: Store = opened
            if stored is None:
                self._open(adopt=adopt)
            else:
                self._check(lambda: stored, SHORT_RETRY)
        except BaseException:
            if opened is not None:
                opened.close()
            raise

    def create(self) -> None:
        """Make the collection now, which the first `ingest` would do; does nothing where it is.

        Raises:
            ContractMismatch: there is one that was filled in another way.
            StoreError: the store refuses.
        """
        self._make(DEFAULT_RETRY)

    def ingest(
        self,
        documents: Iterable[Document],
        *,
        skip_bad: bool = False,
        prune: bool = False,
        take_over: bool = False,
        retry: RetryPolicy = DEFAULT_RETRY,
        on_progress: Callable[[IngestReport], None] = lambda _: None,
    ) -> IngestReport:
        """Chunk, encode and store documents; creates the collection on first use.

        Safe to repeat and to stop at any moment. Chunk ids follow from document id and number; a journal knows which
        documents are stored, so that a rerun skips what is unchanged, replaces what changed and goes on where the last
        one ended. Documents are read as they are needed, never all at once; encoding and writing overlap.

        Args:
            documents: Any iterable. Ids must be stable between runs, and unique in one.
            skip_bad: Leave out documents that cannot be stored and name them in the report, instead of stopping. An
                older version that is stored stays.
            prune: Afterwards delete the documents of earlier runs that were not among these.
            take_over: Make this machine's journal the collection's, in place of another or lost one. All documents are
                written again; what others wrote is replaced, and pruned with `prune`.
            retry: How long to wait for a busy store.
            on_progress: Called with the growing report, from another thread.

        Raises:
            AnotherWriter: the collection was last written with another journal, and `take_over` is off.
            ContractMismatch: the collection was cut by another chunker.
            DocumentError: a document cannot be read or encoded. What was encoded before it is stored.
            StoreError: the store or the journal refuses.
            InvalidVector: the encoder returned a vector that must not be stored.
        """
        start = time.perf_counter()
        self._make(retry)
        if self._chunker.description != self.contract.chunker:
            raise ContractMismatch(self.collection, {"chunker": (self.contract.chunker, self._chunker.description)})
        options = IngestOptions(skip_bad, retry, on_progress)
        with self._journal(retry.total) as journal:
            claim(self.collection, journal, self.store, retry, take_over=take_over)
            complete, remarks = reconcile(journal, self.store, retry)
            run = Ingestion(
                self.encoder,
                self.contract,
                self._chunker,
                self.store,
                journal,
                options,
                complete=complete,
                check_writer=WriterCheck(self.collection, journal, self.store, retry),
            )
            report = run.run(documents)
            report.remarks += remarks
            check_writer(self.collection, journal, self.store, retry)
            if prune:
                run.prune()
        with_retries(self.store.settle, retry)
        report.seconds = time.perf_counter() - start
        return report

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        filter: Filter | None = None,  # noqa: A002
        hybrid: bool = False,
    ) -> list[Hit]:
        """The `limit` chunks nearest to a question, best first.

        Args:
            query: The question.
            limit: Hits at most.
            filter: Conditions on metadata, such as {"lang": "de", "year": {"gte": 2020}}; see `filters`.
            hybrid: Also count shared words (BM25), where the collection was made for it. Ranks are fused; scores stay
                cosines, so they need not fall from hit to hit.

        Raises:
            StoreNotFound: nothing was ingested yet.
            ContractMismatch: the collection has since been replaced by one that was filled in another way.
            InvalidInput: the query is no str, is too long, the limit is below 1, or the filter is malformed.
        """
        if not isinstance(query, str):
            raise InvalidInput(f"a query must be a str, got {type(query).__name__}; search_many takes a list")
        return self.search_many([query], limit=limit, filter=filter, hybrid=hybrid)[0]

    def search_many(
        self,
        queries: Sequence[str],
        *,
        limit: int = 10,
        filter: Filter | None = None,  # noqa: A002
        hybrid: bool = False,
    ) -> list[list[Hit]]:
        """As `search`, for several questions with one encode, and one round trip where the backend has one."""
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise InvalidInput(f"limit must be a whole number above 0, got {limit!r}")
        condition = as_condition(filter)
        contract = self._require()
        if hybrid and not self.store.hybrid:
            raise InvalidInput(
                f"collection {self.collection!r} was not made for hybrid search: pass hybrid=True to the connector "
                "that first ingests into a new collection"
            )
        vectors = self.encoder.encode(
            queries, task=contract.query_task, dimensions=contract.dimensions, prompt=contract.prompts
        )
        check_vectors(vectors, contract.dimensions)
        if not len(vectors):
            return []
        if condition is False:
            return [[] for _ in vectors]
        allowed = None if condition is True else condition
        words = list(queries) if hybrid else None
        return with_retries(partial(self.store.nearest, vectors, limit, allowed, words), SHORT_RETRY)

    def delete(self, document_ids: Iterable[str]) -> None:
        """Delete documents with all their chunks; unknown ids are no error.

        Raises:
            InvalidInput, DocumentError: one str in place of several, or an id that is no str.
            StoreNotFound: nothing was ingested yet.
        """
        if isinstance(document_ids, str):
            raise InvalidInput(
                f"delete takes several ids, got the str {document_ids!r:.200}: pass [{document_ids!r:.200}]"
            )
        self._require()
        with self._journal(SHORT_RETRY.total) as journal:
            names = map(_as_id, document_ids)
            while some := list(islice(names, DELETED_AT_ONCE)):
                delete_documents(
                    journal, some, lambda tails: with_retries(partial(self.store.delete, chunks_of(tails)), SHORT_RETRY)
                )

    def ids(self) -> Iterator[tuple[str, int]]:
        """(document id, chunk number) of every chunk, in no particular order; none where there is no collection."""
        return self.store.ids() if self._exists() else iter(())

    def count(self) -> int:
        """Chunks in the collection, 0 where there is none."""
        return with_retries(self.store.count, SHORT_RETRY) if self._exists() else 0

    def swap_alias(self, alias: str) -> None:
        """Let `alias` name this collection from now on: fill a new collection, then swap, and nobody waits.

        Raises:
            StoreNotFound: nothing was ingested yet.
            StoreError: the backend has no aliases, or a collection itself has this name.
        """
        self._require()
        self.store.point_alias(check_collection_name(alias))

    async def ingest_async(self, documents: Iterable[Document], **options: Any) -> IngestReport:
        """`ingest` in a thread."""
        return await asyncio.to_thread(self.ingest, documents, **options)

    async def search_async(self, query: str, **options: Any) -> list[Hit]:
        """`search` in a thread."""
        return await asyncio.to_thread(self.search, query, **options)

    async def search_many_async(self, queries: Sequence[str], **options: Any) -> list[list[Hit]]:
        """`search_many` in a thread."""
        return await asyncio.to_thread(self.search_many, queries, **options)

    async def delete_async(self, document_ids: Iterable[str]) -> None:
        """`delete` in a thread."""
        await asyncio.to_thread(self.delete, document_ids)

    async def count_async(self) -> int:
        """`count` in a thread."""
        return await asyncio.to_thread(self.count)

    def close(self) -> None:
        """Flush and let go; safe to call twice."""
        self.store.close()

    def _open(self, *, adopt: bool) -> None:
        try:
            self._check(self.store.read_contract, SHORT_RETRY)
        except ContractMissing:
            if not adopt:
                raise
            taken = agree(self._settings, self.encoder, None, self.collection)
            self.store.adopt(replace(taken, collection_id=uuid.uuid4().hex))
            self._check(self.store.read_contract, SHORT_RETRY)

    def _check(self, read: Callable[[], EmbeddingContract | None], retry: RetryPolicy) -> None:
        """Read the collection's contract and compare; others may have made or replaced the collection meanwhile."""
        self._stored = with_retries(read, retry)
        self.contract: EmbeddingContract = agree(self._settings, self.encoder, self._stored, self.collection)

    def _make(self, retry: RetryPolicy) -> bool:
        """Check before writing, and make the collection where there is none; whether it was made here."""
        with self._creating:
            self._check(self.store.read_contract, retry)
            if self._stored is not None:
                return False
            contract = replace(self.contract, collection_id=uuid.uuid4().hex)
            with_retries(partial(self.store.create, contract), retry)
            self._check(self.store.read_contract, retry)
            return self.contract.collection_id == contract.collection_id

    def _exists(self) -> bool:
        """Whether there is a collection by now, which another connector may have made."""
        if self._stored is None:
            self._check(self.store.recent_contract, SHORT_RETRY)
        return self._stored is not None

    def _require(self) -> EmbeddingContract:
        """Check before reading; there must be a collection."""
        self._check(self.store.recent_contract, SHORT_RETRY)
        if self._stored is None:
            raise StoreNotFound(f"collection {self.collection!r} does not exist yet; ingest documents into it first")
        return self.contract

    @contextmanager
    def _journal(self, patience: float) -> Iterator[Journal]:
        """The journal, for one ingest or delete of this collection at a time: another's rows may not be closed."""
        target = "/".join(filter(None, (self.contract.collection_id, self.store.partition)))
        journal = Journal(self.store.journal_file, target)
        try:
            name = f"{journal.file.name}.{hashlib.blake2b(target.encode(), digest_size=8).hexdigest()}.lock"
            with FileLock(journal.file.with_name(name), timeout=patience):
                yield journal
        except Timeout:
            raise StoreError(
                f"collection {self.collection!r}: another ingest on this machine has been writing it for over "
                f"{patience:.0f} s; wait for it to end, then run this again"
            ) from None
        finally:
            journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
