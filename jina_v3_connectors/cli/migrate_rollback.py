"""`jina-v3 migrate rollback`."""

from __future__ import annotations

from contextlib import closing

import click

from .migrate_moves import known_migration, reopen_options
from .terminal import say


@click.command("rollback")
@reopen_options
def command(name: str | None, source: str | None, target: str | None) -> None:
    """Let the name stand for the old collection again. Nothing is deleted, so you may switch once more.

    It needs no model, and not the new collection. Where no name can stand for the old collection, as in another store,
    it says what to change instead, and ends with status 1.

    \b
    Example:
      jina-v3 migrate rollback docs-v3
    """
    from ..migration.in_place import second_vector
    from ..migration.opening import sides_of, store_opener
    from ..migration.state import MigrationState
    from ..migration.switching import rollback
    from ..store import shared_journal

    progress = known_migration(name)
    addresses = sides_of(progress.spec, source, target)
    with closing(MigrationState(shared_journal(), progress.name)) as state:
        alias, collection = rollback(state, store_opener(addresses.target, progress.spec))
    if progress.spec.in_place:
        with closing(second_vector(addresses.target, progress.spec)) as store:
            say(store.after_rollback)
        return
    say(f"{alias} stands for {collection} again")
