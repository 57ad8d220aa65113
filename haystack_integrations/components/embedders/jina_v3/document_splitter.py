"""`JinaV3DocumentSplitter`: the chunkers of this project as a Haystack component."""

from __future__ import annotations

from typing import Any

from haystack import Document, component, default_to_dict

from jina_v3_connectors.chunking import Chunker
from jina_v3_connectors.chunking.base import cuts_of
from jina_v3_connectors.chunking.names import DEFAULT_CHUNKER, ChunkerOptions, chunker_named, client_of
from jina_v3_connectors.chunking.sizes import DEFAULT_CHUNK_TOKENS
from jina_v3_connectors.shared_encoders import shared_encoder, tokenizer_of
from jina_v3_encoder.errors import InvalidInput

from .model import DEFAULT_MODEL


@component
class JinaV3DocumentSplitter:
    """Cuts documents by a chunker's name, in tokens of the model that embeds them.

    Chunks have the metadata that Haystack's `DocumentSplitter` writes, so that late chunking finds their places:
    `source_id`, `split_id` and `split_idx_start`.
    """

    def __init__(
        self,
        chunker: str = DEFAULT_CHUNKER,
        model: str = DEFAULT_MODEL,
        *,
        chunk_tokens: int = DEFAULT_CHUNK_TOKENS,
        min_chunk_tokens: int = 0,
        chunk_overlap: int = 0,
        revision: str | None = None,
        llm: str | None = None,
        llm_model: str | None = None,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            chunker: splitter, lines, sentences, fixed, markdown, html, code, semantic, llm-simple, llm-topics or
                llm-summary.
            model, revision: As of `JinaV3DocumentEmbedder`.
            chunk_tokens: The largest chunk, without specials.
            min_chunk_tokens: Smaller chunks are joined with a neighbour where both fit in one.
            chunk_overlap: Sentences of `sentences`, tokens of `fixed` that neighbours share.
            llm, llm_model: A chat endpoint and its model for the llm- chunkers; the key is in $JINA_V3_LLM_KEY.
        """
        self.chunker, self.model, self.revision = chunker, model, revision
        self.chunk_tokens, self.min_chunk_tokens, self.chunk_overlap = chunk_tokens, min_chunk_tokens, chunk_overlap
        self.llm, self.llm_model = llm, llm_model
        self._loaded: Chunker | None = None

    def warm_up(self) -> None:
        """Load the tokenizer of the model, which shares its weights with the embedder.

        Raises:
            InvalidInput: there is no such chunker, or it lacks what it needs.
        """
        if self._loaded is None:
            encoder = shared_encoder(self.model, revision=self.revision)
            options = ChunkerOptions(
                max_tokens=self.chunk_tokens,
                min_tokens=self.min_chunk_tokens,
                overlap=self.chunk_overlap,
                encoder=encoder,
                llm=client_of(self.llm, self.llm_model),
            )
            self._loaded = chunker_named(self.chunker, tokenizer_of(encoder), options)

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """The chunks of all documents, in order.

        Raises:
            InvalidInput: a document has no text.
        """
        self.warm_up()
        assert self._loaded is not None
        chunks = []
        for document in documents:
            if document.content is None:
                raise InvalidInput(f"document {document.id!r} has no text to split: leave it out")
            for number, cut in enumerate(cuts_of(self._loaded, document.content)):
                places = {"source_id": document.id, "split_id": number, "split_idx_start": cut.start}
                meta = {**document.meta, **cut.metadata, **places}
                chunks.append(Document(content=document.content[cut.start : cut.end], meta=meta))
        return {"documents": chunks}

    def to_dict(self) -> dict[str, Any]:
        """As Haystack saves it. The key of a language model is not part of it."""
        names = [name for name in vars(self) if not name.startswith("_")]
        return default_to_dict(self, **{name: getattr(self, name) for name in names})
