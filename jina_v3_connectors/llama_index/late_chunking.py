"""`JinaV3LateChunking`: parser and embedding as one transformation, so that it sees the uncut documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field, SerializeAsAny
from llama_index.core.node_parser.interface import NodeParser
from llama_index.core.schema import BaseNode, MetadataMode, TransformComponent

from .embedding import JinaV3Embedding


class JinaV3LateChunking(TransformComponent):
    """Cuts documents with any node parser and embeds the nodes with late chunking.

    Nodes come out with their embeddings, so an index does not embed them again.

    ```python
    IngestionPipeline(transformations=[JinaV3LateChunking(parser=SentenceSplitter(), embedding=JinaV3Embedding())])
    ```
    """

    parser: SerializeAsAny[NodeParser] = Field(description="How documents are cut.")
    embedding: SerializeAsAny[JinaV3Embedding] = Field(description="With which model, task and size.")

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
