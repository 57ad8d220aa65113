"""Node parsers by a chunker's name: their nodes know their places, and are read in their documents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from llama_index.core import Document
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import MetadataMode

from jina_v3_connectors.chunking.names import ChunkerOptions, chunker_named
from jina_v3_connectors.llama_index import JinaV3Embedding, JinaV3LateChunking, JinaV3NodeParser
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput

TEXT = "# One\n\nIt rains. It rains. It rains again. It rains.\n\n# Two\n\nIt rains. The moon is far away."


def places(nodes: Any) -> list[tuple[int, int]]:
    return [(node.start_char_idx, node.end_char_idx) for node in nodes]


@pytest.mark.parametrize("name", ["splitter", "lines", "sentences", "fixed", "markdown", "html", "code", "semantic"])
def test_nodes_know_their_places(nano: Encoder, name: str) -> None:
    """Other parsers search for repeated texts, and may hit another copy."""
    nodes = JinaV3NodeParser(name, encoder=nano, chunk_tokens=12)([Document(id_="page", text=TEXT)])
    spans = chunker_named(name, nano.tokenizer_file, ChunkerOptions(max_tokens=12, encoder=nano)).spans(TEXT)
    assert places(nodes) == list(spans)
    assert [node.get_content(MetadataMode.NONE) for node in nodes] == [TEXT[start:end] for start, end in spans]
    assert {node.ref_doc_id for node in nodes} == {"page"}


def test_late_chunking_by_a_name(nano: Encoder) -> None:
    embedding = JinaV3Embedding("nano", encoder=nano)
    late = JinaV3LateChunking(chunker="sentences", chunk_tokens=12, embedding=embedding)
    nodes = late([Document(id_="page", text=TEXT)])
    wanted = nano.encode_spans(TEXT, places(nodes), task="retrieval.passage")
    assert np.allclose([node.get_embedding() for node in nodes], wanted, atol=1e-6)
    with pytest.raises(InvalidInput, match="give a parser or a chunker, not both: 'sentences'"):
        JinaV3LateChunking(chunker="sentences", parser=SentenceSplitter(), embedding=embedding)


def test_it_is_saved_by_its_name() -> None:
    parser = JinaV3NodeParser("markdown", chunk_tokens=30)
    saved = parser.to_dict()
    assert (saved["chunker"], saved["chunk_tokens"], saved["class_name"]) == ("markdown", 30, "JinaV3NodeParser")
    again = JinaV3NodeParser(**{name: saved[name] for name in ("chunker", "chunk_tokens")})
    assert places(again([Document(text=TEXT)])) == places(parser([Document(text=TEXT)]))
    late = JinaV3LateChunking(parser=parser, embedding=JinaV3Embedding("nano"))
    assert late.to_dict()["parser"]["chunker"] == "markdown"


def test_a_name_that_is_none() -> None:
    with pytest.raises(InvalidInput, match="there is no chunker 'os:system': use one of splitter"):
        JinaV3NodeParser("os:system")([Document(text=TEXT)])
