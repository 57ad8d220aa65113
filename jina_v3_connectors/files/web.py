"""One page or file from the web: the address that the user typed, and nothing that it mentions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from jina_v3_encoder.address import server_address, without_userinfo
from jina_v3_encoder.errors import InvalidInput, MissingExtra

from ..errors import DocumentError
from .formats import SUFFIXES

if TYPE_CHECKING:
    import httpx

SCHEMES = ("http://", "https://")
MAX_BYTES = 256 * 2**20
CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 10.0, 30.0, 300.0
MAX_REDIRECTS = 5
MEDIA_TYPES = {
    "text/html": ".html",
    "application/xhtml+xml": ".xhtml",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/epub+zip": ".epub",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
}
"""What a server says a file is, and the end of a name that stands for it. No type is guessed."""


@dataclass(frozen=True)
class Fetched:
    """A file from the web. `source` is its address without a password."""

    file: Path
    source: str
    charset: str | None


def is_address(path: str) -> bool:
    """Whether a path that was typed is an address of the web."""
    return path.lower().startswith(SCHEMES)


def fetch(url: str, folder: Path) -> Fetched:
    """Load what is at an address into a new file in `folder`.

    A redirect may lead to another page of the same host, to its `www.` form and to https, and nowhere else.

    Raises:
        DocumentError: nothing answers there, or with an error, too much, too slowly, or with what is not read.
        MissingExtra: httpx is not installed.
    """
    try:
        import httpx
    except ImportError:
        raise MissingExtra("httpx, which loads pages,", "files") from None
    try:
        address = server_address(url)
    except InvalidInput:
        raise DocumentError(f"{without_userinfo(url)!r} is no address of a page") from None
    source = address.url.partition("#")[0]
    limits = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    try:
        with httpx.Client(timeout=limits, headers={"User-Agent": "jina-v3-connectors"}) as client:
            return _follow(client, source, address.login, folder)
    except httpx.HTTPError as error:
        raise _refused(source, f"cannot be loaded ({type(error).__name__}: {error}): open it in a browser") from error


def _follow(client: httpx.Client, source: str, login: tuple[str, str] | None, folder: Path) -> Fetched:
    deadline, url = time.monotonic() + TOTAL_SECONDS, source
    for _ in range(MAX_REDIRECTS + 1):
        is_first_host = urlsplit(url).hostname == urlsplit(source).hostname
        with client.stream("GET", url, auth=login if is_first_host else None) as response:
            if response.is_redirect:
                url = _redirected(source, url, response.headers.get("location", ""))
                continue
            if response.status_code != 200:
                raise _refused(source, f"answers {response.status_code} {response.reason_phrase}")
            media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            suffix = MEDIA_TYPES.get(media_type)
            if suffix is None:
                raise _refused(
                    source,
                    f"is {media_type[:100] or 'of a type that its server does not tell'}, which is not read: if it is "
                    f"one of {', '.join(SUFFIXES)}, download it, and pass the file",
                )
            file = folder / f"{len(list(folder.iterdir()))}{suffix}"
            _save(response, file, source, deadline)
            return Fetched(file, source, response.charset_encoding)
    raise _refused(source, f"redirects over {MAX_REDIRECTS} times: pass the address that you see in a browser")


def _save(response: httpx.Response, file: Path, source: str, deadline: float) -> None:
    size = 0
    with file.open("xb") as content:
        for part in response.iter_bytes():
            size += len(part)
            if size > MAX_BYTES:
                raise _refused(source, f"has over {MAX_BYTES // 2**20} MiB: download it, and pass the file")
            if time.monotonic() > deadline:
                raise _refused(source, f"takes over {TOTAL_SECONDS:g} seconds to load: download it, and pass the file")
            content.write(part)


def _redirected(source: str, url: str, location: str) -> str:
    target = urljoin(url, location)
    before, after = urlsplit(url), urlsplit(target)
    same_host = _bare(before.hostname) == _bare(after.hostname) and (
        before.port == after.port or after.scheme != before.scheme
    )
    if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http") or not same_host:
        raise _refused(source, f"redirects to {without_userinfo(target)}: pass that address if you mean it")
    return target


def _bare(host: str | None) -> str:
    return (host or "").removeprefix("www.")


def _refused(source: str, reason: str) -> DocumentError:
    error = DocumentError(f"{source} {reason}")
    error.document_id = source
    return error
