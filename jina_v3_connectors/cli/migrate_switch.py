"""`jina-v3 migrate switch`."""

from __future__ import annotations

import click

from .migrate_moves import known_migration, reopen_options, reopened
from .options import ModelChoice, encoder_options
from .terminal import say


@click.command("switch")
@reopen_options
@click.option("--alias", help="The name that searches use. It must be the name of no collection. In place: not needed.")
@click.option("--check", is_flag=True, help="Only say whether it is safe. Status 1 if it is not.")
@click.option("--accept-missing", type=click.IntRange(min=0), default=0, help="Exactly so many documents may miss.")
@click.option("--all", "verify_all", is_flag=True, help="Encode everything once more to check it, not only a sample.")
@encoder_options
def command(
    name: str | None,
    source: str | None,
    target: str | None,
    alias: str | None,
    check: bool,
    accept_missing: int,
    verify_all: bool,
    choice: ModelChoice,
) -> None:
    """Let a name stand for the new collection: for its vectors and for its model together.

    It is refused while documents are missing or changes wait, and if a sample that is encoded again is not what is
    stored. Searches by the name go on meanwhile: each is answered by one of the two collections. The contract of the
    collection tells `jina-v3 search` and our connectors which model, task and size a question needs.

    In place it is the new vectors that take the old ones' place: columns change their names; the contract of one of our
    Qdrant collections names the new vector; for others it says what to change in your application.

    A name stands for collections of one store. Where the old collection is in another store, or is a table of another
    project in PostgreSQL, your application's settings have to be changed too, and `rollback` cannot change them:
    --check says so.

    \b
    Example:
      jina-v3 migrate switch docs-v3 --alias live
    """
    from jina_v3_encoder.errors import InvalidInput

    from ..migration.opening import store_opener
    from ..migration.second_vector import SecondVector
    from ..migration.switching import readiness, switch

    known = known_migration(name).spec
    if known.in_place:
        alias = alias or known.fields.vector
    if alias is None and not check:
        raise InvalidInput("say with --alias which name searches use, or only --check whether it is safe")
    sample = 0 if verify_all else None
    with reopened(name, source, target, choice) as migration:
        if check or alias is None:
            ready = readiness(migration, accept_missing=accept_missing, sample=sample)
        else:
            opener = store_opener(target or source or known.target, known)
            ready = switch(migration, alias, opener, accept_missing=accept_missing, sample=sample)
        say(
            f"{ready.records:,} records before, {ready.stored:,} chunks now, {ready.missing:,} documents missing, "
            f"{ready.waiting:,} changes waiting, {ready.verification.chunks:,} chunks compared, lowest cosine "
            f"{ready.verification.worst:.5f}"
        )
        if ready.problems:
            for problem in ready.problems:
                say(f"not safe: {problem}")
            raise SystemExit(1)
        if check:
            say("safe to switch" if ready.no_way_back is None else f"safe to switch. But {ready.no_way_back}")
            return
        spec = migration.spec
        where = "" if spec.source == spec.target else f" in {spec.target}"
        back = f"Back again: jina-v3 migrate rollback {migration.state.name}"
        store = migration.target.store
        if isinstance(store, SecondVector):
            say(f"{store.after_switch}. {back}")
            return
        way = back if ready.no_way_back is None else ready.no_way_back[0].upper() + ready.no_way_back[1:]
        say(f"{alias} now stands for {spec.target_collection}{where}. {way}")
