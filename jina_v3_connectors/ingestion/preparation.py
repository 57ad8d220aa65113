"""The first stage: check whether a document must be encoded, and cut it."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import get_ident
from typing import TypeAlias

from ..chunking import Chunker
from ..chunking.base import WaitingChunker
from ..document_checks import check_document, check_id, is_text
from ..documents import Document
from ..errors import DocumentError
from ..limits import check_chunks
from ..store import Stored
from .chunked import BATCH_CHARACTERS, MOST_CHUNKS, ChunkedDocument, chunks_of
from .journal import Journal
from .writing import Sink

AHEAD = 16
"""So many documents may be prepared before they are asked for, or `BATCH_CHARACTERS` of them, and always one."""
STOP_SECONDS = 0.05
"""So often a chunker that waits is told to stop."""
READ_PER_AHEAD = 50
"""Later, one of so many that were read, up to `MOST_CHUNKS`: as many as a batch has, else the encoder waits for them. A
stop costs what is ahead."""


@dataclass(frozen=True)
class Unchanged:
    """The collection already holds the document in exactly this form."""


@dataclass(frozen=True)
class Refused:
    """The document cannot be stored."""

    reason: DocumentError


Prepared: TypeAlias = ChunkedDocument | Unchanged | Refused


class Preparation:
    """Checks documents against the journal and the limits of the store, and cuts them into chunks."""

    sees_all = True
    """False if something could not be read that may be any document. Then nobody knows which are absent."""

    def __init__(self, stored: Stored, chunker: Chunker, sink: Sink, journal: Journal) -> None:
        self._stored, self._chunker, self._sink, self._journal = stored, chunker, sink, journal
        self._form = json.dumps(stored.contract.deciding(), sort_keys=True).encode()

    def prepared(self, documents: Iterable[Document | DocumentError]) -> Generator[Prepared, None, None]:
        """As `prepare`, for each in order. A thread prepares the next ones while the caller encodes.

        Documents are read in the caller's thread: their source may belong to it, as a cursor of SQLite does. Close the
        iterator, or use it up: the thread then has ended, without the answer that a chunker was waiting for.
        """
        ahead: deque[tuple[int, Future[Prepared]]] = deque()
        characters, threads = 0, list[int]()
        with ThreadPoolExecutor(1, "jina-v3-chunker", lambda: threads.append(get_ident())) as thread:
            try:
                for read, document in enumerate(documents):
                    most = min(MOST_CHUNKS, max(AHEAD, read // READ_PER_AHEAD))
                    ahead.append((_characters(document), thread.submit(self.prepare, document)))
                    characters += ahead[-1][0]
                    while len(ahead) > 1 and (len(ahead) > most or characters > BATCH_CHARACTERS):
                        prepared = ahead[0][1].result()
                        characters -= ahead.popleft()[0]
                        yield prepared
                while ahead:
                    prepared = ahead[0][1].result()
                    ahead.popleft()
                    yield prepared
            finally:
                thread.shutdown(wait=False, cancel_futures=True)
                while running := [outcome for _, outcome in ahead if outcome.running()]:
                    if isinstance(self._chunker, WaitingChunker):
                        self._chunker.stop(threads[0])
                    wait(running, STOP_SECONDS)

    def prepare(self, document: Document | DocumentError) -> Prepared:
        """Mark the document as part of this run, and say what has to be done with it.

        An error in its place refuses a document that cannot be read.
        """
        if isinstance(document, DocumentError):
            return self._unreadable(document)
        try:
            self._mark_as_present(document)
            check_document(document)
            digest = self._digest(document)
            entry = self._journal.get(document.id)
            if entry is not None and entry.digest == digest:
                return Unchanged()
            self._sink.check_storable(document, self._stored.layout)
            chunks = chunks_of(document, self._chunker)
            check_chunks(chunks, self._stored.contract.dimensions, self._sink.write_limits)
        except DocumentError as reason:
            if isinstance(document, Document):
                reason.document_id = document.id
            return Refused(reason)
        return ChunkedDocument(document, chunks, digest)

    def _unreadable(self, reason: DocumentError) -> Refused:
        if reason.document_id is None:
            self.sees_all = False
        elif is_text(reason.document_id):
            self._journal.mark_as_present(reason.document_id)
        return Refused(reason)

    def _mark_as_present(self, document: Document) -> None:
        """Mark the document as part of this run, first of all: prune then keeps the stored version of a refused one.

        Raises:
            DocumentError: its id cannot be stored, or was in this run before.
        """
        try:
            check_id(document)
        except DocumentError:
            if isinstance(document, Document) and isinstance(document.id, str) and is_text(document.id):
                self._journal.mark_as_present(document.id)  # an earlier version of this project may have stored it
            raise
        if not self._journal.mark_as_present(document.id):
            raise DocumentError(
                f"document {document.id!r} came twice in one run: ids must be unique, or one would replace the other; "
                "the first one counts"
            )

    def _digest(self, document: Document) -> bytes:
        parts = [document.text, document.format, json.dumps(dict(document.metadata), sort_keys=True)]
        if document.cuts is not None:
            cuts = [(cut.start, cut.end, dict(cut.metadata)) for cut in document.cuts]
            parts.append(json.dumps(cuts, sort_keys=True))
        if document.marks:
            marks = [(mark.start, dict(mark.metadata)) for mark in document.marks]
            parts.append(json.dumps({"marks": marks}, sort_keys=True))
        digest = hashlib.blake2b(self._form, digest_size=16)
        for part in parts:
            content = part.encode()
            digest.update(len(content).to_bytes(8))
            digest.update(content)
        return digest.digest()


def _characters(document: Document | DocumentError) -> int:
    """Those of its text. Nothing is checked yet."""
    return len(document.text) if isinstance(document, Document) and isinstance(document.text, str) else 0
