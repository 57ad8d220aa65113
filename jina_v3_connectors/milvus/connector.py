"""`MilvusConnector`: a collection on a server, or in a local folder of Milvus Lite."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jina_v3_encoder.address import server_address
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import LateChunking

from ..adoption import Adopt
from ..chunking import Chunker
from ..connector import VectorConnector
from ..errors import StoreError
from ..store import Store, shared_journal
from .lite import close_lite, open_lite
from .schema import MilvusLayout

if TYPE_CHECKING:
    from pymilvus import MilvusClient

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
LITE_SUFFIX = ".db"
TOKEN_VARIABLE = "MILVUS_TOKEN"  # noqa: S105 - a variable's name
CONNECTION_OPTIONS = {"grpc.keepalive_permit_without_calls": False}
"""pymilvus pings an idle connection every 10 s, which Milvus Lite's server answers by closing it ("Too many pings")."""


class MilvusConnector(VectorConnector):
    """A Milvus collection: Milvus Lite with `path`, or wherever a `MilvusClient` points."""

    def __init__(
        self,
        encoder: TextEncoder,
        collection: str,
        *,
        path: str | Path | None = None,
        client: MilvusClient | None = None,
        url: str | None = None,
        layout: MilvusLayout | None = None,
        hybrid: bool = False,
        dimensions: int | None = None,
        late_chunking: LateChunking | None = None,
        chunker: Chunker | None = None,
        window: int | None = None,
        overlap: int | None = None,
        adopt: Adopt = False,
    ) -> None:
        """As `VectorConnector`, plus one of `path`, `client` and `url`.

        Args:
            encoder: As `VectorConnector`.
            collection: Letters, digits and `_`; may be an alias.
            path: Where Milvus Lite keeps its data, ending in `.db`; it becomes a folder.
            client: A `pymilvus.MilvusClient`. It stays open when this is closed.
            url: A server, as `http://localhost:19530`; a token comes from $MILVUS_TOKEN.
            layout: How a new collection is stored. An ingest into an existing one is refused if it has other options.
            hybrid: Short for `layout=MilvusLayout(hybrid=True)`.
            dimensions, late_chunking, chunker, window, overlap, adopt: As `VectorConnector`.

        Raises:
            InvalidInput: none or several of `path`, `client` and `url`, both `layout` and `hybrid`, or a bad name.
            MissingExtra: pymilvus, or Milvus Lite for a path, is not installed.
        """
        check_name(collection)
        if hybrid and layout is not None:
            raise InvalidInput("pass hybrid inside the layout: MilvusLayout(hybrid=True, …)")
        plan = layout or MilvusLayout(hybrid=hybrid)
        super().__init__(
            encoder,
            collection,
            partial(milvus_store, collection, path=path, client=client, url=url, layout=plan),
            dimensions=dimensions,
            late_chunking=late_chunking,
            chunker=chunker,
            window=window,
            overlap=overlap,
            adopt=adopt,
        )


def check_name(collection: object) -> None:
    """Raises InvalidInput for a name that Milvus does not take."""
    if not isinstance(collection, str) or not NAME.fullmatch(collection):
        raise InvalidInput(
            f"collection name {collection!r}: Milvus takes letters, digits and '_', not a digit first, 255 at most"
        )


def milvus_store(
    collection: str,
    *,
    layout: MilvusLayout,
    path: str | Path | None = None,
    client: MilvusClient | None = None,
    url: str | None = None,
) -> Store:
    """The store of one of `path`, `client` and `url`."""
    from .store import MilvusStore

    check_name(collection)
    if sum(given is not None for given in (path, client, url)) != 1:
        raise InvalidInput(
            "pass one of path='./file.db' for Milvus Lite, client=MilvusClient(...) and url='http://host:19530'"
        )
    if client is not None:
        return MilvusStore(client, collection, shared_journal(), layout)
    if url is not None:
        server = connect(url)
        return MilvusStore(server, collection, shared_journal(), layout, server.close)
    folder = Path(str(path))
    if folder.suffix != LITE_SUFFIX:
        raise InvalidInput(f"a path for Milvus Lite must end in {LITE_SUFFIX}, got {str(path)!r}")
    journal = folder.with_name(f"{folder.name}.journal.sqlite")
    lite = open_lite(folder)
    return MilvusStore(lite, collection, journal, layout, partial(close_lite, folder, lite), folder)


def connect(url: str) -> MilvusClient:
    """A client for a server, on a connection of its own that `close` ends (the client's shared ones never end).

    Raises:
        InvalidInput: no address of a server.
        StoreError: it cannot be reached, or refuses the token.
    """
    from pymilvus import MilvusClient, MilvusException

    from .errors import refusal
    from .quiet import quiet

    address = server_address(url)
    try:
        with quiet():
            return MilvusClient(
                address.url,
                token=os.environ.get(TOKEN_VARIABLE) or ":".join(address.login or ()),
                timeout=10,
                dedicated=True,
                grpc_options=CONNECTION_OPTIONS,
            )
    except MilvusException as error:
        if said := refusal(error):
            given = os.environ.get(TOKEN_VARIABLE)
            what = f"refuses the token in ${TOKEN_VARIABLE}" if given else "asks for a token"
            raise StoreError(
                f"the Milvus server at {address.url} {what} ({said}): "
                f"set ${TOKEN_VARIABLE} to user:password, or to an API key"
            ) from error
        raise StoreError(f"no Milvus server answers at {address.url}: {error.message or error}") from error
