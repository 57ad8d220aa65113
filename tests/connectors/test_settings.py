"""A caller's choices, a collection's contract, and what follows from both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jina_v3_connectors.contract import EmbeddingContract
from jina_v3_connectors.errors import ContractMismatch, StoreError
from jina_v3_connectors.qdrant.layout import QdrantLayout
from jina_v3_connectors.settings import Settings, agree, check_layout
from jina_v3_encoder import Blend
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.texts.late_chunking import DEFAULT_OVERLAP

from ..support.backends import Sentences

ENCODER = FakeEncoder(dimensions=64)


def agreed(stored: EmbeddingContract | None = None, **settings: Any) -> EmbeddingContract:
    return agree(Settings(**settings), ENCODER, stored, "docs")


STORED = replace(
    agreed(dimensions=32, late_chunking=True, window=100, overlap=7, chunker=Sentences()), collection_id="abc"
)


def test_defaults_of_a_new_collection() -> None:
    contract = agreed()
    assert (contract.dimensions, contract.late_chunking, contract.window, contract.overlap) == (64, False, None, None)
    assert contract.chunker == "whole document"
    assert (contract.passage_task, contract.query_task) == ("retrieval.passage", "retrieval.query")
    assert contract.collection_id == ""


def test_a_models_own_window_is_the_default_of_late_chunking_alone() -> None:
    encoder = FakeEncoder(late_chunking_window=600)
    fresh = agree(Settings(late_chunking=True), encoder, None, "docs")
    assert (fresh.window, fresh.overlap) == (600, 0)
    blended = agree(Settings(late_chunking="blend"), encoder, None, "docs")
    assert (blended.window, blended.overlap) == (1024, 0)
    whole = agree(Settings(late_chunking=True, window=8192), encoder, None, "docs")
    assert (whole.window, whole.overlap) == (8192, 512)
    assert agree(Settings(), encoder, whole, "docs") == whole, "a collection keeps its window"


def test_late_chunking_has_a_window_and_an_overlap() -> None:
    contract = agreed(late_chunking=True)
    assert (contract.window, contract.overlap) == (ENCODER.max_tokens, DEFAULT_OVERLAP)
    small = agreed(late_chunking=True, window=100)
    assert (small.window, small.overlap) == (100, 50), "never more than half a window"
    with pytest.raises(InvalidInput, match=r"overlap must be .* below the window of 100, got 200"):
        agreed(late_chunking=True, window=100, overlap=200)
    with pytest.raises(InvalidInput, match="below the window of 100, got 100"):
        agreed(late_chunking=True, window=100, overlap=100)


def test_a_blend_has_a_window_of_its_own() -> None:
    contract = agreed(late_chunking="blend")
    assert (contract.late_chunking, contract.window, contract.overlap) == (str(Blend()), 1024, 0)
    assert agreed(contract) == agreed(contract, late_chunking=Blend()) == contract
    assert agreed(late_chunking="blend", window=64).window == 64
    for other in (True, False, Blend(late=2)):
        with pytest.raises(
            ContractMismatch, match=r"late_chunking: the collection has 'blend\(late=1.0, neighbours=0.3\)'"
        ):
            agreed(contract, late_chunking=other)


def test_a_stored_overlap_that_no_window_can_have_is_usable_again() -> None:
    """Earlier versions accepted and stored it; every longer document failed, and valid settings were refused."""
    values = replace(STORED, window=100, overlap=200).to_dict()
    stored = EmbeddingContract.from_dict(values, "docs")
    assert (stored.window, stored.overlap) == (100, 50)
    assert agreed(stored) == agreed(stored, window=100) == agreed(stored, window=100, overlap=50) == stored


def test_what_is_not_said_comes_from_the_collection() -> None:
    assert agreed(STORED) == STORED


@pytest.mark.parametrize(
    "same",
    [{"dimensions": 32}, {"late_chunking": True}, {"window": 100}, {"overlap": 7}, {"chunker": Sentences()}],
    ids=lambda same: next(iter(same)),
)
def test_saying_the_same_is_fine(same: dict[str, Any]) -> None:
    assert agreed(STORED, **same) == STORED


@pytest.mark.parametrize(
    ("other", "field"),
    [
        ({"dimensions": 16}, "dimensions"),
        ({"late_chunking": False}, "late_chunking"),
        ({"window": 99}, "window"),
        ({"overlap": 8}, "overlap"),
    ],
)
def test_saying_something_else_names_the_field(other: dict[str, Any], field: str) -> None:
    with pytest.raises(ContractMismatch) as wrong:
        agreed(STORED, **other)
    assert field in wrong.value.differences
    assert "Nothing was changed" in str(wrong.value)


def test_another_model_is_refused_and_a_moved_one_is_not() -> None:
    with pytest.raises(ContractMismatch) as wrong:
        agreed(replace(STORED, fingerprint="0" * 16))
    assert wrong.value.differences == {"fingerprint": ("0" * 16, ENCODER.fingerprint)}
    assert agreed(replace(STORED, model="moved/elsewhere", revision="main")).fingerprint == ENCODER.fingerprint


def test_a_collection_of_more_dimensions_than_the_model_has_is_a_mismatch_not_a_bad_number() -> None:
    with pytest.raises(ContractMismatch) as wrong:
        agreed(replace(STORED, dimensions=1024, fingerprint="0" * 16))
    assert "fingerprint" in wrong.value.differences


MADE = QdrantLayout(slices=(8,), quantization="scalar", indexes={"year": "integer"})


@pytest.mark.parametrize("same", [{}, {"slices": [8]}, {"quantization": "scalar", "indexes": {"year": "integer"}}])
def test_an_option_of_the_layout_may_be_left_out_or_repeated(same: dict[str, Any]) -> None:
    check_layout(QdrantLayout(**same), MADE, "docs")
    check_layout(None, MADE, "docs")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (QdrantLayout(slices=(8, 16)), r"slices: the collection has \(8,\), you use \(8, 16\)"),
        (QdrantLayout(datatype="float16"), "datatype: the collection has 'float32', you use 'float16'"),
        (QdrantLayout(quantization="binary"), "quantization: the collection has 'scalar', you use 'binary'"),
        (QdrantLayout(on_disk=True), "on_disk: the collection has False, you use True"),
        (QdrantLayout(indexes={"a": "text"}), "indexes: the collection has {'year': 'integer'}, you use {'a': 'text'}"),
    ],
)
def test_another_layout_is_refused_with_both_values(wanted: QdrantLayout, words: str) -> None:
    with pytest.raises(
        StoreError, match=f"'docs' was made with another layout, .*\n  {words}\nLeave these options out"
    ):
        check_layout(wanted, MADE, "docs")


@pytest.mark.parametrize("dimensions", [0, -1, 65, 1.5, "8", True])
def test_sizes_that_the_model_does_not_have(dimensions: Any) -> None:
    with pytest.raises(InvalidInput, match="dimensions"):
        agreed(dimensions=dimensions)


@pytest.mark.parametrize("settings", [{"window": 64}, {"overlap": 3}, {"window": 64, "overlap": 3}])
def test_windows_belong_to_late_chunking(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="late_chunking=True"):
        agreed(**settings)


@pytest.mark.parametrize("settings", [{"window": 1}, {"window": 10**6}, {"overlap": -1}, {"window": "8"}])
def test_windows_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(settings))):
        agreed(late_chunking=True, **settings)
