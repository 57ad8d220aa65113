"""Several models in one server: which one answers, what each refuses, and that none disturbs another."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from click.testing import CliRunner
from haystack import Pipeline
from prometheus_client.parser import text_string_to_metric_families

from haystack_integrations.components.embedders.jina_v3 import JinaV3TextEmbedder
from jina_v3_connectors import Document
from jina_v3_connectors.chunking import WholeDocument
from jina_v3_connectors.cli import main
from jina_v3_connectors.errors import ContractMismatch
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_connectors.server import Models, ServerSettings
from jina_v3_connectors.shared_encoders import forget_encoders
from jina_v3_encoder import RemoteEncoder
from jina_v3_encoder.config import PROMPTS
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput, RemoteError
from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.testing import tiny_jina_bert_config, write_random_checkpoint

from ..support.running import running
from .hosted import checked_client

NEW, OLD = "jina-embeddings-v3", "jina-embeddings-v2-base-de"
TEXTS = ["A lighthouse warns ships of rocks.", "Brot wird aus Mehl gebacken.", "The moon turns around the earth.", ""]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """A small model of the other architecture, in a folder of a published name."""
    folder = write_random_checkpoint(tmp_path_factory.mktemp("models") / OLD, tiny_jina_bert_config())
    return Encoder.from_pretrained(folder, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def both(exact: Encoder, old: Encoder) -> Iterator[str]:
    """A server of nano and of the other."""
    with running(Models.of([exact, old])) as url:
        yield url


@pytest.fixture
def client(both: str) -> Iterator[httpx.Client]:
    with checked_client(both) as client:
        yield client


def embedded(client: httpx.Client, model: str, given: Any, **body: Any) -> Any:
    response = client.post("/v1/embeddings", json={"model": model, "input": given, **body})
    assert response.status_code == 200, response.text
    return np.array([row["embedding"] for row in response.json()["data"]], dtype=np.float32)


def refused(client: httpx.Client, status: int, path: str = "/v1/embeddings", **body: Any) -> str:
    response = client.post(path, json={"input": "x", **body})
    assert response.status_code == status, response.text
    detail: str = response.json()["detail"]
    return detail


@pytest.mark.parametrize("name", [OLD, f"jinaai/{OLD}", f"jina-ai/{OLD}"])
def test_the_migration_guides_v2_requests_run_unchanged(client: httpx.Client, old: Encoder, name: str) -> None:
    body = {"model": name, "input": TEXTS, "normalized": True, "embedding_type": "float"}
    answer = client.post("/v1/embeddings", json=body).json()
    assert answer["model"] == OLD
    assert np.allclose([row["embedding"] for row in answer["data"]], old.encode(TEXTS), atol=1e-6)
    assert answer["usage"]["total_tokens"] == sum(old.count_tokens(TEXTS))
    assert np.allclose(embedded(client, name, TEXTS, normalized=False), old.encode(TEXTS, normalize=False), atol=1e-5)


def test_the_migration_guides_v3_requests_run_beside_them(client: httpx.Client, exact: Encoder) -> None:
    body = {"task": "retrieval.passage", "dimensions": 64, "late_chunking": True, "embedding_type": "float"}
    wanted = exact.encode_chunks(TEXTS[:3], task="retrieval.passage", dimensions=64)
    assert np.allclose(embedded(client, NEW, TEXTS[:3], **body), wanted, atol=1e-6)
    query = exact.encode("who?", task="retrieval.query")
    assert np.allclose(embedded(client, f"{NEW}:retrieval.query", "who?")[0], query, atol=1e-6)
    assert np.allclose(embedded(client, "nano", "who?", task="retrieval.query")[0], query, atol=1e-6)


def test_late_chunking_of_either(client: httpx.Client, exact: Encoder, old: Encoder) -> None:
    for name, encoder in ((NEW, exact), (OLD, old)):
        late = embedded(client, name, TEXTS[:3], late_chunking=True)
        assert np.allclose(late, encoder.encode_chunks(TEXTS[:3]), atol=1e-5)
    long = TEXTS[0] * 200
    spans = [(0, 700), (700, len(long))]
    assert old.count_tokens(long) > old.max_tokens, "so it takes several windows"
    late = embedded(client, OLD, long, late_chunking=True, spans=spans)
    assert np.allclose(late, old.encode_spans(long, spans, overlap=old.max_tokens // 2), atol=1e-5)


def test_openai_switches_between_them(both: str, exact: Encoder, old: Encoder) -> None:
    with openai.OpenAI(base_url=f"{both}/v1", api_key="any", max_retries=0) as client:
        for _ in range(2):
            for name, encoder in ((NEW, exact), (OLD, old)):
                answer = client.embeddings.create(model=name, input=TEXTS)
                assert answer.model == name
                assert np.allclose([row.embedding for row in answer.data], encoder.encode(TEXTS), atol=1e-6)
        assert [model.id for model in client.models.list()] == [NEW, *(f"{NEW}:{task}" for task in TASK_NAMES), OLD]
        assert client.models.retrieve(OLD).id == OLD
        with pytest.raises(openai.BadRequestError, match=f"not served here: use one of {NEW}, {OLD}, or") as wrong:
            client.embeddings.create(model="text-embedding-3-small", input="x")
        assert wrong.value.code == "INPUT_MODEL_NOT_FOUND"
        with pytest.raises(openai.NotFoundError, match="jina-v3 serve … --model jinaai/jina-embeddings-v2-base-en"):
            client.models.retrieve("jina-embeddings-v2-base-en")


@pytest.mark.parametrize("task", TASK_NAMES)
def test_a_model_without_tasks_refuses_them_with_the_remedy(client: httpx.Client, task: str) -> None:
    told = f"{OLD} has no tasks: leave task out, or use {NEW}"
    assert refused(client, 422, model=OLD, task=task) == told
    assert refused(client, 422, model=f"{OLD}:{task}") == told
    assert refused(client, 422, "/v1/tokens", model=OLD, task=task) == told


def test_a_model_of_one_size_refuses_others_with_the_remedy(client: httpx.Client, old: Encoder) -> None:
    told = refused(client, 422, model=OLD, dimensions=64)
    assert f"dimensions must be {old.dimensions}, got 64: jina-embeddings-v2 was not trained for slices" in told
    assert f"leave dimensions out, or use {NEW}" in told
    assert "from 1 to 384, got 512" in refused(client, 422, model=NEW, dimensions=512)
    assert embedded(client, OLD, "x", dimensions=old.dimensions).shape == (1, old.dimensions)


def test_what_is_said_of_questions_and_passages_changes_nothing_without_tasks(exact: Encoder, old: Encoder) -> None:
    settings = ServerSettings(default_task="text-matching", recognize_prompts=True)
    prompted = f"{PROMPTS['retrieval.query']}who?"
    with running(Models.of([old, exact]), settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        for kind in ("query", "search_document"):
            assert np.allclose(embedded(client, OLD, "x", input_type=kind)[0], old.encode("x"), atol=1e-6)
        assert np.allclose(embedded(client, OLD, prompted)[0], old.encode(prompted), atol=1e-6)
        assert np.allclose(embedded(client, NEW, "x")[0], exact.encode("x", task="text-matching"), atol=1e-6)


def test_each_has_its_own_limit_of_tokens(client: httpx.Client, old: Encoder) -> None:
    long = "many words " * 400
    assert embedded(client, NEW, long).shape == (1, 384)
    assert f"the limit of {OLD} is {old.max_tokens:,}" in refused(client, 400, model=OLD, input=long)
    cut = embedded(client, OLD, long, truncate=True)[0]
    assert np.allclose(cut, old.encode(long, truncate=True), atol=1e-6)


def test_tokens_and_segments_of_either(client: httpx.Client, exact: Encoder, old: Encoder) -> None:
    for name, encoder in ((OLD, old), (NEW, exact)):
        counted = client.post("/v1/tokens", json={"input": TEXTS, "model": name}).json()
        assert counted == {"tokens": encoder.count_tokens(TEXTS)}
        segmented = client.post("/v1/segment", json={"content": TEXTS[0], "tokenizer": name}).json()
        assert segmented["num_tokens"] == encoder.count_tokens(TEXTS[0]) - 2
        assert segmented["tokenizer"] == name
    assert "name one of" in refused(client, 422, "/v1/tokens", model=None)
    named = client.post("/v1/tokens", json={"input": TEXTS, "model": f"{NEW}:retrieval.query"}).json()
    assert named == {"tokens": exact.count_tokens(TEXTS, "retrieval.query")}
    other = client.post("/v1/segment", json={"content": TEXTS[0], "tokenizer": "cl100k_base"}).json()
    assert other["tokenizer"] == NEW
    assert "not served here" in refused(client, 400, "/v1/tokens", model="gpt-4")


def test_classification_by_either(client: httpx.Client, exact: Encoder, old: Encoder) -> None:
    texts, labels = ["one text", "another"], ["first", "second", "third"]
    for name, encoder, task in ((NEW, exact, "classification"), (OLD, old, None)):
        answer = client.post("/v1/classify", json={"model": name, "input": texts, "labels": labels}).json()
        cosines = encoder.encode(texts, task=task) @ encoder.encode(labels, task=task).T
        assert [row["prediction"] for row in answer["data"]] == [labels[index] for index in cosines.argmax(axis=1)]
    assert "not served here" in refused(client, 400, "/v1/classify", model="gpt-4", labels=labels)


def test_models_health_and_the_description_of_the_interface(client: httpx.Client, exact: Encoder, old: Encoder) -> None:
    rows = {row["id"]: row for row in client.get("/v1/models").json()["data"]}
    for name, encoder in ((NEW, exact), (OLD, old)):
        assert rows[name]["loaded"]["fingerprint"] == encoder.fingerprint
        assert rows[name]["max_output_length"] == encoder.dimensions
        assert rows[name]["context_length"] == encoder.max_tokens
        assert rows[name]["tasks"] == list(encoder.tasks)
        assert client.get(f"/v1/models/jinaai/{name}").json() == rows[name]
    assert client.get("/v1/models/nano").json() == rows[NEW]
    assert client.get("/health").json() == {"status": "ok", "models": [NEW, OLD]}
    described = client.get("/openapi.json").json()
    assert f"{NEW}, {OLD} on this machine" in described["info"]["description"]
    fields = described["components"]["schemas"]["EmbeddingsRequest"]["properties"]
    assert f"(jinaai/|jina-ai/)?{OLD})$" in fields["model"]["pattern"]
    assert fields["dimensions"]["anyOf"][0]["maximum"] == max(exact.dimensions, old.dimensions)


def test_counters_are_labelled_by_model(client: httpx.Client) -> None:
    def read(model: str) -> float:
        samples = [
            sample
            for family in text_string_to_metric_families(client.get("/metrics").text)
            for sample in family.samples
            if sample.labels.get("model") == model
        ]
        assert {"jina_v3_waiting_tokens", "jina_v3_batch_fill_count", "jina_v3_batch_seconds_count"} <= {
            sample.name for sample in samples
        }
        return next(sample.value for sample in samples if sample.name == "jina_v3_tokens_total")

    for name in (NEW, OLD):
        embedded(client, name, "x")
    before = {name: read(name) for name in (NEW, OLD)}
    embedded(client, OLD, TEXTS)
    assert read(OLD) > before[OLD]
    assert read(NEW) == before[NEW]


def test_every_answer_under_a_mixed_load_is_the_encoders_own(both: str, exact: Encoder, old: Encoder) -> None:
    words = [f"word{number}" for number in range(50)]

    def ask(seed: int) -> int:
        draw = random.Random(seed)
        with httpx.Client(base_url=both, timeout=120) as client:
            for _ in range(4):
                name, encoder = draw.choice([(NEW, exact), (OLD, old)])
                count = draw.choice([1, 1, 2, 8, 30])
                texts = [" ".join(draw.choices(words, k=draw.randint(1, 40))) for _ in range(count)]
                task = draw.choice([*TASK_NAMES, None]) if encoder.tasks else None
                late = draw.random() < 0.2
                wanted = encoder.encode_chunks(texts, task=task) if late else encoder.encode(texts, task=task)
                answer = embedded(client, name, texts, late_chunking=late, **({"task": task} if task else {}))
                assert answer.shape == wanted.shape
                assert np.abs(answer - wanted).max() < 1e-6
        return 4

    with ThreadPoolExecutor(32) as pool:
        assert sum(pool.map(ask, range(32))) == 32 * 4


def test_a_remote_encoder_asks_for_size_tasks_and_limits(both: str, old: Encoder) -> None:
    sent: list[Any] = []

    def keep(request: httpx.Request) -> None:
        if request.method == "POST":
            sent.append(json.loads(request.content))

    with RemoteEncoder(both, model=OLD, prepare=keep) as remote:
        assert (remote.dimensions, remote.max_tokens, remote.tasks) == (old.dimensions, old.max_tokens, ())
        assert (remote.fingerprint, remote.model_id) == (old.fingerprint, old.model_id)
        assert np.allclose(remote.encode(TEXTS), old.encode(TEXTS), atol=1e-6)
        assert np.allclose(remote.encode_chunks(TEXTS[:3]), old.encode_chunks(TEXTS[:3]), atol=1e-5)
        assert remote.count_tokens(TEXTS) == old.count_tokens(TEXTS)
        assert sent
        assert all(body["model"] == OLD and not {"task", "dimensions"} & body.keys() for body in sent)
        sent.clear()
        with pytest.raises(InvalidInput, match="jina-embeddings-v2 has no tasks"):
            remote.encode("x", task="retrieval.query")
        with pytest.raises(InvalidInput, match=f"dimensions must be {old.dimensions}, got 64"):
            remote.encode("x", dimensions=64)
        assert not sent, "it knows without asking"


@pytest.mark.parametrize("name", ["nano", NEW, f"jinaai/{NEW}"])
def test_a_remote_encoder_of_the_other_model_has_all_it_had(both: str, exact: Encoder, name: str) -> None:
    with RemoteEncoder(both, model=name) as remote:
        assert (remote.dimensions, remote.tasks, remote.fingerprint) == (384, TASK_NAMES, exact.fingerprint)
        wanted = exact.encode(TEXTS, task="retrieval.query", dimensions=64)
        assert np.allclose(remote.encode(TEXTS, task="retrieval.query", dimensions=64), wanted, atol=1e-6)


def test_the_models_name_may_stand_in_the_address(both: str, old: Encoder) -> None:
    for url in (f"{both}#{OLD}", f"{both}/v1/embeddings#jinaai%2F{OLD}"):
        with RemoteEncoder(url) as remote:
            assert (remote.fingerprint, remote.url) == (old.fingerprint, both)
    with RemoteEncoder(f"{both}#{OLD}", model=OLD) as remote:
        assert remote.dimensions == old.dimensions
    with pytest.raises(InvalidInput, match=f"names the model '{OLD}', and model= is 'nano': leave one of them out"):
        RemoteEncoder(f"{both}#{OLD}", model="nano")


def test_a_name_is_needed_where_there_are_several(both: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        RemoteEncoder(both)
    assert str(wrong.value) == (
        f"{both} has several models, so name one with model=, or at the end of the address as in {both}#{NEW}; it has: "
        f"{NEW}, {OLD}"
    )
    with pytest.raises(RemoteError, match=f"404 model 'other' is not served here: use one of {NEW}, {OLD}"):
        RemoteEncoder(both, model="other")


def test_the_only_model_needs_no_name(old: Encoder) -> None:
    with running(old) as url:
        with RemoteEncoder(url) as remote:
            assert (remote.dimensions, remote.tasks) == (old.dimensions, ())
            assert np.allclose(remote.encode(TEXTS), old.encode(TEXTS), atol=1e-6)
        refusal = httpx.post(f"{url}/v1/embeddings", json={"model": NEW, "input": "x"}, timeout=60)
        assert refusal.status_code == 400, "its vectors are not those of v3"
        assert f"is not served here: use {OLD}. To serve it too" in refusal.json()["detail"]
        assert httpx.get(f"{url}/health", timeout=60).json() == {"status": "ok"}


def test_a_server_before_a_server_passes_models_through(both: str, exact: Encoder, old: Encoder) -> None:
    with RemoteEncoder(both, model=OLD) as one, RemoteEncoder(both, model=NEW) as other:
        names = ["first", None]
        with running(Models.of([one, other], names)) as front, httpx.Client(base_url=front, timeout=60) as client:
            assert np.allclose(embedded(client, "first", TEXTS), old.encode(TEXTS), atol=1e-6)
            wanted = exact.encode(TEXTS, task="separation")
            assert np.allclose(embedded(client, NEW, TEXTS, task="separation"), wanted, atol=1e-6)


@pytest.mark.parametrize("late", [False, True])
def test_a_collection_through_either(both: str, exact: Encoder, old: Encoder, tmp_path: Path, *, late: bool) -> None:
    """It opens with the same model here and there, and with no other."""
    settings: dict[str, Any] = {"path": tmp_path, "chunker": WholeDocument(), "late_chunking": late}
    with RemoteEncoder(both, model=OLD) as there, RemoteEncoder(both, model=NEW) as other:
        for collection, remote, encoder in (("old", there, old), ("new", other, exact)):
            with QdrantConnector(remote, collection, **settings) as store:
                store.ingest(Document(str(number), text) for number, text in enumerate(TEXTS[:3]))
                hits = store.search(TEXTS[1], limit=3)
            with QdrantConnector(encoder, collection, **settings) as store:
                again = store.search(TEXTS[1], limit=3)
            assert [hit.chunk.document_id for hit in hits] == [hit.chunk.document_id for hit in again]
            assert hits[0].chunk.document_id == "1"
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in again], abs=1e-4)
        with pytest.raises(ContractMismatch, match="fingerprint"):
            QdrantConnector(other, "old", **settings)


def test_haystack_names_the_model_in_the_address(both: str, old: Encoder) -> None:
    pipeline = Pipeline()
    pipeline.add_component("embedder", JinaV3TextEmbedder(f"{both}#{OLD}", task=None))
    again = Pipeline.loads(pipeline.dumps()).run({"embedder": {"text": "who?"}})
    assert np.allclose(again["embedder"]["embedding"], old.encode("who?"), atol=1e-6)
    forget_encoders()


def test_the_command_line_names_the_model_in_the_address(both: str, old: Encoder, tmp_path: Path) -> None:
    def run(*arguments: str, text: str | None = None, code: int = 0) -> str:
        done = CliRunner().invoke(main, list(arguments), input=text)
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.stderr

    line = run("embed", "--encoder", f"{both}#{OLD}", text="who?\n")
    assert np.allclose(json.loads(line)["embedding"], old.encode("who?"), atol=1e-6)
    file = tmp_path / "notes.txt"
    file.write_text("\n\n".join(TEXTS))
    store = f"qdrant:{tmp_path / 'store'}"
    run("ingest", str(file), "--to", store, "--encoder", f"{both}#{OLD}")
    assert "lighthouse" in run("search", "What warns ships?", "--from", store, "--encoder", f"{both}#{OLD}", "--json")
    assert f"has several models, so name one with model=, or at the end of the address as in {both}#{NEW}" in run(
        "embed", "--encoder", both, text="x\n", code=1
    )
    told = run("embed", "--encoder", both, "--model", OLD, text="x\n", code=1)
    assert "--encoder URL#NAME names one" in told
