"""`jina-v3 migrate status`."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jina_v3_encoder.errors import JinaV3Error

from .migrate_moves import known_migration
from .terminal import json_line, printable

if TYPE_CHECKING:
    from ..migration.state import Progress


@click.command("status")
@click.argument("name", required=False)
@click.option("--from", "source", metavar="URL", help="The old store again, where its URL needs a password.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each move, one per line.")
def command(name: str | None, source: str | None, as_json: bool) -> None:
    """Which moves were begun on this machine, and how far they got: all, or the one named NAME.

    A store is asked only where triggers note what others write, in PostgreSQL.

    \b
    Example:
      jina-v3 migrate status
    """
    from ..migration.state import ROLLED_BACK, SWITCHED, MigrationState, known_migrations
    from ..store import shared_journal

    one = name is not None or source is not None
    known = [known_migration(name)] if one else known_migrations(shared_journal())
    if not known and not as_json:
        click.echo("no migration was begun on this machine; begin one with: jina-v3 migrate run")
    for progress in known:
        state = MigrationState(shared_journal(), progress.name)
        try:
            totals, waiting = state.totals(), state.count_changes()
        finally:
            state.close()
        noted, unknown = _noted_by_triggers(progress, source)
        if as_json:
            counts = {"totals": totals._asdict(), "waiting": waiting, "waiting_rows": noted, "unknown": unknown}
            click.echo(json_line({**asdict(progress), **counts}))
            continue
        spec = progress.spec
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(progress.changed))
        lines = [
            f"{progress.name}: {progress.stage} since {when}",
            f"  {spec.source_collection} in {spec.source} -> {spec.target_collection} in {spec.target}",
            f"  {totals.records:,} records of {totals.documents:,} documents, {waiting:,} changes of ours wait",
        ]
        if progress.triggers:
            lines.append(
                f"  {noted:,} changes of others wait, noted by triggers"
                if unknown is None
                else f"  how many changes of others wait is not known: {unknown}"
            )
        if progress.alias:
            here = {
                SWITCHED: f"{progress.alias} stands for {spec.target_collection}",
                ROLLED_BACK: f"{progress.alias} stands for {progress.previous or spec.source_collection} again",
            }
            lines.append("  " + here.get(progress.stage, f"{progress.alias} is the name of an earlier switch"))
        click.echo(printable("\n".join(lines)))


def _noted_by_triggers(progress: Progress, source: str | None) -> tuple[int | None, str | None]:
    """How many notes of triggers wait, and why that is not known."""
    from ..migration.opening import sides_of, trigger_notes

    sides = sides_of(progress.spec, source, None)
    try:
        return sum(notes.waiting() for notes in trigger_notes(sides, progress.spec, progress.name)), None
    except JinaV3Error as error:  # a server that is away does not hide the other moves
        return None, str(error)
