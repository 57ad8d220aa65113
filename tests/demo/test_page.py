"""The demo page's files and calls, over a socket."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from jina_v3_connectors import Document
from jina_v3_connectors.demo.collections import Collections
from jina_v3_connectors.demo.corpus import Corpus
from jina_v3_connectors.demo.page import routes
from jina_v3_connectors.server import ServerSettings
from jina_v3_connectors.server.settings import hash_key
from jina_v3_encoder.testing import FakeEncoder
from tests.demo.test_corpus import TEXTS, Lines

from ..support.running import running

STORE = "Qdrant, embedded"
WIDE = {"emoji": "😀😀 smiling faces\n🎉 a party with music"}
QUESTION = {"question": "cold water", "store": STORE, "dimensions": 32}


@contextmanager
def page(folder: Path, texts: dict[str, str] = TEXTS, settings: ServerSettings | None = None) -> Iterator[httpx.Client]:
    encoder = FakeEncoder(dimensions=64)
    documents = [Document(name, text, {"title": name.upper(), "lang": "en"}) for name, text in texts.items()]
    collections = Collections(Corpus(encoder, documents, Lines()), [str(folder)])
    with running(encoder, settings, collections) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with page(tmp_path_factory.mktemp("page"), {**TEXTS, **WIDE}) as client:
        yield client


class Links(HTMLParser):
    """Addresses that a page loads, and what it must not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]
        self.inline += [name for name in attributes if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in attributes):
            self.inline.append(tag)


def test_every_address_of_the_page_is_served_here(client: httpx.Client) -> None:
    links = Links()
    links.feed(client.get("/").text)
    addresses = [address for address in links.addresses if not address.startswith("#")]
    assert len(addresses) == 3
    assert links.inline == []
    for address in addresses:
        assert address.startswith("/demo/")
        assert client.get(address).status_code == 200


def test_modules_import_what_is_there(client: httpx.Client) -> None:
    names = {path.name for path in routes.FILES.values()} - {"index.html"}
    scripts = {name: client.get(f"/demo/{name}").text for name in names if name.endswith(".js")}
    imported = {module for text in scripts.values() for module in re.findall(r'from "\./([\w.]+)"', text)}
    assert imported == set(scripts) - {"app.js"}


@pytest.mark.parametrize("address", ["/", "/demo/app.js", "/demo/style.css", "/demo/icon.svg"])
def test_files_come_with_headers_that_keep_strangers_out(client: httpx.Client, address: str) -> None:
    headers = client.get(address).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert {value for name, value in policy.items() if name.endswith("-src")} == {"'none'", "'self'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("name", list(routes.FILES))
def test_no_file_names_another_host(client: httpx.Client, name: str) -> None:
    text = client.get(name).text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]+\.|eval\(|innerHTML|import\(", text)


def test_files_have_their_types(client: httpx.Client) -> None:
    kinds = {name: client.get(name).headers["content-type"] for name in ("/", "/demo/app.js", "/demo/style.css")}
    assert kinds == {
        "/": "text/html; charset=utf-8",
        "/demo/app.js": "text/javascript; charset=utf-8",
        "/demo/style.css": "text/css; charset=utf-8",
    }


def test_head_is_answered_like_get(client: httpx.Client) -> None:
    answer = client.head("/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(client.get("/").content)


@pytest.mark.parametrize("address", ["/demo/../settings.py", "/demo/%2e%2e/routes.py", "/demo/", "/demo/routes.py"])
def test_nothing_else_is_sent(client: httpx.Client, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer.json()["code"] == "NOT_FOUND"


def test_about_tells_what_there_is(client: httpx.Client) -> None:
    about = client.get("/demo/about").json()
    assert about["stores"] == [STORE]
    assert about["dimensions"] == [32, 64]
    assert about["dimension"] == 64
    assert about["chunks"] == 8 == len(about["maps"]["plain"]) == len(about["maps"]["late"])
    assert [document["title"] for document in about["documents"]] == ["A", "B", "C", "EMOJI"]
    assert about["questions"] == []
    assert about["first"] is None
    assert "retrieval.query" in about["tasks"]


def test_stores_say_whether_they_are_started(tmp_path: Path) -> None:
    encoder = FakeEncoder(dimensions=64)
    with socket.create_server(("127.0.0.1", 0)) as server:
        name = f"127.0.0.1:{server.getsockname()[1]}"
        corpus = Corpus(encoder, [Document(name, text) for name, text in TEXTS.items()], Lines())
        collections = Collections(corpus, [str(tmp_path), f"qdrant+http://{name}"])
        with running(encoder, None, collections) as url:
            assert httpx.get(f"{url}/demo/stores", timeout=60).json() == {STORE: True, f"Qdrant at {name}": True}
            server.close()
            assert httpx.get(f"{url}/demo/stores", timeout=60).json() == {STORE: True, f"Qdrant at {name}": False}


@pytest.mark.parametrize("hybrid", ["scores", "ranks"])
def test_shared_words_count_where_the_page_asks_for_it(client: httpx.Client, hybrid: str) -> None:
    """A chunk with the only rare word of the question comes first, whatever its cosine."""
    asked = {**QUESTION, "question": "party"}
    plain, fused = (client.post("/demo/search", json=body).json() for body in (asked, {**asked, "hybrid": hybrid}))
    for mode, hits in fused["hits"].items():
        assert (hits[0]["document"], hits[0]["span"]) == (3, [19, 40]), mode
        scores = {tuple(hit["span"]): hit["score"] for hit in plain["hits"][mode] if hit["document"] == 3}
        assert hits[0]["score"] == scores.get((19, 40), hits[0]["score"]), "it stays the cosine"
    assert client.post("/demo/search", json={**asked, "hybrid": "sum"}).status_code == 422


def test_positions_count_as_javascript_does(client: httpx.Client) -> None:
    (document,) = (shown for shown in client.get("/demo/about").json()["documents"] if shown["id"] == "emoji")
    units = document["text"].encode("utf-16-le")
    chunks = [units[2 * start : 2 * end].decode("utf-16-le") for start, end in document["chunks"]]
    assert chunks == WIDE["emoji"].split("\n")


@pytest.mark.parametrize("task", ["retrieval.query", "retrieval.passage", None])
def test_hits_of_both_modes_and_every_cosine(client: httpx.Client, task: str | None) -> None:
    answer = client.post("/demo/search", json={**QUESTION, "task": task, "limit": 3}).json()
    encoder = FakeEncoder(dimensions=64)
    chunks = [line for text in (*TEXTS.values(), *WIDE.values()) for line in text.split("\n")]
    query = encoder.encode("cold water", task=task, dimensions=32)
    plain = encoder.encode(chunks, task="retrieval.passage", dimensions=32) @ query
    np.testing.assert_allclose(answer["cosines"]["plain"], plain, atol=1e-4)
    best = np.argsort(-plain)[:3]
    assert [hit["score"] for hit in answer["hits"]["plain"]] == pytest.approx(plain[best], abs=2e-4)
    firsts = [0, 2, 5, 6]
    assert [firsts[hit["document"]] + hit["chunk"] for hit in answer["hits"]["plain"]] == best.tolist()
    assert len(answer["hits"]["late"]) == 3
    assert answer["dimensions"] == 32
    assert answer["tokens"] > 2
    assert np.shape(answer["points"]["late"]) == (2,)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"question": ""}, "question"),
        ({"question": "   "}, "question"),
        ({"question": "x" * 4001}, "question"),
        ({"question": None}, "question"),
        ({"store": "Weaviate"}, "Weaviate"),
        ({"task": "retrieval"}, "task"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 65}, "65"),
        ({"limit": 0}, "limit"),
        ({"limit": 21}, "limit"),
        ({"limit": 10**30}, "limit"),
    ],
)
def test_wrong_questions_are_refused(client: httpx.Client, change: dict[str, Any], named: str) -> None:
    answer = client.post("/demo/search", json={**QUESTION, **change})
    assert answer.status_code == 422
    assert named in answer.json()["detail"]


def test_defaults(client: httpx.Client) -> None:
    answer = client.post("/demo/search", json={"question": "cold water", "store": STORE}).json()
    assert answer["dimensions"] == 64
    assert len(answer["hits"]["plain"]) == 5


def test_the_interface_of_the_service_does_not_mention_the_page(client: httpx.Client) -> None:
    assert not [path for path in client.get("/openapi.json").json()["paths"] if path == "/" or path.startswith("/demo")]


def test_the_service_itself_goes_on_beside_the_page(client: httpx.Client) -> None:
    answer = client.post("/v1/embeddings", json={"model": "jina-embeddings-v3", "input": "a text"})
    assert answer.status_code == 200


def test_without_the_page_there_is_none() -> None:
    with running(FakeEncoder()) as url:
        assert "html" not in httpx.get(url).text
        for address in ("/demo/about", "/demo/app.js"):
            assert httpx.get(f"{url}{address}").status_code == 404


def test_a_store_that_is_away_is_told_and_the_next_question_tries_again(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    with page(blocked) as client:
        answer = client.post("/demo/search", json=QUESTION)
        assert (answer.status_code, answer.json()["code"]) == (503, "STORE_UNAVAILABLE")
        assert answer.headers["retry-after"]
        blocked.unlink()
        assert client.post("/demo/search", json=QUESTION).status_code == 200


def test_the_page_comes_without_a_key_and_its_calls_do_not(tmp_path: Path) -> None:
    with page(tmp_path, settings=ServerSettings(key_hashes=frozenset({hash_key("open")}))) as client:
        assert client.get("/").status_code == client.get("/demo/app.js").status_code == 200
        assert client.get("/demo/about").status_code == 401
        assert client.post("/demo/search", json=QUESTION).status_code == 401
        assert client.post("/demo/search", json=QUESTION, headers={"Authorization": "Bearer open"}).status_code == 200


def test_questions_wait_in_line_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MAX_WAITING", 2)
    with page(tmp_path) as client, ThreadPoolExecutor(16) as threads:
        client.post("/demo/search", json=QUESTION)
        answers = list(threads.map(lambda _: client.post("/demo/search", json=QUESTION), range(64)))
        statuses = {answer.status_code for answer in answers}
        assert statuses <= {200, 429}
        assert 200 in statuses
        for answer in answers:
            if answer.status_code == 429:
                assert answer.headers["retry-after"] == "2"
        assert client.post("/demo/search", json=QUESTION).status_code == 200, "places are given back"


def test_many_ask_at_once_and_each_gets_its_own(client: httpx.Client) -> None:
    words = ["red apples", "sweet", "blue water", "cold", "one line", "party", "music", "deep"]

    def hits(word: str) -> Any:
        return client.post("/demo/search", json={**QUESTION, "question": word}).json()["cosines"]

    alone = [hits(word) for word in words]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(hits, words * 3)) == alone * 3
