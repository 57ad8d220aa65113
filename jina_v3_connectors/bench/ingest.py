"""What the ingest engine costs: beside encoding alone, beside a store as slow as the encoder, and in memory."""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.text_encoder import TextEncoder

from ..chunking import WholeDocument
from ..connector import VectorConnector
from ..documents import Chunk, Document
from ..ingestion.ingestion import IngestReport
from ..qdrant.embedded import EmbeddedStore
from ..qdrant.layout import QdrantLayout
from ..store import FloatArray
from .corpus import mixed_texts

TASK = "retrieval.passage"
FAKE_DIMENSIONS = 256


@dataclass
class IngestBench:
    """Seconds of each round. Ratios are medians over rounds, each within its round."""

    documents: int
    alone: list[float] = field(default_factory=list)
    """Encoding everything in one call, storing nothing."""
    fast: list[float] = field(default_factory=list)
    """Ingesting into an embedded collection."""
    slow: list[float] = field(default_factory=list)
    """Ingesting into one that takes as long to write as the encoder to encode."""
    overheads: list[float] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    """Wall time of the slow ingest over the larger of its encoding and its writing."""
    memory_chunks: int = 0
    memory_growth: int = 0
    """Bytes by which the peak of resident memory grew while `memory_chunks` were ingested with a fake encoder."""

    @property
    def overhead(self) -> float:
        return statistics.median(self.overheads)

    @property
    def overlap(self) -> float:
        return statistics.median(self.overlaps)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "overhead": self.overhead, "overlap": self.overlap}


class SlowStore(EmbeddedStore):
    """An embedded collection that waits `pause` seconds for each chunk it writes."""

    pause = 0.0

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray) -> None:
        super().upsert(chunks, vectors)
        time.sleep(self.pause * len(chunks))


def bench_ingest(
    encoder: TextEncoder, *, documents: int, runs: int, memory_chunks: int, announce: Callable[[str], None]
) -> IngestBench:
    """Rounds take turns; the first warms up and does not count."""
    texts = mixed_texts(documents)
    result = IngestBench(documents)
    for run in range(runs + 1):
        announce(f"round {run} of {runs}" if run else "warming up")
        start = time.perf_counter()
        encoder.encode(texts, task=TASK)
        alone = time.perf_counter() - start
        fast = _ingest(encoder, texts, pause=0.0)
        slow = _ingest(encoder, texts, pause=alone / documents)
        if run:
            result.alone.append(alone)
            result.fast.append(fast.seconds)
            result.slow.append(slow.seconds)
            result.overheads.append(fast.seconds / alone - 1)
            result.overlaps.append(slow.seconds / max(slow.seconds_encoding, slow.seconds_writing))
    if memory_chunks:
        announce(f"ingesting {memory_chunks:,} chunks with a fake encoder")
        result.memory_chunks, result.memory_growth = memory_chunks, measure_memory(memory_chunks)
    return result


def measure_memory(chunks: int) -> int:
    """Bytes by which the peak of resident memory grows while `chunks` chunks are ingested."""
    _ingest(FakeEncoder(FAKE_DIMENSIONS), ["warming up"] * 100, pause=0.0)
    before = _peak()
    with tempfile.TemporaryDirectory() as folder, _connect(FakeEncoder(FAKE_DIMENSIONS), Path(folder), 0.0) as store:
        store.ingest(_numbered(chunks))
    return _peak() - before


def _numbered(count: int) -> Iterator[Document]:
    return (Document(str(number), f"document {number} of a long run", {"n": number}) for number in range(count))


def _ingest(encoder: TextEncoder, texts: Sequence[str], *, pause: float) -> IngestReport:
    with tempfile.TemporaryDirectory() as folder, _connect(encoder, Path(folder), pause) as store:
        return store.ingest(Document(str(number), text) for number, text in enumerate(texts))


def _connect(encoder: TextEncoder, folder: Path, pause: float) -> VectorConnector:
    place = SlowStore(folder, "bench", QdrantLayout())
    place.pause = pause
    return VectorConnector(encoder, "bench", place, chunker=WholeDocument())


def _peak() -> int:
    """Peak resident memory of this process in bytes; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
