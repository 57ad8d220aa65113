"""`PineconeConnector`: one namespace of an index."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING, get_args

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import LateChunking

from ..adoption import Adopt
from ..chunking import Chunker
from ..connector import VectorConnector
from ..store import Store
from .schema import DEFAULT_NAMESPACE, IndexKind

if TYPE_CHECKING:
    from pinecone import Pinecone

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?")
KEY_VARIABLE = "PINECONE_API_KEY"


class PineconeConnector(VectorConnector):
    """A namespace of a Pinecone index; `collection` is the index's name."""

    def __init__(
        self,
        encoder: TextEncoder,
        collection: str,
        *,
        client: Pinecone | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        version: int | None = None,
        kind: IndexKind = "documents",
        cloud: str = "aws",
        region: str = "us-east-1",
        dimensions: int | None = None,
        late_chunking: LateChunking | None = None,
        chunker: Chunker | None = None,
        window: int | None = None,
        overlap: int | None = None,
        adopt: Adopt = False,
    ) -> None:
        """As `VectorConnector`, with an index for a collection.

        Args:
            encoder: As `VectorConnector`.
            collection: The index: up to 45 lower-case letters, digits and `-`.
            client: A `pinecone.Pinecone`; default one with the key in $PINECONE_API_KEY.
            namespace: The part of the index to fill and to search. All namespaces share the index's contract.
            version: Stands in for aliases, which Pinecone has not: 2 works with the index NAME-v2.
            kind: A new index is made for "documents", the present interface, or for "vectors", the older one; an
                existing one tells itself.
            cloud, region: Where a new index lies.
            dimensions, late_chunking, chunker, window, overlap, adopt: As `VectorConnector`.

        Raises:
            InvalidInput: a bad name, or no key.
            MissingExtra: pinecone is not installed.
        """
        name = collection if version is None else f"{collection}-v{version}"
        check_name(name)
        super().__init__(
            encoder,
            name,
            partial(pinecone_store, name, client=client, namespace=namespace, kind=kind, cloud=cloud, region=region),
            dimensions=dimensions,
            late_chunking=late_chunking,
            chunker=chunker,
            window=window,
            overlap=overlap,
            adopt=adopt,
        )


def check_name(name: object) -> None:
    """Raises InvalidInput for a name that Pinecone does not take."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidInput(f"index name {name!r}: Pinecone takes lower-case letters, digits and '-', 45 at most")


def pinecone_store(
    name: str,
    *,
    client: Pinecone | None = None,
    namespace: str = DEFAULT_NAMESPACE,
    kind: IndexKind = "documents",
    cloud: str = "aws",
    region: str = "us-east-1",
) -> Store:
    """The store of a namespace of the index `name`."""
    check_name(name)
    if kind not in get_args(IndexKind):
        raise InvalidInput(f"unknown kind {kind!r}: use one of {', '.join(get_args(IndexKind))}")
    if not isinstance(namespace, str) or not namespace:
        raise InvalidInput(f"namespace must be a str with something in it, got {namespace!r}")
    from .store import PineconeStore

    return PineconeStore(client or connect(), name, namespace, kind, (cloud, region), owned=client is None)


def connect() -> Pinecone:
    """A client with the key from the environment.

    Raises:
        InvalidInput: there is none.
    """
    from pinecone import Pinecone

    if not os.environ.get(KEY_VARIABLE):
        raise InvalidInput(f"no Pinecone key: set ${KEY_VARIABLE}, or pass client=Pinecone(...)")
    return Pinecone(api_key=os.environ[KEY_VARIABLE])
