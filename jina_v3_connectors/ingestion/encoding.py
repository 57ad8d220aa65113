"""The second stage: batches of chunked documents to vectors, by the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jina_v3_encoder.engine import Progress, silent
from jina_v3_encoder.errors import InputTooLong, InvalidInput
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.vectors import FloatArray

from ..contract import EmbeddingContract
from ..errors import DocumentError
from ..limits import check_vectors
from .chunked import ChunkedDocument, EncodedDocument
from .journal import Journal
from .preparation import Refused


class Encoding:
    """Encodes batches. Vectors that an earlier run encoded but did not store come from the journal."""

    def __init__(self, encoder: TextEncoder, contract: EmbeddingContract, journal: Journal) -> None:
        self._encoder, self._contract, self._journal = encoder, contract, journal
        self._some_are_kept = journal.keeps_any()

    def encode(self, batch: Sequence[ChunkedDocument], progress: Progress = silent) -> list[EncodedDocument | Refused]:
        """An outcome for each document, in any order. `progress` is told how many more vectors have been started.

        Raises:
            InvalidVector: the encoder returned what must not be stored.
        """
        kept: list[EncodedDocument | Refused] = []
        missing = []
        for chunked in batch:
            vectors = self._kept_vectors(chunked)
            if vectors is None:
                missing.append(chunked)
            else:
                kept.append(EncodedDocument(chunked, vectors, kept=True))
        outcomes = list(encode_apart(self._encoder, self._contract, missing, progress))
        for outcome in outcomes:
            if isinstance(outcome, EncodedDocument):
                check_vectors(outcome.vectors, self._contract.dimensions)
        return kept + outcomes

    def _kept_vectors(self, chunked: ChunkedDocument) -> FloatArray | None:
        content = self._journal.kept(chunked.id, chunked.vectors_digest) if self._some_are_kept else None
        if content is None:
            return None
        vectors = np.frombuffer(content, dtype=np.float32) if content else np.zeros(0, dtype=np.float32)
        return vectors.reshape(len(chunked.chunks), self._contract.dimensions)


def encode_apart(
    encoder: TextEncoder,
    contract: EmbeddingContract,
    batch: Sequence[ChunkedDocument],
    progress: Progress = silent,
) -> Iterator[EncodedDocument | Refused]:
    """An outcome for each document: one bad document does not spoil its batch."""
    if not batch:
        return
    try:
        for chunked, vectors in zip(batch, encode_batch(encoder, contract, batch, progress), strict=True):
            yield EncodedDocument(chunked, vectors)
    except InvalidInput as error:
        if len(batch) > 1:
            for chunked in batch:
                yield from encode_apart(encoder, contract, [chunked], progress)
        else:
            reason = DocumentError(f"document {batch[0].id!r}: {_in_words_of_chunks(error)}")
            reason.__cause__, reason.document_id = error, batch[0].id
            yield Refused(reason)


def _in_words_of_chunks(error: InvalidInput) -> str:
    """What was wrong with a document. No text of a collection is cut, so the encoder's remedy is none here."""
    if not isinstance(error, InputTooLong):
        return str(error)
    return (
        f"its chunk {error.index} has {error.tokens:,} tokens with its prompt, the limit is {error.limit:,}: cut it "
        "into smaller chunks (a chunker, --chunk-tokens or --rechunk)"
    )


def encode_batch(
    encoder: TextEncoder,
    contract: EmbeddingContract,
    batch: Sequence[ChunkedDocument],
    progress: Progress = silent,
) -> list[FloatArray]:
    """Vectors (chunks, dimensions) of each document, by the contract.

    Raises:
        InvalidInput: a document cannot be encoded.
    """
    settings: dict[str, Any] = {
        "task": contract.passage_task,
        "dimensions": contract.dimensions,
        "prompt": contract.prompts,
        "progress": progress,
    }
    if contract.late_chunking:
        spans = [[(chunk.start, chunk.end) for chunk in chunked.chunks] for chunked in batch]
        texts = [chunked.document.text for chunked in batch]
        settings |= {"window": contract.window, "overlap": contract.overlap, "blend": contract.blend}
        return encoder.encode_documents(texts, spans, **settings)
    texts = [chunk.text for chunked in batch for chunk in chunked.chunks]
    ends = np.cumsum([len(chunked.chunks) for chunked in batch])
    return np.split(encoder.encode(texts, **settings), ends[:-1])
