"""The journal says only what is true, whoever asks, and survives."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jina_v3_connectors.errors import StoreError
from jina_v3_connectors.ingestion.journal import LISTED_AT_ONCE, UNKNOWN_CHUNKS, Entry, Journal


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
    assert (one.expected(), two.expected()) == ((3, 0, 0), (0, 0, 0))
    assert list(two.absent()) == []
    one.close()
    two.close()


def test_an_open_document_has_no_digest_and_may_have_as_many_chunks_as_ever(file: Path) -> None:
    journal = Journal(file, "c")
    journal.record([("a", Entry(b"1", 6)), ("b", Entry(b"1", 1))])
    journal.open_encoded([("a", 2, b"2", b"vectors"), ("new", 3, b"2", b"")])
    assert (journal.get("a"), journal.get("new")) == (Entry(None, 6), Entry(None, 3))
    assert (journal.kept("a", b"2"), journal.kept("a", b"1")) == (b"vectors", None)
    assert journal.expected() == (1, 9, 0)
    journal.open_known(["b", "unheard of"])
    assert (journal.get("b"), journal.get("unheard of")) == (Entry(None, 1), None)
    journal.record([("a", Entry(b"2", 2))])
    journal.forget(["new", "b"])
    assert (journal.get("a"), journal.kept("a", b"2"), journal.kept("new", b"2")) == (Entry(b"2", 2), None, None)
    assert journal.expected() == (2, 0, 0)
    journal.close()


def test_what_the_store_says_opens_rows(file: Path) -> None:
    journal = Journal(file, "c")
    journal.record(
        [(name, Entry(b"1", chunks)) for name, chunks in {"same": 2, "less": 2, "more": 1, "none": 0}.items()]
    )
    journal.record([("gap", Entry(b"1", 2)), ("gone", Entry(b"1", 1)), ("not empty", Entry(b"1", 0))])
    held = [("same", 0), ("same", 1), ("less", 0), ("more", 0), ("more", 4), ("gap", 0), ("gap", 2)]
    held += [("not empty", 0), ("foreign", 0), ("foreign", 1)]
    assert journal.compare(held) == (5, 1)
    names = ["same", "less", "more", "none", "gap", "gone", "not empty"]
    assert [journal.get(name) for name in names] == [
        *(Entry(b"1", 2), Entry(None, 2), Entry(None, 5), Entry(b"1", 0)),
        *(Entry(None, 3), Entry(None, 1), Entry(None, 1)),
    ]
    assert journal.get("foreign") is None
    assert journal.expected().unknown == 2
    assert journal.compare(held, take_over=True).unknown == 1
    assert (journal.get("foreign"), journal.expected().unknown) == (Entry(None, UNKNOWN_CHUNKS), 0)
    journal.open_all()
    assert journal.get("same") == Entry(None, UNKNOWN_CHUNKS), "whose tail is deleted, whatever there is of it"
    journal.close()


def test_documents_that_did_not_come_by(file: Path) -> None:
    first = Journal(file, "c")
    first.record([(name, Entry(b"", 1)) for name in "abcd"])
    first.open_encoded([("e", 1, b"", b"")])
    assert [first.mark_as_present(name) for name in "acaz"] == [True, True, False, True]
    assert list(first.absent()) == ["b", "d", "e"], "open ones too"
    first.close()
    second = Journal(file, "c")
    assert list(second.absent()) == list("abcde"), "who is present is remembered in one run only"
    second.close()


def test_forgetting_while_listing(file: Path) -> None:
    count = 2 * LISTED_AT_ONCE + 7
    journal = Journal(file, "c")
    journal.record([(f"{n:06}", Entry(b"", 1)) for n in range(count)])
    gone = 0
    for name in journal.absent():
        journal.forget([name])
        gone += 1
    assert gone == count
    assert list(journal.absent()) == []
    journal.close()


FORM_1 = """
CREATE TABLE documents (
    target TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL, chunks INTEGER NOT NULL, run INTEGER NOT NULL,
    PRIMARY KEY (target, id)
) WITHOUT ROWID;
CREATE TABLE encoded (
    target TEXT NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL, vectors BLOB NOT NULL, PRIMARY KEY (target, id)
);
INSERT INTO documents VALUES ('c', 'a', x'31', 3, 1), ('c', 'b', x'32', 2, 2), ('other', 'a', x'33', 1, 1);
INSERT INTO encoded VALUES ('c', 'new', x'31', x'00');
"""


def test_a_journal_of_an_earlier_version_goes_on(file: Path) -> None:
    file.parent.mkdir()
    old = sqlite3.connect(file)
    old.executescript(FORM_1)
    old.close()
    for _ in range(2):
        journal = Journal(file, "c")
        assert (journal.get("a"), journal.get("b")) == (Entry(b"1", 3), Entry(b"2", 2))
        assert (journal.expected(), journal.keeps_any()) == ((5, 0, 0), False)
        journal.close()


def test_a_journal_of_a_later_version_is_left_alone(file: Path) -> None:
    Journal(file, "c").close()
    later = sqlite3.connect(file)
    later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(StoreError, match="is of form 99, this version of jina-v3-connectors reads 2 at most"):
        Journal(file, "c")


def test_each_file_has_an_identity_and_counts_ingests(file: Path) -> None:
    first, other = Journal(file, "c"), Journal(file.with_name("other.sqlite"), "c")
    assert first.id != other.id
    assert (first.generation, first.next_generation(), other.generation) == (0, 1, 0)
    first.close()
    again = Journal(file, "c")
    assert (again.id, again.generation) == (first.id, 1)
    again.close()
    other.close()


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
from jina_v3_connectors.ingestion.journal import Entry, Journal
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
    with pytest.raises(StoreError, match=r"journal .*journal\.sqlite: .* delete it and ingest with take_over=True"):
        Journal(file, "c")


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="journal"):
        Journal(tmp_path, "c")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="journal"):
        Journal(tmp_path / "x" / "journal.sqlite", "c")
