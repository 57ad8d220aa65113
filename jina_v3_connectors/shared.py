"""One copy of the weights for each model, revision, device and dtype in a process, whoever asks for it."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jina_v3_encoder import Encoder


class _Key(NamedTuple):
    model: str
    revision: str | None
    device: str
    dtype: str


_encoders: dict[_Key, Encoder] = {}
_loading: defaultdict[_Key, threading.Lock] = defaultdict(threading.Lock)
_lock = threading.Lock()


def shared_encoder(
    model: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    max_batch_tokens: int | None = None,
) -> Encoder:
    """An encoder whose weights are shared with all others of the same model, revision, device and dtype.

    Arguments and errors as `Encoder.from_pretrained`. Threads that ask at the same time load once.
    """
    from jina_v3_encoder import Encoder

    key = _Key(model, revision, device, dtype)
    with _lock:
        loading = _loading[key]
    with loading:
        if key not in _encoders:
            _encoders[key] = Encoder.from_pretrained(model, revision=revision, device=device, dtype=dtype)
        found = _encoders[key]
    return found if max_batch_tokens is None else found.with_batch_tokens(max_batch_tokens)


def forget_encoders() -> None:
    """Let the weights go that no one else holds."""
    with _lock:
        _encoders.clear()
