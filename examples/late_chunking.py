"""The same sentence encoded alone and inside its document.

Run: python examples/late_chunking.py
"""

from __future__ import annotations

from jina_v3_encoder import Encoder

SENTENCES = [
    "Lake Baikal in Siberia is the deepest lake on Earth.",
    "It holds about a fifth of all unfrozen fresh water.",
    "A seal that lives nowhere else has made its home there.",
]

encoder = Encoder.from_pretrained("nano")
query = encoder.encode("How much water is in Lake Baikal?", task="retrieval.query")
alone = encoder.encode(SENTENCES, task="retrieval.passage")
late = encoder.encode_chunks(SENTENCES, task="retrieval.passage")

print("alone   late   sentence")
for before, after, sentence in zip(alone @ query, late @ query, SENTENCES, strict=True):
    print(f"{before:.3f}  {after:.3f}  {sentence}")
