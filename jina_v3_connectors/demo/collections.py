"""The demo's corpus in several stores: a collection for each size and way of reading chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from urllib.parse import urlsplit

from jina_v3_encoder.address import HIDDEN, without_userinfo
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.retry import SHORT_RETRY
from jina_v3_encoder.vectors import FloatArray

from ..backends import BY_NAME, find_location, open_store
from ..connector import VectorConnector
from ..documents import Hit
from ..errors import AnotherWriter
from ..fusion import Words
from .corpus import Corpus, Mode

REACH_SECONDS = 1.0
"""How long a server may take to accept a connection before it counts as not started."""


class Collections:
    """Makes and fills each collection when it is first needed. Use from one thread at a time."""

    def __init__(self, corpus: Corpus, stores: Iterable[str]) -> None:
        """Nothing is opened yet. `stores` are folders, or URLs as `jina-v3 ingest --to` takes them.

        Raises:
            InvalidInput: a backend that keeps one size only, as Pinecone does, or two stores of the same name.
        """
        self.corpus = corpus
        self._urls: dict[str, str] = {}
        for url in map(store_url, stores):
            if label(url) in self._urls:
                raise InvalidInput(f"two stores of the kind {label(url)!r}: the page could not tell them apart")
            self._urls[label(url)] = url
        self._open: dict[tuple[str, Mode, int, bool], VectorConnector] = {}
        self.written = 0
        """Documents that were stored because a collection did not have them, once for each collection."""

    @property
    def stores(self) -> list[str]:
        """Names to choose from."""
        return list(self._urls)

    async def started(self) -> dict[str, bool]:
        """Of each store, whether its server accepts a connection. Nothing is opened or made."""
        reached = await asyncio.gather(*map(accepts, self._urls.values()))
        return dict(zip(self._urls, reached, strict=True))

    def nearest(self, store: str, vector: FloatArray, limit: int, mode: Mode, words: Words | None = None) -> list[Hit]:
        """The chunks nearest to `vector` (d,) in the collection of d dimensions, best first.

        With `words`, those that the question shares count too. Their collection is another one, made when first needed.

        Raises:
            InvalidInput: no such store.
            StoreError: it cannot be reached or refuses.
        """
        connector = self.connector(store, len(vector), mode, hybrid=words is not None)
        return connector.nearest(vector[None], limit=limit, words=words)[0]

    def connector(self, store: str, dimensions: int, mode: Mode, *, hybrid: bool = False) -> VectorConnector:
        """One filled collection. `close` closes it with the others.

        Raises:
            InvalidInput, StoreError: as in `nearest`.
        """
        key = (store, mode, dimensions, hybrid)
        if key not in self._open:
            if store not in self._urls:
                raise InvalidInput(f"there is no store {store!r} here, only {', '.join(self._urls)}")
            self._open[key] = self._filled(self._urls[store], mode, dimensions, hybrid=hybrid)
        return self._open[key]

    def close(self) -> None:
        """Close every store. Calling it twice is safe."""
        while self._open:
            self._open.popitem()[1].close()

    def _filled(self, url: str, mode: Mode, dimensions: int, *, hybrid: bool) -> VectorConnector:
        corpus = self.corpus
        name = f"demo_{corpus.name}_{mode}_{dimensions}" + ("_words" if hybrid else "")
        connector = open_store(
            url,
            corpus.encoder,
            name,
            hybrid=hybrid,
            dimensions=dimensions,
            late_chunking=mode.late_chunking,
            chunker=corpus.chunker,
        )
        try:
            try:
                self.written += connector.ingest(corpus.documents, retry=SHORT_RETRY).documents
            except AnotherWriter:  # of the same documents, since the collection's name follows them
                if connector.count() != corpus.chunks:
                    report = connector.ingest(corpus.documents, take_over=True, retry=SHORT_RETRY)
                    self.written += report.documents
        except BaseException:
            connector.close()
            raise
        return connector


def store_url(store: str) -> str:
    """A store's URL, the embedded one's for a plain folder."""
    return store if store.partition(":")[0].partition("+")[0] in BY_NAME else f"qdrant:{store}"


def label(url: str) -> str:
    """A store's name to show: backend and host, without secrets.

    Raises:
        InvalidInput: another backend, or no address of a server.
    """
    name = url.partition(":")[0].partition("+")[0]
    if name not in BY_NAME or not BY_NAME[name].many_sizes:
        raise InvalidInput(f"the demo keeps several sizes in one store, which {url.partition(':')[0]} cannot")
    backend, location = find_location(url)
    if location.path is not None:
        return f"{backend.title}, embedded"
    return f"{backend.title} at {server_of(location.address or '') or 'its socket'}"


def server_of(address: str) -> str:
    """Host and port of a server's URL as they stand in it, empty for a socket."""
    before, _, parameters = address.partition("?")
    if "@" in parameters and "@" not in before:  # the ? may be part of a password, and what is before it too
        return HIDDEN
    return urlsplit(without_userinfo(before)).netloc.rpartition("@")[2]  # a password may hold a / that ends the host


async def accepts(url: str) -> bool:
    """Whether the server of a store accepts a connection. True for a folder, and where host or port are not told."""
    try:
        parts = urlsplit(f"//{server_of(find_location(url)[1].address or '')}")
        if parts.hostname is None or parts.port is None:
            return True
    except ValueError:  # several hosts
        return True
    try:
        async with asyncio.timeout(REACH_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except (OSError, ValueError):
        return False
    writer.close()
    return True
