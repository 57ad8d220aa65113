"""`jina-v3 migrate drop`."""

from __future__ import annotations

from contextlib import closing

import click

from jina_v3_encoder.errors import InvalidInput

from ..errors import StoreError
from .migrate_moves import known_migration, reopen_options
from .terminal import say


@click.command("drop")
@reopen_options
@click.option(
    "--which",
    type=click.Choice(["old", "new", "none"]),
    required=True,
    help="The collection to delete. none: only end the move, with its notes and triggers.",
)
@click.option("--confirm", metavar="NAME", help="The collection's name, where nobody can be asked.")
def command(name: str | None, source: str | None, target: str | None, which: str, confirm: str | None) -> None:
    """Delete the old collection once nobody needs a way back, or the new one to give a move up.

    It asks for the collection's name. A collection that the switched name stands for is not deleted, and none that this
    project did not make.

    \b
    Example:
      jina-v3 migrate drop docs-v3 --which old
    """
    from ..migration.changes import held
    from ..migration.opening import drop_collection, sides_of, store_opener, trigger_notes
    from ..migration.state import MigrationState
    from ..migration.switching import named_by
    from ..store import shared_journal

    progress = known_migration(name)
    sides, spec = sides_of(progress.spec, source, target), progress.spec
    with closing(MigrationState(shared_journal(), progress.name)) as state, held(state.lock_file, 1.0) as is_mine:
        if not is_mine:
            raise StoreError(f"migration {progress.name!r} is being run by another process: stop it first")
        notes = trigger_notes(sides, spec, progress.name)
        if which != "none":
            url, collection = {
                "old": (sides.source, spec.source_collection),
                "new": (sides.target, spec.target_collection),
            }[which]
            named_here = progress.alias is not None and (which == "new" or spec.source == spec.target)
            if named_here and named_by(progress.alias or "", store_opener(sides.target)) == collection:
                raise InvalidInput(f"collection {collection!r} is not deleted: {progress.alias} stands for it")
            if progress.alias is None and which == "old":
                say("no name was switched: make sure that no application searches the old collection any more")
            asked = f"Type the collection's name, {collection}, to delete it"
            typed = confirm if confirm is not None else click.prompt(asked)
            if typed != collection:
                raise InvalidInput(f"{typed!r} is not {collection!r}: nothing was deleted")
            say(f"deleted {collection} with {drop_collection(url, collection):,} records")
        for one in notes:
            one.remove()
        state.forget()
    say(f"the move {progress.name} is over")
