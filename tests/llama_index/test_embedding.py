"""The LlamaIndex embedding: sides, settings, caches, threads, late chunking."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import random
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.ingestion.pipeline import get_transformation_hash
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import (
    HierarchicalNodeParser,
    SentenceSplitter,
    SentenceWindowNodeParser,
    TokenTextSplitter,
)
from llama_index.core.schema import MetadataMode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from jina_v3_connectors.llama_index import JinaV3Embedding, JinaV3LateChunking
from jina_v3_encoder import Blend
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput, UnknownTask
from jina_v3_encoder.testing import FakeEncoder

from ..servers.milvus import milvus_server

PYMILVUS_2 = Path(sys.prefix) / "pymilvus2"
OVERLAP = 256
"""Half the window of the small checkpoint."""
TEXTS = {
    "unique": " ".join(f"Sentence number {n} speaks of thing {n * 7}." for n in range(60)),
    "repetitive": "It rains again and again. " * 60,
}


def embedding(**settings: Any) -> JinaV3Embedding:
    return JinaV3Embedding("fake", encoder=settings.pop("encoder", None) or FakeEncoder(), **settings)


def documents() -> list[Document]:
    return [Document(id_=name, text=text) for name, text in TEXTS.items()]


def test_questions_and_texts_have_their_own_sides() -> None:
    model, encoder = embedding(dimensions=32), FakeEncoder()
    question = encoder.encode("hello", task="retrieval.query", dimensions=32).tolist()
    passage = encoder.encode("hello", task="retrieval.passage", dimensions=32).tolist()
    assert model.get_query_embedding("hello") == question
    assert model.get_text_embedding("hello") == passage
    assert model.get_text_embedding_batch(["hello", "other"])[0] == passage
    assert asyncio.run(model.aget_query_embedding("hello")) == question
    assert asyncio.run(model.aget_text_embedding("hello")) == passage
    assert model.get_text_embedding_batch([]) == []
    assert embedding(query_task="separation").get_query_embedding("x") != embedding().get_query_embedding("x")


def test_a_model_without_tasks_is_asked_for_none() -> None:
    encoder = FakeEncoder(tasks=())
    model = embedding(encoder=encoder)
    wanted = encoder.encode("hello", task=None).tolist()
    assert model.get_query_embedding("hello") == model.get_text_embedding("hello") == wanted
    (node,) = embedding(encoder=encoder, late_chunking=True)([TextNode(text="hello")])
    assert np.allclose(node.get_embedding(), encoder.encode_spans("hello", [(0, 5)], task=None)[0])
    for side in ("query_task", "text_task"):
        named = embedding(encoder=encoder, **{side: "retrieval.passage"})
        with pytest.raises(UnknownTask, match=r"retrieval\.passage"):
            named.get_query_embedding("hello") if side == "query_task" else named.get_text_embedding("hello")


def test_settings_are_saved_and_decide_the_hash_of_the_ingestion_cache() -> None:
    base = embedding()
    hashes = {get_transformation_hash([TextNode(text="x")], base)}
    for settings in ({"dimensions": 16}, {"text_task": "separation"}, {"query_task": None}, {"late_chunking": True}):
        other = embedding(**settings)
        hashes.add(get_transformation_hash([TextNode(text="x")], other))
        again = JinaV3Embedding.from_dict(other.to_dict())
        assert again.to_dict() == other.to_dict()
        for name, value in settings.items():
            assert getattr(again, name) == value
    assert len(hashes) == 5
    assert "encoder" not in base.to_dict()


def test_pickled_without_weights(original_folder: Any) -> None:
    model = JinaV3Embedding(str(original_folder), dimensions=16, dtype="float32")
    vector = model.get_query_embedding("hello")
    content = pickle.dumps(model)
    assert len(content) < 20_000
    again = pickle.loads(content)
    assert again._encoder is None
    assert again.get_query_embedding("hello") == vector
    assert model._encoder is not None, "the pickled one keeps its own"


def test_pickling_leaves_the_live_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may be encoding; LlamaIndex pickles each field while the state is taken."""
    encoder = FakeEncoder()
    live = embedding(encoder=encoder)
    asyncio.run(live.aget_text_embedding("hello"))
    seen: list[object] = []
    dumps = pickle.dumps

    def watched(value: object) -> bytes:
        seen.extend((live._encoder, live._worker))
        return dumps(value)

    monkeypatch.setattr("llama_index.core.schema.pickle.dumps", watched)
    live.__getstate__()
    assert set(seen) == {encoder, live._worker}
    assert live._worker is not None


def test_a_cache_keeps_sides_sizes_and_models_apart() -> None:
    store = SimpleKVStore()
    first = embedding(embeddings_cache=store)
    passage = first.get_text_embedding("hello")
    assert first.get_query_embedding("hello") != passage
    assert first.get_text_embedding("hello") == passage
    assert len(embedding(embeddings_cache=store, dimensions=8).get_text_embedding("hello")) == 8
    embedding(embeddings_cache=store, encoder=FakeEncoder(model_id="other")).get_text_embedding("hello")
    assert len(store.get_all("embeddings")) == 4


def test_a_cache_is_used() -> None:
    class Counting(FakeEncoder):
        texts = 0

        def encode(self, texts: Any, **settings: Any) -> Any:
            self.texts += len(texts)
            return super().encode(texts, **settings)

    encoder = Counting()
    model = embedding(encoder=encoder, embeddings_cache=SimpleKVStore())
    for _ in range(3):
        model.get_text_embedding_batch(["a", "b"])
        asyncio.run(model.aget_text_embedding_batch(["a", "b"]))
    assert encoder.texts == 2


def test_async_batches_are_computed_one_by_one_and_do_not_block() -> None:
    class Slow(FakeEncoder):
        running = most = 0
        lock = threading.Lock()

        def encode(self, texts: Any, **settings: Any) -> Any:
            with self.lock:
                self.running += 1
                self.most = max(self.most, self.running)
            vectors = super().encode(texts, **settings)
            with self.lock:
                self.running -= 1
            return vectors

    encoder = Slow()
    model = embedding(encoder=encoder, embed_batch_size=2)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async def both() -> list[list[float]]:
        ticking = asyncio.create_task(tick())
        vectors = await model.aget_text_embedding_batch([f"text {n}" for n in range(40)])
        ticking.cancel()
        return vectors

    vectors = asyncio.run(both())
    assert encoder.most == 1
    assert ticks > 3
    assert vectors == model.get_text_embedding_batch([f"text {n}" for n in range(40)])


PARSERS = [
    SentenceSplitter(chunk_size=40, chunk_overlap=0),
    SentenceSplitter(chunk_size=40, chunk_overlap=15),
    TokenTextSplitter(chunk_size=30, chunk_overlap=5),
    SentenceWindowNodeParser(),  # its metadata is not embedded
]


@pytest.mark.parametrize(
    "parser",
    PARSERS,
    ids=lambda parser: f"{type(parser).__name__}-{getattr(parser, 'chunk_overlap', 0)}",
)
def test_late_chunks_are_those_of_the_whole_document(parser: Any, encoder: Encoder) -> None:
    late = JinaV3LateChunking(parser=parser, embedding=embedding(encoder=encoder))
    nodes = late(documents())
    for name, text in TEXTS.items():
        document_nodes = [node for node in nodes if node.ref_doc_id == name]
        contents = [node.get_content(MetadataMode.NONE) for node in document_nodes]
        spans, start, end = [], 0, 0
        for content in contents:
            position = text.rfind(content, start, end + 8 + len(content))
            spans.append((position, position + len(content)))
            start, end = spans[-1]
        assert spans[-1][1] >= len(text.strip()) - 1, "the chunks reach to the end"
        wanted = encoder.encode_spans(text, spans, task="retrieval.passage", overlap=OVERLAP)
        assert np.allclose([node.get_embedding() for node in document_nodes], wanted, atol=1e-6)


def test_nodes_alone_are_put_together_by_their_offsets(encoder: Encoder) -> None:
    nodes = SentenceSplitter(chunk_size=40, chunk_overlap=15)(documents()[:1])
    random.Random(0).shuffle(nodes)
    embedded = embedding(encoder=encoder, late_chunking=True)(nodes)
    spans = [(node.start_char_idx, node.end_char_idx) for node in embedded]  # type: ignore[attr-defined]
    wanted = encoder.encode_spans(TEXTS["unique"], spans, task="retrieval.passage", overlap=OVERLAP)
    assert np.allclose([node.get_embedding() for node in embedded], wanted, atol=1e-6)
    again = asyncio.run(embedding(encoder=encoder, late_chunking=True).acall(nodes))
    assert np.allclose([node.get_embedding() for node in again], wanted, atol=1e-6)


def test_nodes_alone_and_together(encoder: Encoder) -> None:
    nodes = SentenceSplitter(chunk_size=40, chunk_overlap=15)(documents()[:1])
    model = embedding(encoder=encoder, late_chunking="blend")
    embedded = model(nodes)
    spans = [(node.start_char_idx, node.end_char_idx) for node in embedded]  # type: ignore[attr-defined]
    wanted = encoder.encode_spans(TEXTS["unique"], spans, task="retrieval.passage", blend=Blend())
    assert np.allclose([node.get_embedding() for node in embedded], wanted, atol=1e-6)
    assert type(model).from_dict(model.to_dict()).late_chunking == "blend"


def test_wrong_offsets_in_repetitive_text_are_noticed(encoder: Encoder) -> None:
    nodes = SentenceSplitter(chunk_size=40, chunk_overlap=0)(documents()[1:])
    with pytest.raises(InvalidInput, match=r"repetitive text .*JinaV3LateChunking\(parser="):
        embedding(encoder=encoder, late_chunking=True)(nodes)


def test_each_level_of_a_hierarchy_is_found_in_the_document(encoder: Encoder) -> None:
    parser = HierarchicalNodeParser.from_defaults(chunk_sizes=[200, 60], chunk_overlap=0)
    nodes = JinaV3LateChunking(parser=parser, embedding=embedding(encoder=encoder))(documents())
    for name, text in TEXTS.items():
        for leaf in (False, True):
            level_nodes = [node for node in nodes if node.ref_doc_id == name and (node.parent_node is not None) == leaf]
            assert len(level_nodes) > 2
            spans, end = [], 0
            for node in level_nodes:
                start = text.index(node.get_content(MetadataMode.NONE), end)
                end = start + len(node.get_content(MetadataMode.NONE))
                spans.append((start, end))
            wanted = encoder.encode_spans(text, spans, task="retrieval.passage", overlap=OVERLAP)
            assert np.allclose([node.get_embedding() for node in level_nodes], wanted, atol=1e-6)


def test_metadata_stands_once_before_the_document() -> None:
    document = Document(id_="d", text="One thing. Another thing.", metadata={"title": "T"})
    parser = SentenceSplitter(chunk_size=30, chunk_overlap=0, paragraph_separator="\n")
    nodes = JinaV3LateChunking(parser=parser, embedding=embedding())([document])
    (node,) = nodes
    header = "title: T\n\n"
    span = [(len(header), len(header) + len(document.text))]
    wanted = FakeEncoder().encode_spans(header + document.text, span, task="retrieval.passage")
    assert np.allclose(node.get_embedding(), wanted[0])


def test_a_node_without_a_document_is_its_own() -> None:
    (node,) = embedding(late_chunking=True)([TextNode(text="alone")])
    assert np.allclose(node.get_embedding(), FakeEncoder().encode_spans("alone", [(0, 5)], task="retrieval.passage")[0])


def test_a_rewritten_node_is_named() -> None:
    source = RelatedNodeInfo(node_id="d")
    nodes = [TextNode(text="summary", relationships={NodeRelationship.SOURCE: source})]
    with pytest.raises(InvalidInput, match="'d' cannot be late-chunked"):
        embedding(late_chunking=True)(nodes)


def test_texts_alone_cannot_be_late_chunked_and_it_is_said_once() -> None:
    model = embedding(late_chunking=True)
    with pytest.warns(UserWarning, match="late chunking needs nodes"):
        model.get_text_embedding_batch(["a", "b"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.get_text_embedding_batch(["a", "b"])


def test_the_ingestion_cache_re_embeds_after_a_change() -> None:
    cache = IngestionCache()
    sizes = []
    for size in (32, 16, 32):
        steps = [SentenceSplitter(chunk_size=40, chunk_overlap=0), embedding(dimensions=size)]
        nodes = IngestionPipeline(transformations=steps, cache=cache).run(documents=documents()[:1])
        sizes.append(len(nodes[0].get_embedding()))
    assert sizes == [32, 16, 32]


def test_two_processes(original_folder: Any) -> None:
    """The splitter stays here: in a fresh process it would fetch its tokenizer from the network."""
    nodes = SentenceSplitter(chunk_size=40, chunk_overlap=0)(documents())
    pipeline = IngestionPipeline(
        transformations=[JinaV3Embedding(str(original_folder), dtype="float32")], disable_cache=True
    )
    two = pipeline.run(nodes=nodes, num_workers=2)
    one = pipeline.run(nodes=nodes)
    assert np.allclose([node.get_embedding() for node in two], [node.get_embedding() for node in one], atol=1e-6)


def test_an_index_finds_with_the_bundled_model() -> None:
    texts = {
        "eiffel": "The Eiffel Tower is a wrought-iron tower in Paris. It was finished in 1889.",
        "plants": "Plants turn light into sugar. This is called photosynthesis.",
        "fuji": "Mount Fuji is the highest mountain in Japan. Snow covers it for months.",
    }
    model = JinaV3Embedding("nano", dimensions=128)
    before = Settings.embed_model if Settings._embed_model else MockEmbedding(8)
    Settings.embed_model = model
    try:
        corpus = [Document(id_=name, text=text) for name, text in texts.items()]
        late = JinaV3LateChunking(parser=SentenceSplitter(chunk_size=30, chunk_overlap=0), embedding=model)
        for index in (VectorStoreIndex.from_documents(corpus), VectorStoreIndex(list(late(corpus)))):
            retriever = index.as_retriever(similarity_top_k=1)
            for question, name in {"Where is the Eiffel Tower?": "eiffel", "Was ist der höchste Berg?": "fuji"}.items():
                assert retriever.retrieve(question)[0].node.ref_doc_id == name
    finally:
        Settings.embed_model = before


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
def test_qdrants_store() -> None:
    from llama_index.core import StorageContext
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    store = QdrantVectorStore(client=QdrantClient(":memory:"), collection_name="docs")
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex.from_documents(documents(), storage_context=context, embed_model=embedding())
    assert index.as_retriever(similarity_top_k=1).retrieve("thing 7")


@pytest.mark.skipif(not PYMILVUS_2.exists(), reason="needs pymilvus 2, which `make test` installs apart")
def test_milvus_store(tmp_path: Path) -> None:
    """Its pymilvus and ours cannot be installed together, so it runs in a process that sees the other one."""
    script = Path(__file__).parents[1] / "support" / "milvus_store.py"
    path = os.pathsep.join([str(PYMILVUS_2), *sys.path])
    with milvus_server(tmp_path) as url:
        done = subprocess.run(
            [sys.executable, str(script), url],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["pymilvus"].startswith("2.")
    assert told["answers"] == ["eiffel", "fuji"]


def test_a_query_engine_answers_from_what_was_found() -> None:
    index = VectorStoreIndex.from_documents(documents(), embed_model=embedding())
    answer = index.as_query_engine(llm=MockLLM(), similarity_top_k=2).query("thing 7")
    assert len(answer.source_nodes) == 2
    assert all(source.node.get_content() in str(answer) for source in answer.source_nodes)
    chat = asyncio.run(index.as_query_engine(llm=MockLLM(), similarity_top_k=2).aquery("thing 7"))
    assert [source.node_id for source in chat.source_nodes] == [source.node_id for source in answer.source_nodes]


def test_a_missing_framework_names_its_pip_line() -> None:
    code = "import sys; sys.modules['llama_index.core'] = None; import jina_v3_connectors.llama_index"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'jina-v3-connectors[llama-index]'" in done.stderr
    code = "import sys, jina_v3_connectors.llama_index; sys.exit('haystack' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
