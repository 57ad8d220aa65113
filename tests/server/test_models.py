"""Names of the models in requests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jina_v3_connectors.server.errors import ApiError
from jina_v3_connectors.server.models import Models, check_given_name, name_of
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.published import DIMENSIONS, OWNERS, V3
from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.testing import FakeEncoder

from .hosted import conforms

ENCODER = FakeEncoder(dimensions=48)
ONE = Models.of([ENCODER])
NAMES = (V3, *(f"{owner}{V3}" for owner in OWNERS))
DE, EN = "jina-embeddings-v2-base-de", "jina-embeddings-v2-base-en"


def v2(model_id: str, dimensions: int = 96) -> FakeEncoder:
    return FakeEncoder(dimensions, model_id=model_id, tasks=())


def v3(model_id: str) -> FakeEncoder:
    return FakeEncoder(model_id=model_id)


def told(models: Models) -> list[str]:
    return [model.name for model in models]


@pytest.mark.parametrize("name", [*NAMES, ENCODER.model_id])
def test_names_without_a_task(name: str) -> None:
    assert ONE.asked(name) == (ONE.default, None)


@pytest.mark.parametrize("task", TASK_NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_names_with_a_task(name: str, task: str) -> None:
    assert ONE.asked(f"{name}:{task}") == (ONE.default, task)


def test_no_name_is_the_only_model() -> None:
    assert ONE.asked(None) == (ONE.default, None)
    models = Models.of([v3("first"), v2("second")])
    assert models.default is next(iter(models))
    with pytest.raises(ApiError, match=f"^model: it is missing, and several are served: name one of {V3}, second$"):
        models.asked(None)


def test_more_names_for_the_first_model() -> None:
    names = ["text-embedding-3-small", V3]
    models = Models.of([v3("nano"), v2("second")], served_names=names)
    assert models.asked("text-embedding-3-small:separation") == (models.default, "separation")
    assert [row["id"] for row in models.rows() if ":" not in row["id"]] == [V3, "text-embedding-3-small", "second"]
    with pytest.raises(ApiError, match=f"use one of {V3}, text-embedding-3-small, second, or"):
        models.asked("text-embedding-3-large")
    with pytest.raises(InvalidInput, match="two models are called 'second'"):
        Models.of([v3("nano"), v2("second")], served_names=["second"])


@pytest.mark.parametrize(
    "name",
    [
        "",
        ":",
        "jina-embeddings-v2",
        f"{V3}:",
        f"{V3}:none",
        f"{V3}:retrieval",
        f" {V3}",
        f"{V3} ",
        V3.upper(),
    ],
)
def test_other_names_are_refused_with_the_right_ones(name: str) -> None:
    with pytest.raises(ApiError, match=f"is not served here: use {V3}, or {V3}:TASK with one of") as wrong:
        ONE.asked(name)
    assert (wrong.value.status, wrong.value.code) == (400, "INPUT_MODEL_NOT_FOUND")
    assert ("--model" in wrong.value.message) == (V3 not in name.split(":")), "only a name that is none is to be served"


@pytest.mark.parametrize("name", [EN, "jinaai/jina-embeddings-v2-small-en"])
def test_older_models_say_what_to_do(name: str) -> None:
    with pytest.raises(
        ApiError, match=r"is not served here.*Vectors of v2 cannot be compared.*encode .* anew"
    ) as wrong:
        ONE.asked(name)
    assert f"jina-v3 serve … --model jinaai/{name.removeprefix('jinaai/')}; for a client" in wrong.value.message


def test_a_name_that_is_not_served_lists_what_is_and_says_how_to_serve_it() -> None:
    models = Models.of([v3(f"jinaai/{V3}"), v2(f"jinaai/{DE}")])
    with pytest.raises(ApiError) as wrong:
        models.asked("my-model")
    assert wrong.value.message == (
        f"model 'my-model' is not served here: use one of {V3}, {DE}, or {V3}:TASK with one of "
        f"{', '.join(TASK_NAMES)}. To serve it too, add it where the server is started: "
        "jina-v3 serve … --model NAME=FOLDER; for a client that can ask for no other name, --served-name my-model"
    )
    with pytest.raises(ApiError, match=f"--model jinaai/{EN}; .* --served-name {EN}. Vectors of v2"):
        models.asked(EN)
    with pytest.raises(ApiError, match=f"use {DE}. .* --model jinaai/{V3}; "):
        Models.of([v2(DE)]).asked(V3)


def test_a_very_long_name_is_not_sent_back_whole() -> None:
    with pytest.raises(ApiError) as wrong:
        ONE.asked("x" * 5000)
    assert len(wrong.value.message) < 700


@pytest.mark.parametrize("name", DIMENSIONS)
@pytest.mark.parametrize("model_id", ["{}", "jinaai/{}", "./models/{}", "/models/{}/"])
def test_published_names_come_from_ids_and_folders(name: str, model_id: str) -> None:
    encoder = v3(model_id.format(name)) if name == V3 else v2(model_id.format(name))
    models = Models.of([v2("other"), encoder])
    for asked in (name, f"jinaai/{name}", f"jina-ai/{name}", model_id.format(name)):
        model, task = models.asked(asked)
        assert (model.name, model.encoder, task) == (name, encoder, None)


def test_the_only_model_with_tasks_is_called_v3_unless_another_one_is() -> None:
    assert told(Models.of([v3("nano")])) == [V3]
    beside = Models.of([v3("nano"), v2("old")])
    assert told(beside) == [V3, "old"]
    assert beside.asked("nano:separation") == (beside.default, "separation")
    assert told(Models.of([v3("nano"), v3(f"jinaai/{V3}")])) == ["nano", V3]
    assert told(Models.of([v3("nano"), v3("other")])) == ["nano", "other"], "nobody knows which is meant"
    assert told(Models.of([v2("old")])) == ["old"], "its vectors are others"


def test_given_names_are_the_only_ones() -> None:
    models = Models.of([v3("nano"), v2("/models/a")], ["mine", None])
    assert told(models) == ["mine", "a"]
    for name in (V3, "nano"):
        with pytest.raises(ApiError, match="use one of mine, a, or mine:TASK"):
            models.asked(name)
    assert models.asked("mine:separation")[1] == "separation"
    stands = Models.of([v3("nano"), v3("./my-v3")], [V3, None])
    assert told(stands) == [V3, "my-v3"]
    assert stands.asked(f"jinaai/{V3}")[0] is stands.default


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInput, match=f"two models are called '{DE}': give one a name of its own, --model NAME="):
        Models.of([v2(f"jinaai/{DE}"), v2(f"./old/{DE}")])
    with pytest.raises(InvalidInput, match="two models are called 'a'"):
        Models.of([v2("x/a"), v2("y")], [None, "a"])


def test_a_name_goes_before_what_another_model_is_called_too() -> None:
    models = Models.of([v3("folder/nano"), v2("y")], [None, "folder/nano"])
    assert models.asked("folder/nano")[0].encoder.model_id == "y"


def test_the_name_of_the_working_directory() -> None:
    assert name_of(".") == Path.cwd().name
    assert name_of("jinaai/a") == name_of("a") == name_of("/x/a/") == "a"


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a#b", "a=b", "x" * 101])
def test_names_that_could_not_stand_in_a_request(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"a name has at most 100 letters, digits and the signs . _ - /, as in"):
        check_given_name(name, "--model …")


def test_a_model_without_tasks_says_so_wherever_one_is_named() -> None:
    models = Models.of([v2(DE), v3("nano")])
    message = f"^{DE} has no tasks: leave task out, or use {V3}$"
    with pytest.raises(ApiError, match=message) as wrong:
        models.asked(f"jinaai/{DE}:separation")
    assert (wrong.value.status, wrong.value.code) == (422, "VALIDATION_ERROR")
    with pytest.raises(ApiError, match=message):
        models.default.checked_task("separation")
    assert models.default.checked_task(None) is None


def test_the_list_serves_both_kinds_of_clients() -> None:
    rows = ONE.rows()
    assert conforms({"data": rows}, "ModelListResponse")
    assert [row["id"] for row in rows] == [V3, *(f"{V3}:{task}" for task in TASK_NAMES)]
    for row in rows:
        assert (row["object"], row["context_length"], row["max_output_length"]) == ("model", ENCODER.max_tokens, 48)
        assert (row["tasks"], row["can_be_shortened"]) == (list(TASK_NAMES), True)
        assert row["loaded"] == {
            "model": ENCODER.model_id,
            "revision": ENCODER.revision,
            "fingerprint": ENCODER.fingerprint,
            "late_chunking_window": None,
        }


def test_the_list_has_every_model_with_what_it_can() -> None:
    models = Models.of([ENCODER, v2(f"jinaai/{DE}")])
    rows = models.rows()
    assert conforms({"data": rows}, "ModelListResponse")
    assert [row["id"] for row in rows] == [V3, *(f"{V3}:{task}" for task in TASK_NAMES), DE]
    last = rows[-1]
    assert (last["max_output_length"], last["tasks"], last["can_be_shortened"]) == (96, [], False)
    assert last["hugging_face_id"] == f"jinaai/{DE}"
    assert last["loaded"]["fingerprint"] != rows[0]["loaded"]["fingerprint"]


def test_patterns_are_of_the_names() -> None:
    first, second = Models.of([v3("a.b"), v2(DE)], ["a.b", None])
    assert re.fullmatch(first.pattern(), "a.b:text-matching")
    assert not re.fullmatch(first.pattern(), "a-b")
    assert re.fullmatch(second.pattern(), f"jinaai/{DE}")
    assert not re.fullmatch(second.pattern(), f"{DE}:separation")
