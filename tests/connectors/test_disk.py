"""Full disks, read-only folders, and an engine that breaks off: each in words, and nothing is lost.

A small disk is a tmpfs, which only root may mount; what could end the process runs in a child.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors import Document, StoreError
from jina_v3_connectors.disk import TO_OPEN, TO_WRITE
from jina_v3_connectors.ingestion.journal import Entry, Journal
from jina_v3_connectors.milvus import MilvusConnector
from jina_v3_connectors.qdrant import QdrantConnector, embedded
from jina_v3_connectors.qdrant.layout import QdrantLayout
from jina_v3_encoder.testing import FakeEncoder

from ..support.backends import Sentences

ROOT = Path(__file__).parents[2]
MIB = 2**20


def mounted(arguments: list[str], folder: Path) -> Iterator[Path]:
    folder.mkdir()
    answer = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip(f"mount is not allowed here: {answer.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(["-t", "tmpfs", "-o", f"size={TO_WRITE + 16 * MIB}", "tmpfs"], tmp_path / "disk")


INGEST = """
import sys
from random import Random
from jina_v3_connectors import Document, StoreError
from jina_v3_connectors.milvus import MilvusConnector
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_encoder.testing import FakeEncoder

kind, path, count = {"qdrant": QdrantConnector, "milvus": MilvusConnector}[sys.argv[1]], sys.argv[2], int(sys.argv[3])
documents = (Document(f"d{n}", "A text.", {"large": Random(n).randbytes(4000).hex()}) for n in range(count))
try:
    with kind(FakeEncoder(max_tokens=10_000), "docs", path=path, dimensions=32) as store:
        report = store.ingest(documents)
        print(store.count(), report.unchanged)
except StoreError as error:
    print(f"StoreError: {error}")
    sys.exit(3)
"""


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "encoder")])}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


def ingest(kind: str, path: Path, count: int) -> subprocess.CompletedProcess[str]:
    return run(INGEST, kind, path, count)


@pytest.mark.parametrize("kind", ["qdrant", "milvus"])
def test_a_full_disk_stops_an_ingest_and_it_goes_on_when_there_is_room(small_disk: Path, kind: str) -> None:
    path = small_disk / "store.db"
    stopped = ingest(kind, path, 4000)
    assert stopped.returncode == 3, (stopped.returncode, stopped.stderr[-2000:])
    assert "StoreError:" in stopped.stdout
    assert "bytes free, " in stopped.stdout
    assert "must be: free some space and run the same again; what was acknowledged is kept" in stopped.stdout
    subprocess.run(["mount", "-o", f"remount,size={400 * MIB}", str(small_disk)], check=True)
    again = ingest(kind, path, 4000)
    assert again.returncode == 0, (again.stdout, again.stderr[-2000:])
    count, unchanged = map(int, again.stdout.split())
    assert count == 4000
    assert 0 < unchanged < 4000, "what was acknowledged before the disk was full is kept"


def fill(disk: Path, free: int) -> Path:
    """A file that leaves so many bytes."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        for size in (MIB, 4096):
            for _ in range((shutil.disk_usage(disk).free - free) // size):
                file.write(b"x" * size)
            file.flush()
    return filler


SEARCH = """
import sys
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_encoder.testing import FakeEncoder

with QdrantConnector(FakeEncoder(), "docs", path=sys.argv[1]) as store:
    for call in (lambda: print(store.search("text")[0].chunk.document_id), lambda: store.delete(["b"])):
        try:
            call()
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
"""


def test_a_full_disk_can_be_searched_or_says_what_it_needs(small_disk: Path) -> None:
    """The engine writes when it opens a collection, so a wholly full disk would be SIGBUS there, too."""
    path = small_disk / "store"
    with QdrantConnector(FakeEncoder(), "docs", path=path) as store:
        store.ingest([Document("a", "A text."), Document("b", "B.")])
    filler = fill(small_disk, TO_OPEN + 2 * MIB)
    assert run(SEARCH, path).stdout.split() == ["a"]
    with QdrantConnector(FakeEncoder(), "docs", path=path) as store, pytest.raises(StoreError, match="free some space"):
        store.ingest([Document("c", "C.")])
    filler.unlink()
    fill(small_disk, 0)
    refused = run(SEARCH, path).stdout
    assert refused.count("StoreError: ") == 2
    assert refused.count(f"bytes free, {TO_OPEN:,} must be: free some space") == 1, (
        "the search; the journal refuses the delete"
    )


def test_a_full_disk_under_the_journal(small_disk: Path) -> None:
    rows = [(f"d{n}", Entry(b"x" * 16, 1)) for n in range(2000)]
    message = r"journal .*journal\.sqlite: its disk is full: free some space and run the same again"
    with closing(Journal(small_disk / "journal.sqlite", "c")) as journal:
        journal.record(rows[:1])
        filler = fill(small_disk, 0)
        with pytest.raises(StoreError, match=message):
            journal.record(rows)
        filler.unlink()
        journal.record(rows)
        assert (journal.get("d0"), journal.get("d1999")) == (Entry(b"x" * 16, 1), Entry(b"x" * 16, 1))


@pytest.fixture(params=["qdrant", "milvus"])
def read_only(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    source = tmp_path / "source"
    source.mkdir()
    assert ingest(request.param, source / "store.db", 3).returncode == 0
    for folder in mounted(["--bind", str(source)], tmp_path / "bound"):
        remounted = subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=False)
        if remounted.returncode:
            pytest.skip("read-only mounts are not allowed here")
        yield request.param, folder


def test_a_read_only_folder_says_why_it_cannot_be_searched(read_only: tuple[str, Path]) -> None:
    kind, folder = read_only
    connector: Any = QdrantConnector if kind == "qdrant" else MilvusConnector
    with (
        pytest.raises(
            StoreError, match=r"the engine writes when it opens a collection, even for a search.*copy the folder"
        ),
        connector(FakeEncoder(), "docs", path=folder / "store.db") as store,
    ):
        store.search("text")
    stopped = ingest(kind, folder / "store.db", 3)
    assert stopped.returncode == 3, stopped.stderr[-2000:]
    assert "cannot be written" in stopped.stdout


def test_a_panic_on_opening_is_an_error_of_ours(tmp_path: Path) -> None:
    with QdrantConnector(FakeEncoder(), "docs", path=tmp_path) as store:
        store.ingest([Document("a", "A text.")])
    for file in (tmp_path / "docs" / "shard").rglob("status.dat"):
        file.write_bytes(b"")
    with (
        QdrantConnector(FakeEncoder(), "docs", path=tmp_path) as store,
        pytest.raises(
            StoreError, match=r"docs: the engine broke off: index out of bounds.*delete the folder and ingest"
        ),
    ):
        store.search("x")


def test_a_panic_on_writing_names_the_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word weights of uneven length are what the engine itself breaks off at."""

    def uneven(text: str) -> Any:
        return [1, 2], [1.0]

    monkeypatch.setattr(embedded, "document_words", uneven)
    corpus = [Document(f"d{n}", "One. Two.") for n in range(12)]
    layout = QdrantLayout(hybrid=True)
    with QdrantConnector(FakeEncoder(), "docs", path=tmp_path, layout=layout, chunker=Sentences()) as store:
        with pytest.raises(
            StoreError, match=r"docs: the engine broke off while it wrote documents 'd0', 'd1'.*at fault"
        ):
            store.ingest(corpus, skip_bad=True)
        assert store.count() == 0


def test_an_interrupt_is_not_taken_for_a_panic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(embedded, "to_payload", interrupt)
    with QdrantConnector(FakeEncoder(), "docs", path=tmp_path) as store, pytest.raises(KeyboardInterrupt):
        store.ingest([Document("a", "A text.")])
