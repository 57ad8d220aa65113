"""All of an encoder's work in one thread, whoever asks for it.

libgomp gives every thread that computes a team of threads of its own, and lets them sleep instead of spin as soon as
all teams together are larger than the machine: nano on two cores was 10 to 35 % slower with two such threads than one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

from jina_v3_encoder.protocol import TextEncoder

WITHOUT_COMPUTING = frozenset({"count_tokens", "open_document"})
"""Methods that stay in the caller's thread: tokenizing goes on while a batch is computed."""


def in_one_thread(load: Callable[[], TextEncoder]) -> TextEncoder:
    """The encoder that `load` gives, loaded and used in a thread of its own; calls wait for their turn."""
    thread = ThreadPoolExecutor(1, "jina-v3-compute")

    def ready() -> TextEncoder:
        encoder = load()
        encoder.fingerprint  # noqa: B018 - computed here, not at the first question for it
        return encoder

    return cast(TextEncoder, _OneThread(thread.submit(ready).result(), thread))


class _OneThread:
    def __init__(self, encoder: TextEncoder, thread: ThreadPoolExecutor) -> None:
        self._encoder, self._thread = encoder, thread

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._encoder, name)
        if not callable(found) or name in WITHOUT_COMPUTING:
            return found
        return partial(self._call, found)

    def _call(self, method: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
        return self._thread.submit(method, *arguments, **settings).result()

    def __repr__(self) -> str:
        return repr(self._encoder)
