"""Collections are made when asked for, in every store that is named, and hold what the encoder gives."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from jina_v3_connectors import Document
from jina_v3_connectors.demo.collections import Collections, accepts, label, store_url
from jina_v3_connectors.demo.corpus import Corpus, Mode
from jina_v3_connectors.documents import Tail
from jina_v3_connectors.errors import StoreError
from jina_v3_connectors.filters import chunks_of
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder
from tests.servers.milvus import milvus_server
from tests.servers.qdrant import qdrant_server
from tests.support.backends import shared_postgres

from .test_corpus import TEXTS, Lines

EMBEDDED = "Qdrant, embedded"


def corpus(texts: dict[str, str] = TEXTS) -> Corpus:
    return Corpus(FakeEncoder(dimensions=64), [Document(name, text) for name, text in texts.items()], Lines())


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("dimensions", [8, 64])
def test_nearest_ranks_by_the_cosines_of_the_page(tmp_path: Path, dimensions: int, mode: Mode) -> None:
    documents = corpus()
    answer = documents.ask("cold water", "retrieval.query", dimensions)
    with closing(Collections(documents, [str(tmp_path)])) as collections:
        hits = collections.nearest(EMBEDDED, answer.vector, 6, mode)
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(answer.cosines[mode])[::-1], atol=1e-4)
    firsts = {
        document.id: sum(map(len, documents.spans[:number])) for number, document in enumerate(documents.documents)
    }
    for hit in hits:
        cosine = answer.cosines[mode][firsts[hit.chunk.document_id] + hit.chunk.number]
        assert hit.score == pytest.approx(cosine, abs=1e-4)


def test_collections_are_made_on_the_first_question(tmp_path: Path) -> None:
    documents = corpus()
    with closing(Collections(documents, [str(tmp_path)])) as collections:
        assert list(tmp_path.iterdir()) == []
        collections.nearest(EMBEDDED, documents.ask("water", None, 8).vector, 1, Mode.LATE)
        assert [path.name for path in tmp_path.iterdir()] == [f"demo_{documents.name}_late_8"]
        collections.nearest(EMBEDDED, documents.ask("water", None, 8).vector, 1, Mode.PLAIN)
        assert len(list(tmp_path.iterdir())) == 2


def test_a_second_start_finds_them_filled(tmp_path: Path) -> None:
    for _ in range(2):
        with closing(Collections(corpus(), [str(tmp_path)])) as collections:
            assert collections.connector(EMBEDDED, 16, Mode.PLAIN).count() == 6
    assert len(list(tmp_path.iterdir())) == 1


def test_other_documents_get_collections_of_their_own(tmp_path: Path) -> None:
    for texts, chunks in ((TEXTS, 6), ({"d": "only this"}, 1)):
        with closing(Collections(corpus(texts), [str(tmp_path)])) as collections:
            assert collections.connector(EMBEDDED, 16, Mode.LATE).count() == chunks
    assert len(list(tmp_path.iterdir())) == 2


def test_servers_are_filled_as_folders_are(tmp_path: Path) -> None:
    documents = corpus()
    answer = documents.ask("sweet red apples", "retrieval.query", 32)
    with (
        qdrant_server() as qdrant,
        milvus_server(tmp_path / "milvus") as milvus,
        shared_postgres().database() as postgres,
    ):
        stores = [str(tmp_path / "folder"), f"qdrant+{qdrant}", f"milvus+{milvus}", postgres]
        with closing(Collections(documents, stores)) as collections:
            assert [name.split(" at ")[0] for name in collections.stores] == [
                EMBEDDED,
                "Qdrant",
                "Milvus",
                "PostgreSQL",
            ]
            ranked_chunks = [
                [(hit.chunk.document_id, hit.chunk.number) for hit in collections.nearest(name, answer.vector, 3, mode)]
                for name in collections.stores
                for mode in Mode
            ]
    by_store = [ranked_chunks[start : start + len(Mode)] for start in range(0, len(ranked_chunks), len(Mode))]
    assert by_store == by_store[:1] * 4
    assert ranked_chunks[0][0] == ("a", 0)


def test_an_unknown_store_names_the_others(tmp_path: Path) -> None:
    documents = corpus()
    with closing(Collections(documents, [str(tmp_path)])) as collections, pytest.raises(InvalidInput, match=EMBEDDED):
        collections.nearest("Weaviate", documents.ask("water", None, 8).vector, 1, Mode.PLAIN)


def test_a_store_that_is_away_is_tried_again_next_time(tmp_path: Path) -> None:
    documents = corpus()
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    with closing(Collections(documents, [str(blocked)])) as collections:
        with pytest.raises(StoreError, match="blocked"):
            collections.nearest(EMBEDDED, documents.ask("water", None, 8).vector, 1, Mode.PLAIN)
        blocked.unlink()
        assert collections.nearest(EMBEDDED, documents.ask("water", None, 8).vector, 1, Mode.PLAIN)


def test_closing_twice_is_safe(tmp_path: Path) -> None:
    collections = Collections(corpus(), [str(tmp_path)])
    collections.connector(EMBEDDED, 8, Mode.LATE)
    collections.close()
    collections.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("qdrant:./folder", "Qdrant, embedded"),
        ("milvus:./demo.db", "Milvus, embedded"),
        ("qdrant+http://localhost:6333", "Qdrant at localhost:6333"),
        ("qdrant+https://user:secret@host.example:6333/path?api_key=x", "Qdrant at host.example:6333"),
        ("milvus+http://[::1]:19530", "Milvus at [::1]:19530"),
        ("milvus+http://user:p%40ss@host:1", "Milvus at host:1"),
        ("postgresql://user:se?cret@host", "PostgreSQL at ***"),
        ("postgresql://user:secret@host:5432/db?password=secret@x", "PostgreSQL at host:5432"),
        ("postgresql://user:pass/word@host/db", "PostgreSQL at host"),
        ("postgresql://one:1,two:2/db", "PostgreSQL at one:1,two:2"),
        ("postgresql://postgres@/db?host=/tmp/folder", "PostgreSQL at its socket"),
    ],
)
def test_labels_tell_no_secret(url: str, shown: str) -> None:
    assert label(url) == shown


@pytest.mark.parametrize("host", ["<b>host</b>", "host:x", "user:pass/word@host", "host:70000", "a b"])
def test_labels_of_what_is_no_address(host: str) -> None:
    with pytest.raises(InvalidInput, match="is no address of a server") as caught:
        label(f"milvus+http://{host}")
    assert "pass/" not in str(caught.value)


@pytest.mark.parametrize("store", ["pinecone:index", "pinecone:"])
def test_pinecone_is_refused_with_the_reason(store: str) -> None:
    with pytest.raises(InvalidInput, match="several sizes"):
        Collections(corpus(), [store])


def test_two_stores_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInput, match="could not tell them apart"):
        Collections(corpus(), ["one", "two"])


@pytest.mark.parametrize(
    ("store", "url"),
    [
        ("folder", "qdrant:folder"),
        ("/a/folder", "qdrant:/a/folder"),
        ("C:folder", "qdrant:C:folder"),
        ("qdrant:x", "qdrant:x"),
        ("qdrant+http://h:1", "qdrant+http://h:1"),
        ("milvus:x.db", "milvus:x.db"),
        ("postgresql://h/db", "postgresql://h/db"),
    ],
)
def test_a_plain_folder_is_an_embedded_store(store: str, url: str) -> None:
    assert store_url(store) == url


@pytest.mark.parametrize("left", [0, 1])
def test_what_another_machine_has_filled_is_used_or_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """As a container whose state was not kept."""
    with qdrant_server() as qdrant:
        for machine in ("one", "two"):
            monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / machine))
            with closing(Collections(corpus(), [f"qdrant+{qdrant}"])) as collections:
                (name,) = collections.stores
                connector = collections.connector(name, 16, Mode.LATE)
                assert connector.count() == 6
                if left:
                    connector.store.delete(chunks_of([Tail("a", 0)]))


def test_whether_a_server_is_started_is_told_without_opening_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [listening.getsockname()[1] for listening in (server, taken)]
        taken.close()
        stores = [
            str(tmp_path / "none"),
            f"qdrant+http://127.0.0.1:{ports[1]}",
            f"postgresql://user:p%40ss@127.0.0.1:{ports[0]}/database?password=a@b",
            f"milvus+http://root:secret@127.0.0.1:{ports[0]}",
            "milvus+http://host.invalid:19530",
            "postgresql:///database?host=/none",
            "postgresql://127.0.0.1:1,127.0.0.1:2/database",
        ]
        with closing(Collections(corpus(), stores)) as collections:
            started = asyncio.run(collections.started())
    assert started == {
        EMBEDDED: True,
        f"Qdrant at 127.0.0.1:{ports[1]}": False,
        f"PostgreSQL at 127.0.0.1:{ports[0]}": True,
        f"Milvus at 127.0.0.1:{ports[0]}": True,
        "Milvus at host.invalid:19530": False,
        "PostgreSQL at its socket": True,
        "PostgreSQL at 127.0.0.1:1,127.0.0.1:2": True,
    }
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_accept_in_time_is_not_started() -> None:
    """Its queue is full, so that the system leaves connections unanswered."""
    with socket.socket() as full, ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        begin = time.monotonic()
        assert not asyncio.run(accepts(f"qdrant+http://127.0.0.1:{full.getsockname()[1]}"))
        assert time.monotonic() - begin < 10
