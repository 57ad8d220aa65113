"""Addresses as clients write them, and those that are served."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

AZURE = re.compile(r"^/openai/(?:deployments/[^/]+|v1)(?=/)")
"""What Azure's clients put in front. The deployment's name is in the body, too."""
NOT_HERE = {
    "/v1/batch": "batch operations are the hosted service's, for jina-embeddings-v5: send several requests, which this "
    "server computes together",
    "/v1/chat": "this server makes vectors and generates no text",
    "/v1/completions": "this server makes vectors and generates no text",
    "/v1/responses": "this server makes vectors and generates no text",
    "/embed_sparse": "this model makes no sparse vectors: /embed makes dense ones",
    "/embed_all": "vectors of single tokens are not given out: /embed makes one of each text",
}
PLAIN_ERROR_PATHS = frozenset({"/embed", "/info", "/qdrant"})
"""Of clients that read `error` as a text: those of text-embeddings-inference, and Qdrant."""
SHOWN = 100
"""Characters of a wrong address that are sent back."""


def canonical(path: str, served: Collection[str]) -> str:
    """The served address that `path` means, or `path` if there is none.

    Clients leave out /v1, write it twice or as Cohere's /v2, end in a slash, or call Azure's addresses.
    """
    bare = AZURE.sub("/v1", path).rstrip("/") or "/"
    if bare in served or bare == "/":
        return bare
    below_v1 = re.sub(r"^(/v[12])+(?=/|$)", "", bare)
    for candidate in (f"/v1{below_v1}", below_v1):
        if candidate in served:
            return candidate
    return bare


def not_found(path: str, served: Collection[str]) -> str:
    """What to tell someone who asks for an address that is not served."""
    shown = repr(path[:SHOWN])
    for start, told in NOT_HERE.items():
        if path.startswith(start):
            return f"{shown} is not served here: {told}"
    near = get_close_matches(path, served, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{shown} is not served here: {meant}There are {', '.join(sorted(served))}"
