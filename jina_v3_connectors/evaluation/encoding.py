"""Four ways to turn passages into vectors, which `jina-v3 eval` compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.task import TaskLike
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import Blend
from jina_v3_encoder.texts.late_chunking import Span, join_chunks
from jina_v3_encoder.vectors import FloatArray

from ..chunking import Chunker
from .dataset import Dataset

SEPARATOR = "\n"


class Variant(StrEnum):
    """How a passage is encoded; a passage of several vectors scores as its best one."""

    ROWS = "each row alone"
    CHUNKS = "chunks alone"
    LATE = "late chunks"
    BLEND = "blended chunks"


@dataclass(frozen=True)
class Vectors:
    """Float32 (m, C) of all passages, and the passage each row belongs to (m,), ascending."""

    values: FloatArray
    owners: NDArray[np.int64]


@dataclass(frozen=True)
class PassageEncoder:
    """Encodes a dataset's passages in any variant, at the model's full size."""

    encoder: TextEncoder
    task: TaskLike
    chunker: Chunker
    window: int | None = None
    overlap: int | None = None
    progress: bool = False

    def variants(self, dataset: Dataset, *, alone: bool = True, late: bool = True, blend: bool = True) -> list[Variant]:
        """The variants that make sense for a dataset: rows that are chunks already are not cut again."""
        cut = late or blend
        plain = [Variant.ROWS] if dataset.chunked or not cut else [Variant.ROWS, Variant.CHUNKS]
        wanted = {Variant.LATE: late, Variant.BLEND: blend}
        return [*(plain if alone else []), *(variant for variant in wanted if wanted[variant])]

    def encode(self, dataset: Dataset, variant: Variant) -> Vectors:
        if variant is Variant.ROWS:
            return self._alone([passage.text for passage in dataset.passages], np.arange(len(dataset.passages)))
        blend = Blend() if variant is Variant.BLEND else None
        in_context = variant in (Variant.LATE, Variant.BLEND)
        if in_context and dataset.chunked:
            return self._joined(dataset, blend)
        spans = [self.chunker.spans(passage.text) for passage in dataset.passages]
        owners = np.repeat(np.arange(len(spans)), [len(passage_spans) for passage_spans in spans])
        if in_context:
            return self._late([passage.text for passage in dataset.passages], spans, owners, blend)
        pairs = zip(dataset.passages, spans, strict=True)
        return self._alone(
            [passage.text[start:end] for passage, passage_spans in pairs for start, end in passage_spans], owners
        )

    def _alone(self, texts: Sequence[str], owners: NDArray[np.int64]) -> Vectors:
        return Vectors(self.encoder.encode(texts, task=self.task, truncate=True, progress=self.progress), owners)

    def _joined(self, dataset: Dataset, blend: Blend | None) -> Vectors:
        """Read neighbouring rows of one document together. A row without a document is read alone."""
        texts, spans = [], []
        passages = enumerate(dataset.passages)
        for name, group in groupby(passages, lambda numbered: numbered[1].document or numbered[0]):
            rows = [passage for _, passage in group]
            row_spans = [row.span for row in rows if row.span is not None]
            if isinstance(name, str) and name in dataset.texts and len(row_spans) == len(rows):
                text = dataset.texts[name]
            else:
                text, row_spans = join_chunks([row.text for row in rows], SEPARATOR)
            texts.append(text)
            spans.append(row_spans)
        return self._late(texts, spans, np.arange(len(dataset.passages)), blend)

    def _late(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        owners: NDArray[np.int64],
        blend: Blend | None,
    ) -> Vectors:
        document_vectors = self.encoder.encode_documents(
            texts,
            spans,
            task=self.task,
            window=self.window,
            overlap=self.overlap,
            blend=blend,
            progress=self.progress,
        )
        return Vectors(np.concatenate(document_vectors), owners)
