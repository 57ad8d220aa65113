"""`JinaV3LateChunking`: parser and embedding as one transformation, so that it sees the uncut documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field, SerializeAsAny
from llama_index.core.node_parser.interface import NodeParser
from llama_index.core.schema import BaseNode, MetadataMode, TransformComponent

from jina_v3_encoder.errors import InvalidInput

from ..chunking.sizes import DEFAULT_CHUNK_TOKENS
from .embedding import JinaV3Embedding
from .node_parser import JinaV3NodeParser


class JinaV3LateChunking(TransformComponent):
    """Cuts documents with any node parser, or by a chunker's name, and embeds the nodes with late chunking.

    Nodes come out with their embeddings, so an index does not embed them again.

    ```python
    IngestionPipeline(transformations=[JinaV3LateChunking(parser=SentenceSplitter(), embedding=JinaV3Embedding())])
    JinaV3LateChunking(chunker="markdown", embedding=JinaV3Embedding())
    ```
    """

    parser: SerializeAsAny[NodeParser] = Field(
        default_factory=JinaV3NodeParser, description="How documents are cut; by default the splitter."
    )
    embedding: SerializeAsAny[JinaV3Embedding] = Field(description="With which model, task and size.")

    def __init__(
        self, *, chunker: str | None = None, chunk_tokens: int = DEFAULT_CHUNK_TOKENS, **settings: Any
    ) -> None:
        """See the fields.

        Args:
            chunker: A name in place of a parser: `JinaV3NodeParser` of the embedding's model, which the field then is.
            chunk_tokens: With a chunker, the largest chunk.
            settings: The fields.

        Raises:
            InvalidInput: a chunker and a parser.
        """
        embedding = settings.get("embedding")
        if chunker is not None and isinstance(embedding, JinaV3Embedding):
            if "parser" in settings:
                raise InvalidInput(f"give a parser or a chunker, not both: {chunker!r} is a parser of its own")
            settings["parser"] = JinaV3NodeParser(
                chunker,
                encoder=embedding.encoder,
                model_name=embedding.model_name,
                revision=embedding.revision,
                chunk_tokens=chunk_tokens,
            )
        super().__init__(**settings)

    @classmethod
    def class_name(cls) -> str:
        return "JinaV3LateChunking"

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """Documents in, embedded nodes out.

        Raises:
            InvalidInput: a node is not part of its document's text, as when the parser rewrites it.
        """
        sources = {node.node_id: node.get_content(MetadataMode.NONE) for node in nodes}
        return self.embedding.embed_late(self.parser(nodes, **kwargs), sources)

    async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        """As `__call__`, in a thread."""
        return await asyncio.to_thread(self.__call__, nodes, **kwargs)
