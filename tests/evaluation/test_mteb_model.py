"""The wrapper meets mteb's protocol and gives each kind of task its adapter; mteb itself is optional."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors.evaluation.mteb_model import SIDES, TASKS, MtebModel
from jina_v3_encoder.errors import MissingExtra
from jina_v3_encoder.task import Task
from jina_v3_encoder.testing import FakeEncoder


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(MissingExtra, match=r"pip install 'jina-v3-connectors\[mteb\]'"):
        MtebModel(FakeEncoder())


def encode(model: MtebModel, kind: str, side: Any = None) -> np.ndarray:
    batches = [{"text": ["one", "two"]}, {"text": ["three"]}]
    metadata = SimpleNamespace(type=kind)
    return model.encode(batches, task_metadata=metadata, hf_split="test", hf_subset="default", prompt_type=side)


@pytest.fixture
def model() -> MtebModel:
    pytest.importorskip("mteb", reason="pip install 'jina-v3-connectors[mteb]' runs the wrapper's tests")
    return MtebModel(FakeEncoder(), dimensions=16)


@pytest.mark.parametrize(("kind", "task"), TASKS.items())
def test_adapters_by_task(model: MtebModel, kind: str, task: Task) -> None:
    wanted = FakeEncoder().encode(["one", "two", "three"], task=task, dimensions=16)
    assert np.array_equal(encode(model, kind), wanted)


@pytest.mark.parametrize(("side", "task"), SIDES.items())
def test_retrieval_goes_by_side(model: MtebModel, side: str, task: Task) -> None:
    wanted = FakeEncoder().encode(["one", "two", "three"], task=task, dimensions=16)
    for given in (side, SimpleNamespace(value=side)):
        assert np.array_equal(encode(model, "Retrieval", given), wanted)


def test_a_model_without_tasks_reads_all_alike(model: MtebModel) -> None:
    without = MtebModel(FakeEncoder(tasks=()))
    wanted = FakeEncoder(tasks=()).encode(["one", "two", "three"])
    for kind in ("Retrieval", "STS", "Clustering"):
        assert np.array_equal(encode(without, kind, "query"), wanted)


def test_it_is_an_encoder_to_mteb(model: MtebModel) -> None:
    from mteb.models import EncoderProtocol

    assert isinstance(model, EncoderProtocol)
    meta = model.mteb_model_meta
    assert meta.name == "local/fake"
    assert meta.embed_dim == 16
    assert meta.revision == f"{FakeEncoder().fingerprint}-16"


def test_mteb_runs_a_task_of_its_own(model: MtebModel) -> None:
    """A tiny retrieval task made on the spot, through mteb's own evaluation."""
    import mteb
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class Tiny(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="TinyRetrieval",
            description="three pages",
            dataset={"path": "none", "revision": "1"},
            type="Retrieval",
            category="t2t",
            modalities=["text"],
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )

        def load_data(self, *_: Any, **__: Any) -> None:
            pages = {"a": "tea is hot", "b": "ice is cold", "c": "the sea is wide"}
            rows = [{"id": name, "text": text, "title": ""} for name, text in pages.items()]
            split: Any = {
                "corpus": Dataset.from_list(rows),
                "queries": Dataset.from_list([{"id": "q", "text": "hot tea"}]),
                "relevant_docs": {"q": {"a": 1}},
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    result = mteb.evaluate(model, Tiny(), cache=None, show_progress_bar=False)
    assert result.task_results[0].get_score() == 1.0
