"""One copy of the weights in a process for each model and its settings, or a server in its place."""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jina_v3_encoder.address import without_userinfo
from jina_v3_encoder.errors import InvalidInput

if TYPE_CHECKING:
    from jina_v3_encoder.config import Quantization
    from jina_v3_encoder.text_encoder import TextEncoder

SERVERS = ("http://", "https://")


class _Key(NamedTuple):
    model: str
    revision: str | None
    device: str
    dtype: str
    quantize: Quantization | None


_encoders: dict[_Key, TextEncoder] = {}
_loading: defaultdict[_Key, threading.Lock] = defaultdict(threading.Lock)
_lock = threading.Lock()


def shared_encoder(
    model: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    quantize: Quantization | None = None,
    max_batch_tokens: int | None = None,
) -> TextEncoder:
    """An encoder whose weights are shared with all others of the same model and settings.

    Arguments and errors as `Encoder.from_pretrained`. A model that is a URL is a server, as for `RemoteEncoder`, and
    `max_batch_tokens` is then its own matter. Threads that ask at the same time load once.

    Raises:
        InvalidInput: a server, and settings of a model on this machine.
        RemoteError: the server cannot be reached.
    """
    key = _Key(model, revision, device, dtype, quantize)
    with _lock:
        loading = _loading[key]
    with loading:
        if key not in _encoders:
            _encoders[key] = _remote(key) if model.startswith(SERVERS) else _local(key)
        encoder = _encoders[key]
    from jina_v3_encoder import Encoder

    if max_batch_tokens is None or not isinstance(encoder, Encoder):
        return encoder
    return encoder.with_batch_tokens(max_batch_tokens)


def _local(key: _Key) -> TextEncoder:
    from jina_v3_encoder import Encoder

    name, revision, device, dtype, quantize = key
    return Encoder.from_pretrained(name, revision=revision, device=device, dtype=dtype, quantize=quantize)


def _remote(key: _Key) -> TextEncoder:
    from jina_v3_encoder.remote import RemoteEncoder

    local_settings = {
        name: value for name, value in key._asdict().items() if name != "model" and value not in (None, "auto")
    }
    if local_settings:
        given = ", ".join(f"{name}={value!r}" for name, value in local_settings.items())
        raise InvalidInput(
            f"{without_userinfo(key.model)} is a server, which has settings of its own: leave out {given}"
        )
    return RemoteEncoder(key.model)


def tokenizer_of(encoder: TextEncoder) -> Path:
    """The tokenizer that measures chunks: the encoder's own, or the bundled model's for one without."""
    from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint

    return encoder.info.tokenizer_file or find_checkpoint("nano").tokenizer_file


def forget_encoders() -> None:
    """Forget all shared encoders. Weights that nobody else uses are freed."""
    with _lock:
        _encoders.clear()
