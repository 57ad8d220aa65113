"""`jina-v3 serve` as a process: what it prints, refuses, serves and leaves behind."""

from __future__ import annotations

import os
import re
import shutil
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


MODEL = "jina-embeddings-v3"


@contextmanager
def serving(*arguments: str, folder: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A process, its address, and the lines that it printed first; temporary files go to `folder`."""
    environment = os.environ | {"TMPDIR": str(folder)} | variables
    models = arguments.count("--model")
    lines = 1 + ("--demo" in arguments) + (models if models > 1 else 0)
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
    with serving("--demo", "--log", "none", folder=tmp_path) as (process, url, told):
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
        hits = {mode: len(rows) for mode, rows in answer["hits"].items()}
        assert hits == dict.fromkeys(("plain", "late", "blend"), about["chunks"])
    assert len(list(store.iterdir())) == 3


def test_several_models_in_one_command(v2_folder: Path, tmp_path: Path) -> None:
    """The page is that of the first. A folder with `=` in its name is a folder, and the last part of it the name."""
    old = tmp_path / "a=b"
    shutil.copytree(v2_folder, old)
    arguments = ["--demo", "--model", "nano", "--model", f"mine={old}", "--model", str(old), "--dtype", "float32"]
    with serving(*arguments, folder=tmp_path) as (process, url, told):
        assert re.match(r"3 models at http://.*/v1/embeddings; they take \d+\.\d GiB of memory\n", told[0])
        assert told[1].startswith(
            f"  {MODEL}: Encoder('nano', 384 dimensions, cpu, torch.float32); licence of the weights: CC"
        )
        assert told[2].startswith("  mine: Encoder('")
        assert told[3].startswith("  a=b: Encoder('")
        assert told[4] == f"The page: {url}/\n"
        for name, dimensions in ((MODEL, 384), ("nano", 384), ("mine", 96), ("a=b", 96)):
            answer = httpx.post(f"{url}/v1/embeddings", json={"model": name, "input": "x"}, timeout=60).json()
            assert len(answer["data"][0]["embedding"]) == dimensions
        assert httpx.get(f"{url}/demo/about", timeout=60).json()["model"] == "nano"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_the_environment_names_one_model_whatever_is_in_its_name(v2_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "jina-embeddings-v2-base-en of mine"
    shutil.copytree(v2_folder, folder)
    with serving(folder=tmp_path, JINA_V3_MODEL=str(folder)) as (_, url, told):
        assert f"Encoder({str(folder)!r}, 96 dimensions" in told[0]
        rows = httpx.get(f"{url}/v1/models", timeout=60).json()["data"]
        assert [row["id"] for row in rows] == [folder.name]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_printed_address_is_the_one_that_answers(host: str, tmp_path: Path) -> None:
    with serving("--host", host, folder=tmp_path) as (_, url, _told):
        assert httpx.get(f"{url}/ready", timeout=30).json() == {"status": "ok"}


def test_what_is_published_for_this_machine_alone_answers_to_its_names_alone(tmp_path: Path) -> None:
    options = ["--host", "0.0.0.0", "--published", "127.0.0.1", "--allow-host", "server"]
    with serving(*options, folder=tmp_path) as (_, url, _told):
        assert url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{url}/v1/models", timeout=30).status_code == 200
        assert httpx.get(f"{url}/v1/models", headers={"host": "server:8080"}, timeout=30).status_code == 200
        assert httpx.get(f"{url}/v1/models", headers={"host": "page.example"}, timeout=30).status_code == 421


@pytest.mark.parametrize(
    ("published", "told"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("0.0.0.0:9000", "http://localhost:9000"),
    ],
)
def test_the_address_that_is_printed_is_the_published_one(published: str, told: str, tmp_path: Path) -> None:
    options = ["--demo", "--log=none", "--host", "0.0.0.0", "--port", "0", "--published", published]
    with serving(*options, folder=tmp_path, JINA_V3_SERVER_KEYS="key") as (process, url, lines):
        assert url == told
        assert lines[1] == f"The page: {told}/\n"
        if published.startswith("0.0.0.0"):
            others = "From other machines: this machine's name or address in place of localhost, port 9000\n"
            assert process.stderr is not None
            assert process.stderr.readline() == others


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
        (["--host", "0.0.0.0", "--published", "0.0.0.0"], "--published 0.0.0.0 lets other machines in"),
        (["--host", "0.0.0.0", "--published", "0.0.0.0:8080"], "--published 0.0.0.0 lets other machines in"),
        (["--published", "127.0.0.1:http"], "--published 127.0.0.1:http: a host, or host and port, a number from 1"),
        (["--published", "127.0.0.1:0"], "--published 127.0.0.1:0: a host, or host and port, a number from 1"),
        (["--published", "http://localhost"], "--published http://localhost: a host, or host and port"),
        (["--model", "x/a", "--model", "y/a"], "two models are called 'a': give one a name of its own, --model NAME="),
        (["--model", "a=x", "--model", "a"], "two models are called 'a'"),
        (["--model", "a b=nano"], "a name has at most 100 letters, digits and the signs . _ - /"),
        (["--model", "a="], "a folder, a hub id or nano is missing after the name"),
        (["--model", "x", "--model", "y", "--revision", "main"], "--revision main belongs to one model, and 2 are"),
        (["--model", "nano", "--model", "other=./no-such-model"], "no-such-model"),
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
    assert "--model [NAME=]MODEL" in result.output
    assert "jina-v3 serve --model jinaai/jina-embeddings-v3 --model jinaai/jina-embeddings-v2-base-de" in result.output
