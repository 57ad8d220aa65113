"""Puts LlamaIndex' nodes back together to documents, for late chunking. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from llama_index.core.schema import BaseNode, MetadataMode

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.late_chunking import Span

from ..chunking.located import ChunkText, DocumentChunks, locate, stitch

MOST_SHARED = 0.5
"""The share of a chunk that may lie in the one before. If it is more, the parser's offset is wrong."""


def groups_of(nodes: Sequence[BaseNode], sources: Mapping[str, str]) -> list[DocumentChunks]:
    """Nodes of one source document together, in reading order; `sources` are the texts of documents by id.

    Raises:
        InvalidInput: nodes cannot be put together, or do not fit their source.
    """
    members: dict[tuple[str, int], list[int]] = {}
    by_id = {node.node_id: node for node in nodes}
    alone = []
    for number, node in enumerate(nodes):
        if node.ref_doc_id is None:
            alone.append(_alone(node, number))
        else:
            members.setdefault((node.ref_doc_id, _level(node, by_id)), []).append(number)
    return alone + [_group(nodes, numbers, name, sources) for (name, _), numbers in members.items()]


def _alone(node: BaseNode, number: int) -> DocumentChunks:
    header, text = _header(node), node.get_content(MetadataMode.NONE)
    return DocumentChunks(header + text, [number], [(len(header), len(header) + len(text))])


def _level(node: BaseNode, by_id: Mapping[str, BaseNode]) -> int:
    """How many of a hierarchical parser's larger nodes a node lies in: each level covers the document once."""
    level = 0
    while node.parent_node is not None and node.parent_node.node_id in by_id:
        node, level = by_id[node.parent_node.node_id], level + 1
    return level


def _group(nodes: Sequence[BaseNode], numbers: list[int], name: str, sources: Mapping[str, str]) -> DocumentChunks:
    header = _header(nodes[numbers[0]])
    texts = [nodes[number].get_content(MetadataMode.NONE) for number in numbers]
    try:
        if name in sources:
            text = sources[name]
            spans = locate(text, [ChunkText(content) for content in texts])
        else:
            starts = [getattr(nodes[number], "start_char_idx", None) for number in numbers]
            text, spans = _stitched([ChunkText(*pair) for pair in zip(texts, starts, strict=True)])
    except InvalidInput as error:
        raise InvalidInput(
            f"the nodes of document {name!r} cannot be late-chunked: {error}. Put JinaV3LateChunking(parser=…, "
            "embedding=…) in place of parser and embedding: it knows the whole document"
        ) from error
    return DocumentChunks(header + text, numbers, [(len(header) + start, len(header) + end) for start, end in spans])


def _stitched(chunks: Sequence[ChunkText]) -> tuple[str, list[Span]]:
    """As `stitch`, but for the offsets that node parsers get wrong in repetitive text."""
    text, spans = stitch(chunks)
    ordered = sorted(spans)
    for (_, end), (start, stop) in pairwise(ordered):
        if end - start > MOST_SHARED * (stop - start):
            raise InvalidInput(
                f"two chunks share {end - start} of {stop - start} characters, so in repetitive text the parser's "
                "offsets are wrong"
            )
    return text, spans


def _header(node: BaseNode) -> str:
    """The metadata that LlamaIndex puts before an embedded text; here once for each document."""
    metadata = node.get_metadata_str(MetadataMode.EMBED).strip()
    return f"{metadata}\n\n" if metadata else ""
