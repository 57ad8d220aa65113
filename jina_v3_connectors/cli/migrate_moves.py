"""What the commands that make, check and end a move share: its settings, and finding it again by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jina_v3_encoder.errors import InvalidInput

from ..shared_encoders import tokenizer_of
from .chunkers import DEFAULT, LOCAL
from .migrate_options import SourceChoice
from .options import ModelChoice, late_options

if TYPE_CHECKING:
    from jina_v3_encoder.text_encoder import TextEncoder

    from ..migration.migration import Migration
    from ..migration.opening import Sides
    from ..migration.spec import MigrationSpec
    from ..migration.state import Progress
    from ..store import Store

_F = TypeVar("_F", bound=Callable[..., Any])


MOVE_OPTIONS = (
    click.option("--dimensions", type=int, help="Size of the new vectors; default that of the model."),
    click.option(
        "--rechunk",
        "rechunk_tokens",
        type=click.IntRange(min=1),
        metavar="TOKENS",
        help="Cut whole documents anew, into chunks of at most so many tokens. Default: keep the chunks as they are.",
    ),
    click.option(
        "--chunker",
        type=click.Choice(LOCAL),
        default=DEFAULT,
        show_default=True,
        help="With --rechunk: what cuts them.",
    ),
)
REOPEN_OPTIONS = (
    click.argument("name", required=False),
    click.option("--from", "source", metavar="URL", help="The old store again, where its URL needs a password."),
    click.option("--to", "target", metavar="URL", help="The new store again, where its URL needs a password."),
)


def move_options(function: _F) -> _F:
    """How the new collection is made; the command gets it as `settings`."""

    @wraps(function)
    def command(**values: Any) -> Any:
        from ..migration.spec import MoveSettings

        choices = {choice.name: values.pop(choice.name) for choice in fields(MoveSettings)}
        return function(settings=MoveSettings(**choices), **values)

    for option in reversed(MOVE_OPTIONS):
        command = option(command)
    return late_options(command)  # type: ignore[return-value]


def reopen_options(function: _F) -> _F:
    """NAME, --from and --to of a move that was begun before."""
    for option in reversed(REOPEN_OPTIONS):
        function = option(function)
    return function


def sides(source: SourceChoice, target: SourceChoice) -> Sides:
    """The addresses of both sides."""
    from ..migration.opening import Sides

    return Sides(source.store, target.store)


def known_migration(name: str | None) -> Progress:
    """The migration of this name, or the only one.

    Raises:
        InvalidInput: there is none of this name, or several and no name.
    """
    from ..migration.state import known_migrations
    from ..store import shared_journal

    known = known_migrations(shared_journal())
    names = ", ".join(progress.name for progress in known)
    if name is None and len(known) == 1:
        return known[0]
    for progress in known:
        if progress.name == name:
            return progress
    if not known:
        raise InvalidInput("no migration was begun on this machine: begin one with `jina-v3 migrate run`")
    asked = "say which one" if name is None else f"there is no migration {name!r}"
    raise InvalidInput(f"{asked}: the migrations begun on this machine are {names}")


def sides_of_move(
    name: str | None, source: SourceChoice | None, target: SourceChoice | None
) -> tuple[SourceChoice, SourceChoice]:
    """Both collections: those that the options name, or those of a migration that was begun before.

    Raises:
        InvalidInput: one collection without the other, or there is no such migration.
    """
    if name is None and source is not None and target is not None and target.collection:
        return source, target
    if name is None and (source is not None or target is not None):
        raise InvalidInput("name both collections, with --from, --to and --into; or a migration that was begun before")
    from ..migration.opening import sides_of

    spec = known_migration(name).spec
    stores = [side.store if side is not None else None for side in (source, target)]
    addresses = sides_of(spec, *stores)
    old = SourceChoice(
        addresses.source,
        spec.source_collection,
        spec.fields.text,
        spec.fields.document,
        spec.fields.order,
        None if spec.fields.metadata is None else ",".join(spec.fields.metadata),
        spec.fields.vector,
    )
    return old, SourceChoice(addresses.target, spec.target_collection)


@contextmanager
def reopened(
    name: str | None, source: str | None, target: str | None, choice: ModelChoice, beside: Store | None = None
) -> Iterator[Migration]:
    """A migration that was begun before, by its name. `beside` is a store of the old collection that is open here."""
    from ..migration.opening import opened_migration, sides_of, trigger_notes

    progress = known_migration(name)
    addresses = sides_of(progress.spec, source, target)
    encoder = encoder_of(addresses, progress.spec, choice)
    with opened_migration(
        addresses,
        progress.spec,
        progress.name,
        encoder,
        lambda: tokenizer_of(encoder),
        notes=trigger_notes(addresses, progress.spec, progress.name),
        beside=beside,
    ) as migration:
        yield migration


def encoder_of(addresses: Sides, spec: MigrationSpec, choice: ModelChoice) -> TextEncoder:
    """The encoder that the options name, else the one that filled the new collection."""
    from ..backends import filled_store

    if choice.model is not None or choice.url is not None:
        return choice.text_encoder()
    store, stored = filled_store(addresses.target, spec.target_collection)
    store.close()
    return choice.text_encoder(stored.contract.model, stored.contract.revision, download=False)
