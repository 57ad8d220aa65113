"""`JinaV3NodeParser`: the chunkers of this project as a node parser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.node_parser.interface import NodeParser
from llama_index.core.node_parser.node_utils import build_nodes_from_splits
from llama_index.core.schema import BaseNode, Document, MetadataMode, TextNode

from jina_v3_encoder.text_encoder import TextEncoder

from ..chunking import Chunker
from ..chunking.base import cuts_of
from ..chunking.names import DEFAULT_CHUNKER, ChunkerOptions, chunker_named, client_of
from ..chunking.sizes import DEFAULT_CHUNK_TOKENS
from ..shared_encoders import shared_encoder, tokenizer_of


class JinaV3NodeParser(NodeParser):
    """Cuts documents by a chunker's name. Nodes know their exact places, whatever their text repeats."""

    chunker: str = Field(default=DEFAULT_CHUNKER, description="A name such as markdown, sentences or semantic.")
    model_name: str = Field(default="nano", description="Whose tokens are counted: hub id, folder or nano.")
    revision: str | None = Field(default=None, description="Branch, tag or commit of a hub model.")
    chunk_tokens: int = Field(default=DEFAULT_CHUNK_TOKENS, description="The largest chunk.")
    min_chunk_tokens: int = Field(default=0, description="Smaller chunks are joined with a neighbour.")
    chunk_overlap: int = Field(default=0, description="Shared sentences of sentences, tokens of fixed.")
    llm: str | None = Field(default=None, description="A chat endpoint for the llm- chunkers, without a key.")
    llm_model: str | None = Field(default=None, description="Its model.")
    _encoder: TextEncoder | None = PrivateAttr(default=None)
    _loaded: Chunker | None = PrivateAttr(default=None)

    def __init__(self, chunker: str = DEFAULT_CHUNKER, *, encoder: TextEncoder | None = None, **settings: Any) -> None:
        """Nothing is loaded yet; see the fields. `encoder` is used in place of the model's own, and not saved."""
        super().__init__(**{"chunker": chunker, **settings})
        self._encoder = encoder

    @classmethod
    def class_name(cls) -> str:
        return "JinaV3NodeParser"

    def _cutting(self) -> Chunker:
        """The chunker, made when it is first needed.

        Raises:
            InvalidInput: there is none of this name, or it lacks what it needs.
        """
        if self._loaded is None:
            encoder = self._encoder or shared_encoder(self.model_name, revision=self.revision)
            options = ChunkerOptions(
                max_tokens=self.chunk_tokens,
                min_tokens=self.min_chunk_tokens,
                overlap=self.chunk_overlap,
                encoder=encoder,
                llm=client_of(self.llm, self.llm_model),
            )
            self._loaded = chunker_named(self.chunker, tokenizer_of(encoder), options)
        return self._loaded

    def _parse_nodes(self, nodes: Sequence[BaseNode], show_progress: bool = False, **kwargs: Any) -> list[BaseNode]:
        parsed: list[BaseNode] = []
        for node in nodes:
            text = node.get_content(MetadataMode.NONE)
            cuts = cuts_of(self._cutting(), text)
            pieces = build_nodes_from_splits([text[cut.start : cut.end] for cut in cuts], node, id_func=self.id_func)
            for piece, cut in zip(pieces, cuts, strict=True):
                piece.start_char_idx, piece.end_char_idx = cut.start, cut.end
                piece.metadata.update(cut.metadata)
                parsed.append(piece)
        return parsed

    def _postprocess_parsed_nodes(self, nodes: list[BaseNode], parent_doc_map: dict[str, Document]) -> list[BaseNode]:
        """As all parsers do, but for the places, which others search for."""
        places = [(node.start_char_idx, node.end_char_idx) for node in nodes if isinstance(node, TextNode)]
        finished = super()._postprocess_parsed_nodes(nodes, parent_doc_map)
        for node, (start, end) in zip(finished, places, strict=True):
            if isinstance(node, TextNode):
                node.start_char_idx, node.end_char_idx = start, end
        return finished
