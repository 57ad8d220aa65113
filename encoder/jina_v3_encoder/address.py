"""Addresses of servers: checked where they are given, and shown without what may be a password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from .errors import InvalidInput

SCHEMES = ("http", "https")
HIDDEN = "***"
SCHEME = re.compile(r"[a-z]+(\+[a-z]+)?://")
"""Only this is shown before a hidden part. Whatever follows it may belong to a password."""
HOST = re.compile(r"[\w.:%\[\]-]+")
"""Host and port: names in any script, and the signs of IPv6."""


@dataclass(frozen=True)
class Address:
    """A server's address. The user and password of the URL are kept apart from it."""

    url: str
    """Without user and password, so that no client, log or error can show them."""
    login: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """Host and port as they were written."""
        return urlsplit(self.url).netloc


def server_address(url: str) -> Address:
    """Check an address, and take user and password out of it.

    Raises:
        InvalidInput: no http or https, no host, or an impossible port; user and password are not in the message.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in SCHEMES and parts.hostname is not None and parts.port != 0
    except ValueError:
        known = False
    host = parts.netloc.rpartition("@")[2] if known else ""
    cut_password = url.count("@") > parts.netloc.count("@") if known else False
    if not HOST.fullmatch(host) or cut_password or not url.isprintable() or " " in url:
        raise InvalidInput(
            f"{without_userinfo(url)!r} is no address of a server: it begins with http:// or https://, then come host "
            "and port, a number from 1 to 65535, as in http://127.0.0.1:8080; write special characters of a "
            "password as %xx"
        )
    login = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    return Address(urlunsplit(parts._replace(netloc=host)), login)


def scheme_alone(url: str) -> str:
    """`url` with everything after its scheme hidden, for addresses of an unknown form."""
    scheme = SCHEME.match(url)
    return f"{scheme[0] if scheme else ''}{HIDDEN}"


def without_userinfo(url: str) -> str:
    """`url` with everything hidden that may be a user and a password. It may be malformed."""
    before, at, rest = url.rpartition("@")
    if not at:
        return url
    scheme = SCHEME.match(before)
    return f"{scheme[0] if scheme else ''}{HIDDEN}@{rest}"
