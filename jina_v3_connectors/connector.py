"""`VectorConnector`: all loops and checks. A `Store` only stores."""

from __future__ import annotations

import asyncio
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Self

import numpy as np

from jina_v3_encoder.errors import InvalidInput, InvalidVector
from jina_v3_encoder.retry import DEFAULT_RETRY, SHORT_RETRY, RetryPolicy, with_retries
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import LateChunking
from jina_v3_encoder.vectors import FloatArray

from .adoption import UNCHECKED, Adopt, check_adopt, check_adoption
from .chunking import Chunker, WholeDocument
from .contract import EmbeddingContract
from .document_checks import as_sought_id
from .documents import Document, Hit
from .errors import ContractMismatch, ContractMissing, DocumentError, StoreError, StoreNotFound
from .filters import Condition, Filter, as_condition, chunks_of
from .fusion import Hybrid, Words, check_words, fusion_of
from .ingestion.ingestion import Ingestion, IngestOptions
from .ingestion.journal import Journal, locked_journal
from .ingestion.reconcile import claim, holds_nothing, reconcile
from .ingestion.report import IngestReport
from .ingestion.writing import DELETED_AT_ONCE, delete_documents
from .limits import check_limit, check_vectors
from .settings import Settings, agree, check_layout
from .store import Store, Stored

MOVES = 5
"""How often a search is repeated while an alias moves."""
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


class VectorConnector:
    """A collection that is filled with `retrieval.passage` and searched with `retrieval.query`.

    An argument that is None means the collection's own value, or the default if there is no collection yet.
    Use as a context manager, or call `close`. The `..._async` methods run their namesakes in a thread.

    `contract` says how vectors are made for the collection. `stored` is what the collection said when it was last read,
    or None if there was none. Others may change a collection, so every call reads it again.
    """

    contract: EmbeddingContract
    stored: Stored | None

    def __init__(
        self,
        encoder: TextEncoder,
        collection: str,
        store: Store | Callable[[], Store],
        *,
        dimensions: int | None = None,
        late_chunking: LateChunking | None = None,
        chunker: Chunker | None = None,
        window: int | None = None,
        overlap: int | None = None,
        adopt: Adopt = False,
        stored: Stored | None = None,
    ) -> None:
        """Connect, and compare with the contract of an existing collection.

        Args:
            encoder: Any `TextEncoder`.
            collection: Letters, digits, `_`, `.` and `-`.
            store: The backend, or a function that opens it. The function is called after all other checks.
                Connectors of a backend bring their own.
            dimensions: Stored components, 1 to the encoder's own (Matryoshka); default all.
            late_chunking: Encode each document as a whole and pool its chunks; default off. See `LateChunking`.
            chunker: How documents are cut; default one chunk per document.
            window, overlap: Tokens read at once and shared between windows, for late chunking of long documents.
            adopt: Take over a collection that has no contract, and was filled by this encoder with these settings.
                A sample of its texts is encoded again and compared with their vectors. "unchecked" also takes over
                a collection that stores no texts, with a warning.
            stored: What `store.read()` just returned, so that it is not read again here.

        Raises:
            AdoptionRefused: the vectors to adopt are not those that their texts should have; it says what they may be.
            ContractMismatch: the collection was filled in another way.
            ContractMissing: nothing says how it was filled, and `adopt` is off.
            InvalidInput: a bad name or number.
            StoreError: the store cannot be opened.
        """
        self.encoder, self.collection = encoder, collection
        self._settings = Settings(dimensions, late_chunking, chunker, window, overlap)
        self.chunker: Chunker = chunker or WholeDocument()
        self._creating = threading.Lock()
        self._named: tuple[EmbeddingContract, bool] | None = None  # whether the name was an alias, at this contract
        opened = store if isinstance(store, Store) else None
        try:
            check_collection_name(collection)
            check_adopt(adopt)
            self._settings.check(encoder)
            opened = opened or store()  # type: ignore[operator]  # not a Store here
            self.store: Store = opened
            if stored is None:
                self._open(adopt=adopt)
            else:
                self._check(stored)
        except BaseException:
            if opened is not None:
                opened.close()
            raise

    def create(self) -> None:
        """Make the collection now instead of at the first `ingest`. Does nothing if it exists.

        Raises:
            ContractMismatch: it exists and was filled in another way.
            StoreError: the store refuses, or it exists with another layout than you ask for.
        """
        self._make(DEFAULT_RETRY)

    def ingest(
        self,
        documents: Iterable[Document | DocumentError],
        *,
        skip_bad: bool = False,
        prune: bool = False,
        take_over: bool = False,
        retry: RetryPolicy = DEFAULT_RETRY,
        on_progress: Callable[[IngestReport], None] = lambda _: None,
    ) -> IngestReport:
        """Chunk, encode and store documents; creates the collection on first use.

        It is safe to repeat it and to stop it at any moment. Chunk ids follow from document id and number. A journal
        knows which documents are stored. So a rerun skips unchanged documents, replaces changed ones, and goes on where
        the last run ended. Documents are read in this thread as they are needed. Cutting, encoding and writing overlap.

        Args:
            documents: Any iterable. Ids must be stable between runs, and unique in one. A DocumentError in place of a
                document says that it cannot be read.
            skip_bad: Leave out documents that cannot be stored and name them in the report, instead of stopping. An
                older version that is stored stays.
            prune: Afterwards delete the documents of earlier runs that are not in this one.
            take_over: Use this machine's journal from now on, because the collection's own is elsewhere or lost. All
            documents are written again. What others wrote is replaced, and with `prune` it is pruned.
            retry: How long to wait for a busy store.
            on_progress: Called with the growing report, from another thread.

        Raises:
            AnotherWriter: the collection was last written with another journal, and `take_over` is off.
            ContractMismatch: the collection was cut by another chunker.
            DocumentError: a document cannot be read or encoded. What was encoded before it is stored.
            StoreError: the store or the journal refuses, or the collection has another layout than you ask for.
            InvalidVector: the encoder returned a vector that must not be stored.
        """
        if not isinstance(documents, Iterable):
            raise InvalidInput(f"ingest takes an iterable of Documents, got {type(documents).__name__}")
        start = time.perf_counter()
        stored = self._make(retry)
        if self.chunker.description != stored.contract.chunker:
            raise ContractMismatch(self.collection, {"chunker": (stored.contract.chunker, self.chunker.description)})
        with self._journal(stored.contract, retry.total) as journal:
            hold = claim(self.collection, journal, self.store, retry, take_over=take_over)
            complete, remarks = reconcile(journal, self.store, retry)
            run = Ingestion(
                self.encoder,
                stored,
                self.chunker,
                self.store,
                journal,
                IngestOptions(skip_bad, retry, on_progress),
                complete=complete,
                check_writer=hold.check_now_and_then,
            )
            report = run.run(documents)
            report.remarks += remarks
            with_retries(hold.check, retry)
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
        hybrid: Hybrid = False,
    ) -> list[Hit]:
        """The `limit` chunks nearest to a question, best first.

        Args:
            query: The question.
            limit: Hits at most.
            filter: Conditions on metadata, such as {"lang": "de", "year": {"gte": 2020}}; see `filters`.
            hybrid: Also count shared words, where the collection was made for it. "scores" adds both scores,
                normalised; "ranks" fuses ranks; True is the better one here. A hit's score stays the cosine.

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
        hybrid: Hybrid = False,
    ) -> list[list[Hit]]:
        """As `search`, for several questions with one encode, and one round trip where the backend has one."""
        if isinstance(queries, str):
            raise InvalidInput(f"search_many takes several questions, got the str {queries!r:.200}: search takes one")
        check_limit(limit)
        condition, fusion = as_condition(filter), fusion_of(hybrid, self.store.fusion)

        def ask(stored: Stored) -> list[list[Hit]]:
            contract = stored.contract
            vectors = self.encoder.encode(
                queries, task=contract.query_task, dimensions=contract.dimensions, prompt=contract.prompts
            )
            return self._nearest(vectors, limit, condition, fusion and Words(list(queries), fusion), stored)

        return self._in_one_collection(ask)

    def nearest(
        self,
        vectors: FloatArray,
        *,
        limit: int = 10,
        filter: Filter | None = None,  # noqa: A002
        words: Words | None = None,
    ) -> list[list[Hit]]:
        """As `search_many`, for questions that you encoded yourself, as `contract` says: one row for each.

        With `words`, the questions' texts, the words that a chunk shares with them count too.

        Raises:
            StoreNotFound, ContractMismatch, InvalidInput: as `search`.
            InvalidVector: no array of two dimensions, another number of components, or not of unit length.
        """
        check_limit(limit)
        condition = as_condition(filter)
        if not isinstance(vectors, np.ndarray):
            raise InvalidVector(f"query vectors must be an array (questions, dimensions), got {type(vectors).__name__}")
        return self._in_one_collection(lambda stored: self._nearest(vectors, limit, condition, words, stored))

    def delete(self, document_ids: Iterable[str]) -> None:
        """Delete documents with all their chunks; unknown ids are no error.

        Raises:
            InvalidInput: one str in place of several, or an id that is no str, or no text.
            StoreNotFound: nothing was ingested yet.
        """
        if not isinstance(document_ids, Iterable):
            raise InvalidInput(f"delete takes several ids, got {type(document_ids).__name__}")
        if isinstance(document_ids, str):
            raise InvalidInput(
                f"delete takes several ids, got the str {document_ids!r:.200}: pass [{document_ids!r:.200}]"
            )
        stored = self._require()
        with self._journal(stored.contract, SHORT_RETRY.total) as journal:
            checked_ids = map(as_sought_id, document_ids)
            while some_ids := list(islice(checked_ids, DELETED_AT_ONCE)):
                delete_documents(
                    journal,
                    some_ids,
                    lambda tails: with_retries(partial(self.store.delete, chunks_of(tails)), SHORT_RETRY),
                )

    def ids(self) -> Iterator[tuple[str, int]]:
        """(document id, chunk number) of every chunk, in no particular order; none where there is no collection."""
        return self.store.ids() if self._exists() else iter(())

    def chunk_counts(self) -> dict[str, int]:
        """The chunks of each document that is stored whole. None where there is no collection.

        A document is whole where the journal of this machine says so, and the collection holds as many of its chunks.
        One whose write was stopped halfway is left out, also where no chunk is missing: some may be older ones.
        """
        stored = self._read(self.store.read_recent, SHORT_RETRY)
        if stored is None:
            return {}
        with closing(Journal(self.store.journal_file, self._journal_target(stored.contract))) as journal:
            return journal.whole(self.store.ids())

    def count(self) -> int:
        """Chunks in the collection, 0 where there is none."""
        return with_retries(self.store.count, SHORT_RETRY) if self._exists() else 0

    def swap_alias(self, alias: str) -> None:
        """Let `alias` name this collection from now on. Fill a new collection, then swap: searches never stop.

        Raises:
            StoreNotFound: nothing was ingested yet.
            StoreError: the backend has no aliases, or a collection itself has this name.
        """
        self._require()
        self.store.point_alias(check_collection_name(alias))

    async def ingest_async(
        self,
        documents: Iterable[Document | DocumentError],
        *,
        skip_bad: bool = False,
        prune: bool = False,
        take_over: bool = False,
        retry: RetryPolicy = DEFAULT_RETRY,
        on_progress: Callable[[IngestReport], None] = lambda _: None,
    ) -> IngestReport:
        """`ingest` in a thread."""
        return await asyncio.to_thread(
            self.ingest,
            documents,
            skip_bad=skip_bad,
            prune=prune,
            take_over=take_over,
            retry=retry,
            on_progress=on_progress,
        )

    async def search_async(
        self,
        query: str,
        *,
        limit: int = 10,
        filter: Filter | None = None,  # noqa: A002
        hybrid: Hybrid = False,
    ) -> list[Hit]:
        """`search` in a thread."""
        return await asyncio.to_thread(self.search, query, limit=limit, filter=filter, hybrid=hybrid)

    async def search_many_async(
        self,
        queries: Sequence[str],
        *,
        limit: int = 10,
        filter: Filter | None = None,  # noqa: A002
        hybrid: Hybrid = False,
    ) -> list[list[Hit]]:
        """`search_many` in a thread."""
        return await asyncio.to_thread(self.search_many, queries, limit=limit, filter=filter, hybrid=hybrid)

    async def nearest_async(
        self,
        vectors: FloatArray,
        *,
        limit: int = 10,
        filter: Filter | None = None,  # noqa: A002
        words: Words | None = None,
    ) -> list[list[Hit]]:
        """`nearest` in a thread."""
        return await asyncio.to_thread(self.nearest, vectors, limit=limit, filter=filter, words=words)

    async def delete_async(self, document_ids: Iterable[str]) -> None:
        """`delete` in a thread."""
        await asyncio.to_thread(self.delete, document_ids)

    async def count_async(self) -> int:
        """`count` in a thread."""
        return await asyncio.to_thread(self.count)

    def close(self) -> None:
        """Flush and close. Calling it twice is safe."""
        self.store.close()

    def _open(self, *, adopt: Adopt) -> None:
        try:
            self._read(self.store.read, SHORT_RETRY)
        except ContractMissing:
            if not adopt:
                raise
            contract = agree(self._settings, self.encoder, None, self.collection)
            self.store.check_adoptable(contract)
            check_adoption(self.store, self.encoder, contract, self.collection, unchecked=adopt == UNCHECKED)
            self.store.adopt(replace(contract, collection_id=uuid.uuid4().hex))
            self._read(self.store.read, SHORT_RETRY)

    def _read(self, read: Callable[[], Stored | None], retry: RetryPolicy) -> Stored | None:
        """Read what the collection says now, and check it. Others may have made or replaced it meanwhile."""
        return self._check(with_retries(read, retry))

    def _check(self, stored: Stored | None) -> Stored | None:
        """Check `stored` and return it with the contract in use. Set `self.contract` and `self.stored`."""
        try:
            contract = agree(self._settings, self.encoder, stored.contract if stored else None, self.collection)
        except ContractMismatch as error:
            raise ContractMismatch(self.collection, error.differences, empty=holds_nothing(self.store)) from None
        checked = replace(stored, contract=contract) if stored else None
        self.contract, self.stored = contract, checked
        return checked

    def _make(self, retry: RetryPolicy) -> Stored:
        """Check before writing, and make the collection where there is none."""
        with self._creating:
            stored = self._read(self.store.read, retry)
            if stored is None:
                contract = agree(self._settings, self.encoder, None, self.collection)
                contract = replace(contract, collection_id=uuid.uuid4().hex)
                with_retries(partial(self.store.create, contract), retry)
                stored = self._read(self.store.read, retry)
            if stored is None:
                raise StoreNotFound(f"collection {self.collection!r} was deleted again while it was being made")
            check_layout(self.store.new_layout, stored.layout, self.collection)
            return stored

    def _in_one_collection(self, ask: Callable[[Stored], list[list[Hit]]]) -> list[list[Hit]]:
        """The answer of the collection that the question was made for.

        An alias may move after the contract was read. Then another collection answers, whose vectors may have the same
        size and come from another model: a wrong answer without an error. So an alias is looked at again afterwards.
        One that went there and back meanwhile is not noticed.
        """
        for _ in range(MOVES):
            stored = self._require()
            try:
                answers = ask(stored)
            except (StoreError, InvalidVector):  # as for vectors of another size
                if not self._has_moved(stored):
                    raise
            else:
                if not self._has_moved(stored):
                    return answers
        raise StoreError(f"{self.collection!r} named another collection after each of {MOVES} searches: ask again")

    def _has_moved(self, stored: Stored) -> bool:
        """Whether the name is an alias that stands for another collection by now."""
        if self._named is None or self._named[0] != stored.contract:
            self._named = stored.contract, with_retries(self.store.real_name, SHORT_RETRY) != self.collection
        return self._named[1] and self._require().contract != stored.contract

    def _nearest(
        self,
        vectors: FloatArray,
        limit: int,
        condition: Condition | bool,
        words: Words | None,
        stored: Stored,
    ) -> list[list[Hit]]:
        check_vectors(vectors, stored.contract.dimensions)
        if words is not None:
            check_words(words, len(vectors), self.collection, hybrid=stored.layout.hybrid)
        if condition is False or not len(vectors):
            return [[] for _ in vectors]
        allowed = None if condition is True else condition
        return with_retries(partial(self.store.nearest, vectors, limit, allowed, words, stored), SHORT_RETRY)

    def _exists(self) -> bool:
        """Whether the collection exists now. Another connector may have made it."""
        return self._read(self.store.read_recent, SHORT_RETRY) is not None

    def _require(self) -> Stored:
        """Check before reading. The collection must exist."""
        stored = self._read(self.store.read_recent, SHORT_RETRY)
        if stored is None:
            raise StoreNotFound(f"collection {self.collection!r} does not exist yet; ingest documents into it first")
        return stored

    def _journal(self, contract: EmbeddingContract, patience: float) -> AbstractContextManager[Journal]:
        """The journal, locked."""
        return locked_journal(self.store.journal_file, self._journal_target(contract), self.collection, patience)

    def _journal_target(self, contract: EmbeddingContract) -> str:
        """What keeps the collection's rows apart from others in the journal."""
        return "/".join(filter(None, (contract.collection_id, self.store.partition)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
