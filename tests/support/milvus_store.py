"""Run with pymilvus 2 on the path: fills LlamaIndex' Milvus store at a URL and asks it. Prints what it found."""

from __future__ import annotations

import json
import sys

import pymilvus
from llama_index.core import Document, MockEmbedding, Settings, StorageContext, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.vector_stores.milvus import MilvusVectorStore

from jina_v3_connectors.llama_index import JinaV3Embedding, JinaV3LateChunking

TEXTS = {
    "eiffel": "The Eiffel Tower is a wrought-iron tower in Paris. It was finished in 1889.",
    "plants": "Plants turn light into sugar. This is called photosynthesis.",
    "fuji": "Mount Fuji is the highest mountain in Japan. Snow covers it for months.",
}
QUESTIONS = ["Where is the Eiffel Tower?", "Was ist der höchste Berg?"]


def main(url: str) -> None:
    embedding = JinaV3Embedding("nano", dimensions=128)
    Settings.embed_model, Settings.llm = MockEmbedding(8), MockLLM()
    late = JinaV3LateChunking(parser=SentenceSplitter(chunk_size=30, chunk_overlap=0), embedding=embedding)
    nodes = list(late([Document(id_=name, text=text) for name, text in TEXTS.items()]))
    store = MilvusVectorStore(uri=url, dim=128, collection_name="docs", overwrite=True, similarity_metric="COSINE")
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex(nodes, storage_context=context, embed_model=embedding)
    engine = index.as_query_engine(similarity_top_k=1)
    answers = [engine.query(question).source_nodes[0].node.ref_doc_id for question in QUESTIONS]
    sys.stdout.write(json.dumps({"pymilvus": pymilvus.__version__, "nodes": len(nodes), "answers": answers}))


if __name__ == "__main__":
    main(sys.argv[1])
