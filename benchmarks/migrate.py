"""Moves a table of PostgreSQL while an application writes to it that knows nothing of us, with two kills on the way.

Run: python -m tests.servers.postgres in another terminal, then
python -m benchmarks.migrate --url postgresql://…
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import signal
import tempfile
import time
from dataclasses import asdict, dataclass, field
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import click
import numpy as np
import psycopg
from psycopg import sql

from jina_v3_connectors.bench.corpus import full_geometry, mixed_texts
from jina_v3_connectors.migration.opening import Sides, opened_migration, spec_of, store_opener, trigger_notes
from jina_v3_connectors.migration.spec import MoveSettings
from jina_v3_connectors.migration.switching import switch
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.text_encoder import TextEncoder

from .command import Benchmark

TABLE, NEW, ALIAS = "bench_articles", "bench_articles_v3", "bench_live"
OLD_SIZE, NEW_SIZE = 64, 256
WRITES_A_SECOND = 14
WORDS = 30
VOCABULARY = 250_002
QUIET_SECONDS = 20.0
SEED = 7
LINE = 17
"""Bytes of a text's line: 16 digits and an end."""
CREATE = sql.SQL("CREATE TABLE {} (id bigserial PRIMARY KEY, body text, embedding vector({}))").format(
    sql.Identifier(TABLE), OLD_SIZE
)


@dataclass
class Latency:
    """Milliseconds of an application's writes."""

    writes: int
    median: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: list[float]) -> Latency:
        values = 1000 * np.array(seconds or [0.0])
        return cls(len(seconds), *(round(float(np.quantile(values, share)), 2) for share in (0.5, 0.99, 1.0)))


@dataclass
class MigrateBench:
    """What was measured."""

    rows: int
    encoding_alone: float = 0.0
    """Seconds to encode all texts once, storing nothing, beside the application."""
    moving: float = 0.0
    """Seconds of all runs, the killed ones and loading the model again included."""
    starting: float = 0.0
    """Of these, seconds until the runs began: new processes that import, load the model and open both sides."""
    indexing: float = 0.0
    """Of these, seconds in which the index was built and the planner's statistics were made."""
    texts_encoded: int = 0
    texts_encoded_again: int = 0
    """Of these, how many had been encoded before."""
    kills: int = 0
    wrong: int = 0
    missing: int = 0
    lowest_cosine: float = 0.0
    latencies: dict[str, Latency] = field(default_factory=dict)


@click.command("migrate", cls=Benchmark)
@click.option("--url", required=True, help="A database that may be written: postgresql://…")
@click.option("--rows", type=click.IntRange(min=100), default=20_000, show_default=True)
@click.option(
    "--rate", type=click.IntRange(min=1), help="A model elsewhere that reads so many texts a second, in place of nano."
)
@click.option("--model", type=click.Path(path_type=Path), help="A folder of a model, in place of nano.")
@click.option("--v3-size", is_flag=True, help="Random weights of the published model's widths, in place of nano.")
@click.option("--layers", type=click.IntRange(min=1), default=24, show_default=True, help="With --v3-size.")
@click.option("--threads", type=click.IntRange(min=1), help="Cores that the model takes.  [default: all]")
@click.option("--nice", type=click.IntRange(0, 19), default=0, show_default=True, help="How far the move stands back.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def main(
    url: str,
    rows: int,
    rate: int | None,
    model: Path | None,
    v3_size: bool,
    layers: int,
    threads: int | None,
    nice: int,
    as_json: bool,
) -> None:
    """Move a table while an application writes 14 times a second, and kill the move twice."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[STATE_VARIABLE] = folder
        if v3_size:
            model = full_geometry(Path(folder) / f"{layers} layers of v3's widths", layers, VOCABULARY)
        bench = measure(url, rows, Mover(rate, model, threads, nice), Path(folder))
    if as_json:
        click.echo(json.dumps(asdict(bench)))
        return
    name = (model.name if model else "nano") if rate is None else f"a model of {rate} texts/s"
    click.echo(f"{bench.rows:,} rows, {OLD_SIZE} to {NEW_SIZE} dimensions, {name}, {bench.kills} kills")
    click.echo(f"wrong {bench.wrong}, missing {bench.missing}, lowest cosine {bench.lowest_cosine:.5f}")
    useful, twice = bench.texts_encoded - bench.texts_encoded_again, bench.texts_encoded_again / bench.texts_encoded
    click.echo(f"{bench.texts_encoded:,} texts encoded, {bench.texts_encoded_again:,} ({twice:.2%}) of them twice")
    alone = bench.rows / bench.encoding_alone
    click.echo(
        f"encoding alone {bench.rows:,} texts in {bench.encoding_alone:.1f} s, moving {useful:,}, with those written "
        f"meanwhile, in {bench.moving:.1f} s: {useful / bench.moving / alone:.2f} of its speed"
    )
    rest = bench.moving - bench.starting - bench.indexing
    click.echo(
        f"of these, starts {bench.starting:.1f} s and the index {bench.indexing:.1f} s: without them "
        f"{useful / rest / alone:.2f} of its speed"
    )
    for name, latency in bench.latencies.items():
        click.echo(
            f"application's writes {name}: p50 {latency.median} ms, p99 {latency.p99} ms, longest {latency.longest} ms "
            f"({latency.writes} writes)"
        )


@dataclass(frozen=True)
class Mover:
    """What moves the rows."""

    rate: int | None = None
    model: Path | None = None
    threads: int | None = None
    nice: int = 0

    def encoder(self) -> TextEncoder:
        """The model, or one that sleeps as long as a model elsewhere would take."""
        if self.rate is None:
            from jina_v3_encoder import Encoder

            return Encoder.from_pretrained(self.model or "nano", threads=self.threads)
        encoder, rate = FakeEncoder(dimensions=NEW_SIZE), self.rate
        text_means = encoder.engine.text_means

        def slow(request: Any, progress: Any) -> Any:
            start = time.perf_counter()
            means = text_means(request, progress)
            time.sleep(max(0.0, len(request.texts) / rate - (time.perf_counter() - start)))
            return means

        encoder.engine.text_means = slow  # type: ignore[method-assign]
        return encoder


def measure(url: str, rows: int, mover: Mover, folder: Path) -> MigrateBench:
    bench = MigrateBench(rows)
    texts = [" ".join(text.split()[:WORDS]) for text in mixed_texts(rows, SEED)]
    fill(url, texts)
    writes, encoded, spent = folder / "writes", folder / "encoded", folder / "spent"
    application = started(write_all_the_time, url, writes)
    try:
        time.sleep(QUIET_SECONDS)
        begun = time.time()
        bench.latencies["before"] = between(writes, 0, begun)
        encoder = mover.encoder()
        start = time.perf_counter()
        encoder.encode(texts, task="retrieval.passage", dimensions=NEW_SIZE)
        bench.encoding_alone = time.perf_counter() - start
        begun, start = time.time(), time.perf_counter()
        for share in (0.3, 0.6):
            child = started(run, url, encoded, mover, spent, time.time())
            while texts_in(encoded) < share * rows and child.is_alive():
                time.sleep(0.05)
            if child.is_alive():
                os.kill(child.pid or 0, signal.SIGKILL)
                bench.kills += 1
            child.join()
        child = started(run, url, encoded, mover, spent, time.time())
        child.join()
        bench.moving = time.perf_counter() - start
        bench.latencies["during"] = between(writes, begun, time.time())
        begun = time.time()
        with opened(url, encoder) as migration:
            switch(migration, ALIAS, store_opener(url))
        bench.latencies["at the switch"] = between(writes, begun, time.time())
    finally:
        application.kill()
        application.join()
    for line in spent.read_text().splitlines():
        phase, seconds = line.split()
        setattr(bench, phase, round(getattr(bench, phase) + float(seconds), 2))
    hashes = encoded.read_text().split()
    bench.texts_encoded, bench.texts_encoded_again = len(hashes), len(hashes) - len(set(hashes))
    with opened(url, encoder) as migration:
        migration.follow()
        report = migration.run(sample=0)
    assert report.verification is not None
    bench.missing = report.missing_count
    bench.wrong = report.verification.wrong_count + len(differences(url))
    bench.lowest_cosine = report.verification.worst
    clean(url)
    return bench


def fill(url: str, texts: list[str]) -> None:
    clean(url)
    generator = np.random.default_rng(SEED)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute(CREATE)
        statement = sql.SQL("COPY {} (body, embedding) FROM STDIN").format(sql.Identifier(TABLE))
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for text in texts:
                copy.write_row((text, json.dumps(generator.normal(size=OLD_SIZE).round(4).tolist())))


def clean(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for name in (TABLE, NEW):
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier(name)))
        connection.execute("DROP TABLE IF EXISTS jina_v3_collections")


def opened(url: str, encoder: TextEncoder) -> Any:
    sides = Sides(url, url)
    spec = spec_of(sides, TABLE, NEW, settings=MoveSettings(dimensions=NEW_SIZE))
    notes = trigger_notes(sides, spec, NEW, install=True)
    return opened_migration(sides, spec, NEW, encoder, lambda: Path(), notes=notes)


def run(url: str, encoded: str, mover: Mover, spent: Path, begun: float) -> None:
    """A run in a process of its own. It writes down each text that the model is given, and how long phases took."""
    os.nice(mover.nice)
    encoder = mover.encoder()
    text_means = encoder.engine.text_means

    def counted(request: Any, progress: Any) -> Any:
        with Path(encoded).open("a") as file:
            file.writelines(hashlib.blake2b(text.encode(), digest_size=8).hexdigest() + "\n" for text in request.texts)
        return text_means(request, progress)

    encoder.engine.text_means = counted  # type: ignore[method-assign]
    with opened(url, encoder) as migration:
        note(spent, "starting", time.time() - begun)
        settle = migration.target.store.settle

        def timed() -> None:
            start = time.perf_counter()
            settle()
            note(spent, "indexing", time.perf_counter() - start)

        migration.target.store.settle = timed
        migration.run(sample=1)


def note(spent: Path, phase: str, seconds: float) -> None:
    with spent.open("a") as file:
        file.write(f"{phase} {seconds}\n")


def texts_in(encoded: Path) -> int:
    """How many texts the model was given. The database is not asked: that would cost the application time."""
    return encoded.stat().st_size // LINE if encoded.exists() else 0


def write_all_the_time(url: str, writes: str) -> None:
    """The application. It notes when each write began, how long it took, and whether it made a new text."""
    chance, number = random.Random(SEED), 0
    table = sql.Identifier(TABLE)
    insert = sql.SQL("INSERT INTO {} (body) VALUES (%s)").format(table)
    update = sql.SQL("UPDATE {} SET body = %s WHERE id = %s").format(table)
    delete = sql.SQL("DELETE FROM {} WHERE id = %s").format(table)
    with psycopg.connect(url, autocommit=True) as connection, Path(writes).open("a") as file:
        while True:
            number += 1
            kind, target = chance.choice(("insert", "update", "update", "delete")), chance.randint(1, 1000)
            begun = time.time()
            if kind == "insert":
                connection.execute(insert, (f"A new article, number {number}, about bridges and rivers.",))
            elif kind == "update":
                connection.execute(update, (f"Article {target} was changed: version {number}.", target))
            else:
                connection.execute(delete, (target,))
            file.write(f"{begun} {time.time() - begun} {'gone' if kind == 'delete' else 'text'}\n")
            file.flush()
            time.sleep(max(0.0, 1 / WRITES_A_SECOND - (time.time() - begun)))


def between(writes: Path, begun: float, ended: float) -> Latency:
    rows = [line.split() for line in writes.read_text().splitlines() if len(line.split()) == 3]
    return Latency.of([float(took) for at, took, _ in rows if begun <= float(at) <= ended])


def differences(url: str) -> list[str]:
    """Documents that are there on one side only, or with another text."""
    with psycopg.connect(url) as connection:
        old = sql.SQL("SELECT id::text, body FROM {}").format(sql.Identifier(TABLE))
        new = sql.SQL("SELECT document_id, text FROM {}").format(sql.Identifier(NEW))
        wanted: dict[str, str] = dict(connection.execute(old).fetchall())
        got: dict[str, str] = dict(connection.execute(new).fetchall())
    return [key for key in wanted.keys() | got.keys() if wanted.get(key) != got.get(key)]


def started(function: Any, url: str, file: Path, *more: object) -> SpawnProcess:
    child = multiprocessing.get_context("spawn").Process(target=function, args=(url, str(file), *more))
    child.start()
    return child


if __name__ == "__main__":
    main()
