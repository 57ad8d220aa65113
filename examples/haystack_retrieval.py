"""Haystack: index with late chunking, then ask. Extra: haystack.

Run: python examples/haystack_retrieval.py
"""

from __future__ import annotations

from haystack import Document, Pipeline
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.retrievers import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore

from haystack_integrations.components.embedders.jina_v3 import JinaV3DocumentEmbedder, JinaV3TextEmbedder

DOCUMENTS = [
    Document(content="Mount Fuji is the highest mountain in Japan. Snow covers its top from October to June."),
    Document(content="The Danube rises in the Black Forest. It flows through ten countries into the Black Sea."),
]

store = InMemoryDocumentStore(embedding_similarity_function="cosine")
index = Pipeline()
index.add_component("splitter", DocumentSplitter(split_by="period", split_length=1))
index.add_component("embedder", JinaV3DocumentEmbedder("nano", dimensions=128, late_chunking=True, progress_bar=False))
index.add_component("writer", DocumentWriter(store))
index.connect("splitter.documents", "embedder.documents")
index.connect("embedder.documents", "writer.documents")
index.run({"splitter": {"documents": DOCUMENTS}, "embedder": {"source_documents": DOCUMENTS}})

query = Pipeline()
query.add_component("embedder", JinaV3TextEmbedder("nano", dimensions=128))
query.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=1))
query.connect("embedder.embedding", "retriever.query_embedding")
for question in ("Through how many countries does the Danube flow?", "Wann liegt auf dem Fuji Schnee?"):
    (document,) = query.run({"embedder": {"text": question}})["retriever"]["documents"]
    print(f"{document.score:.3f}  {question}  {(document.content or '').strip()}")
