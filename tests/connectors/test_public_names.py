"""What `jina_v3_connectors` promises can be imported from it."""

from __future__ import annotations

import pytest

import jina_v3_connectors


@pytest.mark.parametrize("name", jina_v3_connectors.__all__)
def test_a_name_can_be_imported(name: str) -> None:
    assert getattr(jina_v3_connectors, name).__name__ in (name, "Union")


def test_other_names_are_told() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        jina_v3_connectors.Nothing  # noqa: B018
