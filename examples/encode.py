"""Queries and passages, two tasks of one model, compared by cosine.

Run: python examples/encode.py
"""

from __future__ import annotations

from jina_v3_encoder import Encoder

PASSAGES = [
    "The lighthouse keeper lit the lamp every evening at dusk.",
    "Brot mit Sauerteig braucht Zeit und Wärme.",
    "Les abeilles dansent pour montrer où sont les fleurs.",
]

encoder = Encoder.from_pretrained("nano")  # or "jinaai/jina-embeddings-v3"
passages = encoder.encode(PASSAGES, task="retrieval.passage", dimensions=128)
query = encoder.encode("How do bees show each other the way?", task="retrieval.query", dimensions=128)

for score, text in sorted(zip(passages @ query, PASSAGES, strict=True), reverse=True):
    print(f"{score:.3f}  {text}")
