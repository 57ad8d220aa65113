"""What hybrid search finds: by meaning alone, with ranks fused, and with scores added.

Run: python -m benchmarks.hybrid --data FOLDER
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import click

from jina_v3_connectors import VectorConnector
from jina_v3_connectors.backends import shown_url, store_at
from jina_v3_connectors.documents import Chunk
from jina_v3_connectors.evaluation.dataset import Dataset
from jina_v3_connectors.evaluation.ranking import measure
from jina_v3_connectors.fusion import WORDS_WEIGHT, Words
from jina_v3_encoder import Encoder
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.vectors import FloatArray
from training.nano.eval_sets import Half, half_of, medquad, squad_chunks, xquad

from .command import Benchmark

LIMIT = 10
QUERIES_AT_ONCE = 100
SETS: dict[str, Callable[[Path], Dataset]] = {
    "squad-chunks": squad_chunks,
    "medquad": medquad,
    "xquad-de-de": partial(xquad, asked="de", written="de"),
    "xquad-zh-zh": partial(xquad, asked="zh", written="zh"),
    "xquad-de-en": partial(xquad, asked="de", written="en"),
}


@dataclass(frozen=True)
class Encoded:
    """A set's passages and those of its questions that are asked, with their vectors."""

    dataset: Dataset
    passages: FloatArray
    queries: FloatArray


def first(dataset: Dataset, questions: int) -> Dataset:
    """With the first so many questions; all passages."""
    queries = dict(islice(dataset.queries.items(), questions))
    return replace(dataset, queries=queries, relevance={query: dataset.relevance[query] for query in queries})


def encoded(dataset: Dataset, encoder: TextEncoder) -> Encoded:
    passages = encoder.encode([passage.text for passage in dataset.passages], task="retrieval.passage")
    return Encoded(dataset, passages, encoder.encode(list(dataset.queries.values()), task="retrieval.query"))


def compared(subject: Encoded, encoder: TextEncoder, url: str, weights: Sequence[float]) -> Iterator[tuple[str, float]]:
    """(way, nDCG@10) of each way of searching, in a new collection of the store `url`, which is dropped afterwards."""
    dataset = subject.dataset
    name = f"hybrid-{dataset.name}"
    with closing(VectorConnector(encoder, name, lambda: store_at(url, name, hybrid=True))) as connector:
        if connector.count():
            raise click.ClickException(f"{shown_url(url)} has a collection {name!r} already: use another store")
        connector.create()
        stored, store = connector.stored, connector.store
        assert stored is not None
        try:
            chunks = [Chunk(passage.id, 0, 0, len(passage.text), passage.text) for passage in dataset.passages]
            for start in range(0, len(chunks), store.write_limits.rows):
                end = start + store.write_limits.rows
                store.upsert(chunks[start:end], subject.passages[start:end], stored.layout)
            store.settle()
            texts = list(dataset.queries.values())
            ways: list[tuple[str, Words | None]] = [("meaning", None), ("ranks", Words(texts, "ranks"))]
            ways += [(f"scores, {weight:g}", Words(texts, "scores", weight)) for weight in weights]
            for way, words in ways:
                run: dict[str, dict[str, float]] = {}
                for start in range(0, len(texts), QUERIES_AT_ONCE):
                    part = slice(start, start + QUERIES_AT_ONCE)
                    asked = words and words._replace(texts=words.texts[part])
                    answers = store.nearest(subject.queries[part], LIMIT, None, asked, stored)
                    for query, hits in zip(list(dataset.queries)[part], answers, strict=True):
                        run[query] = {hit.chunk.document_id: -float(rank) for rank, hit in enumerate(hits)}
                yield way, measure(dataset.relevance, run)["ndcg"]
        finally:
            store.drop()


@click.command(cls=Benchmark)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="The folder of evaluation files that training/nano uses.",
)
@click.option("--set", "names", type=click.Choice(list(SETS)), multiple=True, help="May be repeated; default all.")
@click.option("--store", "stores", multiple=True, metavar="STORE", help="May be repeated; default Qdrant in a folder.")
@click.option(
    "--half",
    type=click.Choice(["choose", "report"]),
    default="report",
    show_default=True,
    help="Questions about one half of the documents: weights are chosen on one, and reported on the other.",
)
@click.option(
    "--weight",
    "weights",
    type=float,
    multiple=True,
    help=f"What scores of words count; may be repeated; default {WORDS_WEIGHT}.",
)
@click.option("--questions", type=click.IntRange(min=1), default=1500, show_default=True, help="Of each set at most.")
@click.option("--model", default="nano", show_default=True, help="Folder, hub id or nano.")
def command(
    data: Path,
    names: tuple[str, ...],
    stores: tuple[str, ...],
    half: Half,
    weights: tuple[float, ...],
    questions: int,
    model: str,
) -> None:
    """What hybrid search finds: nDCG@10 by meaning alone, with ranks fused, and with scores added.

    Every set is stored once in each store, and asked in all ways. With several weights you see why it is what it is.

    \b
    Example:
      python -m benchmarks.hybrid --data ./eval --half choose --weight 0.3 --weight 0.5 --weight 0.7 --weight 1
    """
    encoder = Encoder.from_pretrained(model)
    for name in names or SETS:
        subject = encoded(first(half_of(SETS[name](data), half), questions), encoder)
        passages, asked = len(subject.dataset.passages), len(subject.dataset.queries)
        click.echo(f"{name}, {passages:,} passages, {asked:,} questions ({half}), nDCG@{LIMIT}:")
        with tempfile.TemporaryDirectory() as folder:
            for url in stores or [f"qdrant:{folder}"]:
                for way, score in compared(subject, encoder, url, weights or [WORDS_WEIGHT]):
                    click.echo(f"  {shown_url(url).partition(':')[0]:20} {way:12} {score:.4f}")


if __name__ == "__main__":
    command()
