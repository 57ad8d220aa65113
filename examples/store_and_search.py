"""Documents into an embedded Qdrant collection and back.

Run: python examples/store_and_search.py
"""

from __future__ import annotations

import tempfile

from jina_v3_connectors import Document, SemanticChunker
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_encoder import Encoder

DOCUMENTS = [
    Document("kettle", "Fill the kettle with water. Press the red button. It stops when the water boils."),
    Document("lamp", "The lamp has three levels. Tap its foot to change them."),
]

encoder = Encoder.from_pretrained("nano")
chunker = SemanticChunker(encoder.tokenizer_file, max_tokens=20)
with (
    tempfile.TemporaryDirectory() as folder,
    QdrantConnector(encoder, "manuals", path=folder, dimensions=128, late_chunking=True, chunker=chunker) as store,
):
    report = store.ingest(DOCUMENTS)
    print(f"{report.chunks} chunks of {report.documents} documents")
    for hit in store.search("How many levels does the lamp have?", limit=2):
        print(f"{hit.score:.3f}  {hit.chunk.document_id}: {hit.chunk.text}")
