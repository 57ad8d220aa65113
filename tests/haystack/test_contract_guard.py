"""Documents of another model, size or task do not pass."""

from __future__ import annotations

from typing import Any

import pytest
from haystack import Document, Pipeline

from haystack_integrations.components.embedders.jina_v3 import (
    JinaV3ContractGuard,
    JinaV3DocumentEmbedder,
    JinaV3TextEmbedder,
)
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder

ENCODER = FakeEncoder(dimensions=32)


def passed(document: dict[str, Any], question: dict[str, Any]) -> list[Document]:
    embedder = JinaV3DocumentEmbedder(encoder=ENCODER, progress_bar=False, **document)
    documents = embedder.run([Document(content="a text")])["documents"]
    meta = JinaV3TextEmbedder(encoder=ENCODER, **question).run("a question")["meta"]
    documents_passed: list[Document] = JinaV3ContractGuard().run(documents, meta)["documents"]
    return documents_passed


@pytest.mark.parametrize(
    ("document", "question"),
    [
        ({}, {}),
        ({"dimensions": 16}, {"dimensions": 16}),
        ({"dimensions": 32}, {}),
        ({"task": "text-matching"}, {"task": "text-matching"}),
        ({"task": None}, {"task": None}),
    ],
    ids=str,
)
def test_what_belongs_together(document: dict[str, Any], question: dict[str, Any]) -> None:
    assert len(passed(document, question)) == 1


@pytest.mark.parametrize(
    ("document", "question"),
    [
        ({"dimensions": 16}, {}),
        ({}, {"dimensions": 16}),
        ({"task": "retrieval.query"}, {}),
        ({}, {"task": "retrieval.passage", "dimensions": 16}),
        ({"task": "text-matching"}, {}),
        ({}, {"task": "text-matching"}),
        ({"task": None}, {}),
    ],
    ids=str,
)
def test_what_does_not(document: dict[str, Any], question: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="embed the documents again"):
        passed(document, question)


@pytest.mark.parametrize("meta", [{}, {"embedding_contract": "x/1/none"}])
def test_a_document_that_says_nothing_is_refused(meta: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="None"):
        JinaV3ContractGuard().run([Document(content="a")], meta)


def test_no_documents_are_fine() -> None:
    assert JinaV3ContractGuard().run([], {}) == {"documents": []}


def test_it_is_saved_and_loaded_in_a_pipeline() -> None:
    pipeline = Pipeline()
    pipeline.add_component("guard", JinaV3ContractGuard())
    assert Pipeline.loads(pipeline.dumps()).get_component("guard").run([], {}) == {"documents": []}
