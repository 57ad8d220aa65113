"""Passwords in the addresses of stores and servers stay unsaid: in errors, reports, logs and what objects tell."""

from __future__ import annotations

import io
import logging
import re
import traceback
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jina_v3_connectors.chunking import WholeDocument
from jina_v3_connectors.cli import main
from jina_v3_connectors.cli.options import ModelChoice
from jina_v3_connectors.demo.collections import Collections
from jina_v3_connectors.demo.corpus import Corpus
from jina_v3_connectors.documents import Document
from jina_v3_connectors.llama_index import JinaV3Embedding
from jina_v3_connectors.shared_encoders import shared_encoder
from jina_v3_encoder.errors import InvalidInput, RemoteError
from jina_v3_encoder.remote import RETRY, RemoteEncoder
from jina_v3_encoder.retry import RetryPolicy
from jina_v3_encoder.testing import FakeEncoder
from tests.servers.milvus import milvus_server
from tests.servers.qdrant import qdrant_server
from tests.support.running import running

SECRET = "Hunter2"
PASSWORDS = st.text(max_size=8).map(SECRET.__add__)
FORMS = [
    ["search", "x", "--from", "qdrant+http://u:{}@127.0.0.1:9"],
    ["search", "x", "--from", "qdrant+http://u:{}@h:x"],
    ["search", "x", "--from", "mysql://u:{}@127.0.0.1:9"],
    ["search", "x", "--from", "mysql:u:{}@127.0.0.1:9"],
    ["search", "x", "--from", "{}@h"],
    ["ingest", str(Path(__file__).parents[2] / "README.md"), "--to", "milvus+http:u:{}@h"],
    ["search", "x", "--from", "postgresql://u:{}@127.0.0.1:9/d"],
    ["search", "x", "--from", "postgresql://127.0.0.1:9/d?password={}"],
    ["search", "x", "--from", "postgresql:u:{}@h"],
    ["demo", "--store", "postgresql://u:{}@h:x/d"],
    ["embed", "--encoder", "http://u:{}@127.0.0.1:9"],
    ["embed", "--encoder", "ftp://u:{}@h"],
    ["embed", "--encoder", "u:{}@h"],
    ["demo", "--store", "milvus+http://u:{}@h:x"],
    ["info", "--model", "http://u:{}@h"],
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jina_v3_connectors.backends.SHORT_RETRY", RetryPolicy(first=0.01, total=0.02))


def told(arguments: list[str]) -> str:
    """Everything that a command says, a traceback too."""
    result = CliRunner().invoke(main, arguments, input="a text\n")
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    return result.output + "".join(traceback.format_exception(*result.exc_info)) if result.exc_info else result.output


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PASSWORDS, st.sampled_from(FORMS))
@example(f"{SECRET}/a?b#c", FORMS[0])
@example(f"{SECRET}@ a", FORMS[6])
@example(f"{SECRET}://", FORMS[3])
@example(f"{SECRET}&a=b", FORMS[2])
def test_no_error_of_the_command_line_tells_a_password(password: str, form: list[str]) -> None:
    assert SECRET not in told([part.replace("{}", password) for part in form])


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_each_form(form: list[str]) -> None:
    assert SECRET not in told([part.replace("{}", f"{SECRET}%41") for part in form])


def test_a_milvus_server_that_is_away() -> None:
    assert SECRET not in told(["search", "x", "--from", f"milvus+http://u:{SECRET}@127.0.0.1:9"])


def test_what_ingest_reports_and_what_search_misses(tmp_path: Path, original_folder: Path) -> None:
    (tmp_path / "a.md").write_text("A text.")
    with qdrant_server() as url:
        store = f"qdrant+{url.replace('//', f'//u:{SECRET}@')}"
        done = CliRunner(env={"JINA_V3_STATE": str(tmp_path)}).invoke(
            main, ["ingest", str(tmp_path / "a.md"), "--to", store, "--model", str(original_folder)]
        )
        missing = told(["search", "x", "--from", store, "--collection", "other"])
    assert done.exit_code == 0, done.output
    assert f"in qdrant+{url} in" in re.sub(r"\*\*\*@", "", done.stderr)
    assert "there is no collection 'other' in" in missing
    assert SECRET not in done.output + missing


def test_a_qdrant_server_behind_a_proxy_gets_the_login_and_milvus_its_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jina_v3_connectors.milvus.connector import connect as milvus
    from jina_v3_connectors.qdrant.connector import connect as qdrant

    sent: list[str] = []

    def answer(_: object, request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        return httpx.Response(404)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    with pytest.raises(Exception, match="404"):
        qdrant(f"http://u:{SECRET}%40@localhost:6333").get_collection("x")
    assert sent == [httpx.BasicAuth("u", f"{SECRET}@")._auth_header]
    monkeypatch.undo()
    with milvus_server(tmp_path / "a.db") as url:
        milvus(url.replace("//", f"//u:{SECRET}@")).close()


def test_a_server_of_vectors_gets_the_login_and_nobody_else_hears_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with running(FakeEncoder()) as url, RemoteEncoder(url.replace("//", f"//u:{SECRET}@")) as remote:
        remote.encode("a text")
        assert remote.engine.server.client.auth is not None
        shown = repr(remote) + remote.url
    assert url in shown
    assert SECRET not in shown + caplog.text


def test_a_server_of_vectors_that_is_away() -> None:
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:9") as caught:
        RemoteEncoder(f"http://u:{SECRET}@127.0.0.1:9", retry=RETRY)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_the_page_of_a_demo_whose_store_is_away() -> None:
    corpus = Corpus(FakeEncoder(), [Document("a", "A text.")], WholeDocument())
    store = f"milvus+http://u:{SECRET}@127.0.0.1:9"
    with running(FakeEncoder(), collections=Collections(corpus, [store])) as url:
        answer = httpx.post(
            f"{url}/demo/search", json={"question": "why?", "store": "Milvus at 127.0.0.1:9"}, timeout=60
        )
    assert answer.status_code == 503
    assert "127.0.0.1:9" in answer.text
    assert SECRET not in answer.text


def test_what_objects_tell_of_themselves() -> None:
    url = f"http://u:{SECRET}@h"
    embedding = JinaV3Embedding(model_name=url, encoder=FakeEncoder())
    output = io.StringIO()
    print(embedding, [embedding], embedding.to_payload(), ModelChoice(None, None, "", "", None, url=url), file=output)
    assert SECRET not in output.getvalue()
    assert JinaV3Embedding.from_dict(embedding.to_dict()).model_name == url, "what is saved can be loaded"
    with pytest.raises(InvalidInput, match="is a server") as caught:
        shared_encoder(url, device="cpu")
    assert SECRET not in str(caught.value)
