from __future__ import annotations

import subprocess
import sys

import pytest

import jina_v3_encoder


@pytest.mark.parametrize(
    "statement",
    [
        "import jina_v3_encoder",
        "from jina_v3_encoder import TextEncoder, engine",
        "from jina_v3_encoder import RemoteEncoder",
        "import jina_v3_connectors.cli.migrate_run, jina_v3_connectors.migration.opening",
        "from jina_v3_encoder.testing import FakeEncoder; FakeEncoder().encode_chunks(['a', 'b'])",
    ],
)
def test_torch_is_not_imported(statement: str) -> None:
    code = f"{statement}; import sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_front_door_is_sorted_and_complete() -> None:
    assert jina_v3_encoder.__all__ == sorted(jina_v3_encoder.__all__)
    for name in jina_v3_encoder.__all__:
        assert getattr(jina_v3_encoder, name).__name__ == name


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Decoder'"):
        _ = jina_v3_encoder.Decoder


def test_one_error_tree() -> None:
    errors = [getattr(jina_v3_encoder, name) for name in jina_v3_encoder.__all__]
    ours = [error for error in errors if isinstance(error, type) and issubclass(error, Exception)]
    assert len(ours) == 12
    assert all(issubclass(error, jina_v3_encoder.JinaV3Error) for error in ours)
