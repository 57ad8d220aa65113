"""Limits, keys and names of a server."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from jina_v3_connectors.server.settings import LOCAL_HOSTS, ServerSettings, hash_key
from jina_v3_encoder.errors import InvalidInput


@pytest.mark.parametrize(
    "name", ["max_items", "max_body_bytes", "max_request_tokens", "max_waiting_tokens", "max_vector_bytes"]
)
@pytest.mark.parametrize("value", [0, -1])
def test_limits_are_above_nothing(name: str, value: int) -> None:
    with pytest.raises(InvalidInput, match=f"{name} must be above 0, got {value}"):
        ServerSettings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("task", ["retrieval", "query", ""])
def test_the_default_task_is_one_of_ours(task: str) -> None:
    with pytest.raises(InvalidInput, match="task"):
        ServerSettings(default_task=task)


def test_a_key_is_kept_as_a_hash_and_shown_nowhere() -> None:
    settings = ServerSettings(key_hashes=frozenset({hash_key("sesame")}))
    assert hash_key("sesame") == hashlib.sha256(b"sesame").digest()
    assert "sesame" not in repr(settings)
    assert "key_hashes" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "known"),
    [("one", True), ("two", True), ("One", False), ("", False), ("one ", False), ("onetwo", False), ("\udcff", False)],
)
def test_only_known_keys_are_let_in(given: str, known: bool) -> None:
    settings = ServerSettings(key_hashes=frozenset(map(hash_key, ("one", "two"))))
    assert settings.lets_in(given) is known


def test_all_hashes_are_compared_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Any] = []

    def compare(*pair: Any) -> bool:
        compared.append(pair)
        return True

    monkeypatch.setattr("hmac.compare_digest", compare)
    ServerSettings(key_hashes=frozenset(map(hash_key, ("one", "two", "three")))).lets_in("one")
    assert len(compared) == 3


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("localhost:80", True),
        ("localhost:", True),
        ("127.0.0.1:65535", True),
        ("[::1]", True),
        ("[::1]:1", True),
        ("", False),
        (":", False),
        ("localhost.", False),
        ("localhost:80:80", False),
        ("evil.example#localhost", False),
        ("localhost@evil.example", False),
        ("evil.example:80", False),
    ],
)
def test_names_of_this_machine(host: str, ours: bool) -> None:
    assert ServerSettings(hosts=LOCAL_HOSTS).answers_to(host) is ours
    assert ServerSettings().answers_to(host), "without names any will do"
