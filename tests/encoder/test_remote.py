"""`RemoteEncoder` against this project's server, and against servers that fail, lie or know less."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx
import numpy as np
import pytest

from jina_v3_connectors.server import ServerSettings
from jina_v3_connectors.server.settings import hash_key
from jina_v3_encoder import RemoteEncoder
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput, JinaV3Error, RemoteBusy, RemoteError
from jina_v3_encoder.remote import KEY_VARIABLES
from jina_v3_encoder.retry import RetryPolicy
from jina_v3_encoder.usage import count_usage

from ..support.running import running

TEXTS = ["A lighthouse warns ships.", "Das Brot ist frisch.", "", "Two plus two"]
QUICK = RetryPolicy(first=0.01, longest=0.05, total=1.0, wait_for_absent=False)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEY_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def url(encoder: Encoder) -> Iterator[str]:
    with running(encoder) as url:
        yield url


@pytest.fixture(scope="module")
def remote(url: str) -> Iterator[RemoteEncoder]:
    encoder = RemoteEncoder(url, max_items=3, max_characters=100)
    yield encoder
    encoder.close()


def test_it_shows_where_it_asks(remote: RemoteEncoder) -> None:
    assert remote.url in repr(remote)


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "/v1/embeddings"])
def test_any_form_of_the_address(url: str, tail: str) -> None:
    with RemoteEncoder(url + tail) as remote:
        assert remote.url == url


def test_an_address_that_is_none() -> None:
    with pytest.raises(InvalidInput, match="begins with http"):
        RemoteEncoder("127.0.0.1:8080")


def test_the_servers_own_words_come_through(remote: RemoteEncoder) -> None:
    with pytest.raises(RemoteError, match=r"400 .*text 0 has"):
        remote.encode("word " * 2000)


def test_nothing_answers() -> None:
    with pytest.raises(RemoteError, match="cannot be reached"):
        RemoteEncoder("http://127.0.0.1:9", retry=QUICK)


def test_keys_come_from_the_environment_and_are_told_nowhere(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(encoder, ServerSettings(key_hashes=frozenset({hash_key("the-key")}))) as url:
        with pytest.raises(RemoteError, match="401 this server asks for a key"):
            RemoteEncoder(url)
        with pytest.raises(RemoteError, match="401 this key is not known") as wrong:
            RemoteEncoder(url, api_key="other-key")
        assert "other-key" not in str(wrong.value)
        monkeypatch.setenv("JINA_API_KEY", "the-key")
        with RemoteEncoder(url) as remote:
            assert remote.encode("x").shape == (64,)
            assert "the-key" not in repr(remote)
            assert "the-key" not in repr(vars(remote)) + repr(vars(remote.engine)) + repr(vars(remote.engine.server))


@pytest.mark.parametrize("key", ["sec\nret", "secret-ü", "sec\x00ret", "sec\x7fret", b"secret"], ids=repr)
def test_keys_that_no_header_can_hold(monkeypatch: pytest.MonkeyPatch, key: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^api_key must be a str of printable ASCII") as refused:
        RemoteEncoder("http://127.0.0.1:9", api_key=key, retry=QUICK)
    assert "sec" not in str(refused.value)
    if isinstance(key, str) and "\0" not in key:
        monkeypatch.setenv("JINA_API_KEY", key)
        with pytest.raises(InvalidInput, match=r"^\$JINA_API_KEY must be") as refused:
            RemoteEncoder("http://127.0.0.1:9", retry=QUICK)
        assert "sec" not in str(refused.value)


def test_blanks_around_a_key_are_not_sent(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys read from a file end in a newline."""
    monkeypatch.setenv("JINA_V3_API_KEY", " \n")
    monkeypatch.setenv("JINA_API_KEY", "the-key\n")
    with running(encoder, ServerSettings(key_hashes=frozenset({hash_key("the-key")}))) as url:
        for key in (None, "", " the-key\n"):
            with RemoteEncoder(url, api_key=key) as remote:
                assert remote.encode("x").shape == (64,)


def test_requests_can_be_changed_before_they_go(encoder: Encoder) -> None:
    seen: list[str] = []

    def sign(request: httpx.Request) -> None:
        request.headers["X-Signature"] = "signed"
        seen.append(f"{request.method} {request.url.path}")

    with running(encoder) as url, RemoteEncoder(url, prepare=sign) as remote:
        remote.encode("x")
    assert seen == ["GET /v1/models", "POST /v1/embeddings"]


Answer = tuple[int, dict[str, str], Any]


class Script(BaseHTTPRequestHandler):
    """Answers as `script` says: (status, headers, body), one after the other, the last one for ever."""

    script: ClassVar[list[Answer]] = []
    bodies: ClassVar[list[Any]] = []

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.bodies.append(json.loads(self.rfile.read(length) or b"null"))
        status, headers, body = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def scripted() -> Iterator[str]:
    Script.script, Script.bodies = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Script)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


NO_MODELS: Answer = (404, {}, {"detail": "Not Found"})


def embedded(*rows: list[float]) -> tuple[int, dict[str, str], Any]:
    import base64

    data = [
        {"index": index, "embedding": base64.b64encode(np.array(row, dtype="<f4").tobytes()).decode()}
        for index, row in enumerate(rows)
    ]
    return 200, {}, {"data": data[::-1], "usage": {"total_tokens": 3}}


def test_busy_servers_are_asked_again(scripted: str) -> None:
    row = [1.0] * 4
    Script.script[:] = [
        NO_MODELS,
        (429, {"Retry-After": "0"}, {"detail": "slow down"}),
        (503, {}, b"<html>gateway</html>"),
        embedded(row, row),
    ]
    remote = RemoteEncoder(scripted, retry=QUICK)
    assert np.allclose(remote.encode(["a", "b"], dimensions=4), 0.5)
    assert Script.bodies[-1]["input"] == ["a", "b"]
    Script.script[:] = [(503, {}, {"detail": "overloaded"})]
    with pytest.raises(RemoteError, match=r"gave up after .* tries .*overloaded") as final:
        remote.encode("a")
    assert not isinstance(final.value, RemoteBusy)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, {}, {"data": []}), "holds no vectors"),
        ((200, {}, {"nothing": 1}), "holds no vectors"),
        ((200, {}, b"not json"), "no JSON object"),
        ((200, {}, b'"\xff"'), "no JSON object"),
        ((200, {}, b"[" * 100_000), "no JSON object"),
        ((200, {"Content-Encoding": "gzip"}, b"no gzip"), "embeddings answered something that cannot be read"),
        ((200, {}, [1]), "no JSON object"),
        ((200, {}, {"detail": "failed later", "code": "INTERNAL_ERROR"}), "failed later"),
        ((400, {}, {"detail": {"message": "nested", "code": "X"}}), "400 nested"),
        (embedded([1.0] * 3), "shape"),
        (embedded([1.0] * 4, [1.0] * 4), "shape"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_nonsense_is_no_vector(scripted: str, answer: Any, told: str) -> None:
    Script.script[:] = [NO_MODELS, answer]
    with pytest.raises(RemoteError, match=told):
        RemoteEncoder(scripted, retry=QUICK).encode("a", dimensions=4)


@pytest.mark.parametrize("indexes", [[0, 0], [5, 9], [1, 2], [-1, 0], ["0", "1"], [0, 0.5]], ids=str)
def test_each_text_gets_one_vector_of_its_own(scripted: str, indexes: list[Any]) -> None:
    status, headers, body = embedded([1.0] * 4, [2.0] * 4)
    for row, index in zip(body["data"], indexes, strict=True):
        row["index"] = index
    Script.script[:] = [NO_MODELS, (status, headers, body)]
    with count_usage() as usage, pytest.raises(RemoteError, match=re.escape(str(sorted(indexes)))):
        RemoteEncoder(scripted, retry=QUICK).encode(["a", "b"], dimensions=4)
    assert usage.tokens == 0


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"loaded": "x"}, "loaded"),
        ({"loaded": {"fingerprint": 5}}, "fingerprint"),
        ({"loaded": {"model": ["x"]}}, "model"),
        ({"loaded": {"revision": 5}}, "revision"),
        ({"max_output_length": "abc"}, "max_output_length"),
        ({"max_output_length": [1024]}, "max_output_length"),
        ({"max_output_length": -4}, "max_output_length"),
        ({"max_output_length": 1e400}, "max_output_length"),
        ({"context_length": True}, "context_length"),
        ({"quantization": ["int8"]}, "quantization"),
    ],
    ids=str,
)
def test_senseless_words_of_a_server_on_its_model(scripted: str, fields: dict[str, Any], name: str) -> None:
    Script.script[:] = [(200, {}, {"data": [{"id": "jina-embeddings-v3", **fields}]})]
    with pytest.raises(RemoteError, match=f"/v1/models answered a {name} that makes no sense: "):
        RemoteEncoder(scripted)


def test_a_list_of_models_that_is_none(scripted: str) -> None:
    Script.script[:] = [(200, {}, {"data": 5})]
    with pytest.raises(RemoteError, match="/v1/models answered a data that makes no sense: 5"):
        RemoteEncoder(scripted)


def test_sizes_may_be_absent_or_text(scripted: str) -> None:
    row = {"id": "jina-embeddings-v3", "max_output_length": "512", "context_length": None, "loaded": None}
    Script.script[:] = [(200, {}, {"data": [None, row]})]
    remote = RemoteEncoder(scripted)
    assert (remote.dimensions, remote.max_tokens) == (512, 8192)


def test_a_closed_encoder_says_so(url: str) -> None:
    remote = RemoteEncoder(url)
    remote.close()
    remote.close()
    for call in (
        lambda: remote.encode("a text"),
        lambda: remote.encode_chunks(["a text"]),
        lambda: remote.count_tokens("a text"),
    ):
        with pytest.raises(JinaV3Error, match="this RemoteEncoder is closed"):
            call()


@pytest.mark.parametrize("status", [400, 503])
@pytest.mark.parametrize("method", ["encode", "encode_documents", "count_tokens"])
def test_every_error_names_the_callers_text(scripted: str, status: int, method: str) -> None:
    """The last request holds text 2, or texts 1 and 2. The server counts from 0 in each."""
    model = {"id": "jina-embeddings-v3", "max_output_length": 4, "loaded": {"model": "nano"}}
    refused: Answer = (status, {}, {"detail": "text 1 is no good, document 0 neither, text 9 is unknown"})
    counts: Answer = (200, {}, {"tokens": [3]})
    texts = ["long text", "b", "c"]
    cases: dict[str, tuple[list[Any], list[Answer], str]] = {
        "encode": ([texts], [embedded([1.0] * 4), refused], "text 2 is no good, document 1 neither, text 9 is unknown"),
        "count_tokens": ([texts], [counts, refused], "text 2 is no good, document 1 neither, text 9 is unknown"),
        "encode_documents": (
            [texts, [[(0, 1)]] * 3],
            [embedded([1.0] * 4), embedded([1.0] * 4), refused],
            "text 1 is no good, document 2 neither, text 9 is unknown",
        ),
    }
    arguments, answers, told = cases[method]
    Script.script[:] = [(200, {}, {"data": [model]}), *answers]
    remote = RemoteEncoder(scripted, max_characters=2, retry=QUICK)
    with pytest.raises(RemoteError, match=told):
        getattr(remote, method)(*arguments)


def test_a_server_that_tells_less(scripted: str) -> None:
    row = {"id": "jina-ai/jina-embeddings-v3", "context_length": 8192, "max_output_length": 1024}
    Script.script[:] = [(200, {}, {"data": [row]}), embedded([1.0, 0, 0, 0], [0, 1.0, 0, 0])]
    remote = RemoteEncoder(scripted)
    assert (remote.dimensions, remote.max_tokens, remote.model_id) == (1024, 8192, "jina-embeddings-v3")
    assert len(remote.fingerprint) == 16
    vectors = remote.encode_documents(["One. Two."], [[(0, 5), (5, 9)]], dimensions=4)
    assert Script.bodies[-1]["input"] == ["One. ", "Two."]
    assert Script.bodies[-1]["late_chunking"] is True
    assert vectors[0].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    with pytest.raises(InvalidInput, match="takes the chunks of a document one after the other"):
        remote.encode_documents(["One. Two."], [[(0, 4), (5, 9)]], dimensions=4)
    with pytest.raises(InvalidInput, match="no window or overlap"):
        remote.encode_chunks(["One. ", "Two."], window=100)
    with pytest.raises(InvalidInput, match="no window or overlap"):
        remote.encode_chunks(["One. ", "Two."], overlap=3)
    with pytest.raises(RemoteError, match="no way to count tokens"):
        remote.count_tokens("x")


V2 = "jina-embeddings-v2-base-de"


@pytest.mark.parametrize("listed", [[], [{"id": V2}], [{"id": f"jinaai/{V2}", "max_output_length": 768}]], ids=str)
def test_another_server_of_a_v2_model_gets_no_task_and_no_size(scripted: str, listed: list[Any]) -> None:
    row = [1.0] * 768
    Script.script[:] = [(200, {}, {"data": listed}), embedded(row)]
    remote = RemoteEncoder(scripted, model=V2)
    assert (remote.dimensions, remote.max_tokens, remote.tasks, remote.model_id) == (768, 8192, (), V2)
    remote.encode(["a"])
    assert Script.bodies[-1].keys() == {"model", "input", "normalized", "embedding_type", "truncate"}
    with pytest.raises(InvalidInput, match="jina-embeddings-v2 has no tasks"):
        remote.encode("a", task="separation")
    with pytest.raises(InvalidInput, match="dimensions must be 768, got 64"):
        remote.encode("a", dimensions=64)


def test_a_size_that_nobody_tells_is_that_of_a_first_vector(scripted: str) -> None:
    Script.script[:] = [NO_MODELS, embedded([1.0] * 5), embedded([2.0, 0, 0, 0, 0])]
    remote = RemoteEncoder(scripted, model="own-model")
    assert Script.bodies[-1].keys() == {"model", "input", "normalized", "embedding_type"}
    assert remote.dimensions == 5
    assert remote.encode("a").tolist() == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("listed", "name"),
    [
        (["gpt", "jinaai/jina-embeddings-v3", V2], "jina-embeddings-v3"),
        (["gpt", f"jinaai/{V2}"], f"jinaai/{V2}"),
        ([V2, f"{V2}:separation"], V2),
    ],
    ids=str,
)
def test_the_model_of_another_server_where_none_is_named(scripted: str, listed: list[str], name: str) -> None:
    Script.script[:] = [(200, {}, {"data": [{"id": listed_name} for listed_name in listed]})]
    assert RemoteEncoder(scripted).model_id == name


@pytest.mark.parametrize("listed", [["gpt"], [V2, "jina-embeddings-v2-base-en"]], ids=str)
def test_other_servers_models_that_could_not_be_meant_are_listed(scripted: str, listed: list[str]) -> None:
    Script.script[:] = [(200, {}, {"data": [{"id": listed_name} for listed_name in listed]})]
    with pytest.raises(InvalidInput, match=f"name one with model=.* as in {scripted}#{listed[0]}; .*{listed[-1]}$"):
        RemoteEncoder(scripted)


@pytest.mark.parametrize("fields", [{"tasks": "separation"}, {"can_be_shortened": "no"}], ids=str)
def test_senseless_words_on_what_a_model_can(scripted: str, fields: dict[str, Any]) -> None:
    Script.script[:] = [(200, {}, {"data": [{"id": "jina-embeddings-v3", **fields}]})]
    with pytest.raises(RemoteError, match=f"/v1/models answered a {next(iter(fields))} that makes no sense: "):
        RemoteEncoder(scripted)
