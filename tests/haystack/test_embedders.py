"""The Haystack embedders against Haystack's conventions, and against the encoder itself."""

from __future__ import annotations

import asyncio
import inspect
import random
from typing import Any

import numpy as np
import pytest
from haystack import Document, default_from_dict
from haystack.components.preprocessors import (
    DocumentCleaner,
    DocumentSplitter,
    HierarchicalDocumentSplitter,
    MarkdownHeaderSplitter,
    RecursiveDocumentSplitter,
)
from haystack.utils import ComponentDevice

from haystack_integrations.components.embedders.jina_v3 import (
    JinaV3ContractGuard,
    JinaV3DocumentEmbedder,
    JinaV3DocumentSplitter,
    JinaV3LateChunkingIndexer,
    JinaV3TextEmbedder,
)
from jina_v3_connectors.chunking.names import ChunkerOptions, chunker_named
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput, UnknownTask
from jina_v3_encoder.testing import FakeEncoder

WORDS = "the cat sat on a mat near the old tower and looked at the moon".split()
TEXTS = {
    "unique": " ".join(f"{word}{number}" for number in range(12) for word in WORDS),
    "repetitive": "It rains again. " * 40,
    "lines": "\n".join(f"Line {n} of the poem.\n" for n in range(30)),
}


OVERLAP = 256
"""Half the window of the small checkpoint."""


def documents_of(texts: dict[str, str]) -> list[Document]:
    return [Document(id=name, content=text, meta={"title": name.title()}) for name, text in texts.items()]


def embedder(**settings: Any) -> JinaV3DocumentEmbedder:
    return JinaV3DocumentEmbedder(**{"encoder": FakeEncoder(), "progress_bar": False, **settings})


def vectors(documents: list[Document]) -> np.ndarray:
    return np.array([document.embedding for document in documents])


def test_text_is_a_question() -> None:
    encoder = FakeEncoder()
    answer = JinaV3TextEmbedder(encoder=encoder, dimensions=32, prefix="a ", suffix=" z").run("question")
    wanted = encoder.encode("a question z", task="retrieval.query", dimensions=32)
    assert answer["embedding"] == wanted.tolist()
    assert isinstance(answer["embedding"][0], float)
    tokens = encoder.count_tokens("a question z", "retrieval.query")
    assert answer["meta"]["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert answer["meta"]["model"] == "fake"


def test_documents_are_passages_with_their_meta_in_front() -> None:
    given = [Document(content="one", meta={"title": "T", "n": None}), Document(content="two"), Document(content=None)]
    encoder = FakeEncoder()
    answer = embedder(encoder=encoder, prefix="p:", suffix=":s", meta_fields_to_embed=["title", "n"]).run(given)
    texts = ["p:T\none:s", "p:two:s", "p::s"]
    assert np.array_equal(vectors(answer["documents"]), encoder.encode(texts, task="retrieval.passage"))
    assert [document.id for document in answer["documents"]] == [document.id for document in given]
    assert all(document.embedding is None and "embedding_contract" not in document.meta for document in given), (
        "not changed"
    )
    assert answer["meta"]["usage"]["total_tokens"] == sum(encoder.count_tokens(texts, "retrieval.passage"))


@pytest.mark.parametrize("given", ["text", [1], {"a": 1}, Document(content="x"), None])
def test_what_is_no_list_of_documents(given: Any) -> None:
    with pytest.raises(TypeError, match="expects a list of Documents as input"):
        embedder().run(given)


@pytest.mark.parametrize("given", [["text"], None, 3, Document(content="x")])
def test_what_is_no_text(given: Any) -> None:
    with pytest.raises(TypeError, match="expects a string as an input"):
        JinaV3TextEmbedder(encoder=FakeEncoder()).run(given)


@pytest.mark.parametrize("late", [True, False])
def test_nothing_in_nothing_out(late: bool) -> None:
    answer = embedder(late_chunking=late).run([])
    assert answer["documents"] == []
    assert answer["meta"]["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


SPLITTERS = [
    DocumentSplitter(split_by="word", split_length=12),
    DocumentSplitter(split_by="word", split_length=12, split_overlap=5),
    DocumentSplitter(split_by="period", split_length=2),
    DocumentSplitter(split_by="line", split_length=3, split_overlap=1),
    DocumentSplitter(split_by="passage", split_length=1),
    DocumentSplitter(split_by="page", split_length=1),
    DocumentSplitter(split_by="word", split_length=9, split_threshold=6),
    DocumentSplitter(split_by="function", splitting_function=lambda text: text.splitlines(keepends=True)),
    RecursiveDocumentSplitter(split_length=15, split_unit="word", separators=["\n", ".", " "]),
    RecursiveDocumentSplitter(split_length=60, split_unit="char", split_overlap=10, separators=["\n", " "]),
]


@pytest.mark.parametrize(
    "splitter", SPLITTERS, ids=lambda splitter: f"{type(splitter).__name__}-{splitter.split_length}"
)
@pytest.mark.parametrize("with_sources", [True, False])
def test_late_chunks_are_those_of_the_whole_document(splitter: Any, with_sources: bool, encoder: Encoder) -> None:
    sources = documents_of(TEXTS)
    splitter.warm_up() if hasattr(splitter, "warm_up") else None
    chunks = splitter.run(documents=sources)["documents"]
    random.Random(0).shuffle(chunks)
    late = embedder(encoder=encoder, late_chunking=True)
    embedded = late.run(chunks, source_documents=sources if with_sources else None)["documents"]
    assert [chunk.id for chunk in embedded] == [chunk.id for chunk in chunks], "the order given"
    for name, text in TEXTS.items():
        document_chunks = [chunk for chunk in embedded if chunk.meta["source_id"] == name]
        starts = [chunk.meta["split_idx_start"] for chunk in document_chunks]
        spans = [
            (start, start + len(chunk.content or "")) for start, chunk in zip(starts, document_chunks, strict=True)
        ]
        known = text if with_sources else text[: max(end for _, end in spans)]
        wanted = encoder.encode_spans(known, spans, task="retrieval.passage", overlap=OVERLAP)
        assert np.allclose(vectors(document_chunks), wanted, atol=1e-6)


def test_chunks_alone_and_in_their_document(encoder: Encoder) -> None:
    source = Document(id="s", content=TEXTS["unique"][:400])
    chunks = DocumentSplitter(split_by="word", split_length=12).run(documents=[source])["documents"]
    settings: dict[str, Any] = {"encoder": encoder, "prefix": "PRE: ", "suffix": " END"}
    blended = embedder(late_chunking="blend", **settings).run(chunks)["documents"]
    late = vectors(embedder(late_chunking=True, **settings).run(chunks)["documents"])
    alone = vectors(embedder(**settings).run(chunks)["documents"])
    assert np.abs(late - alone).max() > 1e-3
    pairs = np.concatenate([alone[1:2], (alone[:-2] + alone[2:]) / 2, alone[-2:-1]])
    wanted = alone + late + 0.3 * pairs
    assert np.allclose(vectors(blended), wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-5)
    indexer = JinaV3LateChunkingIndexer("nano", late_chunking="blend")
    assert indexer.pipeline.get_component("embedder").late_chunking == "blend"  # type: ignore[attr-defined]
    with pytest.raises(InvalidInput, match='late_chunking must be True, False, "blend"'):
        embedder(encoder=encoder, late_chunking="late")


def test_each_level_of_a_hierarchy_is_read_within_its_own_block(encoder: Encoder) -> None:
    """HierarchicalDocumentSplitter counts offsets from the block it cut, and names that block as the source."""
    splitter = HierarchicalDocumentSplitter(block_sizes={40, 10}, split_overlap=0, split_by="word")
    nodes = splitter.run(documents=documents_of(TEXTS))["documents"]
    leaves = [node for node in nodes if node.meta["__level"] == 2]
    embedded = embedder(encoder=encoder, late_chunking=True).run(leaves)["documents"]
    cut = {leaf.meta["source_id"] for leaf in leaves}
    blocks = {node.id: node.content or "" for node in nodes if node.id in cut}
    for name, text in blocks.items():
        block_leaves = [leaf for leaf in embedded if leaf.meta["source_id"] == name]
        starts = [leaf.meta["split_idx_start"] for leaf in block_leaves]
        spans = [(start, start + len(leaf.content or "")) for start, leaf in zip(starts, block_leaves, strict=True)]
        wanted = encoder.encode_spans(text, spans, task="retrieval.passage", overlap=OVERLAP)
        assert np.allclose(vectors(block_leaves), wanted, atol=1e-6)
    assert blocks.keys() == cut
    assert len(leaves) > len(blocks) > 1


def test_markdown_sections_are_found_in_their_source(encoder: Encoder) -> None:
    text = "# One\nRain falls again.\n\n## Two\nRain falls again.\n\n# Three\nSnow falls at last."
    source = Document(content=text)
    chunks = MarkdownHeaderSplitter(keep_headers=True).run(documents=[source])["documents"]
    embedded = embedder(encoder=encoder, late_chunking=True).run(chunks, source_documents=[source])["documents"]
    spans, start = [], 0
    for chunk in chunks:
        start = text.index(chunk.content or "", start)
        spans.append((start, start + len(chunk.content or "")))
    assert len(spans) == 3
    wanted = encoder.encode_spans(text, spans, task="retrieval.passage", overlap=OVERLAP)
    assert np.allclose(vectors(embedded), wanted, atol=1e-6)


def test_batch_size_and_order_change_nothing(encoder: Encoder) -> None:
    chunks = DocumentSplitter(split_by="word", split_length=7).run(documents=documents_of(TEXTS))["documents"]
    together = embedder(encoder=encoder, late_chunking=True).run(chunks)["documents"]
    small = embedder(encoder=encoder.with_batch_tokens(8), late_chunking=True).run(chunks[::-1])["documents"][::-1]
    assert np.allclose(vectors(together), vectors(small), atol=1e-5)


def test_a_header_stands_once_before_each_source(encoder: Encoder) -> None:
    sources = documents_of(TEXTS)
    chunks = DocumentSplitter(split_by="word", split_length=20).run(documents=sources)["documents"]
    late = embedder(encoder=encoder, late_chunking=True, meta_fields_to_embed=["title"], prefix="> ", suffix=" <")
    embedded = [chunk for chunk in late.run(chunks)["documents"] if chunk.meta["source_id"] == "unique"]
    header = "> Unique\n"
    starts = [len(header) + chunk.meta["split_idx_start"] for chunk in embedded]
    spans = [(start, start + len(chunk.content or "")) for start, chunk in zip(starts, embedded, strict=True)]
    wanted = encoder.encode_spans(header + TEXTS["unique"] + " <", spans, task="retrieval.passage", overlap=OVERLAP)
    assert np.allclose(vectors(embedded), wanted, atol=1e-6)


def test_documents_without_a_source_are_their_own(encoder: Encoder) -> None:
    given = [Document(content="first text"), Document(content="second text")]
    late = embedder(encoder=encoder, late_chunking=True).run(given)["documents"]
    plain = embedder(encoder=encoder).run(given)["documents"]
    assert np.allclose(vectors(late), vectors(plain), atol=1e-6)


def test_chunks_without_offsets_name_the_splitters_that_have_them() -> None:
    chunks = [Document(content=text, meta={"source_id": "s", "split_id": n}) for n, text in enumerate(["One.", "Two."])]
    late = embedder(late_chunking=True)
    with pytest.raises(InvalidInput, match=r"'s' cannot be late-chunked: .*DocumentSplitter.*source_documents"):
        late.run(chunks)
    embedded = late.run(chunks, source_documents=[Document(id="s", content="One. Two.")])["documents"]
    wanted = FakeEncoder().encode_spans("One. Two.", [(0, 4), (5, 9)], task="retrieval.passage")
    assert np.allclose(vectors(embedded), wanted)


def test_a_cleaner_after_the_splitter_is_noticed() -> None:
    source = Document(id="s", content="One   two   three   four   five   six")
    chunks = DocumentSplitter(split_by="word", split_length=4, split_overlap=2).run(documents=[source])["documents"]
    cleaned = DocumentCleaner(remove_extra_whitespaces=True).run(documents=chunks)["documents"]
    with pytest.raises(InvalidInput, match="unless a cleaner follows them"):
        embedder(late_chunking=True).run(cleaned)


def test_async_is_the_same() -> None:
    for one in (JinaV3TextEmbedder(encoder=FakeEncoder()), embedder()):
        assert inspect.signature(one.run) == inspect.signature(one.run_async)
    given = documents_of(TEXTS)
    answer = asyncio.run(embedder().run_async(given))
    assert np.array_equal(vectors(answer["documents"]), vectors(embedder().run(given)["documents"]))
    question = asyncio.run(JinaV3TextEmbedder(encoder=FakeEncoder()).run_async("hello"))
    assert question == JinaV3TextEmbedder(encoder=FakeEncoder()).run("hello")


def test_nothing_is_loaded_before_warm_up_and_weights_are_shared(original_folder: Any) -> None:
    first = JinaV3DocumentEmbedder(str(original_folder), batch_size=64, progress_bar=False)
    second = JinaV3TextEmbedder(str(original_folder))
    assert first._loaded is second._loaded is None
    for one in (first, second):
        one.warm_up()
        loaded = one._loaded
        one.warm_up()
        assert one._loaded is loaded
    assert isinstance(first._loaded, Encoder)
    assert isinstance(second._loaded, Encoder)
    assert first._loaded.engine.model is second._loaded.engine.model
    assert first._loaded.max_batch_tokens == 64


def test_a_model_without_tasks_is_asked_for_none() -> None:
    encoder = FakeEncoder(tasks=())
    wanted = encoder.encode("hello", task=None)
    question = JinaV3TextEmbedder(encoder=encoder).run("hello")
    assert question["embedding"] == wanted.tolist()
    for late in (False, True):
        documents = embedder(encoder=encoder, late_chunking=late).run([Document(content="hello")])["documents"]
        assert JinaV3ContractGuard().run(documents, question["meta"])["documents"] == documents
    assert question["meta"]["embedding_contract"].endswith("/none")
    with pytest.raises(UnknownTask, match=r"retrieval\.query"):
        JinaV3TextEmbedder(encoder=encoder, task="retrieval.query").run("hello")
    with pytest.raises(UnknownTask, match=r"retrieval\.passage"):
        embedder(encoder=encoder, task="retrieval.passage").run([Document(content="hello")])


@pytest.mark.parametrize("kind", [JinaV3TextEmbedder, JinaV3DocumentEmbedder])
def test_saving_and_loading(kind: Any) -> None:
    one = kind("nano", dimensions=64, task=None, device=ComponentDevice.from_str("cuda:1"), prefix="p", dtype="float32")
    again = default_from_dict(kind, one.to_dict())
    assert again.to_dict() == one.to_dict()
    assert again.device.to_torch_str() == "cuda:1"
    assert kind("nano").to_dict()["init_parameters"]["device"] is None, "a machine with a GPU saves no GPU"
    assert set(one.to_dict()["init_parameters"]) == set(inspect.signature(kind.__init__).parameters) - {
        "self",
        "encoder",
    }
    with pytest.raises(InvalidInput, match="a saved pipeline cannot hold"):
        kind(encoder=FakeEncoder()).to_dict()


def test_the_guard_lets_only_comparable_documents_pass() -> None:
    given = [Document(content="one"), Document(content="two")]
    guard = JinaV3ContractGuard()
    question = JinaV3TextEmbedder(encoder=FakeEncoder()).run("one")["meta"]
    good = embedder().run(given)["documents"]
    assert guard.run(good, question) == {"documents": good}
    for settings in ({"dimensions": 16}, {"task": "separation"}, {"encoder": FakeEncoder(model_id="other")}):
        with pytest.raises(InvalidInput, match="embed the documents again"):
            guard.run(embedder(**settings).run(given)["documents"], question)
    with pytest.raises(InvalidInput, match="was embedded as None"):
        guard.run(given, question)
    symmetric = JinaV3TextEmbedder(encoder=FakeEncoder(), task="text-matching").run("one")["meta"]
    assert guard.run(embedder(task="text-matching").run(given)["documents"], symmetric)["documents"]


def test_the_indexer_splits_and_reads_whole_documents(original_folder: Any, encoder: Encoder) -> None:
    indexer: Any = JinaV3LateChunkingIndexer(str(original_folder), split_length=10, progress_bar=False, dtype="float32")
    embedded = indexer.run(documents=documents_of(TEXTS))["documents"]
    document_chunks = [chunk for chunk in embedded if chunk.meta["source_id"] == "repetitive"]
    spans = [
        (chunk.meta["split_idx_start"], chunk.meta["split_idx_start"] + len(chunk.content)) for chunk in document_chunks
    ]
    wanted = encoder.encode_spans(TEXTS["repetitive"], spans, task="retrieval.passage", overlap=OVERLAP)
    assert np.allclose(vectors(document_chunks), wanted, atol=1e-6)


def test_the_indexer_cuts_by_a_chunkers_name(original_folder: Any, encoder: Encoder) -> None:
    settings: dict[str, Any] = {"progress_bar": False, "dtype": "float32", "chunk_tokens": 20}
    indexer: Any = JinaV3LateChunkingIndexer(str(original_folder), chunker="sentences", **settings)
    embedded = indexer.run(documents=documents_of(TEXTS))["documents"]
    options = ChunkerOptions(max_tokens=20)
    for name, text in TEXTS.items():
        spans = chunker_named("sentences", encoder.tokenizer_file, options).spans(text)
        chunks = [chunk for chunk in embedded if chunk.meta["source_id"] == name]
        assert [chunk.content for chunk in chunks] == [text[start:end] for start, end in spans]
        assert [chunk.meta["split_idx_start"] for chunk in chunks] == [start for start, _ in spans]
        wanted = encoder.encode_spans(text, spans, task="retrieval.passage", overlap=OVERLAP)
        assert np.allclose(vectors(chunks), wanted, atol=1e-6)


def test_the_splitter_is_saved_by_its_name() -> None:
    splitter = JinaV3DocumentSplitter("markdown", "nano", chunk_tokens=30, llm="http://127.0.0.1:1/v1", llm_model="m")
    again = default_from_dict(JinaV3DocumentSplitter, splitter.to_dict())
    assert again.to_dict() == splitter.to_dict()
    chunks = again.run([Document(content="# One\n\nthe sea\n\n# Two\n\nthe moon", meta={"a": 1})])["documents"]
    assert [(chunk.content, chunk.meta["a"], chunk.meta["split_id"]) for chunk in chunks] == [
        ("# One\n\nthe sea", 1, 0),
        ("# Two\n\nthe moon", 1, 1),
    ]


def test_what_the_splitter_refuses() -> None:
    with pytest.raises(InvalidInput, match="there is no chunker 'os:system': use one of splitter"):
        JinaV3DocumentSplitter("os:system", "nano").run([])
    with pytest.raises(InvalidInput, match="has no text to split"):
        JinaV3DocumentSplitter("lines", "nano").run([Document(meta={"a": 1})])
