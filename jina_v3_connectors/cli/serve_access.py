"""Who reaches a server: its address, its name and its keys."""

from __future__ import annotations

import ipaddress
import os
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

from jina_v3_encoder.address import HOST
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.json_file import is_special

KEYS_VARIABLE = "JINA_V3_SERVER_KEYS"
SHOWN = 100
"""Characters of a wrong value that are shown."""


def read_keys(file: Path | None, listed: str) -> list[str]:
    """Keys of a file and of the environment.

    Raises:
        InvalidInput: a key file without a key, or a pipe in its place.
    """
    keys = [key.strip() for key in listed.split(",") if key.strip()]
    if file is not None:
        if is_special(file):
            raise InvalidInput(f"--key-file {file} is no regular file; keys may also stand in ${KEYS_VARIABLE}")
        file_keys = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not file_keys:
            raise InvalidInput(f"{file} holds no key: write one on each line")
        keys += file_keys
    return keys


def check_host(option: str, host: str, *, has_key: bool, insecure: bool) -> None:
    """Keep a server without a key on this machine.

    Raises:
        InvalidInput: others could reach it, there is no key, and `insecure` is off.
    """
    if not (is_local(host) or has_key or insecure):
        raise InvalidInput(
            f"{option} {host} lets other machines in and no key is set: set ${KEYS_VARIABLE} or --key-file, "
            "or pass --insecure if the network is trusted"
        )


def published_address(text: str) -> tuple[str, int | None]:
    """Host and port of a value of --published. An IPv6 address that a port follows stands in brackets.

    Raises:
        InvalidInput: no host, or an impossible port.
    """
    with suppress(ValueError):
        return str(ipaddress.ip_address(text)), None
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname if HOST.fullmatch(text) else None, parts.port
    except ValueError:
        host = port = None
    if host is None or port == 0:
        raise InvalidInput(
            f"--published {text[:SHOWN]}: a host, or host and port, a number from 1 to 65535, as in 127.0.0.1:8080 or "
            "[::1]:8080"
        )
    return host, port


def is_everywhere(host: str) -> bool:
    """Whether a host stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bound(host: str, port: int) -> socket.socket:
    """A socket that has its address and does not listen yet. Port 0 means any free port.

    Raises:
        InvalidInput: the port is taken or not allowed, or the host is no address of this machine.
    """
    with ExitStack() as stack:
        try:
            family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            bound_socket = stack.enter_context(socket.socket(family))
            if os.name == "posix":
                bound_socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
                )  # else a port stays taken for a minute
            bound_socket.bind((host, port))
        except OSError as error:
            raise InvalidInput(
                f"--host {host} --port {port}: {error.strerror}; another port, or 0 for any free one, may do"
            ) from None
        stack.pop_all()
    return bound_socket
