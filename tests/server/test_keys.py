"""Keys: who is let in, and that they are kept and told nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from jina_v3_connectors.cli import main
from jina_v3_connectors.cli.serve_access import check_host, read_keys
from jina_v3_connectors.server import ServerSettings
from jina_v3_connectors.server.settings import hash_key
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder

from ..support.running import running

GOOD = {"model": "jina-embeddings-v3", "input": "a text"}


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    with running(
        FakeEncoder(), ServerSettings(key_hashes=frozenset({hash_key("first"), hash_key("zweiter-ü")}))
    ) as url:
        yield url


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ({}, 401, "AUTH_MISSING_API_KEY"),
        ({"Authorization": "Bearer"}, 401, "AUTH_INVALID_FORMAT"),
        ({"Authorization": "Basic first"}, 401, "AUTH_INVALID_FORMAT"),
        ({"Authorization": "Bearer other"}, 401, "AUTH_INVALID_API_KEY"),
        ({"Authorization": "Bearer None"}, 401, "AUTH_INVALID_API_KEY"),
        ({"Authorization": "Bearer first"}, 200, None),
        ({"Authorization": "bearer  first"}, 200, None),
    ],
)
def test_who_is_let_in(locked: str, header: dict[str, str], status: int, code: str | None) -> None:
    for response in (
        httpx.post(f"{locked}/v1/embeddings", json=GOOD, headers=header),
        httpx.get(f"{locked}/v1/models", headers=header),
        httpx.get(f"{locked}/metrics", headers=header),
    ):
        assert response.status_code == status
        if code is not None:
            assert response.json()["code"] == code
            assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/health", "/ready", "/live"])
def test_supervisors_need_none(locked: str, path: str) -> None:
    assert httpx.get(f"{locked}{path}").json() == {"status": "ok"}


def test_without_keys_any_is_taken() -> None:
    with running(FakeEncoder()) as url:
        headers = {"Authorization": "Bearer None"}
        assert httpx.post(f"{url}/v1/embeddings", json=GOOD, headers=headers).status_code == 200


def test_keys_are_kept_as_hashes_only() -> None:
    settings = ServerSettings(key_hashes=frozenset({hash_key("secret-key")}))
    assert "secret" not in repr(settings)
    assert settings.lets_in("secret-key")
    assert not settings.lets_in("secret-ke")
    assert not settings.lets_in("\ud800")


def test_keys_come_from_a_file_and_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("one\n\n two \n")
    assert read_keys(file, "three, four,,") == ["three", "four", "one", "two"]
    assert read_keys(None, "") == []
    file.write_text("\n")
    with pytest.raises(InvalidInput, match="holds no key"):
        read_keys(file, "")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org"])
def test_other_machines_need_a_key(host: str) -> None:
    with pytest.raises(InvalidInput, match=f"--host {host} lets other machines in and no key is set"):
        check_host("--host", host, has_key=False, insecure=False)
    check_host("--host", host, has_key=True, insecure=False)
    check_host("--host", host, has_key=False, insecure=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_this_machine_needs_none(host: str) -> None:
    check_host("--host", host, has_key=False, insecure=False)


def test_the_command_refuses_before_it_loads_anything() -> None:
    result = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0", "--model", "/nowhere"])
    assert result.exit_code == 1
    assert "--insecure" in result.stderr
    shown = CliRunner().invoke(main, ["serve", "--help"])
    assert "/v1/embeddings" in shown.stdout


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidInput, match="unknown task"):
        ServerSettings(default_task="retrieval")
    with pytest.raises(InvalidInput, match="max_items must be above 0"):
        ServerSettings(max_items=0)
