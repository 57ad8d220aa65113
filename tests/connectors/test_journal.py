"""The journal says only what is true, whoever asks, and survives."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jina_v3_connectors.errors import StoreError
from jina_v3_connectors.journal import LISTED_AT_ONCE, Entry, Journal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "journal.sqlite"


def test_what_was_recorded_is_known_to_the_next_run(file: Path) -> None:
    first = Journal(file, "c1")
    first.record([("a", Entry(b"1", 3)), ("b", Entry(b"2", 0))])
    first.close()
    second = Journal(file, "c1")
    assert (second.get("a"), second.get("b"), second.get("z")) == (Entry(b"1", 3), Entry(b"2", 0), None)
    second.record([("a", Entry(b"9", 1))])
    assert second.get("a") == Entry(b"9", 1)
    second.forget(["a"])
    assert second.get("a") is None
    second.close()


def test_targets_are_kept_apart(file: Path) -> None:
    one, two = Journal(file, "c1"), Journal(file, "c2")
    one.record([("a", Entry(b"1", 3))])
    assert two.get("a") is None
    two.record([("a", Entry(b"2", 1))])
    two.forget(["a"])
    assert one.get("a") == Entry(b"1", 3)
    assert list(two.unseen()) == []
    one.close()
    two.close()


def test_documents_that_did_not_come_by(file: Path) -> None:
    first = Journal(file, "c")
    first.record([(name, Entry(b"", 1)) for name in "abcd"])
    assert list(first.unseen()) == [], "all came by in this run"
    first.close()
    second = Journal(file, "c")
    second.record([("a", Entry(b"new", 1))])
    second.seen(["c"])
    assert list(second.unseen()) == ["b", "d"]
    second.close()


def test_forgetting_while_listing(file: Path) -> None:
    count = 2 * LISTED_AT_ONCE + 7
    first = Journal(file, "c")
    first.record([(f"{n:06}", Entry(b"", 1)) for n in range(count)])
    first.close()
    second = Journal(file, "c")
    gone = 0
    for name in second.unseen():
        second.forget([name])
        gone += 1
    assert gone == count
    assert list(second.unseen()) == []
    second.close()


@pytest.mark.parametrize("name", ["", "with'quote", "東京", "a\x1fb", "x" * 10_000])
def test_any_id(file: Path, name: str) -> None:
    journal = Journal(file, "c")
    journal.record([(name, Entry(b"\x00\xff", 2))])
    assert journal.get(name) == Entry(b"\x00\xff", 2)
    journal.close()


def test_two_threads_share_it(file: Path) -> None:
    journal = Journal(file, "c")
    wrong: list[str] = []

    def write(letter: str) -> None:
        for number in range(200):
            name = f"{letter}{number}"
            journal.record([(name, Entry(b"x", number))])
            if journal.get(name) != Entry(b"x", number):
                wrong.append(name)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    journal.close()


KILLED = """
import os, sys
from pathlib import Path
from jina_v3_connectors.journal import Entry, Journal
journal = Journal(Path(sys.argv[1]), "c")
for number in range(100):
    journal.record([(str(number), Entry(b"x", number))])
os.kill(os.getpid(), 9)
"""


def test_nothing_recorded_is_lost_when_killed(file: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(file)], check=False)
    assert killed.returncode == -9
    journal = Journal(file, "c")
    assert all(journal.get(str(number)) == Entry(b"x", number) for number in range(100))
    journal.close()


def test_a_damaged_file_says_what_to_do(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match=r"journal .*journal\.sqlite: .* delete it: the next ingest writes everything"):
        Journal(file, "c")


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="journal"):
        Journal(tmp_path, "c")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="journal"):
        Journal(tmp_path / "x" / "journal.sqlite", "c")
