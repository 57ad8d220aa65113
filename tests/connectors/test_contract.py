from __future__ import annotations

from typing import Any

import pytest

from jina_v3_connectors.contract import EmbeddingContract
from jina_v3_connectors.errors import ContractMismatch, StoreError
from jina_v3_encoder import Blend

CONTRACT = EmbeddingContract("nano", None, "0123456789abcdef", 256, "whole document")


def test_round_trip() -> None:
    assert EmbeddingContract.from_dict(CONTRACT.to_dict(), "docs") == CONTRACT


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fingerprint", "f" * 16),
        ("dimensions", 128),
        ("passage_task", "separation"),
        ("query_task", None),
        ("prompts", False),
        ("late_chunking", True),
        ("late_chunking", "blend(late=1.0, neighbours=0.3)"),
        ("window", 1024),
        ("overlap", 10),
        ("normalized", False),
        ("output_type", "int8"),
        ("chunker", "other"),
        ("schema_version", 99),
    ],
)
def test_every_deciding_field_is_compared(field: str, value: Any) -> None:
    other = EmbeddingContract.from_dict(CONTRACT.to_dict() | {field: value}, "docs")
    with pytest.raises(ContractMismatch) as caught:
        CONTRACT.check(other, "docs")
    assert caught.value.differences == {field: (getattr(CONTRACT, field), value)}
    message = str(caught.value)
    assert f"{field}: the collection has {getattr(CONTRACT, field)!r}, you use {value!r}" in message
    assert "'docs'" in message
    assert "Nothing was changed" in message


@pytest.mark.parametrize("field", ["model", "revision"])
def test_a_model_may_be_known_by_another_name(field: str) -> None:
    CONTRACT.check(EmbeddingContract.from_dict(CONTRACT.to_dict() | {field: "elsewhere"}, "docs"), "docs")


@pytest.mark.parametrize("values", [{}, {**CONTRACT.to_dict(), "surprise": 1}])
def test_contracts_of_other_versions(values: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="cannot read"):
        EmbeddingContract.from_dict(values, "docs")


def test_a_blend_is_kept_with_its_weights() -> None:
    values = CONTRACT.to_dict() | {"late_chunking": "blend(late=1.0, neighbours=0.5)", "window": 64, "overlap": 0}
    contract = EmbeddingContract.from_dict(values, "docs")
    assert contract.blend == contract.reading == Blend(neighbours=0.5)
    assert EmbeddingContract.from_json(contract.to_json(), "docs") == contract
    assert (CONTRACT.blend, CONTRACT.reading) == (None, False)
    with pytest.raises(StoreError, match=r"cannot read: 'blend\(\)' is no blend"):
        EmbeddingContract.from_dict(values | {"late_chunking": "blend()"}, "docs")
