"""Names of the model in requests."""

from __future__ import annotations

import pytest

from jina_v3_connectors.server.errors import ApiError
from jina_v3_connectors.server.models import ALIASES, NAME, model_list, split_model
from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.testing import FakeEncoder

from .hosted import conforms

ENCODER = FakeEncoder(dimensions=48)


@pytest.mark.parametrize("name", [*ALIASES, ENCODER.model_id])
def test_names_without_a_task(name: str) -> None:
    assert split_model(name, ENCODER) is None


@pytest.mark.parametrize("task", TASK_NAMES)
@pytest.mark.parametrize("name", ALIASES)
def test_names_with_a_task(name: str, task: str) -> None:
    assert split_model(f"{name}:{task}", ENCODER) == task


@pytest.mark.parametrize(
    "name",
    [
        "",
        ":",
        "jina-embeddings-v2",
        f"{NAME}:",
        f"{NAME}:none",
        f"{NAME}:retrieval",
        f" {NAME}",
        f"{NAME} ",
        NAME.upper(),
    ],
)
def test_other_names_are_refused_with_the_right_ones(name: str) -> None:
    with pytest.raises(ApiError, match="is not served here: use jina-embeddings-v3") as wrong:
        split_model(name, ENCODER)
    assert (wrong.value.status, wrong.value.code) == (400, "INPUT_MODEL_NOT_FOUND")


@pytest.mark.parametrize("name", ["jina-embeddings-v2-base-en", "jinaai/jina-embeddings-v2-small-en"])
def test_older_models_say_what_to_do(name: str) -> None:
    with pytest.raises(ApiError, match=r"is not served here.*Vectors of v2 cannot be compared.*encode .* anew"):
        split_model(name, ENCODER)


def test_a_very_long_name_is_not_sent_back_whole() -> None:
    with pytest.raises(ApiError) as wrong:
        split_model("x" * 5000, ENCODER)
    assert len(wrong.value.message) < 500


def test_the_list_serves_both_kinds_of_clients() -> None:
    models = model_list(ENCODER)
    assert conforms(models, "ModelListResponse")
    assert models["object"] == "list"
    assert [row["id"] for row in models["data"]] == [NAME, *(f"{NAME}:{task}" for task in TASK_NAMES)]
    for row in models["data"]:
        assert (row["object"], row["context_length"], row["max_output_length"]) == ("model", ENCODER.max_tokens, 48)
        assert row["loaded"] == {
            "model": ENCODER.model_id,
            "revision": ENCODER.revision,
            "fingerprint": ENCODER.fingerprint,
        }
