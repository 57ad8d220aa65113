"""What the commands that make, check and end a move share: its settings, and finding it again by its name."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.blend import Blend

from ..errors import StoreNotFound
from ..shared_encoders import tokenizer_of
from .chunkers import NAMES, detail_options
from .migrate_options import SourceChoice
from .options import DEFAULT_MODEL, ModelChoice, late_options

if TYPE_CHECKING:
    from jina_v3_encoder.text_encoder import TextEncoder

    from ..migration.migration import Migration
    from ..migration.opening import Sides
    from ..migration.records import Source
    from ..migration.spec import MigrationSpec, ModelName, MoveSettings
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
        type=click.Choice(NAMES),
        help="With --rechunk: what cuts them, by the five options that follow. Default: splitter.",
    ),
    *detail_options(defaults=False),
)
IN_PLACE_OPTION = click.option(
    "--in-place",
    "column",
    metavar="NAME",
    help="In place of --to and --into, beside the old vectors: a new column of a table in PostgreSQL, or a new named "
    "vector of a collection on a Qdrant server.",
)
REOPEN_OPTIONS = (
    click.argument("name", required=False),
    click.option("--from", "source", metavar="URL", help="The old store again, where its URL needs a password."),
    click.option("--to", "target", metavar="URL", help="The new store again, where its URL needs a password."),
)


@dataclass(frozen=True)
class InPlaceChoice(SourceChoice):
    """The new vectors of a move in place."""

    spec: MigrationSpec | None = None

    def open(self) -> Source:
        from ..migration.in_place import new_vectors

        assert self.spec is not None
        return new_vectors(self.store, self.spec)


def move_options(function: _F) -> _F:
    """How the new collection is made; the command gets it as `settings`, and --in-place as `column`."""

    @wraps(function)
    def command(**values: Any) -> Any:
        from ..migration.spec import MoveSettings

        choices = {choice.name: values.pop(choice.name) for choice in fields(MoveSettings)}
        return function(settings=MoveSettings(**choices), **values)

    for option in reversed((*MOVE_OPTIONS, IN_PLACE_OPTION)):
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
    if spec.in_place:
        return old, InPlaceChoice(addresses.target, spec.target_collection, spec=spec)
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
    """The encoder that the options name, else the one of the move, else the one that filled the new collection."""
    from ..backends import filled_store

    choice = remembered(choice, spec.model)
    if not choice.names_nothing:
        return choice.text_encoder()
    store, stored = filled_store(addresses.target, spec.target_collection)
    store.close()
    return choice.text_encoder(stored.contract.model, stored.contract.revision, download=False)


@dataclass(frozen=True)
class ChosenMove:
    """A move that the options describe: a new one, or one that was begun."""

    name: str
    sides: Sides
    spec: MigrationSpec
    encoder: TextEncoder
    begun: bool
    """Whether it was begun before. Then `spec` has what it was begun with, where the options leave it out."""


def chosen_move(
    begun: str | None,
    name: str | None,
    source: SourceChoice | None,
    target: SourceChoice | None,
    column: str | None,
    settings: MoveSettings,
    choice: ModelChoice,
) -> ChosenMove:
    """The move to plan or to run. Changes nothing.

    Args:
        begun: The name of a move to go on with.
        name: A name for a new one; by default that of the new collection.
        source, target: Both collections, None for those of the move that was begun.
        column: In place of `target`, a new column of the old table.
        settings, choice: How the new collection is made, as far as the options say it.

    Raises:
        InvalidInput: the options are not enough, or impossible.
        StoreError: they contradict what the move was begun with, or a store cannot be asked.
    """
    from ..migration.in_place import begun_in_place
    from ..migration.opening import check_settings, check_sides, spec_of
    from ..migration.spec import NAMELESS
    from ..migration.state import find_migration
    from ..store import shared_journal

    if begun is not None and name is not None:
        raise InvalidInput("--name is for a new move: leave it out to go on with one by its name")
    if column is not None and (source is None or target is not None):
        raise InvalidInput("--in-place goes with --from and --collection, and without --to and --into")
    if column is not None and source is not None:
        target = SourceChoice(source.store, f"{source.collection}.{column}")
    if source is None and target is None:
        begun = known_migration(begun).name
    old, new = sides_of_move(begun, source, target)
    addresses, called = sides(old, new), begun or name or new.collection
    given = NAMELESS if choice.names_nothing else model_name(choice)
    in_place = column is not None
    spec = spec_of(addresses, old.collection, new.collection, old.names, settings, given, in_place=in_place)
    check_sides(addresses, spec)
    before = find_migration(shared_journal(), called)
    if before is None:
        spec = replace(begun_in_place(addresses.source, spec), model=model_name(choice))
        encoder = choice.text_encoder()
    else:
        spec = before.continued(spec)
        try:
            encoder = encoder_of(addresses, spec, choice)
        except StoreNotFound:  # begun with an encoder in memory, and stopped before it made the new collection
            encoder = choice.text_encoder()
    check_settings(spec.settings, encoder)
    return ChosenMove(called, addresses, spec, encoder, before is not None)


def model_name(choice: ModelChoice) -> ModelName:
    """The model that the options name, or their default, to be kept with a move. A folder is kept with its whole path.

    The password in a server's address is not kept.
    """
    from jina_v3_encoder.address import without_userinfo

    from ..migration.spec import ModelName

    if choice.url is not None:
        return ModelName(server=without_userinfo(choice.url))
    model = choice.model or DEFAULT_MODEL
    folder = Path(model).expanduser()
    return ModelName(str(folder.absolute()) if folder.is_dir() else model, choice.revision, choice.quantize)


def remembered(choice: ModelChoice, name: ModelName) -> ModelChoice:
    """The model that the options name, else the one that a move was begun with.

    Raises:
        InvalidInput: that was a server whose address has a password, which is not kept.
    """
    from jina_v3_encoder.address import HIDDEN

    if not choice.names_nothing:
        return choice
    if name.server is not None and HIDDEN in name.server:
        raise InvalidInput(f"{name.server!r} was kept without its password: give --encoder once more")
    return replace(
        choice,
        model=name.model,
        revision=choice.revision or name.revision,
        quantize=choice.quantize or name.quantize,
        url=name.server,
    )


def options_of(spec: MigrationSpec) -> str:
    """How a move was begun, as options. Defaults are left out."""
    settings, fields, model = spec.settings, spec.fields, spec.model
    reading = {None: "", True: "--late-chunking", False: "--no-late-chunking"}
    late = "--blend" if isinstance(settings.reading, Blend) else reading[settings.reading]
    values = {
        "--model": model.model,
        "--revision": model.revision,
        "--quantize": model.quantize,
        "--encoder": model.server,
        "--dimensions": settings.dimensions,
        "--window": settings.window,
        "--overlap": settings.overlap,
        "--rechunk": settings.rechunk_tokens,
        "--chunker": settings.chunker,
        "--min-chunk-tokens": settings.min_chunk_tokens,
        "--chunk-overlap": settings.chunk_overlap,
        "--chunk-sentences": settings.chunk_sentences,
        "--llm": settings.llm,
        "--llm-model": settings.llm_model,
        "--text-field": fields.text,
        "--document-field": fields.document,
        "--order-field": fields.order,
        "--metadata-fields": None if fields.metadata is None else ",".join(fields.metadata),
        "--vector-field": fields.vector,
    }
    words = [word for name, value in values.items() if value is not None for word in (name, str(value))]
    return shlex.join([*words, *([late] if late else [])])
