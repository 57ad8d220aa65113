"""Names that the server answers to, so that a page from elsewhere cannot pass for one of this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from jina_v3_connectors.server import ServerSettings
from jina_v3_connectors.server.settings import LOCAL_HOSTS
from jina_v3_encoder.testing import FakeEncoder
from tests.cli.test_serve import serving

from ..support.running import running
from .hosted import check

GOOD = {"model": "jina-embeddings-v3", "input": "a text"}


@pytest.fixture(scope="module")
def local() -> Iterator[str]:
    with running(FakeEncoder(), ServerSettings(hosts=LOCAL_HOSTS)) as url:
        yield url


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080", "host.docker.internal:8080"],
)
def test_this_machines_names(local: str, host: str) -> None:
    assert httpx.post(f"{local}/v1/embeddings", json=GOOD, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:localhost",
        "127.0.0.2",
        "",
        ":8080",
        "é",
    ],
)
@pytest.mark.parametrize("path", ["/v1/embeddings", "/health", "/", "/demo/about"])
def test_other_names(local: str, host: str, path: str) -> None:
    answer = httpx.post(f"{local}{path}", json=GOOD, headers=[(b"Host", host.encode("utf-8"))])
    assert answer.status_code == 421
    assert answer.json()["code"] == "HOST_NOT_ALLOWED"
    assert "--allow-host" in answer.json()["detail"]
    check(answer)


def test_without_names_any_is_answered() -> None:
    with running(FakeEncoder()) as url:
        assert httpx.post(f"{url}/v1/embeddings", json=GOOD, headers={"Host": "anything"}).status_code == 200


def test_the_command_knows_the_machines_names_and_takes_more(tmp_path: Path) -> None:
    with serving("--allow-host", "Proxy.Example", folder=tmp_path) as (_, url, _told):
        statuses = {
            host: httpx.get(f"{url}/health", headers={"Host": host}, timeout=30).status_code
            for host in ("localhost", "proxy.example", "evil.example")
        }
    assert statuses == {"localhost": 200, "proxy.example": 200, "evil.example": 421}


def test_with_a_key_names_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "JINA_V3_SERVER_KEYS", "open")
    with serving(folder=tmp_path) as (_, url, _told):
        headers = {"Host": "any.example", "Authorization": "Bearer open"}
        assert httpx.get(f"{url}/v1/models", headers=headers, timeout=30).status_code == 200


def test_curl_by_address_works(local: str) -> None:
    told = subprocess.run(["curl", "-s", f"{local}/health"], capture_output=True, text=True, check=True)
    assert told.stdout == '{"status":"ok"}'
