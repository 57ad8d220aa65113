"""`JinaV3LateChunkingIndexer`: splitter and late-chunking embedder as one component."""

from __future__ import annotations

from typing import Any, Literal

from haystack import Pipeline, super_component
from haystack.components.preprocessors import DocumentSplitter

from jina_v3_connectors.chunking.sizes import DEFAULT_CHUNK_TOKENS
from jina_v3_encoder.config import Quantization

from .document_embedder import JinaV3DocumentEmbedder
from .document_splitter import JinaV3DocumentSplitter
from .model import DEFAULT_MODEL


@super_component
class JinaV3LateChunkingIndexer:
    """Splits documents and late-chunks over the uncut texts: `documents` in, `documents` and `meta` out."""

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        dimensions: int | None = None,
        split_by: Literal["word", "period", "passage", "page", "line"] = "word",
        split_length: int = 120,
        split_overlap: int = 0,
        chunker: str | None = None,
        chunk_tokens: int = DEFAULT_CHUNK_TOKENS,
        late_chunking: Literal[True, "blend"] = True,
        meta_fields_to_embed: list[str] | None = None,
        progress_bar: bool = True,
        dtype: str = "auto",
        quantize: Quantization | None = None,
        revision: str | None = None,
    ) -> None:
        """Arguments of `DocumentSplitter` and `JinaV3DocumentEmbedder`.

        With `chunker`, a name such as "markdown", `JinaV3DocumentSplitter` cuts, into chunks of at most `chunk_tokens`.
        """
        self.model, self.dimensions = model, dimensions
        self.split_by, self.split_length, self.split_overlap = split_by, split_length, split_overlap
        self.chunker, self.chunk_tokens = chunker, chunk_tokens
        self.late_chunking = late_chunking
        self.meta_fields_to_embed, self.progress_bar = meta_fields_to_embed, progress_bar
        self.dtype, self.revision, self.quantize = dtype, revision, quantize
        self.pipeline = Pipeline()
        if chunker is None:
            splitter: Any = DocumentSplitter(split_by=split_by, split_length=split_length, split_overlap=split_overlap)
        else:
            splitter = JinaV3DocumentSplitter(chunker, model, chunk_tokens=chunk_tokens, revision=revision)
        self.pipeline.add_component("splitter", splitter)
        embedder = JinaV3DocumentEmbedder(
            model,
            dimensions=dimensions,
            late_chunking=late_chunking,
            meta_fields_to_embed=meta_fields_to_embed,
            progress_bar=progress_bar,
            dtype=dtype,
            quantize=quantize,
            revision=revision,
        )
        self.pipeline.add_component("embedder", embedder)
        self.pipeline.connect("splitter.documents", "embedder.documents")
        self.input_mapping: dict[str, Any] = {"documents": ["splitter.documents", "embedder.source_documents"]}
        self.output_mapping = {"embedder.documents": "documents", "embedder.meta": "meta"}
