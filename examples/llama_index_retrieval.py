"""LlamaIndex: parse and late-chunk in one step, index, then ask. Extra: llama-index.

Run: python examples/llama_index_retrieval.py
"""

from __future__ import annotations

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter

from jina_v3_connectors.llama_index import JinaV3Embedding, JinaV3LateChunking

DOCUMENTS = [
    Document(text="Mount Fuji is the highest mountain in Japan. Snow covers its top from October to June."),
    Document(text="The Danube rises in the Black Forest. It flows through ten countries into the Black Sea."),
]

embedding = JinaV3Embedding("nano", dimensions=128)
late = JinaV3LateChunking(parser=SentenceSplitter(chunk_size=20, chunk_overlap=0), embedding=embedding)
nodes = IngestionPipeline(transformations=[late]).run(documents=DOCUMENTS)
retriever = VectorStoreIndex(list(nodes), embed_model=embedding).as_retriever(similarity_top_k=1)
for question in ("Through how many countries does the Danube flow?", "Wann liegt auf dem Fuji Schnee?"):
    (hit,) = retriever.retrieve(question)
    print(f"{hit.get_score():.3f}  {question}  {hit.get_content()}")
