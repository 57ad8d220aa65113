from __future__ import annotations

import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jina_v3_encoder.address import HIDDEN, Address, server_address, without_userinfo
from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint
from jina_v3_encoder.errors import CheckpointNotFound, InvalidInput

PASSWORDS = st.text(min_size=1, max_size=20).map(lambda text: f"Hunter2{text}")
"""The beginning stands nowhere else, whatever cuts the rest."""


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8080", Address("http://127.0.0.1:8080")),
        ("https://host/v1?a=b", Address("https://host/v1?a=b")),
        ("https://me:secret@host:1/v1", Address("https://host:1/v1", ("me", "secret"))),
        ("https://me:p%40ss%2f@host", Address("https://host", ("me", "p@ss/"))),
        ("http://token@[::1]:9", Address("http://[::1]:9", ("token", ""))),
        ("http://straße.example", Address("http://straße.example")),
    ],
)
def test_user_and_password_are_taken_out(url: str, address: Address) -> None:
    assert server_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:80",
        "ftp://host",
        "http:/host",
        "http://",
        "http://:80",
        "http://h:x",
        "http://h:0",
        "http://h:65536",
        "http://h h",
        "http://h\n",
        "http://[::1",
        "http://<h>",
        "http://u:1/2@h",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"is no address of a server: it begins with http:// or https://.*65535"):
        server_address(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/path", "http://host/path"),
        ("http://u:p@host", f"http://{HIDDEN}@host"),
        ("qdrant+http://u:p/q@r@host:1", f"qdrant+http://{HIDDEN}@host:1"),
        ("u:p@host", f"{HIDDEN}@host"),
        ("http:u:p@host", f"{HIDDEN}@host"),
    ],
)
def test_what_is_shown(url: str, shown: str) -> None:
    assert without_userinfo(url) == shown


def told(url: str) -> str:
    """What is shown of an address, or why it is none."""
    try:
        return repr(server_address(url))
    except InvalidInput as error:
        return "".join(traceback.format_exception(error))


@given(PASSWORDS, st.sampled_from(["http://u:{}@host:1", "https://{}@host", "u:{}@h", "http:{}@h", "http://u:{}@h:x"]))
@example("Hunter2/a", "http://u:{}@host:1")
@example("Hunter2 a@b", "http://u:{}@host:1")
@example("Hunter2/", "https://{}@host")
def test_a_password_is_never_told(password: str, form: str) -> None:
    url = form.format(password)
    assert "Hunter2" not in without_userinfo(url)
    assert "Hunter2" not in told(url)
    with pytest.raises(CheckpointNotFound, match=r"host/x") as caught:
        find_checkpoint(f"http://u:{password}@host/x")
    assert "Hunter2" not in str(caught.value)
