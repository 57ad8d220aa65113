"""`jina-v3 migrate run`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from jina_v3_encoder.errors import JinaV3Error
from jina_v3_encoder.texts.blend import reading_name

from ..errors import DocumentError, StoreError
from ..shared_encoders import tokenizer_of
from .ingest import Stop
from .migrate_moves import chosen_move, move_options, options_of
from .migrate_options import SourceChoice, side_options
from .options import ModelChoice, encoder_options
from .terminal import say

if TYPE_CHECKING:
    from ..ingestion.report import IngestReport
    from ..migration.migration import Migration, RunReport
    from ..migration.spec import MoveSettings
    from ..migration.state import Totals

FOLLOW_PAUSE = 1.0


@click.command("run")
@click.argument("begun", metavar="[NAME]", required=False)
@side_options
@move_options
@click.option("--name", help="A name for a new move.  [default: that of the new collection]")
@click.option("--skip-bad", is_flag=True, help="Leave out documents that cannot be moved. They count as missing.")
@click.option(
    "--allow-shrinking", is_flag=True, help="Delete most of the new collection, where the old one lost as much."
)
@click.option("--all", "verify_all", is_flag=True, help="Encode everything once more to check it, not only a sample.")
@click.option("--follow", is_flag=True, help="Go on bringing over what changes, until Ctrl-C.")
@click.option(
    "--no-triggers", is_flag=True, help="PostgreSQL: note no changes of others. Then nobody may write meanwhile."
)
@encoder_options
def command(
    begun: str | None,
    source: SourceChoice | None,
    target: SourceChoice | None,
    settings: MoveSettings,
    column: str | None,
    name: str | None,
    skip_bad: bool,
    allow_shrinking: bool,
    verify_all: bool,
    follow: bool,
    no_triggers: bool,
    choice: ModelChoice,
) -> None:
    """Fill the new collection with the texts of the old one, which is never written.

    Stop it at any time, and run it again: what is stored is not encoded again, what changed is replaced, what is gone
    is deleted. A move that was begun goes on by its NAME, as it was begun: its collections, fields, model and settings
    are kept; an option that contradicts them is refused. Chunks of one of our collections are read as they were read
    there (alone, late chunking, a blend), unless you say it.

    In PostgreSQL, triggers note what others write meanwhile; our own writers use MigratingConnector, or
    `jina-v3 ingest --also-into`. At the end a sample is encoded again and compared. Status 1 means: not complete yet.

    \b
    Example:
      jina-v3 migrate run --from qdrant:./store --collection docs --to qdrant:./store --into docs-v3
      jina-v3 migrate run docs-v3
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from ..migration.opening import opened_migration, trigger_notes

    move = chosen_move(begun, name, source, target, column, settings, choice)
    if move.begun:
        say(f"going on with the move {move.name}: {options_of(move.spec) or 'begun with the defaults'}")
    addresses, spec, encoder = move.sides, move.spec, move.encoder
    notes = [] if no_triggers else trigger_notes(addresses, spec, move.name, install=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        opened_migration(addresses, spec, move.name, encoder, lambda: tokenizer_of(encoder), notes=notes) as migration,
        Stop() as stop,
    ):
        contract = migration.target.contract
        reading = reading_name(contract.reading)
        if spec.settings.late_chunking is None and migration.spec.settings.late_chunking is not None:
            reading += " as the old collection"
        say(
            f"model {encoder.model_id}, {contract.dimensions} dimensions, {reading}, "
            f"from {migration.source.description} records"
        )
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("listing", total=None, rate="")

            def listed(records: int) -> None:
                stop.check()
                progress.update(bar, completed=records)

            def moved(ingest: IngestReport, totals: Totals) -> None:
                done = ingest.documents + ingest.unchanged + ingest.skipped
                rate = f"{ingest.chunks:,} chunks"
                progress.update(bar, description="moving", total=totals.documents, completed=done, rate=rate)

            try:
                report = migration.run(
                    skip_bad=skip_bad,
                    allow_shrinking=allow_shrinking,
                    sample=0 if verify_all else None,
                    on_survey=listed,
                    on_progress=moved,
                )
            except JinaV3Error as error:
                raise with_missing(error, migration) from error
        for line in lines(report):
            say(line)
        if follow:
            _follow(migration, stop, skip_bad=skip_bad)
    if not report.is_complete:
        raise SystemExit(1)


def with_missing(error: JinaV3Error, migration: Migration) -> JinaV3Error:
    """The same failure, with what is missing now."""
    known = migration.state.totals().documents
    try:
        missing = sum(1 for _ in migration.missing())
    except JinaV3Error:
        missing = known
    return JinaV3Error(
        f"{error}\n{missing:,} of {known:,} documents are missing in the new collection; run the same again"
    )


def lines(report: RunReport) -> Iterator[str]:
    """What a run did, for people."""
    ingest, totals = report.ingest, report.totals
    yield (
        f"moved {ingest.documents:,} documents ({ingest.chunks:,} chunks, {ingest.tokens:,} tokens) of "
        f"{totals.documents:,} in {report.seconds:.1f} s; {ingest.unchanged:,} were there already"
    )
    for count, text in (
        (ingest.pruned, "documents deleted that are no longer in the old collection"),
        (report.followed, "documents brought over that changed meanwhile"),
        (report.deleted, "documents deleted that went meanwhile"),
        (ingest.skipped, "documents left out"),
    ):
        if count:
            yield f"{count:,} {text}"
    yield from (f"left out: {reason}" for reason in ingest.bad)
    yield from (f"note: {remark}" for remark in ingest.remarks)
    if report.verification is not None:
        checked = report.verification
        which = "all" if checked.all else "a sample of"
        yield (
            f"compared {which} {checked.documents:,} documents ({checked.chunks:,} chunks) with a second encoding: "
            f"{checked.wrong_count:,} wrong, lowest cosine {checked.worst:.5f}"
        )
        yield from (f"wrong: chunk {chunk} of {document!r}: {reason}" for document, chunk, reason in checked.wrong)
    if report.missing_count:
        more = " …" if report.missing_count > len(report.missing) else ""
        yield f"MISSING: {report.missing_count:,} documents: {', '.join(report.missing)}{more}"
    if report.waiting:
        yield f"{report.waiting:,} changes wait: the next run brings them over, and so does a switch"
    yield "complete: the new collection can be compared and switched" if report.is_complete else "not complete yet"


def _follow(migration: Migration, stop: Stop, *, skip_bad: bool) -> None:
    """Bring over changes until the user stops it. A switch ends nothing: the old collection stays a way back."""
    say("following changes of the old collection; Ctrl-C ends it")
    while True:
        stop.check()
        try:
            report = migration.follow(skip_bad=skip_bad)
        except (StoreError, DocumentError) as error:
            say(f"waiting: {error}")
        else:
            if report.followed or report.deleted:
                say(f"{report.followed:,} documents brought over, {report.deleted:,} deleted, {report.waiting:,} wait")
        time.sleep(FOLLOW_PAUSE)
