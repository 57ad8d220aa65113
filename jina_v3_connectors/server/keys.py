"""The key that a request must bring, where the server asks for one."""

from __future__ import annotations

from uuid import UUID, uuid5

from starlette.datastructures import Headers

from .errors import ApiError
from .settings import ServerSettings, hash_key

USERS = UUID("6f0d3c4e-2b7a-5d51-9d1e-8a4c0b7e2f11")
"""The name space of owners, and the only one where no keys are asked for."""
OTHER_HEADERS = ("api-key", "x-api-key")
"""Where Azure's clients and others put it."""


def key_in(headers: Headers) -> str:
    """The key of a request's headers, as far as there is one. It was checked, or none is asked for."""
    other = next((headers[name] for name in OTHER_HEADERS if headers.get(name)), "")
    return other or headers.get("authorization", "").partition(" ")[2].strip()


def user_of(headers: Headers, settings: ServerSettings) -> str:
    """Who owns what a request makes: a UUID made of the key, or one for all where no keys are asked for."""
    return str(uuid5(USERS, hash_key(key_in(headers)).hex()) if settings.key_hashes else USERS)


def check_key(headers: Headers, settings: ServerSettings, token: str | None = None) -> None:
    """Let in who has a key. `token` is one from the body, where a client has no other place for it.

    Raises:
        ApiError: 401, no key, not written as one, or not ours.
    """
    if not settings.key_hashes:
        return
    key = token or next((headers[name] for name in OTHER_HEADERS if headers.get(name)), "")
    if not key:
        given = headers.get("authorization", "")
        if not given:
            raise ApiError(401, "AUTH_MISSING_API_KEY", "this server asks for a key: Authorization: Bearer KEY")
        scheme, _, key = given.partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise ApiError(401, "AUTH_INVALID_FORMAT", "the header must read: Authorization: Bearer KEY")
    if not settings.lets_in(key.strip()):
        raise ApiError(401, "AUTH_INVALID_API_KEY", "this key is not known here")
