"""Whole Haystack pipelines with other people's stores, saved, loaded and run in a fresh process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.retrievers import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore

from haystack_integrations.components.embedders.jina_v3 import (
    JinaV3ContractGuard,
    JinaV3DocumentEmbedder,
    JinaV3TextEmbedder,
)

DIMENSIONS = 128
TEXTS = {
    "eiffel": "The Eiffel Tower is a wrought-iron tower in Paris. It was finished in 1889.",
    "photosynthesis": "Plants turn light into sugar. This is called photosynthesis and needs chlorophyll.",
    "fuji": "Mount Fuji is the highest mountain in Japan. Snow covers its top for months.",
}
QUESTIONS = {
    "Where is the Eiffel Tower?": "eiffel",
    "How do plants make sugar from light?": "photosynthesis",
    "Was ist der höchste Berg Japans?": "fuji",
}


def indexing(store: Any) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("splitter", DocumentSplitter(split_by="period", split_length=1))
    embedder = JinaV3DocumentEmbedder("nano", dimensions=DIMENSIONS, late_chunking=True, progress_bar=False)
    pipeline.add_component("embedder", embedder)
    pipeline.add_component("writer", DocumentWriter(store))
    pipeline.connect("splitter.documents", "embedder.documents")
    pipeline.connect("embedder.documents", "writer.documents")
    return pipeline


def querying(retriever: Any) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("embedder", JinaV3TextEmbedder("nano", dimensions=DIMENSIONS))
    pipeline.add_component("retriever", retriever)
    pipeline.add_component("guard", JinaV3ContractGuard())
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    pipeline.connect("retriever.documents", "guard.documents")
    pipeline.connect("embedder.meta", "guard.meta")
    return pipeline


def sources() -> list[Document]:
    return [Document(id=name, content=text) for name, text in TEXTS.items()]


def fill(store: Any) -> None:
    documents = sources()
    indexing(store).run({"splitter": {"documents": documents}, "embedder": {"source_documents": documents}})


def best(answer: dict[str, Any]) -> str:
    return str(answer["guard"]["documents"][0].meta["source_id"])


def in_memory(_: Path) -> tuple[Any, Callable[[Any], Any]]:
    return InMemoryDocumentStore(embedding_similarity_function="cosine"), InMemoryEmbeddingRetriever


def in_qdrant(_: Path) -> tuple[Any, Callable[[Any], Any]]:
    from haystack_integrations.components.retrievers.qdrant import QdrantEmbeddingRetriever
    from haystack_integrations.document_stores.qdrant import QdrantDocumentStore

    return QdrantDocumentStore(":memory:", embedding_dim=DIMENSIONS, similarity="cosine"), QdrantEmbeddingRetriever


def in_milvus(folder: Path) -> tuple[Any, Callable[[Any], Any]]:
    from milvus_haystack import MilvusDocumentStore
    from milvus_haystack.milvus_embedding_retriever import MilvusEmbeddingRetriever

    return MilvusDocumentStore(connection_args={"uri": str(folder / "x.db")}), MilvusEmbeddingRetriever


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("database", [in_memory, in_qdrant, in_milvus], ids=lambda database: database.__name__)
def test_indexed_and_found(database: Callable[[Path], Any], tmp_path: Path) -> None:
    store, retriever = database(tmp_path)
    fill(store)
    assert store.count_documents() == 6
    pipeline = querying(retriever(store))
    for question, source in QUESTIONS.items():
        assert best(pipeline.run({"embedder": {"text": question}})) == source


@pytest.mark.filterwarnings("default")
def test_a_store_of_another_size_refuses() -> None:
    store, _ = in_qdrant(Path())
    embedded = JinaV3DocumentEmbedder("nano", dimensions=64, progress_bar=False).run(sources())["documents"]
    with pytest.raises(Exception, match=r"64|dimension|size"):
        store.write_documents(embedded)


def test_async_pipelines() -> None:
    store, retriever = in_memory(Path())
    fill(store)
    pipeline = querying(retriever(store))

    async def ask() -> list[str]:
        asked = [pipeline.run_async({"embedder": {"text": question}}) for question in QUESTIONS]
        return [best(answer) for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask()) == list(QUESTIONS.values())


def test_saved_and_loaded_without_any_list_of_modules() -> None:
    for pipeline in (indexing(InMemoryDocumentStore()), querying(InMemoryEmbeddingRetriever(InMemoryDocumentStore()))):
        again = Pipeline.loads(pipeline.dumps()).to_dict()
        wanted = pipeline.to_dict()
        for values in (again, wanted):
            values["connections"].sort(key=str)
        assert again == wanted


FRESH = """
import sys
from haystack import Document, Pipeline

with open(sys.argv[1]) as file:
    pipeline = Pipeline.load(file)
documents = [Document(id="a", content="The tower is in Paris. It is of iron.")]
found = pipeline.run({"splitter": {"documents": documents}})
sys.stdout.write(f"written {found['writer']['documents_written']}")
"""


def test_a_saved_pipeline_runs_in_a_fresh_process(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(indexing(InMemoryDocumentStore()).dumps())
    done = subprocess.run([sys.executable, "-c", FRESH, file], capture_output=True, text=True, check=False)
    assert done.stdout == "written 2", done.stderr


def test_without_haystack_the_extra_is_named() -> None:
    code = "import sys; sys.modules['haystack'] = None; import haystack_integrations.components.embedders.jina_v3"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'jina-v3-connectors[haystack]'" in done.stderr


def test_nothing_else_imports_haystack() -> None:
    code = (
        "import sys, jina_v3_connectors.qdrant, jina_v3_connectors.cli, jina_v3_encoder\n"
        "sys.exit('haystack' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
