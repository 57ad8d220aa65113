"""`jina-v3 migrate demo`."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from ..shared_encoders import tokenizer_of
from .options import ModelChoice, encoder_options
from .terminal import printable

if TYPE_CHECKING:
    from ..migration.migration import Migration

OLD, NEW, ALIAS = "demo-64", "demo-256-late", "live"
OLD_DIMENSIONS, NEW_DIMENSIONS = 64, 256


@click.command("demo")
@encoder_options
def command(choice: ModelChoice) -> None:
    """Move the demo's collection from 64 dimensions to 256 with late chunking: plan, run, compare, switch, and back.

    Offline, in a folder that is deleted afterwards.
    """
    from rich.console import Console

    from .. import demo
    from ..backends import open_store
    from ..chunking.splitter import SemanticChunker
    from ..migration.opening import Sides, opened_migration, spec_of, store_opener
    from ..migration.spec import MoveSettings
    from ..migration.switching import rollback, switch

    console, start = Console(), time.perf_counter()
    encoder = choice.text_encoder()
    chunker = SemanticChunker(tokenizer_of(encoder), demo.CHUNK_TOKENS)

    def step(text: str) -> None:
        console.print(f"[dim]{time.perf_counter() - start:4.1f} s[/]  {printable(text)}", highlight=False)

    with TemporaryDirectory(prefix="jina-v3-migrate-") as folder:
        url = f"qdrant:{folder}"
        with open_store(url, encoder, OLD, dimensions=OLD_DIMENSIONS, chunker=chunker) as old:
            report = old.ingest(demo.documents())
            old.swap_alias(ALIAS)
        step(f"the old collection: {report.chunks} chunks of {report.documents} documents, {OLD_DIMENSIONS} dimensions")
        sides = Sides(url, url)
        settings = MoveSettings(dimensions=NEW_DIMENSIONS, late_chunking=True)
        spec = spec_of(sides, OLD, NEW, settings=settings)
        state = Path(folder) / "migrations.sqlite"
        with opened_migration(sides, spec, NEW, encoder, lambda: tokenizer_of(encoder), state=state) as migration:
            run = migration.run()
            checked = run.verification
            assert checked is not None
            step(
                f"run: {run.ingest.chunks} chunks encoded anew, {run.missing_count} documents missing; "
                f"{checked.chunks} chunks compared with a second encoding, lowest cosine {checked.worst:.5f}"
            )
            again = migration.run()
            step(f"run again: {again.ingest.documents} documents encoded, {again.ingest.unchanged} were there already")
            step(_compared(migration))
            opener = store_opener(url)
            switch(migration, ALIAS, opener)
            step(f"switch: {ALIAS} stands for {_named(url)}")
            rollback(migration.state, opener)
            step(f"rollback: {ALIAS} stands for {_named(url)} again")
    console.print(
        "\nYour own:  jina-v3 migrate doctor --from STORE --collection NAME\n"
        "           jina-v3 migrate plan --from STORE --collection NAME --to STORE --into NEW --model MODEL"
    )


def _compared(migration: Migration) -> str:
    """What the demo's questions find in both collections."""
    from .. import demo
    from ..migration.compare import Side, compare
    from ..migration.questions import Question
    from ..migration.recipe import contract_recipe

    encoder, new = migration.target.encoder, migration.target_records()
    questions = [Question(one.document_id, one.text, one.language) for one in demo.QUESTIONS]
    judgements = {one.document_id: {one.document_id: 1} for one in demo.QUESTIONS}
    sides = []
    with closing(new):
        for name, source in ((OLD, migration.source), (NEW, new)):
            assert source.contract is not None
            sides.append(Side(name, source, contract_recipe(encoder, source.contract, name)))
        result = compare(questions, *sides, judgements=judgements)
    assert result.judged is not None
    ndcg = result.judged.measures[0]
    return (
        f"compare, {result.questions} questions: overlap@{result.limit} {result.overlap:.0%}, rank-biased overlap "
        f"{result.rbo:.2f}, nDCG@10 {ndcg.old:.2f} before and {ndcg.new:.2f} after: {result.judged.verdict}"
    )


def _named(url: str) -> str:
    """The collection that the alias names, by its size."""
    from ..backends import filled_store

    store, stored = filled_store(url, ALIAS)
    with closing(store):
        return OLD if stored.contract.dimensions == OLD_DIMENSIONS else NEW
