"""Batches of documents to vectors, by the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.text_encoder import TextEncoder

from ..contract import EmbeddingContract
from ..errors import DocumentError
from ..limits import FloatArray
from .chunked import Cut


def encode_batch(encoder: TextEncoder, contract: EmbeddingContract, batch: Sequence[Cut]) -> list[FloatArray]:
    """Vectors (chunks, dimensions) of each document, by the contract.

    Raises:
        InvalidInput: a document cannot be encoded.
    """
    settings: dict[str, Any] = {
        "task": contract.passage_task,
        "dimensions": contract.dimensions,
        "prompt": contract.prompts,
    }
    if contract.late_chunking:
        spans = [[(chunk.start, chunk.end) for chunk in item.chunks] for item in batch]
        texts = [item.document.text for item in batch]
        settings |= {"window": contract.window, "overlap": contract.overlap}
        return encoder.encode_documents(texts, spans, **settings)
    texts = [chunk.text for item in batch for chunk in item.chunks]
    ends = np.cumsum([len(item.chunks) for item in batch])
    return np.split(encoder.encode(texts, **settings), ends[:-1])


def encode_apart(
    encoder: TextEncoder, contract: EmbeddingContract, batch: Sequence[Cut]
) -> Iterator[tuple[Cut, FloatArray | DocumentError]]:
    """Each document's vectors, or the reason why it has none: one bad document does not spoil its batch."""
    if not batch:
        return
    try:
        yield from zip(batch, encode_batch(encoder, contract, batch), strict=True)
    except InvalidInput as error:
        if len(batch) > 1:
            for item in batch:
                yield from encode_apart(encoder, contract, [item])
        else:
            reason = DocumentError(f"document {batch[0].document.id!r}: {error}")
            reason.__cause__ = error
            yield batch[0], reason
