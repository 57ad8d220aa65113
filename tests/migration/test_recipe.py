"""Recipes: which task questions get, and documents that are rebuilt from their chunks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jina_v3_connectors.contract import EmbeddingContract
from jina_v3_connectors.errors import ContractMismatch, StoreError
from jina_v3_connectors.migration.fit import FITS, Sample, fit_of
from jina_v3_connectors.migration.recipe import contract_recipe, rebuilt, task_recipe
from jina_v3_connectors.migration.records import Record
from jina_v3_encoder.encoder import Encoder
from tests.support.texts import ANSWERS

from .memory import encoded

TEXTS = [passage for _, _, passage in ANSWERS]
SHORT_TEXTS = ["Bees make honey.", "A river", "Cold rain", "Iron rusts.", "New shoes", "Paris", "Salt water", "Tea"]


@pytest.mark.parametrize(
    ("stored", "asked"),
    [("retrieval.passage", "retrieval.query"), ("text-matching", "text-matching"), (None, None)],
)
def test_questions_are_never_encoded_as_passages(nano: Encoder, stored: str | None, asked: str | None) -> None:
    recipe = task_recipe(nano, 128, stored)
    assert np.allclose(recipe.questions(TEXTS), nano.encode(TEXTS, task=asked, dimensions=128), atol=1e-3)
    assert np.allclose(recipe.passages(TEXTS), nano.encode(TEXTS, task=stored, dimensions=128), atol=1e-3)


def test_a_contract_tells_everything(nano: Encoder) -> None:
    contract = EmbeddingContract(
        "elsewhere/nano", None, nano.fingerprint, 64, "c", late_chunking=True, window=100, overlap=10, prompts=False
    )
    recipe = contract_recipe(nano, contract, "docs")
    assert (recipe.dimensions, recipe.late_chunking, recipe.window, recipe.overlap) == (64, True, 100, 10)
    assert recipe.name == "nano with retrieval.passage, without its prompt, late chunking"
    with pytest.raises(ContractMismatch, match="'elsewhere/nano', you use 'nano'"):
        contract_recipe(nano, replace(contract, fingerprint="0" * 16), "docs")


def test_a_model_that_is_too_small(nano: Encoder) -> None:
    with pytest.raises(StoreError, match="the stored vectors have 1024 dimensions, nano has 384"):
        task_recipe(nano, 1024, None)


def test_another_prompt_does_not_fit(nano: Encoder) -> None:
    """These are near each other, .95 or so: near enough for a search that looks right, and wrong all the same.

    The texts are short. In a passage the prompt weighs so little that nano's vectors move by less than is allowed.
    """
    sample = Sample(encoded(nano, SHORT_TEXTS, "retrieval.passage"))
    recipe = task_recipe(nano, 384, "retrieval.passage")
    fit = fit_of(recipe, list(sample.cosines(recipe).values()))
    assert fit.fitting == len(SHORT_TEXTS)
    without = replace(recipe, prompts=False)
    fit = fit_of(without, list(sample.cosines(without).values()))
    assert 0.9 < fit.median < FITS
    assert not fit.enough


def chunk(text: str, start: int | None = None) -> Record:
    return Record("k", text, start=start, end=None if start is None else start + len(text))


@pytest.mark.parametrize(
    ("chunks", "text", "spans"),
    [
        ([chunk("ab", 0), chunk("cd", 2)], "abcd", [(0, 2), (2, 4)]),
        ([chunk("ab", 0), chunk("cd", 3)], "ab cd", [(0, 2), (3, 5)]),
        ([chunk("ab", 0), chunk("cd", 4)], "ab\n\ncd", [(0, 2), (4, 6)]),
        ([chunk("abc", 5), chunk("cd", 7)], "abcd", [(0, 3), (2, 4)]),
        ([chunk("ab"), chunk("cd")], "ab cd", [(0, 2), (2, 5)]),
        ([chunk("ab", 0), Record("k", "cd", start=2, end=9)], "ab cd", [(0, 2), (2, 5)]),
    ],
)
def test_documents_are_rebuilt(chunks: list[Record], text: str, spans: list[tuple[int, int]]) -> None:
    assert rebuilt(chunks, " ") == (text, spans)
    assert rebuilt(chunks, "\n")[0] == text.replace(" ", "\n")
