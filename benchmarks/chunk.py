"""How fast chunkers cut, and what `semantic` costs beside encoding the sentences once.

Run: python -m benchmarks.chunk
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from jina_v3_connectors.chunking import Chunker
from jina_v3_connectors.chunking.names import ChunkerOptions, chunker_named
from jina_v3_connectors.chunking.sizes import Sizes
from jina_v3_connectors.chunking.tokens import counter_of
from jina_v3_encoder import Encoder

from .command import Benchmark

NAMES = ("splitter", "lines", "sentences", "fixed", "markdown", "html", "code")
SENTENCES = "Nobody has seen the lighthouse since the storm of {}. It stood for a century, and the town was proud. "


@dataclass(frozen=True)
class Speed:
    """Megabytes of UTF-8 in a second of processor time: with nothing remembered, and when the words are known."""

    chunker: str
    first: float
    again: float


def corpus(folder: Path | None, megabytes: float) -> list[str]:
    """Texts of .txt and .md files, or sentences made up; each about 100 kB, together so many megabytes."""
    if folder is None:
        return ["".join(SENTENCES.format(1000 * text + number) for number in range(1000)) for text in range(10)]
    texts, size = [], 0.0
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".txt", ".md") and file.is_file() and size < megabytes * 1e6:
            texts.append(file.read_text(encoding="utf-8", errors="replace"))
            size += len(texts[-1].encode())
    if not texts:
        raise click.UsageError(f"{folder} holds no .txt and no .md file")
    return texts


def speed(name: str, chunker: Chunker, texts: list[str]) -> Speed:
    """Cut all texts twice, on one core."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    rates = []
    for _ in range(2):
        start = time.process_time()
        for text in texts:
            chunker.spans(text)
        rates.append(size / (time.process_time() - start))
    return Speed(name, *rates)


def semantic_ratio(encoder: Encoder, texts: list[str], rounds: int) -> float:
    """The processor time of `semantic` over that of encoding the same sentences once, the median of some rounds."""
    sizes = Sizes(counter_of(encoder.tokenizer_file))
    chunker = chunker_named("semantic", encoder.tokenizer_file, ChunkerOptions(encoder=encoder))
    ratios = []
    for _ in range(rounds):
        seconds = cutting = 0.0
        for text in texts:
            sentences = [text[start:end] for start, end in sizes.of(text).sentences()]
            start_time = time.process_time()
            encoder.encode(sentences, task="text-matching")
            middle = time.process_time()
            chunker.spans(text)
            seconds, cutting = seconds + middle - start_time, cutting + time.process_time() - middle
        ratios.append(cutting / seconds)
    return sorted(ratios)[len(ratios) // 2]


@click.command(cls=Benchmark)
@click.option("--texts", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A folder.")
@click.option("--megabytes", type=click.FloatRange(min=0.1), default=20.0, show_default=True, help="Of them, at most.")
@click.option("--model", default="nano", show_default=True, help="Whose tokens are counted.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Of the comparison.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(folder: Path | None, megabytes: float, model: str, rounds: int, as_json: bool) -> None:
    """How many megabytes each chunker cuts in a second of one core, and what semantic costs.

    \b
    Example:
      python -m benchmarks.chunk --texts ~/notes --megabytes 5
    """
    texts = corpus(folder, megabytes)
    encoder = Encoder.from_pretrained(model, device="cpu", threads=1)
    rows = []
    for name in NAMES:
        counter_of.cache_clear()
        rows.append(speed(name, chunker_named(name, encoder.tokenizer_file), texts))
    ratio = semantic_ratio(encoder, [text[:10_000] for text in texts[:5]], rounds)
    if as_json:
        click.echo(json.dumps({"rows": [asdict(row) for row in rows], "semantic": ratio}))
        return
    table = Table("chunker", "MB/s, first time", "MB/s, words known")
    for row in rows:
        table.add_row(row.chunker, f"{row.first:.1f}", f"{row.again:.1f}")
    Console().print(table)
    Console().print(f"semantic: {ratio:.2f} × encoding the sentences once")


if __name__ == "__main__":
    command()
