"""The encoder's calls, counted, on a small checkpoint in place of the published widths."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks import late, tasks
from jina_v3_connectors.bench.setting import Setting
from jina_v3_encoder.encoder import Encoder


@pytest.fixture
def calls(original_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, int]]:
    """Every call of the encoder: method, task, texts. A small checkpoint stands in for the full widths."""

    @contextmanager
    def small(setting: Setting) -> Iterator[Path]:
        yield original_folder

    made: list[tuple[str, Any, int]] = []
    encode, documents = Encoder.encode, Encoder.encode_documents

    def counted(self: Encoder, texts: Any, **settings: Any) -> Any:
        made.append(("encode", settings.get("task"), len(texts)))
        return encode(self, texts, **settings)

    def counted_documents(self: Encoder, texts: Any, spans: Any, **settings: Any) -> Any:
        made.append(("encode_documents", settings.get("task"), len(texts)))
        return documents(self, texts, spans, **settings)

    for module in (late, tasks):
        monkeypatch.setattr(module, "random_model", small)
    monkeypatch.setattr(Encoder, "encode", counted)
    monkeypatch.setattr(Encoder, "encode_documents", counted_documents)
    return made
