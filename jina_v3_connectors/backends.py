"""The backends in one table, and stores by URL, as in `qdrant:./folder` or `milvus+http://host:19530`.

Whatever lists backends reads this table: the command line's help, the demo, the tests of all backends and extras.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jina_v3_encoder.address import HIDDEN, SCHEME, SCHEMES, scheme_alone, server_address, without_userinfo
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.retry import SHORT_RETRY, with_retries

from .errors import StoreNotFound

if TYPE_CHECKING:
    from jina_v3_encoder.text_encoder import TextEncoder
    from jina_v3_encoder.texts.blend import LateChunking

    from .adoption import Adopt
    from .chunking import Chunker
    from .connector import VectorConnector
    from .store import Store, Stored


@dataclass(frozen=True)
class Location:
    """Where a store is, as its URL says."""

    path: Path | None = None
    """A folder on this machine."""
    address: str | None = None
    """The URL of a server, or the name of an index. Used if `path` is None."""


@dataclass(frozen=True)
class Backend:
    """One kind of database. The three forms of URL are examples, empty where the backend has no such form."""

    name: str
    """The first word of its URLs."""
    title: str
    extra: str
    """The name in `pip install 'jina-v3-connectors[…]'`."""
    open: Callable[[Location, str, bool], Store]
    """Opens a collection; the bool asks for hybrid search."""
    folder: str = ""
    """A folder on this machine."""
    server: str = ""
    """A server. With "+http" https is understood as well; otherwise the name is the scheme."""
    index: str = ""
    """An index of a service, by its name."""
    hybrid: bool = True
    aliases: bool = True
    foreign_aliases: bool = True
    """Whether an alias may stand for a collection that another project made."""
    foreign_in_place: bool = False
    """Whether the vectors of such a collection can change places with new ones beside them."""
    many_sizes: bool = True
    """Whether one server or folder can hold collections of several sizes. The demo needs that."""

    @property
    def examples(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.folder, self.server, self.index)))

    def locate(self, scheme: str, rest: str) -> Location | None:
        """The location in a URL that was divided into name, scheme and `rest`. None if the backend has no such form.

        Raises:
            InvalidInput: no address of a server.
        """
        if self.server.startswith(f"{self.name}+"):
            if scheme in SCHEMES and rest.startswith("//") and rest.strip("/"):
                server_address(f"{scheme}:{rest}")
                return Location(address=f"{scheme}:{rest}")
        elif self.server and not scheme and rest.startswith("//") and rest.strip("/"):
            return Location(address=f"{self.name}:{rest}")
        if scheme or not rest or rest.startswith("//"):
            return None
        if self.folder:
            return None if "://" in rest else Location(path=Path(rest).expanduser())
        return Location(address=rest) if self.index and not rest.startswith("/") else None


def _qdrant(location: Location, collection: str, hybrid: bool) -> Store:
    from .qdrant.connector import qdrant_store
    from .qdrant.layout import QdrantLayout

    return qdrant_store(collection, layout=QdrantLayout(hybrid=hybrid), path=location.path, url=location.address)


def _milvus(location: Location, collection: str, hybrid: bool) -> Store:
    from .milvus.connector import milvus_store
    from .milvus.schema import MilvusLayout

    return milvus_store(collection, layout=MilvusLayout(hybrid=hybrid), path=location.path, url=location.address)


def _pinecone(location: Location, collection: str, hybrid: bool) -> Store:
    """The collection is a namespace."""
    from .pinecone.connector import pinecone_store

    return pinecone_store(location.address or "", namespace=collection)


def _postgresql(location: Location, collection: str, hybrid: bool) -> Store:
    from .postgres.connector import postgres_store
    from .postgres.layout import PostgresLayout

    return postgres_store(collection, layout=PostgresLayout(hybrid=hybrid), url=location.address)


BACKENDS = (
    Backend("qdrant", "Qdrant", "qdrant", _qdrant, folder="qdrant:./folder", server="qdrant+http://host:6333"),
    Backend("milvus", "Milvus", "milvus", _milvus, folder="milvus:./folder.db", server="milvus+http://host:19530"),
    Backend(
        "pinecone",
        "Pinecone",
        "pinecone",
        _pinecone,
        index="pinecone:index",
        hybrid=False,
        aliases=False,
        many_sizes=False,
    ),
    Backend(
        "postgresql",
        "PostgreSQL",
        "postgres",
        _postgresql,
        server="postgresql://user@host:5432/database",
        foreign_aliases=False,
        foreign_in_place=True,
    ),
)
PARAMETER = re.compile(r"([?&;])(?!(?:host|port|dbname|sslmode)=[\w./%:,\[\]-]*(?:[&;]|$))[^&;]*")
"""Parameters of a URL that may be secret, as in `postgresql://host/database?password=…`."""
WITHOUT_SECRETS = re.compile(rf"//{re.escape(HIDDEN)}@|[?&;]{re.escape(HIDDEN)}")
"""What `shown_url` leaves of a user with a password, and of parameters."""
PLAIN = re.compile(r"[\w.:,%\[\]~/+*@-]+(?:[?&;]|$)")
"""What may stand before the parameters."""
FOLDER = re.compile(r"[\w./~-]*")
"""Where the backend's name was forgotten."""
SYNONYMS = {"postgres": "postgresql"}
"""Other first words of URLs, as the clients take them."""
BY_NAME = {backend.name: backend for backend in BACKENDS}
STORE_FORMS = ", ".join(form for backend in BACKENDS for form in backend.examples) + " (http may be https)"


def find_location(url: str) -> tuple[Backend, Location]:
    """The backend of a URL, and where in it.

    Raises:
        InvalidInput: the URL has no known form, or its secret parts were left out when it was shown or kept.
    """
    name, scheme, rest = _divided(url)
    if hides_secrets(url):
        raise InvalidInput(f"{url!r} was kept without its password: give the whole URL once more")
    location = BY_NAME[name].locate(scheme, rest) if name in BY_NAME else None
    if location is None:
        raise InvalidInput(f"unknown store {shown_url(url)!r}: use one of {STORE_FORMS}")
    return BY_NAME[name], location


def backend_of(url: str) -> Backend:
    """The backend of a URL of a known form, also of one whose secret parts were left out."""
    return BY_NAME[_divided(url)[0]]


def store_at(url: str, collection: str, *, hybrid: bool = False) -> Store:
    """The store of a URL. No model is needed. In `pinecone:index`, the collection is a namespace.

    Raises:
        InvalidInput: the URL has no known form, or the backend has no such name or no hybrid search.
        MissingExtra: the backend's package is not installed.
        StoreError: it cannot be opened.
    """
    backend, location = find_location(url)
    if hybrid and not backend.hybrid:
        raise InvalidInput(f"hybrid search is not offered for {backend.title}")
    return backend.open(location, collection, hybrid)


def open_store(
    url: str,
    encoder: TextEncoder,
    collection: str,
    *,
    hybrid: bool = False,
    dimensions: int | None = None,
    late_chunking: LateChunking | None = None,
    chunker: Chunker | None = None,
    window: int | None = None,
    overlap: int | None = None,
    adopt: Adopt = False,
) -> VectorConnector:
    """The connector of a store URL; the settings are those of `VectorConnector`.

    Raises:
        InvalidInput, MissingExtra, StoreError: see `store_at` and the connector.
    """
    from .connector import VectorConnector

    return VectorConnector(
        encoder,
        collection,
        partial(store_at, url, collection, hybrid=hybrid),
        dimensions=dimensions,
        late_chunking=late_chunking,
        chunker=chunker,
        window=window,
        overlap=overlap,
        adopt=adopt,
    )


def filled_store(url: str, collection: str) -> tuple[Store, Stored]:
    """A filled store and what it says of itself, so that a search can choose its model.

    Raises:
        StoreNotFound: there is no such collection.
        InvalidInput, MissingExtra, StoreError: see `store_at`.
    """
    from .connector import check_collection_name

    check_collection_name(collection)
    path = find_location(url)[1].path
    if path is not None and not path.exists():
        raise _empty(url, collection)
    store = store_at(url, collection)
    try:
        stored = with_retries(store.read, SHORT_RETRY)
        if stored is None:
            raise _empty(url, collection)
    except BaseException:
        store.close()
        raise
    return store, stored


def shown_url(url: str) -> str:
    """A store's URL without user and password, to show. Of an unknown form, only the backend and the scheme are shown.

    A folder's name is shown as it is; it may hold an @.
    """
    name, scheme, rest = _divided(url)
    if name not in BY_NAME:
        return url if FOLDER.fullmatch(url) else scheme_alone(url)
    with suppress(InvalidInput):
        location = BY_NAME[name].locate(scheme, rest)
        if location is not None and location.path is not None:
            return url
        shown = without_userinfo(PARAMETER.sub(rf"\1{HIDDEN}", url))
        if location is not None and PLAIN.match(shown) and url.count("@") == shown.count("@"):
            return shown
    return scheme_alone(url) if SCHEME.match(url) else f"{name}:{HIDDEN}"


def hides_secrets(url: str) -> bool:
    """Whether a URL is what `shown_url` left of one with secrets, so that nothing can be opened by it."""
    return bool(SCHEME.match(url) and WITHOUT_SECRETS.search(url))


def _divided(url: str) -> tuple[str, str, str]:
    """The backend's name, the scheme after its "+", and what follows the colon."""
    kind, _, rest = url.partition(":")
    name, _, scheme = kind.partition("+")
    return SYNONYMS.get(name, name), scheme, rest


def _empty(url: str, collection: str) -> StoreNotFound:
    shown = shown_url(url)
    return StoreNotFound(
        f"there is no collection {collection!r} in {shown} yet; fill it with: jina-v3 ingest PATH --to {shown}"
    )
