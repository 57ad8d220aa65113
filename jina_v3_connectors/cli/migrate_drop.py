"""`jina-v3 migrate drop`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from jina_v3_encoder.errors import InvalidInput

from ..errors import StoreError
from .migrate_moves import known_migration, reopen_options
from .terminal import say

if TYPE_CHECKING:
    from ..migration.opening import Sides
    from ..migration.spec import MigrationSpec
    from ..migration.state import Progress


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
    project did not make. Of a move in place, the old vectors are dropped, or the new ones, and nothing else.

    \b
    Example:
      jina-v3 migrate drop docs-v3 --which old
    """
    from ..migration.changes import held
    from ..migration.opening import sides_of, trigger_notes
    from ..migration.state import MigrationState
    from ..store import shared_journal

    progress = known_migration(name)
    sides, spec = sides_of(progress.spec, source, target), progress.spec
    with closing(MigrationState(shared_journal(), progress.name)) as state, held(state.lock_file, 1.0) as is_mine:
        if not is_mine:
            raise StoreError(f"migration {progress.name!r} is being run by another process: stop it first")
        notes = trigger_notes(sides, spec, progress.name)
        if which != "none" and spec.in_place:
            _drop_vectors(sides.target, progress, confirm, new=which == "new")
        elif which != "none":
            _drop_collection(sides, progress, confirm, which)
        for one in notes:
            one.remove()
        state.forget()
    say(f"the move {progress.name} is over")


def _drop_collection(sides: Sides, progress: Progress, confirm: str | None, which: str) -> None:
    from ..migration.opening import drop_collection, store_opener
    from ..migration.state import known_migrations
    from ..migration.switching import named_by
    from ..store import shared_journal

    spec = progress.spec
    url, collection = {
        "old": (sides.source, spec.source_collection),
        "new": (sides.target, spec.target_collection),
    }[which]
    named_here = progress.alias is not None and (which == "new" or spec.source == spec.target)
    if named_here and named_by(progress.alias or "", store_opener(sides.target)) == collection:
        raise InvalidInput(f"collection {collection!r} is not deleted: {progress.alias} stands for it")
    readers = [each.name for each in known_migrations(shared_journal()) if _reads(each, spec, collection, which)]
    if readers:
        raise InvalidInput(
            f"collection {collection!r} is not deleted: the move {readers[0]} reads it too; end that one first: "
            f"jina-v3 migrate drop {readers[0]}"
        )
    if progress.alias is None and which == "old":
        say("no name was switched: make sure that no application searches the old collection any more")
    _confirm(collection, "collection", confirm)
    say(f"deleted {collection} with {drop_collection(url, collection):,} records")


def _reads(other: Progress, spec: MigrationSpec, collection: str, which: str) -> bool:
    """Whether another move is from the collection that is to be deleted."""
    store = spec.source if which == "old" else spec.target
    return other.spec != spec and (other.spec.source, other.spec.source_collection) == (store, collection)


def _drop_vectors(url: str, progress: Progress, confirm: str | None, *, new: bool) -> None:
    """The new or the old vectors of a move in place."""
    from ..migration.in_place import second_vector

    spec, alias = progress.spec, progress.alias
    with closing(second_vector(url, spec, to_new=new)) as store:
        name = store.check_droppable()
        if alias is None and not new:
            say(f"nothing was switched: make sure that no application searches the {store.kind} {name} any more")
        _confirm(name, store.kind, confirm)
        store.drop()
    say(f"dropped the {store.kind} {name} of {spec.source_collection}")


def _confirm(name: str, kind: str, confirm: str | None) -> None:
    typed = confirm if confirm is not None else click.prompt(f"Type the {kind}'s name, {name}, to delete it")
    if typed != name:
        raise InvalidInput(f"{typed!r} is not {name!r}: nothing was deleted")
