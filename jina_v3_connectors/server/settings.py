"""What a server allows and how it answers."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field, fields
from pathlib import Path

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import as_task

from .token_ids import TokenizerName

PORT = re.compile(r":\d*$")
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "host.docker.internal"})
"""Names that lead to this machine and that no stranger can give to another."""


@dataclass(frozen=True)
class ServerSettings:
    """Limits hold for each request unless they say otherwise."""

    default_task: str | None = None
    """For requests without a task; None is the base model, as the hosted service answers."""
    recognize_prompts: bool = True
    """Where a request says nothing of a task, take v3's own instruction at the head of its texts as one. Clients that
    know nothing but prefixes send it, and the base model would read it as a part of the text."""
    token_ids: TokenizerName | None = None
    """The tokenizer whose ids are sent by clients that are not known; None refuses theirs."""
    max_items: int = 2048
    max_body_bytes: int = 32 * 2**20
    max_held_bytes: int = 256 * 2**20
    """Bodies of all requests together; past it only small ones are taken in (429)."""
    max_request_characters: int = 2_000_000
    """The tokenizer takes up to two seconds and 300 MB for a million, and cannot be stopped inside a text."""
    max_request_tokens: int = 2_000_000
    """Computed for a request: of late chunking in windows, all windows with what they share."""
    max_waiting_tokens: int = 4_000_000
    """Tokens of all requests in the queue; past it a request is told to come back (429)."""
    max_vector_bytes: int = 512 * 2**20
    """Vectors of all requests together, from when a request is taken in until it is answered; past it a request is told
    to come back (429)."""
    body_seconds: float = 30.0
    """Time for a request's body to arrive."""
    keep_alive_after: float | None = 2.0
    """Seconds after which a slow answer begins with white space, for clients that give up after three; None: never."""
    key_hashes: frozenset[bytes] = field(default=frozenset(), repr=False)
    """SHA-256 of the keys that are let in; empty lets everyone in."""
    classifiers: Path | None = None
    """The folder of trained classifiers; None is one of this user's."""
    hosts: frozenset[str] = frozenset()
    """Names by which the server may be asked for, lower-case and without port; empty allows any. A page from elsewhere
    that points its own name at this machine (DNS rebinding) is kept out by them."""

    def __post_init__(self) -> None:
        as_task(self.default_task)
        for limit in fields(self):
            if limit.name.startswith("max_") and getattr(self, limit.name) < 1:
                raise InvalidInput(f"{limit.name} must be above 0, got {getattr(self, limit.name)}")

    def answers_to(self, host: str) -> bool:
        """Whether a Host header, with or without a port, is one of ours."""
        name = host.lower().rpartition(":")[0] if PORT.search(host) else host.lower()
        return not self.hosts or name.strip("[]") in self.hosts

    def is_own_origin(self, origin: str, host: str) -> bool:
        """Whether an Origin header is this server's own page, asked for by `host`, or a page of this machine."""
        _, scheme, address = origin.lower().partition("://")
        name = PORT.sub("", address).strip("[]")
        return bool(scheme) and (address == host.lower() or name in self.hosts | LOCAL_HOSTS)

    def lets_in(self, key: str) -> bool:
        """Whether a key is one of ours, in a time that tells nothing about it."""
        given = hash_key(key)
        matches = [hmac.compare_digest(given, known) for known in self.key_hashes]  # all of them, always
        return any(matches)


def hash_key(key: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
