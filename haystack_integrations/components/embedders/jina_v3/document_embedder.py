"""`JinaV3DocumentEmbedder`: documents to their vectors, with or without late chunking."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Literal

from haystack import Document, component
from haystack.utils import ComponentDevice

from jina_v3_encoder.config import Quantization
from jina_v3_encoder.task import AUTO_TASK, Task, chosen
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import as_late_chunking, blend_of
from jina_v3_encoder.usage import count_usage
from jina_v3_encoder.vectors import FloatArray

from .late_groups import groups_of
from .model import CONTRACT_KEY, DEFAULT_MODEL, compact_contract, open_encoder, saved, usage_meta


@component
class JinaV3DocumentEmbedder:
    """Embeds documents, by default as passages: `retrieval.passage` with its prompt.

    ```python
    embedder = JinaV3DocumentEmbedder(model="nano", dimensions=256, late_chunking=True)
    embedder.run(DocumentSplitter(split_length=40).run(documents)["documents"])
    ```
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        task: str | None = AUTO_TASK,
        dimensions: int | None = None,
        late_chunking: bool | Literal["blend"] = False,
        group_by: str = "source_id",
        prefix: str = "",
        suffix: str = "",
        batch_size: int | None = None,
        progress_bar: bool = True,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        truncate: bool = False,
        device: ComponentDevice | None = None,
        dtype: str = "auto",
        quantize: Quantization | None = None,
        revision: str | None = None,
        encoder: TextEncoder | None = None,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            model: Hub id, folder, "nano", the small bundled model, or the URL of a server, whose key is in
                $JINA_V3_API_KEY.
            task: Adapter and prompt; None is the base model. "auto" is retrieval.passage, or None for a model without
                tasks.
            dimensions: 1 to 1024, sliced and renormalised; None for all.
            late_chunking: Read all chunks of one source document together, then pool each (arXiv 2409.04701). "blend"
                adds the vectors of each chunk alone and of its neighbours: twice the time, and better hits.
            group_by: The metadata field that names a chunk's source document.
            prefix, suffix: Put around each text; in late chunking around each source document.
            batch_size: Tokens computed together; None leaves it to the encoder. It changes no vector.
            progress_bar: Show one on stderr.
            meta_fields_to_embed: Put in front of the text; in late chunking once for each source document, with the
                values of its first chunk.
            embedding_separator: Between those fields and the text.
            truncate: Cut texts past 8192 tokens instead of raising; late chunking reads any length.
            device: None takes a GPU where there is one, and stays None in YAML.
            dtype: "auto", "float32", "bfloat16" or "float16".
            quantize: "int8" halves the memory and is faster on CPUs with VNNI.
            revision: Branch, tag or commit on the hub.
            encoder: Used in place of a local model, as a remote or a fake one.

        Raises:
            InvalidInput: another value of `late_chunking`.
        """
        self.model, self.task, self.dimensions = model, task, dimensions
        as_late_chunking(late_chunking)
        self.late_chunking, self.group_by = late_chunking, group_by
        self.prefix, self.suffix = prefix, suffix
        self.batch_size, self.progress_bar = batch_size, progress_bar
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.embedding_separator, self.truncate = embedding_separator, truncate
        self.device, self.dtype, self.revision, self.quantize = device, dtype, revision, quantize
        self.encoder = encoder
        self._loaded = encoder

    def warm_up(self) -> None:
        """Load the model; encoders of one model share their weights."""
        if self._loaded is None:
            self._loaded = open_encoder(
                self.model, self.revision, self.device, self.dtype, self.quantize, self.batch_size
            )

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    def run(self, documents: list[Document], source_documents: list[Document] | None = None) -> dict[str, Any]:
        """New documents with embeddings, in the order given; the given ones are not changed.

        Args:
            documents: Documents, or chunks of them.
            source_documents: For late chunking: the uncut documents. Without them, chunks are put together by the
                offsets that their splitter wrote.

        Returns:
            `documents`, and `meta` with model and usage.

        Raises:
            TypeError: `documents` is no list of Documents.
            InvalidInput: chunks cannot be put together again; the message names the splitters that can.
        """
        if not isinstance(documents, list) or any(not isinstance(document, Document) for document in documents):
            raise TypeError(
                "JinaV3DocumentEmbedder expects a list of Documents as input. "
                "In case you want to embed a string, please use the JinaV3TextEmbedder."
            )
        self.warm_up()
        assert self._loaded is not None
        with count_usage() as usage:
            if self.late_chunking:
                vectors = self._late(self._loaded, documents, source_documents)
            else:
                vectors = self._plain(self._loaded, documents)
        contract = compact_contract(self._loaded, self._task(self._loaded), self.dimensions)
        embedded = [
            replace(document, embedding=vector.tolist(), meta={**document.meta, CONTRACT_KEY: contract})
            for document, vector in zip(documents, vectors, strict=True)
        ]
        return {"documents": embedded, "meta": usage_meta(self._loaded, usage.tokens)}

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    async def run_async(
        self, documents: list[Document], source_documents: list[Document] | None = None
    ) -> dict[str, Any]:
        """`run` in a thread."""
        return await asyncio.to_thread(self.run, documents=documents, source_documents=source_documents)

    def to_dict(self) -> dict[str, Any]:
        """For saved pipelines: every setting, and no weights.

        Raises:
            InvalidInput: an encoder object was given, which YAML cannot hold.
        """
        return saved(self)

    def _task(self, encoder: TextEncoder) -> str | None:
        return chosen(self.task, Task.RETRIEVAL_PASSAGE, encoder.tasks)

    def _plain(self, encoder: TextEncoder, documents: list[Document]) -> list[FloatArray]:
        texts = [self._plain_text(document) for document in documents]
        return list(
            encoder.encode(
                texts,
                task=self._task(encoder),
                dimensions=self.dimensions,
                truncate=self.truncate,
                progress=self.progress_bar,
            )
        )

    def _late(
        self, encoder: TextEncoder, documents: list[Document], sources: list[Document] | None
    ) -> list[FloatArray]:
        groups = groups_of(documents, sources, self.group_by)
        headers = [self._header(documents[group.numbers[0]]) for group in groups]
        group_vectors = encoder.encode_documents(
            [header + group.text + self.suffix for header, group in zip(headers, groups, strict=True)],
            [
                [(len(header) + start, len(header) + end) for start, end in group.spans]
                for header, group in zip(headers, groups, strict=True)
            ],
            task=self._task(encoder),
            dimensions=self.dimensions,
            progress=self.progress_bar,
            blend=blend_of(as_late_chunking(self.late_chunking)),
            alone=[[self._plain_text(documents[number]) for number in group.numbers] for group in groups],
        )
        by_place = {
            number: vector
            for group, vectors in zip(groups, group_vectors, strict=True)
            for number, vector in zip(group.numbers, vectors, strict=True)
        }
        return [by_place[number] for number in range(len(documents))]

    def _plain_text(self, document: Document) -> str:
        """What is read where a document or chunk stands alone."""
        return self._header(document) + (document.content or "") + self.suffix

    def _header(self, document: Document) -> str:
        """What stands before a text."""
        values = [str(document.meta[key]) for key in self.meta_fields_to_embed if document.meta.get(key) is not None]
        return self.prefix + "".join(value + self.embedding_separator for value in values)
