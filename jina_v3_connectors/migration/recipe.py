"""How the vectors of a collection are made: to ask it questions, and to make its vectors again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jina_v3_encoder.task import Task
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import Blend, blend_of, reading_name
from jina_v3_encoder.texts.late_chunking import Span, join_chunks
from jina_v3_encoder.vectors import FloatArray

from ..contract import EmbeddingContract
from ..errors import ContractMismatch, StoreError
from ..reassembly import reassemble
from .rebuild import LONGEST_GAP
from .records import Record


@dataclass(frozen=True)
class Recipe:
    """An encoder and all settings that decide the vectors of a collection."""

    encoder: TextEncoder
    dimensions: int
    passage_task: str | None = None
    query_task: str | None = None
    prompts: bool = True
    late_chunking: bool | Blend = False
    window: int | None = None
    overlap: int | None = None

    @property
    def name(self) -> str:
        """The model and how it was asked, for people: "nano with retrieval.passage"."""
        task = f" with {self.passage_task}" if self.passage_task else " without a task" if self.encoder.tasks else ""
        prompt = "" if self.prompts else ", without its prompt"
        late = f", {reading_name(self.late_chunking)}" if self.late_chunking else ""
        return f"{self.encoder.model_id}{task}{prompt}{late}"

    def questions(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors (n, dimensions) to search with."""
        vectors: FloatArray = self.encoder.encode(
            texts, task=self.query_task, dimensions=self.dimensions, prompt=self.prompts, truncate=True
        )
        return vectors

    def passages(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors (n, dimensions) of texts that are read alone. A text past the model's limit is cut."""
        vectors: FloatArray = self.encoder.encode(
            texts, task=self.passage_task, dimensions=self.dimensions, prompt=self.prompts, truncate=True
        )
        return vectors

    def documents(self, documents: Sequence[Sequence[Record]], filler: str = " ") -> FloatArray:
        """Unit vectors of all chunks of documents, each document read as a whole; see `rebuilt`."""
        texts, spans = zip(*(rebuilt(chunks, filler) for chunks in documents), strict=True)
        arrays = self.encoder.encode_documents(
            texts,
            spans,
            task=self.passage_task,
            dimensions=self.dimensions,
            prompt=self.prompts,
            window=self.window,
            overlap=self.overlap,
            blend=blend_of(self.late_chunking),
        )
        return np.concatenate(arrays)


def contract_recipe(encoder: TextEncoder, contract: EmbeddingContract, collection: str) -> Recipe:
    """The recipe that a contract tells.

    Raises:
        ContractMismatch: the encoder is another model than the contract's.
    """
    if encoder.fingerprint != contract.fingerprint:
        raise ContractMismatch(
            collection,
            {
                "model": (contract.model, encoder.model_id),
                "fingerprint": (contract.fingerprint, encoder.fingerprint),
            },
        )
    return Recipe(
        encoder,
        contract.dimensions,
        contract.passage_task,
        contract.query_task,
        prompts=contract.prompts,
        late_chunking=contract.reading,
        window=contract.window,
        overlap=contract.overlap,
    )


def task_recipe(encoder: TextEncoder, dimensions: int, passage_task: str | None, *, prompts: bool = True) -> Recipe:
    """The recipe of a collection that says nothing of itself. `passage_task` made its vectors.

    Raises:
        StoreError: the model has fewer dimensions than the stored vectors.
    """
    if dimensions > encoder.dimensions:
        raise StoreError(
            f"the stored vectors have {dimensions} dimensions, {encoder.model_id} has {encoder.dimensions}, so they "
            "are not this model's: name the model that made them"
        )
    query_task = Task.RETRIEVAL_QUERY.value if passage_task == Task.RETRIEVAL_PASSAGE else passage_task
    return Recipe(encoder, dimensions, passage_task, query_task, prompts=prompts)


def rebuilt(chunks: Sequence[Record], filler: str) -> tuple[str, list[Span]]:
    """The text of a document from its chunks in their order, and where they stand in it, as far as it is stored.

    Where positions are not known, chunks are joined by one `filler`, which belongs to the chunk after it.
    """
    texts = [chunk.text or "" for chunk in chunks]
    first = chunks[0].start or 0
    spans = [(c.start - first, c.end - first) for c in chunks if c.start is not None and c.end is not None]
    if len(spans) == len(texts):
        document = reassemble(texts, spans, longest_gap=LONGEST_GAP, filler=filler)
        if document is not None:
            return document.text, spans
    return join_chunks(texts, filler)
