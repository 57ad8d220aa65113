"""`VectorConnector`: every loop and every check; a `Store` adds storage only."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.late_chunking import DEFAULT_OVERLAP, check_window
from jina_v3_encoder.protocol import TextEncoder
from jina_v3_encoder.vectors import check_dimensions

from .batches import check_vectors
from .chunking import Chunker, WholeDocument
from .contract import EmbeddingContract
from .documents import Document, Hit, Tail
from .errors import ContractMismatch, StoreNotFound
from .filters import parse_filter
from .ingest import DELETED_AT_ONCE, Ingestion, IngestOptions, IngestReport
from .journal import Journal
from .retry import DEFAULT_RETRY, RetryPolicy, with_retries
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


class VectorConnector:
    """A collection that is filled with `retrieval.passage` and searched with `retrieval.query`, and checked to be so.

    Arguments left at None take the collection's own value, or the default where there is no collection yet.
    Use as a context manager, or call `close`.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        collection: str,
        store: Store,
        *,
        dimensions: int | None = None,
        late_chunking: bool | None = None,
        chunker: Chunker | None = None,
        window: int | None = None,
        overlap: int | None = None,
    ) -> None:
        """Connect, and compare with the contract of an existing collection.

        Args:
            encoder: Any `TextEncoder`.
            collection: Letters, digits, `_`, `.` and `-`.
            store: The backend; connectors of a backend make their own.
            dimensions: Stored components, 1 to the encoder's own (Matryoshka); default all.
            late_chunking: Encode each document as a whole and pool its chunks; default off.
            chunker: How documents are cut; default one chunk per document.
            window, overlap: Tokens read at once and shared between windows, for late chunking of long documents.

        Raises:
            ContractMismatch: the collection was filled in another way.
            InvalidInput: a bad name or number.
            StoreError: the store cannot be opened.
        """
        self.encoder, self.collection, self.store = encoder, check_collection_name(collection), store
        self._given = (dimensions, late_chunking, chunker, window, overlap)
        self._chunker: Chunker = chunker or WholeDocument()
        self._stored = store.read_contract()
        self.contract = self._agree(self._stored)

    def ingest(
        self,
        documents: Iterable[Document],
        *,
        skip_bad: bool = False,
        prune: bool = False,
        retry: RetryPolicy = DEFAULT_RETRY,
        on_progress: Callable[[IngestReport], None] = lambda _: None,
    ) -> IngestReport:
        """Chunk, encode and store documents; creates the collection on first use.

        Safe to repeat and to stop at any moment. Chunk ids follow from document id and number; a journal knows which
        documents are stored, so that a rerun skips what is unchanged, replaces what changed and goes on where the last
        one ended. Documents are read as they are needed, never all at once; encoding and writing overlap.

        Args:
            documents: Any iterable. Ids must be stable between runs.
            skip_bad: Leave out documents that cannot be encoded and name them in the report, instead of stopping.
            prune: Afterwards delete the documents of earlier runs that were not among these.
            retry: How long to wait for a busy store.
            on_progress: Called with the growing report, from another thread.

        Raises:
            ContractMismatch: the collection was cut by another chunker.
            DocumentError: a document cannot be read or encoded. What was encoded before it is stored.
            StoreError: the store or the journal refuses.
            InvalidVector: the encoder returned a vector that must not be stored.
        """
        if self._chunker.description != self.contract.chunker:
            raise ContractMismatch(self.collection, {"chunker": (self.contract.chunker, self._chunker.description)})
        if self._stored is None:
            self.contract = replace(self.contract, collection_id=uuid.uuid4().hex)
            self.store.create(self.contract)
            self._stored = self.contract
        fresh = with_retries(self.store.count, retry) == 0
        options = IngestOptions(skip_bad, prune, retry, on_progress)
        journal = Journal(self.store.journal_file, self.contract.collection_id)
        try:
            run = Ingestion(self.encoder, self.contract, self._chunker, self.store, journal, options, fresh=fresh)
            return run.run(documents)
        finally:
            journal.close()

    def search(self, query: str, *, limit: int = 10, filter: Mapping[str, object] | None = None) -> list[Hit]:  # noqa: A002
        """The `limit` chunks nearest to a question, best first.

        Args:
            query: The question.
            limit: Hits at most.
            filter: Conditions on metadata, such as {"lang": "de", "year": {"gte": 2020}}; see `filters`.

        Raises:
            StoreNotFound: nothing was ingested yet.
            InvalidInput: the query is no str, is too long, the limit is below 1, or the filter is malformed.
        """
        if not isinstance(query, str):
            raise InvalidInput(f"a query must be a str, got {type(query).__name__}; search_many takes a list")
        return self.search_many([query], limit=limit, filter=filter)[0]

    def search_many(
        self,
        queries: Sequence[str],
        *,
        limit: int = 10,
        filter: Mapping[str, object] | None = None,  # noqa: A002
    ) -> list[list[Hit]]:
        """As `search`, for several questions with one encode."""
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise InvalidInput(f"limit must be a whole number above 0, got {limit!r}")
        condition = None if filter is None else parse_filter(filter)
        self._require()
        contract = self.contract
        vectors = self.encoder.encode(
            queries, task=contract.query_task, dimensions=contract.dimensions, prompt=contract.prompts
        )
        check_vectors(vectors, contract.dimensions)
        return self.store.nearest(vectors, limit, condition)

    def delete(self, document_ids: Iterable[str]) -> None:
        """Delete documents with all their chunks; unknown ids are no error.

        Raises:
            StoreNotFound: nothing was ingested yet.
        """
        self._require()
        journal = Journal(self.store.journal_file, self.contract.collection_id)
        try:
            names = iter(document_ids)
            while some := list(islice(names, DELETED_AT_ONCE)):
                self.store.delete([Tail(name, 0) for name in some])
                journal.forget(some)
        finally:
            journal.close()

    def ids(self) -> Iterator[tuple[str, int]]:
        """(document id, chunk number) of every chunk, in no particular order; none where there is no collection."""
        return iter(()) if self._stored is None else self.store.ids()

    def count(self) -> int:
        """Chunks in the collection, 0 where there is none."""
        return 0 if self._stored is None else self.store.count()

    def close(self) -> None:
        """Flush and let go; safe to call twice."""
        self.store.close()

    def _require(self) -> None:
        if self._stored is None:
            raise StoreNotFound(f"collection {self.collection!r} does not exist yet; ingest documents into it first")

    def _agree(self, stored: EmbeddingContract | None) -> EmbeddingContract:
        """The contract in use: given values, then the stored ones, then defaults; checked against the stored."""
        dimensions, late, chunker, window, overlap = self._given
        if late is None:
            late = stored.late_chunking if stored else False
        if dimensions is None and stored:
            dimensions = stored.dimensions
        if late:
            window = window if window is not None or stored is None else stored.window
            window = check_window(window, DEFAULT_OVERLAP if overlap is None else overlap, self.encoder.max_tokens)
            if overlap is None:
                overlap = stored.overlap if stored and stored.overlap is not None else min(DEFAULT_OVERLAP, window // 2)
        elif window is not None or overlap is not None:
            raise InvalidInput("window and overlap belong to late chunking: pass late_chunking=True with them")
        own = EmbeddingContract(
            model=self.encoder.model_id,
            revision=self.encoder.revision,
            fingerprint=self.encoder.fingerprint,
            dimensions=check_dimensions(dimensions, max(self.encoder.dimensions, stored.dimensions if stored else 0)),
            chunker=stored.chunker if chunker is None and stored else self._chunker.description,
            late_chunking=late,
            window=window,
            overlap=overlap,
            collection_id=stored.collection_id if stored else "",
        )
        if stored:
            stored.check(own, self.collection)
        return own

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
