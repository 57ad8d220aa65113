"""Addresses: one page, what the server calls it, and nothing else."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jina_v3_connectors.errors import DocumentError
from jina_v3_connectors.files.web import fetch, is_address


@dataclass
class Site:
    """What a server answers by path: status, headers, body."""

    url: str = ""
    answers: dict[str, tuple[int, Mapping[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def page(self, path: str, body: bytes, kind: str | None = "text/html", **headers: str) -> None:
        kinds = {} if kind is None else {"Content-Type": kind}
        self.answers[path] = (
            200,
            {**kinds, **{name.replace("_", "-"): value for name, value in headers.items()}},
            body,
        )

    def redirect(self, path: str, location: str) -> None:
        self.answers[path] = (302, {"Location": location}, b"")


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, self.headers.get("Authorization")))
            status, headers, body = site.answers.get(self.path, (404, {}, b"no"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        site.url = f"http://127.0.0.1:{server.server_port}"
        yield site
        server.shutdown()


def test_addresses() -> None:
    assert is_address("https://example.org/a")
    assert is_address("HTTP://example.org")
    assert not is_address("https/a.md")
    assert not is_address("ftp://example.org/a.md")


@pytest.mark.parametrize(
    ("kind", "suffix", "charset"),
    [
        ("text/html; charset=ISO-8859-1", ".html", "iso-8859-1"),
        ("TEXT/HTML", ".html", None),
        ("application/pdf", ".pdf", None),
        ("text/plain", ".txt", None),
        ("text/csv;header=present", ".csv", None),
    ],
)
def test_what_the_server_says_decides_how_it_is_read(
    site: Site, tmp_path: Path, kind: str, suffix: str, charset: str | None
) -> None:
    site.page("/a?x=1", b"caf\xe9", kind)
    fetched = fetch(f"{site.url}/a?x=1#part", tmp_path)
    assert (fetched.file.suffix, fetched.source, fetched.charset) == (suffix, f"{site.url}/a?x=1", charset)
    assert fetched.file.read_bytes() == b"caf\xe9"
    assert site.asked == [("/a?x=1", None)]


@pytest.mark.parametrize("kind", [None, "application/octet-stream", "image/png", "application/msword"])
def test_unknown_types_are_refused(site: Site, tmp_path: Path, kind: str | None) -> None:
    site.page("/a.pdf", b"%PDF-", kind)
    with pytest.raises(
        DocumentError, match=r"/a\.pdf is .*, which is not read: if it is one of .*, download it, and"
    ) as told:
        fetch(f"{site.url}/a.pdf", tmp_path)
    assert (kind or "of a type that its server does not tell") in str(told.value)
    assert told.value.document_id == f"{site.url}/a.pdf"
    assert list(tmp_path.iterdir()) == []


def test_two_pages_are_two_files(site: Site, tmp_path: Path) -> None:
    site.page("/a", b"a")
    site.page("/b", gzip.compress(b"b"), Content_Encoding="gzip")
    files = [fetch(f"{site.url}/{name}", tmp_path).file for name in "ab"]
    assert [file.read_bytes() for file in files] == [b"a", b"b"]


def test_redirects_stay_with_the_host(site: Site, tmp_path: Path) -> None:
    site.redirect("/old", "/new")
    site.page("/new", b"a")
    assert fetch(f"{site.url}/old", tmp_path).source == f"{site.url}/old", "the address that was typed is the id"
    other = site.url.replace("127.0.0.1", "localhost")
    for path, target in (
        ("/away", f"{other}/new"),
        ("/port", "http://127.0.0.1:1/new"),
        ("/file", "file:///etc/passwd"),
        ("/password", "http://a:b@169.254.169.254/"),
    ):
        site.redirect(path, target)
        with pytest.raises(DocumentError, match=rf"{path} redirects to .*: pass that address if you mean it") as told:
            fetch(f"{site.url}{path}", tmp_path)
        assert "a:b" not in str(told.value)
    site.redirect("/loop", "/loop")
    with pytest.raises(DocumentError, match="/loop redirects over 5 times: pass the address that you see in a browser"):
        fetch(f"{site.url}/loop", tmp_path)
    assert [path for path, _ in site.asked].count("/loop") == 6


def test_a_password_is_sent_and_not_told(site: Site, tmp_path: Path) -> None:
    site.page("/a", b"a")
    url = site.url.replace("http://", "http://user:secret@")
    assert fetch(f"{url}/a", tmp_path).source == f"{site.url}/a"
    assert site.asked == [("/a", "Basic dXNlcjpzZWNyZXQ=")]
    with pytest.raises(DocumentError, match="/b answers 404 Not Found") as told:
        fetch(f"{url}/b", tmp_path)
    assert "secret" not in str(told.value)


def test_pages_have_a_limit_also_unpacked(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jina_v3_connectors.files.web.MAX_BYTES", 2**20)
    site.page("/a", b"x" * (2**20 + 1))
    site.page("/b", gzip.compress(b"x" * 2**24), Content_Encoding="gzip")
    for path in ("/a", "/b"):
        with pytest.raises(DocumentError, match=f"{path} has over 1 MiB: download it, and pass the file"):
            fetch(f"{site.url}{path}", tmp_path)


def test_slow_pages_are_given_up(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jina_v3_connectors.files.web.TOTAL_SECONDS", -1)
    site.page("/a", b"x")
    with pytest.raises(DocumentError, match="/a takes over -1 seconds to load: download it, and pass the file"):
        fetch(f"{site.url}/a", tmp_path)


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"http://127\.0\.0\.1:1/a cannot be loaded \(ConnectError"):
        fetch("http://127.0.0.1:1/a", tmp_path)
    with pytest.raises(DocumentError, match=r"'http://\*\*\*@' is no address of a page"):
        fetch("http://a:b@", tmp_path)
