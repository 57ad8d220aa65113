"""`jina-v3 migrate plan`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jina_v3_encoder.texts.blend import reading_name

from ..shared_encoders import tokenizer_of
from .migrate_moves import chosen_move, move_options
from .migrate_options import SourceChoice, side_options
from .options import ModelChoice, encoder_options
from .terminal import json_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..migration.plan import Plan
    from ..migration.spec import MoveSettings

HOUR = 3600


@click.command("plan")
@side_options
@move_options
@click.option("--skip-bad", is_flag=True, help="Documents without text are no obstacle: they will be left out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@encoder_options
def command(
    source: SourceChoice | None,
    target: SourceChoice | None,
    settings: MoveSettings,
    column: str | None,
    skip_bad: bool,
    as_json: bool,
    choice: ModelChoice,
) -> None:
    """What a move takes. Nothing is written.

    All records are listed, and documents are encoded for five seconds to see how fast it is on this machine. It ends
    with status 1 if something stands in the way.

    \b
    Example:
      jina-v3 migrate plan --from qdrant:./store --collection docs --to qdrant:./store --into docs-v3 --late-chunking
    """
    from rich.console import Console

    from ..migration.migration import OURS
    from ..migration.opening import chunker_of, inherited, opened_source
    from ..migration.plan import plan
    from ..migration.switching import no_way_back
    from ..settings import Settings, agree

    move, console = chosen_move(None, None, source, target, column, settings, choice), Console(stderr=True)
    spec, encoder = move.spec, move.encoder
    with opened_source(move.sides, spec) as old, console.status("opening") as status:
        chunker = chunker_of(spec, old, encoder, lambda: tokenizer_of(encoder))
        like = inherited(spec.settings, old, encoder)
        chosen = Settings(like.dimensions, like.reading, chunker, like.window, like.overlap)
        contract = agree(chosen, encoder, None, spec.target_collection)
        outcome = plan(
            old,
            encoder,
            contract,
            chunker,
            keep_cuts=spec.settings.rechunk_tokens is None,
            on_survey=lambda number: status.update(f"listing: {number:,} records"),
        )
    outcome.no_way_back = no_way_back(spec, is_ours=outcome.layout == OURS)
    lacking = _lacking_room(move.sides.target, outcome)
    enough = outcome.is_possible or (skip_bad and outcome.totals.records > outcome.totals.without_text)
    possible = enough and lacking is None
    if as_json:
        values = asdict(outcome) | {"totals": outcome.totals._asdict(), "possible": possible}
        click.echo(json_line(json.loads(json.dumps(values))))
    else:
        model = f"{encoder.model_id}, {contract.dimensions} dimensions, {reading_name(contract.reading)}"
        for line in lines(outcome, model, spec.target_collection, in_place=spec.in_place):
            click.echo(printable(line))
        if lacking is not None:
            click.echo(f"IN THE WAY: {lacking}")
        if outcome.no_way_back is not None:
            click.echo(printable(f"going back: {outcome.no_way_back}"))
    if not possible:
        raise SystemExit(1)


def _lacking_room(url: str, plan: Plan) -> str | None:
    """Why the new collection does not fit on this machine's disk. None if it does, or is on a server."""
    import shutil

    from ..backends import find_location
    from ..disk import COPIES, TO_WRITE

    path = find_location(url)[1].path
    if path is None:
        return None
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    needed = TO_WRITE + COPIES * (plan.bytes_after + plan.totals.characters)
    free = shutil.disk_usage(there).free
    if free >= needed:
        return None
    return f"the new collection needs about {needed / 2**20:,.0f} MiB on its disk, {free / 2**20:,.0f} MiB are free"


def lines(plan: Plan, model: str, into: str, *, in_place: bool) -> Iterator[str]:
    """The plan, for people."""
    totals = plan.totals
    yield f"old collection: {plan.layout}, {totals.records:,} records of {totals.documents:,} documents"
    yield f"new collection: {into}, {model}, about {plan.chunks:,} chunks"
    yield f"to read: about {plan.tokens:,} tokens ({totals.characters:,} characters)"
    yield f"time to encode on this machine: {duration(plan.seconds)} (from {plan.measured_documents:,} documents)"
    yield f"vectors: {plan.bytes_before / 2**20:,.1f} MiB before, {plan.bytes_after / 2**20:,.1f} MiB after"
    if totals.several:
        yield (
            f"documents of several chunks: {totals.several:,}; late chunking is possible. Of "
            f"{plan.measured_documents:,} looked at, {plan.with_gaps:,} have gaps between chunks, which stay blank"
        )
    else:
        yield "every text is a document of its own: late chunking would change nothing"
    if totals.without_text:
        yield (
            f"IN THE WAY: {totals.without_text:,} records have no text, so no vector can be made of them: "
            f"{', '.join(plan.without_text)}{' …' if totals.without_text > len(plan.without_text) else ''}. "
            "--skip-bad leaves them out"
        )
    yield from (f"IN THE WAY: {reason}" for reason in plan.refused)
    if not totals.records:
        yield "IN THE WAY: the old collection is empty"
    if in_place:
        yield "the switch: `jina-v3 migrate switch` puts the new vectors in the old ones' place, once none is missing"
    else:
        yield "the switch: `jina-v3 migrate switch` lets a name stand for the new collection, once nothing is missing"


def duration(seconds: float) -> str:
    """A time that people can plan with."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"
