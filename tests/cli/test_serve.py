"""`jina-v3 serve` as a process: what it prints, refuses, serves and leaves behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from jina_v3_connectors import demo
from jina_v3_connectors.cli import main

COMMAND = [sys.executable, "-W", "error", "-m", "jina_v3_connectors", "serve", "--port", "0"]


@contextmanager
def serving(*arguments: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A process, its address, and the lines that it printed first; temporary files go to `folder`."""
    environment = os.environ | {"TMPDIR": str(folder)}
    lines = 2 if "--demo" in arguments else 1
    process = subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stderr is not None
        told = [process.stderr.readline() for _ in range(lines)]
        address = re.search(r"http://[\w.:\[\]]+:\d+", told[0])
        assert address is not None, told
        yield process, address[0], told
    finally:
        process.kill()
        process.communicate()


def test_the_page_in_one_command(tmp_path: Path) -> None:
    with serving("--demo", folder=tmp_path) as (process, url, told):
        assert told[0].endswith("/v1/embeddings; licence of the weights: CC BY-SA 4.0\n")
        assert told[1] == f"The page: {url}/\n"
        about = httpx.get(f"{url}/demo/about", timeout=60).json()
        assert (about["model"], len(about["documents"])) == ("nano", 16)
        question = {"question": demo.QUESTIONS[0].text, "store": about["stores"][0]}
        answer = httpx.post(f"{url}/demo/search", json=question, timeout=60).json()
        best = answer["hits"]["late"][0]["document"]
        assert about["documents"][best]["id"] == "bees"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_the_page_of_ones_own_documents_in_ones_own_folder(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "kettle.md").write_text("# Kettle\n\nIt boils within two minutes.")
    store = tmp_path / "store"
    with serving("--demo", "--documents", str(notes), "--store", str(store), folder=tmp_path) as (_, url, _told):
        about = httpx.get(f"{url}/demo/about", timeout=60).json()
        assert [Path(document["id"]).name for document in about["documents"]] == ["kettle.md"]
        question = {"question": "How long does it take?", "store": about["stores"][0], "dimensions": 64}
        answer = httpx.post(f"{url}/demo/search", json=question, timeout=60).json()
        assert len(answer["hits"]["plain"]) == len(answer["hits"]["late"]) == about["chunks"]
    assert len(list(store.iterdir())) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_printed_address_is_the_one_that_answers(host: str, tmp_path: Path) -> None:
    with serving("--host", host, folder=tmp_path) as (_, url, _told):
        assert httpx.get(f"{url}/ready", timeout=30).json() == {"status": "ok"}


def test_a_taken_port_is_named_with_the_remedy_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(main, ["serve", "--port", port, "--model", "./no-such-model"])
    assert result.exit_code == 1
    assert "no-such-model" not in result.output
    assert f"--port {port}" in result.output
    assert "0 for any free one" in result.output


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--host", "host.invalid", "--insecure"], "host.invalid"),
        (["--store", "folder"], "--demo"),
        (["--documents", "."], "--demo"),
        (["--demo", "--store", "pinecone:index"], "several sizes"),
        (["--demo", "--store", "one", "--store", "two"], "could not tell them apart"),
        (["--host", "0.0.0.0"], "--key-file"),
    ],
)
def test_what_is_refused(arguments: list[str], named: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "0", *arguments])
    assert result.exit_code == 1
    assert named in result.output
    assert "Traceback" not in result.output


def test_a_port_that_was_just_left_is_free(tmp_path: Path) -> None:
    with serving(folder=tmp_path) as (process, url, _told):
        assert httpx.get(f"{url}/ready", timeout=30).status_code == 200
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    port = url.rpartition(":")[2]
    with serving("--port", port, folder=tmp_path) as (_, again, _told):
        assert again == url
        assert httpx.get(f"{url}/ready", timeout=30).status_code == 200


def test_ctrl_c_ends_it_without_a_word(tmp_path: Path) -> None:
    with serving(folder=tmp_path) as (process, url, _told):
        assert httpx.get(f"{url}/ready", timeout=30).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_documents_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"\xff\xfe\x00")
    result = CliRunner().invoke(main, ["serve", "--demo", "--documents", str(bad), "--port", "0"])
    assert result.exit_code == 1
    assert "bad.txt" in result.output


def test_help_teaches() -> None:
    result = CliRunner().invoke(main, ["serve", "--help"])
    assert "jina-v3 serve --demo" in result.output
    assert "JINA_V3_SERVER_KEYS" in result.output
