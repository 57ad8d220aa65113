"""What a request may cost: windows with their overlaps, values, characters, tokens; work ends with its client."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_connectors.server import ServerSettings, segment
from jina_v3_connectors.server import service as module
from jina_v3_connectors.server.batcher import Batcher
from jina_v3_connectors.server.bodies import NUMBERS, count_values
from jina_v3_connectors.server.errors import ApiError
from jina_v3_connectors.server.models import Models
from jina_v3_connectors.server.service import Service, slices
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.remote import RemoteEncoder
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.texts.tokenizer import TextTokenizer

from ..support.running import running

MODEL = "jina-embeddings-v3"
WORDS = "some words to read again and again in overlapping windows " * 200
SECONDS = 60


class Stepping(Encoder):
    """The bundled model, which remembers the order of its work and can be held inside a document."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder.engine.with_batch_tokens(256))
        self.done: list[str] = []
        self.free = threading.Event()
        self._id_means = self.engine.id_means
        self.engine.id_means = self._noted_id_means  # type: ignore[method-assign]

    def _noted_id_means(self, ids: Any, tasks: Any) -> Any:
        self.done.append("texts")
        return self._id_means(ids, tasks)

    def read_windows(self, *arguments: Any) -> None:
        self.done.append("windows")
        self.free.wait(SECONDS)
        super().read_windows(*arguments)


@pytest.fixture
def stepping(exact: Encoder) -> Iterator[Stepping]:
    encoder = Stepping(exact)
    yield encoder
    encoder.free.set()


def document(**settings: Any) -> dict[str, Any]:
    return {"model": MODEL, "input": [WORDS], "late_chunking": True, "window": 64, "overlap": 32, **settings}


def wait_until(happened: Callable[[], Any]) -> None:
    until = time.monotonic() + SECONDS
    while not happened() and time.monotonic() < until:
        time.sleep(0.005)
    assert happened()


def test_windows_that_overlap_by_more_than_half_are_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/embeddings", json=document(window=2000, overlap=1999, input=["many words " * 3000]))
    assert answer.status_code == 422
    assert "overlap: 1,999 of 2,000 tokens, the limit is half a window, 1,000" in answer.json()["detail"]
    assert client.post("/v1/embeddings", json=document(overlap=32)).status_code == 200
    assert client.post("/v1/embeddings", json=document(overlap=33)).status_code == 422


def test_an_overlap_is_no_matter_where_one_window_is_enough(client: httpx.Client) -> None:
    assert client.post("/v1/embeddings", json=document(input=["a few words"], window=64, overlap=60)).status_code == 200


def test_what_windows_read_twice_counts_twice(exact: Encoder) -> None:
    tokens = exact.count_tokens(WORDS)
    with running(exact, ServerSettings(max_request_tokens=round(tokens * 1.5))) as url:
        told = httpx.post(f"{url}/v1/embeddings", json=document(), timeout=SECONDS)
        assert (told.status_code, told.json()["code"]) == (400, "INPUT_TOKEN_LIMIT_EXCEEDED")
        assert "tokens in overlapping windows, the limit is" in told.json()["detail"]
        fine = httpx.post(f"{url}/v1/embeddings", json=document(window=256, overlap=8), timeout=SECONDS)
        assert fine.status_code == 200
        assert tokens < fine.json()["usage"]["total_tokens"] < 1.5 * tokens


def test_tiny_windows_cost_what_a_pass_costs(exact: Encoder) -> None:
    with running(exact, ServerSettings(max_request_tokens=exact.count_tokens(WORDS) * 10)) as url:
        told = httpx.post(f"{url}/v1/embeddings", json=document(window=2, overlap=0), timeout=SECONDS)
        assert (told.status_code, told.json()["code"]) == (400, "INPUT_TOKEN_LIMIT_EXCEEDED")


def test_a_server_before_a_server_counts_windows_as_that_one_does(client: httpx.Client) -> None:
    url = str(client.base_url)
    with RemoteEncoder(url) as remote, running(remote) as front:
        for body in (document(), document(window=2, overlap=0, input=["few words"]), document(overlap=33)):
            behind = client.post("/v1/embeddings", json=body)
            before = httpx.post(f"{front}/v1/embeddings", json=body, timeout=SECONDS)
            assert before.status_code == behind.status_code
            assert before.json().get("usage") == behind.json().get("usage")
            assert before.json().get("detail") == behind.json().get("detail")


def test_others_pass_between_a_documents_windows(stepping: Stepping, exact: Encoder) -> None:
    answers: list[httpx.Response] = []
    with running(stepping) as url:

        def ask(body: dict[str, Any]) -> threading.Thread:
            def post() -> None:
                answers.append(httpx.post(f"{url}/v1/embeddings", json=body, timeout=SECONDS))

            thread = threading.Thread(target=post)
            thread.start()
            return thread

        long = ask(document())
        wait_until(lambda: stepping.done)
        short = ask({"model": MODEL, "input": "a text"})
        wait_until(lambda: "jina_v3_waiting_tokens 0.0" not in httpx.get(f"{url}/metrics").text)
        time.sleep(0.2)
        stepping.free.set()
        long.join(SECONDS)
        short.join(SECONDS)
    assert stepping.done.index("texts") <= 2, "behind the windows that were under way"
    assert stepping.done.count("windows") > 10
    vectors = [np.array(answer.json()["data"][0]["embedding"]) for answer in answers]
    wanted = exact.encode_chunks([WORDS], window=64, overlap=32)[0]
    assert max(float(vector @ wanted) for vector in vectors) > 0.9999


@contextmanager
def leaving(url: str) -> Iterator[None]:
    """A client that asks for a document's vectors, and hangs up at the end."""
    body = json.dumps(document()).encode()
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as connection:
        headers = "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        yield


@pytest.mark.parametrize("keep_alive", [0.05, None])
def test_a_document_is_read_no_further_once_its_client_is_gone(stepping: Stepping, keep_alive: float | None) -> None:
    with running(stepping, ServerSettings(keep_alive_after=keep_alive)) as url:
        with leaving(url):
            wait_until(lambda: "windows" in stepping.done)
        time.sleep(3 * module.POLL_SECONDS)
        stepping.free.set()
        assert httpx.post(f"{url}/v1/embeddings", json={"model": MODEL, "input": "x"}).status_code == 200
        assert "jina_v3_waiting_tokens 0.0" in httpx.get(f"{url}/metrics").text
    assert 1 <= stepping.done.count("windows") <= 2


def held_vectors(url: str) -> float:
    lines = httpx.get(f"{url}/metrics", timeout=SECONDS).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("jina_v3_vector_bytes "))


def test_vectors_of_all_requests_together_have_a_limit(stepping: Stepping) -> None:
    spans = [[start, start + 20] for start in range(0, 4000, 20)]
    body = document(spans=spans)
    size = len(spans) * stepping.dimensions * 4
    answers: list[httpx.Response] = []

    def ask(url: str) -> threading.Thread:
        thread = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{url}/v1/embeddings", json=body, timeout=SECONDS))
        )
        thread.start()
        return thread

    settings = ServerSettings(max_vector_bytes=2 * size, keep_alive_after=None)
    with running(stepping, settings) as url:
        asked = [ask(url) for _ in range(2)]
        wait_until(lambda: held_vectors(url) == 2 * size)
        refused = httpx.post(f"{url}/v1/embeddings", json=body, timeout=SECONDS / 6)
        assert (refused.status_code, refused.json()["code"]) == (429, "RATE_CONCURRENCY_LIMIT_EXCEEDED")
        assert f"vectors of {2 * size:,} bytes are waited for or being sent" in refused.json()["detail"]
        assert f"the limit is {2 * size:,}: come back in" in refused.json()["detail"]
        assert int(refused.headers["retry-after"]) >= 1
        stepping.free.set()
        for thread in asked:
            thread.join(SECONDS)
        assert [answer.status_code for answer in answers] == [200, 200]
        wait_until(lambda: held_vectors(url) == 0)
        assert httpx.post(f"{url}/v1/embeddings", json=body, timeout=SECONDS).status_code == 200


@pytest.mark.parametrize("keep_alive", [0.05, None])
def test_vectors_are_let_go_with_their_client(stepping: Stepping, keep_alive: float | None) -> None:
    with running(stepping, ServerSettings(keep_alive_after=keep_alive)) as url:
        with leaving(url):
            wait_until(lambda: "windows" in stepping.done)
            assert held_vectors(url) == stepping.dimensions * 4
        wait_until(lambda: held_vectors(url) == 0)
        assert not stepping.free.is_set(), "while its window is being read"
        stepping.free.set()


def test_vectors_of_a_failed_request_are_let_go(stepping: Stepping, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(stepping.engine, "id_means", fail)
    with running(stepping) as url:
        body = {"model": MODEL, "input": "x"}
        for path, more in (("/v1/embeddings", {}), ("/v1/classify", {"labels": ["y"]})):
            assert httpx.post(f"{url}{path}", json=body | more, timeout=SECONDS).status_code == 500
        wait_until(lambda: held_vectors(url) == 0)


def test_spans_may_not_lie_on_one_another_by_the_thousand(client: httpx.Client) -> None:
    body = document(window=None, overlap=None, spans=[[0, len(WORDS)]] * 9)
    answer = client.post("/v1/embeddings", json=body)
    assert answer.status_code == 422
    assert "9 times the text; the limit is 8 times" in answer.json()["detail"]
    assert client.post("/v1/embeddings", json={**body, "spans": body["spans"][1:]}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/tokens", "/v1/classify"])
def test_a_million_empty_objects_are_counted_and_not_read(client: httpx.Client, path: str) -> None:
    content = b'{"model": "jina-embeddings-v3", "input": [' + b"{}," * 1_000_000 + b"{}]}"
    answer = client.post(path, content=content)
    assert answer.status_code == 422
    assert "values, the limit is 73,728" in answer.json()["detail"]
    assert len(answer.content) < 2000


def test_lists_are_read_up_to_their_first_wrong_item(client: httpx.Client) -> None:
    answer = client.post("/v1/embeddings", json={"model": MODEL, "input": [{}] * 2000})
    assert answer.status_code == 422
    assert 1 <= len(answer.json()["errors"]) <= 4
    assert len(answer.content) < 5000


def test_at_most_twenty_errors_are_listed(client: httpx.Client) -> None:
    labels = {f"group {number}": [""] for number in range(8)}
    answer = client.post("/v1/classify", json={"model": 1, "input": {}, "labels": labels, "more": "x" * 100_000})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) <= 20
    assert len(answer.content) < 20_000
    spans = [["x"] * 1000] * 1000
    many = client.post("/v1/embeddings", json={"model": MODEL, "input": "x", "spans": spans})
    assert len(many.json().get("errors", [])) <= 20


JSON_VALUES = st.recursive(
    st.text(alphabet='ab,[{"\\\n', max_size=8) | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='k,"\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)


def values_in(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(values_in, inside))


def cheap_in(value: Any) -> int:
    """Numbers that do not come first in their list, which are none below zero."""
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    rest = inside[1:] if isinstance(value, list) else []
    return sum(isinstance(number, int) and number >= 0 for number in rest) + sum(map(cheap_in, inside))


@given(JSON_VALUES, st.booleans(), st.sampled_from([None, (",", ":")]))
def test_values_are_counted_without_parsing(value: Any, escaped: bool, separators: tuple[str, str] | None) -> None:
    counted = count_values(json.dumps(value, ensure_ascii=escaped, separators=separators).encode(), limit=0)
    cheap = cheap_in(value)
    dear = values_in(value) - cheap
    assert dear + -(-cheap // NUMBERS) <= counted <= 2 * dear + cheap


def test_token_ids_of_a_thousand_texts_are_let_through() -> None:
    body = json.dumps({"input": [[100_000] * 250] * 1000}).encode()
    assert count_values(body, limit=0) < 4 * 2048 + 4 * 16_384


@pytest.fixture(scope="module")
def small(exact: Encoder) -> Iterator[str]:
    with running(exact, ServerSettings(max_items=3, max_request_tokens=50, max_request_characters=400)) as url:
        yield url


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/v1/tokens", {"input": ["x"] * 4}, "4 texts, the limit is 3"),
        ("/v1/tokens", {"input": ["x" * 300] * 2}, "input: 600 characters in one request, the limit is 400"),
        ("/v1/tokens", {"input": ["a b " * 20] * 2}, "tokens in one request, the limit is 50"),
        ("/v1/embeddings", {"model": MODEL, "input": "x" * 500}, "500 characters in one request, the limit is 400"),
        ("/v1/segment", {"content": "x" * 500}, "content: 500 characters in one request, the limit is 400"),
        ("/v1/segment", {"content": "a b " * 40}, "tokens in one request, the limit is 50"),
        ("/segment", {"content": "a b " * 40, "return_tokens": True}, "tokens in one request, the limit is 50"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_all_routes_have_the_same_limits(small: str, path: str, body: dict[str, Any], told: str) -> None:
    answer = httpx.post(f"{small}{path}", json=body, timeout=SECONDS)
    assert answer.status_code in (400, 422), answer.text
    assert told in answer.json()["detail"]


def test_the_segmenter_counts_by_get_within_the_limits(small: str) -> None:
    answer = httpx.get(f"{small}/v1/segment", params={"content": "x" * 500}, timeout=SECONDS)
    assert answer.status_code == 400


def test_a_lone_surrogate_is_told_by_the_segmenter(client: httpx.Client) -> None:
    answer = client.post("/v1/segment", content=b'{"content": "a \\ud800 b"}')
    assert answer.status_code == 422
    assert "lone surrogate" in answer.json()["detail"]


def test_segments_of_one_text_are_made_before_the_next_is_tokenized(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the tokens of all waiting texts are in memory together."""
    done: list[str] = []

    def noted(name: str) -> None:
        work = getattr(segment, name)

        def call(*arguments: Any) -> Any:
            done.append(name)
            time.sleep(0.1)
            return work(*arguments)

        monkeypatch.setattr(segment, name, call)

    noted("encoded")
    noted("segmented")
    content = {"content": "a b " * (module.SLICE_CHARACTERS // 3)}
    with ThreadPoolExecutor(3) as clients:
        answers = list(clients.map(lambda _: client.post("/v1/segment", json=content), range(3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert done == ["encoded", "segmented"] * 3


@pytest.mark.parametrize("late", [False, True])
def test_each_text_is_tokenized_once(exact: Encoder, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    tokenized: list[str] = []
    tokenize = TextTokenizer._encode

    def noted(self: TextTokenizer, encode: Any, texts: Any, first: int) -> Any:
        tokenized.extend(texts)
        return tokenize(self, encode, texts, first)

    texts = ["a short text", "word " * 9000, "one more"]
    body = {"model": MODEL, "input": texts, "task": "separation", "truncate": True, "late_chunking": late}
    with running(exact) as url:
        monkeypatch.setattr(TextTokenizer, "_encode", noted)
        answer = httpx.post(f"{url}/v1/embeddings", json=body, timeout=SECONDS)
        monkeypatch.undo()
    assert tokenized == ([" ".join(texts)] if late else texts)
    vectors = [row["embedding"] for row in answer.json()["data"]]
    if late:
        wanted = exact.encode_chunks(texts, task="separation")
    else:
        wanted = exact.encode(texts, task="separation", truncate=True)
    assert np.allclose(vectors, wanted, atol=1e-5)


class Counting(FakeEncoder):
    """Remembers how many texts it counted at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: list[int] = []

    def count_tokens(self, texts: Any, *arguments: Any, **settings: Any) -> Any:
        self.counted.append(len(texts))
        time.sleep(0.01)
        return super().count_tokens(texts, *arguments, **settings)


def test_counting_ends_with_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.001)
    encoder = Counting()
    models = Models.of([encoder])
    service = Service(ServerSettings(), Batcher.over(models, ServerSettings()))

    async def gone() -> bool:
        return len(encoder.counted) >= 2

    with pytest.raises(ApiError, match="hung up") as left:
        asyncio.run(service.count(models.default, ["word " * 10_000] * 30, None, gone))
    assert left.value.status == 499
    assert sum(encoder.counted) <= 6


def test_what_nobody_waits_for_is_not_begun() -> None:
    service = Service(ServerSettings(), Batcher.over(Models.of([FakeEncoder()]), ServerSettings()))
    free, begun = threading.Event(), threading.Event()

    async def gone() -> bool:
        return True

    async def stays() -> bool:
        return False

    async def run() -> None:
        first = asyncio.ensure_future(service.in_pool(10**6, stays, free.wait, SECONDS))
        await asyncio.sleep(0.05)
        with pytest.raises(ApiError, match="hung up"):
            await service.in_pool(10**6, gone, begun.set)
        await asyncio.sleep(0.05)
        free.set()
        await first
        await service.in_pool(10**6, stays, bool)

    asyncio.run(run())
    assert not begun.is_set()


@given(st.lists(st.integers(0, 250_000).map(lambda size: "x" * size), min_size=1, max_size=12))
def test_slices_are_neighbours_and_short(texts: list[str]) -> None:
    parts = list(slices(texts))
    assert [text for part in parts for text in part] == texts
    assert all(len(part) == 1 or sum(map(len, part)) <= module.SLICE_CHARACTERS for part in parts)
    assert all(parts)
