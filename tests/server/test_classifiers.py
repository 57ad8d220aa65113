"""Classifiers from a few labelled texts: as the hosted service has them, kept whole, and of one model only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jina_v3_connectors.server import Models, ServerSettings, classifiers
from jina_v3_connectors.server.classifiers import MAX_LABELS
from jina_v3_connectors.server.few_shot import first_weights, probabilities, trained
from jina_v3_connectors.server.settings import hash_key
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.testing import FakeEncoder, tiny_jina_bert_config, write_random_checkpoint

from ..support.running import running
from .hosted import checked_client, validator

MODEL = "jina-embeddings-v3"
TOPICS = {
    "cooking": [
        "Knead the dough and let it rise for an hour.",
        "Fry the onions in butter until they are golden.",
        "A pinch of salt brings out the taste of chocolate.",
        "Simmer the soup on a low flame.",
        "Whisk the eggs with sugar until they are foamy.",
        "Roast the vegetables in a hot oven with olive oil.",
        "The recipe asks for two cups of flour.",
        "Marinate the chicken in lemon and garlic.",
        "Grate the cheese over the pasta before you serve it.",
    ],
    "sport": [
        "The striker scored in the last minute of the match.",
        "She won the marathon in a new record time.",
        "Their coach changed the team before the second half.",
        "He served three aces in the final set.",
        "The swimmers trained for the championship.",
        "A penalty decided the cup final.",
        "The cyclist broke away on the last climb.",
        "Fans filled the stadium for the derby.",
        "The goalkeeper saved two shots from close range.",
    ],
    "space": [
        "The probe entered the orbit of Mars.",
        "Astronomers found a planet around a distant star.",
        "The rocket carried a telescope above the atmosphere.",
        "Jupiter's moons were seen by Galileo.",
        "Astronauts repaired the station during a spacewalk.",
        "A comet passes the sun every seventy-six years.",
        "The galaxy holds a hundred billion stars.",
        "The lunar module landed in a crater.",
        "A satellite measures the light of the northern sky.",
    ],
}
SHOWN = 3
"""Texts of each topic that are learned from; the others are asked for."""
LEARNED = [{"text": text, "label": label} for label, texts in TOPICS.items() for text in texts[:SHOWN]]
ASKED = [(text, label) for label, texts in TOPICS.items() for text in texts[SHOWN:]]


def settings(folder: Path, *keys: str) -> ServerSettings:
    return ServerSettings(classifiers=folder, key_hashes=frozenset(map(hash_key, keys)))


@pytest.fixture
def client(exact: Encoder, tmp_path: Path) -> Iterator[httpx.Client]:
    with running(exact, settings(tmp_path)) as url, checked_client(url) as client:
        yield client


def train(client: httpx.Client, key: str = "any", **body: Any) -> str:
    asked = {"input": LEARNED, **({} if "classifier_id" in body else {"model": MODEL}), **body}
    answer = client.post("/v1/train", json=asked, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    classifier_id = answer.json()["classifier_id"]
    assert isinstance(classifier_id, str)
    return classifier_id


def classify(client: httpx.Client, classifier_id: str, texts: list[str], key: str = "any") -> httpx.Response:
    body = {"classifier_id": classifier_id, "input": texts}
    validator("FewShotClassificationRequest").validate(body)
    return client.post("/v1/classify", json=body, headers={"Authorization": f"Bearer {key}"})


def predictions(client: httpx.Client, classifier_id: str, texts: list[str]) -> list[str]:
    return [row["prediction"] for row in classify(client, classifier_id, texts).json()["data"]]


def test_a_few_texts_are_enough(client: httpx.Client) -> None:
    body = {"model": MODEL, "input": LEARNED, "access": "public", "num_iters": 20}
    validator("EmbeddingsV3CreateTrainingRequest").validate(body)
    classifier_id = train(client, "any", **body)
    texts, labels = [text for text, _ in ASKED], [label for _, label in ASKED]
    answer = classify(client, classifier_id, texts).json()["data"]
    right = sum(row["prediction"] == label for row, label in zip(answer, labels, strict=True))
    zero_shot = client.post("/v1/classify", json={"model": MODEL, "input": texts, "labels": list(TOPICS)}).json()
    by_name = sum(row["prediction"] == label for row, label in zip(zero_shot["data"], labels, strict=True))
    assert right >= max(by_name, 15), f"{right} of {len(texts)} are right, {by_name} by the labels' names alone"
    for row in answer:
        assert sum(scored["score"] for scored in row["predictions"]) == pytest.approx(1, abs=1e-5)
        assert [scored["label"] for scored in row["predictions"]] == list(TOPICS)


def test_training_survives_a_restart(exact: Encoder, tmp_path: Path) -> None:
    texts = [text for text, _ in ASKED]
    with running(exact, settings(tmp_path)) as url, checked_client(url) as client:
        classifier_id = train(client)
        before = classify(client, classifier_id, texts).json()
    with running(exact, settings(tmp_path)) as url, checked_client(url) as client:
        assert classify(client, classifier_id, texts).json() == before
        (row,) = client.get("/v1/classifiers").json()
        assert (row["classifier_id"], row["labels"], row["updated_number"]) == (classifier_id, list(TOPICS), 0)
        assert client.post("/v1/classifiers").json()[0]["used_number"] == 1
        assert client.delete(f"/v1/classifiers/{classifier_id}").status_code == 200
        assert client.get("/v1/classifiers").json() == []
        assert classify(client, classifier_id, texts).status_code == 404


def test_going_on_with_more_texts_and_labels(client: httpx.Client) -> None:
    classifier_id = train(client)
    music = [
        {"text": "The violin plays the melody.", "label": "music"},
        {"text": "A song in C major.", "label": "music"},
    ]
    body = {"classifier_id": classifier_id, "input": music}
    validator("UpdateTrainingRequest").validate(body)
    assert train(client, "any", **body) == classifier_id
    assert predictions(client, classifier_id, ["The orchestra plays a symphony."]) == ["music"]
    kept = predictions(client, classifier_id, [text for text, _ in ASKED])
    assert sum(told == label for told, (_, label) in zip(kept, ASKED, strict=True)) >= 14
    assert train(client, classifier_id=classifier_id, input=music[0]) == classifier_id
    (row,) = client.get("/v1/classifiers").json()
    assert (row["labels"], row["updated_number"]) == ([*TOPICS, "music"], 2)


def test_one_label_again_and_again_makes_it_forget_no_other(client: httpx.Client) -> None:
    classifier_id = train(client)
    cooking = [sample for sample in LEARNED if sample["label"] == "cooking"]
    for _ in range(5):
        train(client, classifier_id=classifier_id, input=cooking, num_iters=50)
    kept = predictions(client, classifier_id, [text for text, _ in ASKED])
    assert sum(told == label for told, (_, label) in zip(kept, ASKED, strict=True)) >= 15


def test_who_may_use_one(exact: Encoder, tmp_path: Path) -> None:
    with running(exact, settings(tmp_path, "first", "second")) as url, checked_client(url) as client:
        private, public = train(client, "first", access="private"), train(client, "first")
        assert classify(client, private, ["x"], "first").status_code == 200
        assert classify(client, private, ["x"], "second").status_code == 404
        assert classify(client, public, ["x"], "second").status_code == 200
        assert classify(client, public, ["x"], "nobody").status_code == 401
        second = {"Authorization": "Bearer second"}
        assert client.get("/v1/classifiers", headers=second).json() == []
        assert client.delete(f"/v1/classifiers/{public}", headers=second).status_code == 404
        going_on = client.post("/v1/train", json={"classifier_id": public, "input": LEARNED}, headers=second)
        assert going_on.json()["code"] == "AUTHZ_NOT_THE_OWNER"
        listed = client.get("/v1/classifiers", headers={"api-key": "first"}).json()
        assert {row["classifier_id"] for row in listed} == {private, public}
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"first" not in everything
    assert hash_key("first").hex().encode() not in everything


@pytest.mark.parametrize(
    ("name", "message"),
    [("MAX_OF_USER", "2 classifiers of one key are kept"), ("MAX_CLASSIFIERS", "this server keeps 2 classifiers")],
)
def test_how_many_are_kept(client: httpx.Client, monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    monkeypatch.setattr(classifiers, name, 2)
    first, second = train(client), train(client)
    refused = client.post("/v1/train", json={"model": MODEL, "input": LEARNED})
    assert (refused.status_code, refused.json()["code"]) == (403, "AUTHZ_RESOURCE_LIMIT_EXCEEDED")
    assert message in refused.json()["detail"]
    train(client, classifier_id=first)
    client.delete(f"/v1/classifiers/{second}")
    train(client)


def test_a_classifier_of_another_model_is_refused(exact: Encoder, tmp_path: Path) -> None:
    with running(Models.of([exact], [MODEL]), settings(tmp_path)) as url, checked_client(url) as client:
        classifier_id = train(client)
    other = FakeEncoder(dimensions=exact.dimensions)
    with running(Models.of([other], [MODEL]), settings(tmp_path)) as url, checked_client(url) as client:
        refused = classify(client, classifier_id, ["x"])
        assert refused.status_code == 409
        assert exact.fingerprint in refused.json()["detail"]
        again = client.post("/v1/train", json={"classifier_id": classifier_id, "input": LEARNED})
        assert again.json()["code"] == "CONFLICT_OTHER_MODEL"
        assert len(client.get("/v1/classifiers").json()) == 1, "it is still listed"


def test_a_request_that_names_another_model_than_the_classifiers(exact: Encoder, tmp_path: Path) -> None:
    models = Models.of([exact, FakeEncoder(dimensions=8)], [MODEL, "other"])
    with running(models, settings(tmp_path)) as url, checked_client(url) as client:
        classifier_id = train(client)
        asked = {"classifier_id": classifier_id, "input": [LEARNED[0]["text"]]}
        for named in (MODEL, None):
            assert client.post("/v1/classify", json={**asked, "model": named}).status_code == 200
        other = client.post("/v1/classify", json={**asked, "model": "other"})
        assert (other.status_code, other.json()["code"]) == (409, "CONFLICT_OTHER_MODEL")
        assert f"classifier {classifier_id} belongs to {MODEL}" in other.json()["detail"]
        going_on = {"classifier_id": classifier_id, "input": LEARNED}
        assert client.post("/v1/train", json={**going_on, "model": MODEL}).status_code == 200
        elsewhere = client.post("/v1/train", json={**going_on, "model": "other"})
        assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "CONFLICT_OTHER_MODEL")
        unknown = client.post("/v1/classify", json={**asked, "model": "gpt-4"})
        assert (unknown.status_code, unknown.json()["code"]) == (400, "INPUT_MODEL_NOT_FOUND")


def test_a_model_without_tasks(tmp_path: Path) -> None:
    old = Encoder.from_pretrained(write_random_checkpoint(tmp_path / "v2", tiny_jina_bert_config()), device="cpu")
    with running(old, settings(tmp_path / "kept")) as url, checked_client(url) as client:
        classifier_id = train(client, model="v2")
        assert predictions(client, classifier_id, [LEARNED[0]["text"]]) == ["cooking"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"input": LEARNED[:2]}, "INPUT_INVALID_LABELS"),
        ({"input": LEARNED[:1]}, "VALIDATION_ERROR"),
        ({"input": [{"text": "x", "label": str(n)} for n in range(MAX_LABELS + 1)]}, "INPUT_LABEL_LIMIT_EXCEEDED"),
        ({"input": [{"text": "x", "label": "a"}] * 513}, "VALIDATION_ERROR"),
        ({"input": [{"text": "x", "label": ""}, LEARNED[0]]}, "VALIDATION_ERROR"),
        ({"num_iters": 0}, "VALIDATION_ERROR"),
        ({"num_iters": 10**6}, "VALIDATION_ERROR"),
        ({"access": "everybody"}, "VALIDATION_ERROR"),
        ({"model": "other"}, "INPUT_MODEL_NOT_FOUND"),
        ({"model": None, "classifier_id": "../../etc/passwd"}, "RESOURCE_NOT_FOUND"),
    ],
)
def test_wrong_training(client: httpx.Client, change: dict[str, Any], code: str) -> None:
    answer = client.post("/v1/train", json={"model": MODEL, "input": LEARNED, **change})
    assert answer.status_code in (400, 404, 422)
    assert answer.json()["code"] == code
    assert "#" not in answer.text
    assert client.get("/v1/classifiers").json() == []


def test_too_many_labels_without_training(client: httpx.Client) -> None:
    body = {"model": MODEL, "input": "x", "labels": [f"label {number}" for number in range(513)]}
    answer = client.post("/v1/classify", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INPUT_LABEL_LIMIT_EXCEEDED")
    assert "513 different ones, the limit is 512" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["nonsense", "../../x", "0b5e3d38-7c0e-4f0c-9a6e-1d2f3a4b5c6d", "%00", ""])
def test_unknown_ids(client: httpx.Client, name: str) -> None:
    answer = classify(client, name, ["x"])
    assert (answer.status_code, answer.json()["code"]) == (404, "RESOURCE_NOT_FOUND")


@pytest.mark.parametrize("fault", ["half", "no weights", "another's", "not numbers", "other fields"])
def test_a_broken_file_is_told_and_hurts_no_other(client: httpx.Client, tmp_path: Path, fault: str) -> None:
    good, broken = train(client), train(client)
    path = tmp_path / f"{broken}.safetensors"
    if fault == "half":
        path.write_bytes(path.read_bytes()[:200])
    elif fault == "no weights":
        save_file({"weights": np.zeros((1, 3), np.float32)}, path)
    elif fault == "another's":
        path.write_bytes((tmp_path / f"{good}.safetensors").read_bytes())
    elif fault == "not numbers":
        weights = load_file(path)["weights"]
        header = {"classifier": json.dumps(client.get("/v1/classifiers").json()[0])}
        save_file(load_file(path) | {"weights": weights * np.nan}, path, header)
    else:
        save_file(load_file(path), path, {"classifier": '{"labels": 3}'})
    answer = classify(client, broken, ["x"])
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT_RESOURCE_BROKEN")
    assert [row["classifier_id"] for row in client.get("/v1/classifiers").json()] == [good]
    assert classify(client, good, ["x"]).status_code == 200
    assert client.delete(f"/v1/classifiers/{broken}").status_code == 200
    assert classify(client, broken, ["x"]).status_code == 404


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_is_no_classifier(client: httpx.Client, tmp_path: Path, kind: str) -> None:
    """A pipe would be waited for without end."""
    good, other = train(client), str(uuid4())
    path = tmp_path / f"{other}.safetensors"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    answer = classify(client, other, ["x"])
    assert (answer.status_code, answer.json()["code"]) == (404, "RESOURCE_NOT_FOUND")
    assert f"classifier '{other}' is not found" in answer.json()["detail"]
    assert [row["classifier_id"] for row in client.get("/v1/classifiers").json()] == [good]
    assert client.delete(f"/v1/classifiers/{other}").status_code == 404
    assert path.exists(), "it is not the server's to delete"
    assert classify(client, good, ["x"]).status_code == 200


@pytest.mark.parametrize("effect", ["write", "replace"])
def test_stopped_between_two_effects_the_old_one_is_whole(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, effect: str
) -> None:
    classifier_id = train(client)
    before = classify(client, classifier_id, ["bread"]).json()

    def stop(*_: Any) -> None:
        raise OSError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(*(("os.fsync", stop) if effect == "write" else (Path, "replace", stop)))
        failed = client.post("/v1/train", json={"classifier_id": classifier_id, "input": LEARNED})
        assert failed.status_code == 500
    assert classify(client, classifier_id, ["bread"]).json() == before
    train(client, classifier_id=classifier_id)
    assert len(client.get("/v1/classifiers").json()) == 1


def test_no_update_is_lost_to_another(client: httpx.Client, exact: Encoder, tmp_path: Path) -> None:
    """Nor to another server that has the same folder."""
    classifier_id = train(client)
    labels = [f"label {number}" for number in range(16)]
    with running(exact, settings(tmp_path)) as url, checked_client(url) as other, ThreadPoolExecutor(8) as threads:

        def go_on(number: int) -> None:
            sample = {"text": labels[number], "label": labels[number]}
            train((client, other)[number % 2], classifier_id=classifier_id, input=sample)

        list(threads.map(go_on, range(16)))
    (row,) = client.get("/v1/classifiers").json()
    assert sorted(row["labels"]) == sorted([*TOPICS, *labels])
    assert row["updated_number"] == 16


def test_each_step_goes_down() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((40, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    classes = rng.integers(0, 3, 40)

    def loss(steps: int) -> float:
        weights = trained(first_weights(vectors, classes, 3), vectors, classes, np.ones(40, np.float32), steps)
        return float(-np.log(probabilities(weights, vectors)[np.arange(40), classes]).mean())

    losses = [loss(steps) for steps in (0, 1, 5, 20, 100)]
    assert losses == sorted(losses, reverse=True)
