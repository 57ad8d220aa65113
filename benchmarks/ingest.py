"""What the ingest engine costs: beside encoding alone, beside a store as slow as the encoder, and in memory.

Run: python -m benchmarks.ingest
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from jina_v3_connectors.bench.corpus import mixed_texts
from jina_v3_connectors.chunking import Chunker, WholeDocument
from jina_v3_connectors.chunking.base import cuts_of
from jina_v3_connectors.chunking.names import CHUNKERS, DEFAULT_CHUNKER, ChunkerOptions, chunker_named
from jina_v3_connectors.cli.options import ModelChoice, model_options
from jina_v3_connectors.connector import VectorConnector
from jina_v3_connectors.documents import Chunk, Document, TextFormat
from jina_v3_connectors.ingestion.report import IngestReport
from jina_v3_connectors.qdrant.embedded import EmbeddedStore
from jina_v3_connectors.qdrant.layout import QdrantLayout
from jina_v3_connectors.shared_encoders import tokenizer_of
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.late_chunking import Span
from jina_v3_encoder.vectors import FloatArray

from .command import Benchmark

TASK = "retrieval.passage"
FAKE_DIMENSIONS = 256
WHOLE = WholeDocument()
JOINED = 10
"""So many texts are one document where documents are cut."""


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
    cuttings: list[float] = field(default_factory=list)
    """Wall time with a chunker that waits as long as the encoder encodes, over the larger of both."""
    chunkings: list[float] = field(default_factory=list)
    """Wall time of an ingest whose documents are cut on the way, over that of the same documents cut before."""
    memory_chunks: int = 0
    memory_growth: int = 0
    """Bytes by which the peak of resident memory grew while `memory_chunks` were ingested with a fake encoder."""

    @property
    def overhead(self) -> float:
        return statistics.median(self.overheads)

    @property
    def overlap(self) -> float:
        return statistics.median(self.overlaps)

    @property
    def cutting(self) -> float:
        return statistics.median(self.cuttings)

    @property
    def chunking(self) -> float:
        return statistics.median(self.chunkings)

    def to_dict(self) -> dict[str, Any]:
        ratios = {"overhead": self.overhead, "overlap": self.overlap, "cutting": self.cutting}
        return {**asdict(self), **ratios, "chunking": self.chunking}


class SlowStore(EmbeddedStore):
    """An embedded collection that waits `pause` seconds for each chunk it writes."""

    pause = 0.0

    def upsert(self, chunks: Sequence[Chunk], vectors: FloatArray, layout: QdrantLayout) -> None:
        super().upsert(chunks, vectors, layout)
        time.sleep(self.pause * len(chunks))


class WaitingChunker(WholeDocument):
    """Waits so many seconds for each document, as one that asks a language model."""

    def __init__(self, pause: float) -> None:
        self._pause = pause

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        time.sleep(self._pause)
        return super().spans(text, text_format)


def bench_ingest(
    encoder: TextEncoder,
    *,
    documents: int,
    runs: int,
    memory_chunks: int,
    announce: Callable[[str], None],
    chunker_name: str = DEFAULT_CHUNKER,
) -> IngestBench:
    """Rounds take turns; the first warms up and does not count."""
    texts = mixed_texts(documents)
    long = ["\n\n".join(texts[first : first + JOINED]) for first in range(0, documents, JOINED)]
    chunker = chunker_named(chunker_name, tokenizer_of(encoder), ChunkerOptions(encoder=encoder))
    cut_before = [Document(str(n), text, cuts=tuple(cuts_of(chunker, text))) for n, text in enumerate(long)]
    cut_after = [Document(str(n), text) for n, text in enumerate(long)]
    result = IngestBench(documents)
    for run in range(runs + 1):
        announce(f"round {run} of {runs}" if run else "warming up")
        start = time.perf_counter()
        encoder.encode(texts, task=TASK)
        alone = time.perf_counter() - start
        fast = _ingest(encoder, texts, pause=0.0)
        slow = _ingest(encoder, texts, pause=alone / documents)
        cut = _ingest(encoder, texts, pause=0.0, chunker=WaitingChunker(alone / documents))
        before, after = (_ingest_all(encoder, side, chunker) for side in (cut_before, cut_after))
        if run:
            result.chunkings.append(after / before)
            result.alone.append(alone)
            result.fast.append(fast.seconds)
            result.slow.append(slow.seconds)
            result.overheads.append(fast.seconds / alone - 1)
            result.cuttings.append(cut.seconds / max(cut.seconds_encoding, alone))
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


def _ingest(encoder: TextEncoder, texts: Sequence[str], *, pause: float, chunker: Chunker = WHOLE) -> IngestReport:
    with tempfile.TemporaryDirectory() as folder, _connect(encoder, Path(folder), pause, chunker) as store:
        return store.ingest(Document(str(number), text) for number, text in enumerate(texts))


def _ingest_all(encoder: TextEncoder, documents: Sequence[Document], chunker: Chunker) -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore(Path(folder), "bench", QdrantLayout())
        with VectorConnector(encoder, "bench", store, chunker=chunker) as connector:
            return connector.ingest(documents).seconds


def _connect(encoder: TextEncoder, folder: Path, pause: float, chunker: Chunker = WHOLE) -> VectorConnector:
    store = SlowStore(folder, "bench", QdrantLayout())
    store.pause = pause
    return VectorConnector(encoder, "bench", store, chunker=chunker)


def _peak() -> int:
    """Peak resident memory of this process in bytes; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@click.command(cls=Benchmark)
@click.option("--documents", type=click.IntRange(min=1), default=2000, show_default=True, help="Of mixed lengths.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Measured rounds.")
@click.option(
    "--memory-chunks", type=click.IntRange(min=0), default=100_000, show_default=True, help="0 leaves it out."
)
@click.option(
    "--chunker",
    type=click.Choice([name for name in CHUNKERS if not name.startswith("llm")]),
    default=DEFAULT_CHUNKER,
    show_default=True,
    help="Compared with the same cuts made before.",
)
@model_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(documents: int, runs: int, memory_chunks: int, chunker: str, choice: ModelChoice, as_json: bool) -> None:
    """What storing costs on top of encoding.

    Ingests into an embedded collection, and into one that writes as slowly as the encoder encodes. The three sides take
    turns; ratios are medians over rounds. Then it measures how much memory a long ingest takes.

    \b
    Example:
      python -m benchmarks.ingest --model nano --documents 500
    """
    encoder = choice.load()
    with Console(stderr=True).status("starting") as status:
        result = bench_ingest(
            encoder,
            documents=documents,
            runs=runs,
            memory_chunks=memory_chunks,
            announce=status.update,
            chunker_name=chunker,
        )
    if as_json:
        click.echo(json.dumps(result.to_dict()))
        return
    table = Table(title=f"{documents} documents, model {encoder.model_id}, medians of {runs}", title_justify="left")
    for column in ("", "seconds", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    alone, fast, slow = (f"{statistics.median(side):.2f}" for side in (result.alone, result.fast, result.slow))
    table.add_row("encoding alone", alone, "")
    table.add_row("ingest, fast store", fast, f"{1 + result.overhead:.3f} × encoding alone")
    slower = f"{result.overlap:.3f} × the slower of encoding and writing"
    table.add_row("ingest, store as slow as the encoder", slow, slower)
    Console().print(table)
    Console().print(f"a chunker as slow as the encoder: {result.cutting:.3f} × the slower of encoding and cutting")
    Console().print(f"{chunker} on the way: {result.chunking:.3f} × the same documents cut before")
    if memory_chunks:
        grown = result.memory_growth / 2**20
        Console().print(f"{memory_chunks:,} chunks with a fake encoder: peak memory grew by {grown:.0f} MiB")


if __name__ == "__main__":
    command()
