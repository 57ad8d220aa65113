"""Opens both sides of a migration by their URLs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jina_v3_encoder.address import without_userinfo
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.retry import DEFAULT_RETRY, SHORT_RETRY, with_retries
from jina_v3_encoder.text_encoder import TextEncoder

from ..backends import find_location, hides_secrets, open_store, store_at
from ..chunking import Chunker, WholeDocument
from ..chunking.llm.chat import KEY_VARIABLE
from ..chunking.names import DEFAULT_CHUNKER, ChunkerOptions, chunker_named, client_of
from ..connector import VectorConnector, check_collection_name
from ..errors import ContractMissing, StoreError, StoreNotFound
from ..settings import Settings
from ..shared_encoders import tokenizer_of as usual_tokenizer
from ..store import Store, Stored, shared_journal
from .changes import Changes, WriterNotes
from .in_place import begun_in_place, new_vectors, second_vector
from .migration import OURS, Migration
from .rebuild import KeptChunks
from .records import RECOGNISED, FieldNames, Source
from .second_vector import EachRowAlone, SecondVector
from .sources import open_source
from .sources.open import is_export
from .spec import DEFAULTS, NAMELESS, OF_CHUNKER, MigrationSpec, ModelName, MoveSettings, without_password
from .state import PLANNED, MigrationState, find_migration

if TYPE_CHECKING:
    from .postgres_changes import PostgresNotes


@dataclass(frozen=True)
class Sides:
    """The addresses as the user gave them, with passwords, which no repr shows."""

    source: str = field(repr=False)
    target: str = field(repr=False)


def check_sides(sides: Sides, spec: MigrationSpec) -> None:
    """Refuse a move of a collection into itself, names that cannot be, and other names of collections.

    Raises:
        InvalidInput: they are the same, or a name is none, or an alias.
        StoreError: a store cannot be asked.
    """
    check_collection_name(spec.target_collection)
    if (spec.source, spec.source_collection) == (spec.target, spec.target_collection):
        raise InvalidInput(
            f"the old and the new collection are both {spec.target_collection!r} in {spec.target}: vectors of two "
            "models must not be mixed, so the new one needs a name of its own (--into)"
        )
    sides_and_names = [(sides.target, spec.target_collection, "--into")]
    if not is_export(sides.source):
        sides_and_names.append((sides.source, spec.source_collection, "--collection"))
    for url, name, option in sides_and_names:
        path = find_location(url)[1].path
        if path is not None and not path.exists():
            continue
        with closing(store_at(url, name)) as store:
            real_name = with_retries(store.real_name, SHORT_RETRY)
        if real_name != name:
            raise InvalidInput(
                f"{name!r} is an alias of the collection {real_name!r}, and may name another one tomorrow: give "
                f"{option} the name of a collection"
            )


def inherited(settings: MoveSettings, source: Source, encoder: TextEncoder) -> MoveSettings:
    """The settings of a new collection. How chunks are read is taken over from the old one, unless they say it.

    A window of late chunking is not: the new model has a default of its own. That of a blend is, where the new model
    can read it.
    """
    old = source.contract
    if settings.late_chunking is not None or old is None or not old.late_chunking:
        return settings
    fits = old.blend is not None and (old.window or 0) <= encoder.max_tokens
    window, overlap = (old.window, old.overlap) if fits else (None, None)
    if settings.window is not None or settings.overlap is not None:
        window, overlap = settings.window, settings.overlap
    return replace(settings, late_chunking=old.late_chunking, window=window, overlap=overlap)


def check_settings(settings: MoveSettings, encoder: TextEncoder) -> None:
    """Refuse what no new collection can have, before anything is noted.

    Raises:
        InvalidInput: a number out of range, window without late chunking, or a chunker where chunks are kept.
    """
    named = [name for name in OF_CHUNKER if getattr(settings, name) is not None]
    if settings.rechunk_tokens is None and named:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in named)
        raise InvalidInput(f"{options} without --rechunk TOKENS: the chunks are kept as they are, so nothing is cut")
    if settings.llm is not None and without_userinfo(settings.llm) != settings.llm:
        raise InvalidInput(
            f"--llm {without_userinfo(settings.llm)}: the address is kept with the move, and a password never is: give "
            f"it without, and the key as ${KEY_VARIABLE}"
        )
    encoder.info.check_dimensions(settings.dimensions)
    Settings(settings.dimensions, settings.reading, None, settings.window, settings.overlap).check(encoder)


def chunker_of(spec: MigrationSpec, source: Source, encoder: TextEncoder, tokenizer_of: Callable[[], Path]) -> Chunker:
    """How the new collection is cut: anew, as the old one of ours was, or each text as it is."""
    if spec.settings.rechunk_tokens is not None:
        return new_chunker(spec.settings, encoder, tokenizer_of())
    if source.contract is not None:
        return KeptChunks(source.contract.chunker)
    return KeptChunks(f"chunks of {source.description}") if spec.settings.late_chunking else WholeDocument()


def new_chunker(settings: MoveSettings, encoder: TextEncoder, tokenizer_file: Path) -> Chunker:
    """What cuts whole documents anew.

    Raises:
        InvalidInput: there is no such chunker, it has no such option, or its language model is not named.
    """
    details = {
        "max_tokens": settings.rechunk_tokens,
        "min_tokens": settings.min_chunk_tokens,
        "overlap": settings.chunk_overlap,
        "sentences": settings.chunk_sentences,
    }
    given: dict[str, Any] = {name: value for name, value in details.items() if value is not None}
    options = replace(ChunkerOptions(encoder=encoder, llm=client_of(settings.llm, settings.llm_model)), **given)
    return chunker_named(settings.chunker or DEFAULT_CHUNKER, tokenizer_file, options)


@contextmanager
def opened_source(sides: Sides, spec: MigrationSpec, beside: Store | None = None) -> Iterator[Source]:
    """The old collection, for reading. `beside` is a store of it that is open in this process."""
    source = open_source(sides.source, spec.source_collection, spec.fields, beside=beside)
    if spec.in_place and source.contract is None:
        source = EachRowAlone(source)
    try:
        yield source
    finally:
        source.close()


@contextmanager
def opened_migration(
    sides: Sides,
    spec: MigrationSpec,
    name: str,
    encoder: TextEncoder,
    tokenizer_of: Callable[[], Path],
    *,
    notes: Sequence[Changes] = (),
    state: Path | None = None,
    beside: Store | None = None,
) -> Iterator[Migration]:
    """Both sides and the state.

    Args:
        sides, spec, name, encoder: What is moved where, and the new model.
        tokenizer_of: The tokenizer.json for a chunker.
        notes: Those who note changes of the old collection, beside our own writers.
        state: The file that keeps the state, by default the journal of this machine.
        beside: A store of the old collection that is open in this process.

    Raises:
        InvalidInput: the two sides are one, or a URL has no known form.
        ContractMismatch: the new collection was begun with another model.
        StoreError: a side cannot be opened, or the move was begun with other settings.
    """
    check_sides(sides, spec)
    with ExitStack() as stack:
        memory = MigrationState(state or shared_journal(), name)
        stack.callback(memory.close)
        begun = memory.progress()
        spec = begun.continued(spec) if begun else spec
        if begun is None:
            spec = begun_in_place(sides.source, spec)
        source = stack.enter_context(opened_source(sides, spec, beside))
        if begun is None or begun.stage == PLANNED:
            spec = replace(spec, settings=inherited(spec.settings, source, encoder))
        target = stack.enter_context(_target(sides, spec, encoder, source, tokenizer_of))
        changes: list[Changes] = [*notes]
        if source.description == OURS:
            changes.append(WriterNotes(memory))
        if isinstance(target.store, SecondVector):
            changes += target.store.changes(target, memory)

        def target_records() -> Source:  # no partial: its repr would show the address
            if spec.in_place:
                return new_vectors(sides.target, spec)
            return open_source(sides.target, spec.target_collection, beside=target.store)

        yield Migration(spec, source, target, target_records, memory, changes)


def _target(
    sides: Sides, spec: MigrationSpec, encoder: TextEncoder, source: Source, tokenizer_of: Callable[[], Path]
) -> VectorConnector:
    """The connector of the new collection, or of the new column."""
    settings = spec.settings
    if spec.in_place:

        def beside() -> Store:  # no partial: its repr would show the address
            return second_vector(sides.target, spec)

        return VectorConnector(
            encoder,
            spec.target_collection,
            beside,
            dimensions=settings.dimensions,
            late_chunking=settings.reading,
            window=settings.window,
            overlap=settings.overlap,
            chunker=chunker_of(spec, source, encoder, tokenizer_of),
        )
    return open_store(
        sides.target,
        encoder,
        spec.target_collection,
        dimensions=settings.dimensions,
        late_chunking=settings.reading,
        window=settings.window,
        overlap=settings.overlap,
        chunker=chunker_of(spec, source, encoder, tokenizer_of),
    )


@contextmanager
def open_migration(
    source: str,
    source_collection: str,
    target: str,
    target_collection: str,
    encoder: TextEncoder,
    settings: MoveSettings = DEFAULTS,
    *,
    fields: FieldNames = RECOGNISED,
    name: str | None = None,
    triggers: bool = True,
    in_place: bool = False,
    beside: Store | None = None,
) -> Iterator[Migration]:
    """A move from one collection to another, begun or to be begun, for `run`, `follow` and `MigratingConnector`.

    Args:
        source, target: URLs of the stores; they may be the same. `source` may be an export, a .jsonl file.
        source_collection, target_collection: The old and the new collection. The new one is made on first use.
        encoder: The new model.
        settings: How the new collection is made.
        fields: The old collection's fields, where they are not recognised.
        name: Of the move, on this machine; by default that of the new collection. What `settings` leave out of a move
            that was begun stays as it was begun; else chunks are read as in the old collection.
        triggers: In PostgreSQL, note what others write to the old collection.
        in_place: In PostgreSQL, fill a new column of the old table; on a Qdrant server, a new named vector of the old
            collection. `target` is `source`, and `target_collection` both names, as "articles.embedding_v3".
        beside: A store of the old collection that is open in this process. Embedded engines open a folder once.

    Raises:
        InvalidInput: a URL of no known form, or both sides are one.
        ContractMismatch: the new collection was begun with another model.
        StoreError: the move was begun with other settings, a side cannot be opened, or no triggers can be made.
    """
    sides = Sides(source, target)
    called = name or target_collection
    spec = spec_of(sides, source_collection, target_collection, fields, settings, in_place=in_place)
    if find_migration(shared_journal(), called) is None:
        spec = begun_in_place(sides.source, spec)
    check_settings(settings, encoder)
    notes = trigger_notes(sides, spec, called, install=True) if triggers else []
    with opened_migration(
        sides, spec, called, encoder, lambda: usual_tokenizer(encoder), notes=notes, beside=beside
    ) as migration:
        yield migration


def store_opener(url: str, spec: MigrationSpec | None = None) -> Callable[[str], Store]:
    """Opens collections of one backend by name, without a model. For a move in place, give its `spec`: the name that is
    switched is that of the old vectors.
    """
    if spec is not None and spec.in_place:
        return lambda _: second_vector(url, spec, to_new=False)
    return lambda name: store_at(url, name)  # no partial: its repr would show the address


@contextmanager
def name_reader(url: str, alias: str) -> Iterator[Callable[[], Stored | None]]:
    """A function that reads what a name stands for now. An open folder stays what it was, so it is opened each time."""

    def read_folder() -> Stored | None:
        with closing(store_at(url, alias)) as store:
            return store.read()

    if find_location(url)[1].path is not None:
        yield read_folder
        return
    with closing(store_at(url, alias)) as store:
        yield store.read


def spec_of(
    sides: Sides,
    source_collection: str,
    target_collection: str,
    fields: FieldNames = RECOGNISED,
    settings: MoveSettings = DEFAULTS,
    model: ModelName = NAMELESS,
    *,
    in_place: bool = False,
) -> MigrationSpec:
    """The settings that are kept. Passwords are left out."""
    source, target = without_password(sides.source), without_password(sides.target)
    return MigrationSpec(source, source_collection, target, target_collection, fields, settings, model, in_place)


def sides_of(spec: MigrationSpec, source: str | None, target: str | None) -> Sides:
    """The addresses for a later command: those given now, else the ones that were kept.

    Where both sides are in one store, one address is enough.

    Raises:
        StoreError: an address given now is another one.
    """
    for given, kept, side in ((source, spec.source, "old"), (target, spec.target, "new")):
        if given is not None and not _is_same_place(given, kept):
            raise StoreError(
                f"the {side} store of this migration is {kept}, not {without_password(given)}: give the same address, "
                "with its password if it needs one"
            )
    if spec.source == spec.target:
        source, target = source or target, target or source
    return Sides(source or spec.source, target or spec.target)


def _is_same_place(given: str, kept: str) -> bool:
    """Whether an address is the one that was kept. Folders may be written in several ways."""
    if without_password(given) == kept:
        return True
    if is_export(given) or is_export(kept):
        return False
    folders = [find_location(url)[1].path for url in (given, kept) if not hides_secrets(url)]
    return len(folders) == 2 and None not in folders and len({path.resolve() for path in folders if path}) == 1


def drop_collection(url: str, collection: str) -> int:
    """Delete a collection with everything in it. Returns how many records it had.

    Raises:
        StoreError: it is a file or a table that this project did not make, or the store refuses.
    """
    foreign = "this project did not make it, so it does not delete it: do it yourself"
    if is_export(url):
        raise StoreError(f"{url}: {foreign}")
    with closing(store_at(url, collection)) as store:
        try:
            if store.read() is None:
                raise StoreNotFound(f"there is no collection {collection!r} in {without_password(url)}")
        except ContractMissing as error:
            raise StoreError(f"{collection!r} in {without_password(url)}: {foreign}") from error
        count = store.count()
        store.drop()
        return count


def trigger_notes(sides: Sides, spec: MigrationSpec, name: str, *, install: bool = False) -> list[PostgresNotes]:
    """The triggers of the old collection's table. None where it is not in PostgreSQL, or where they were never made.

    With `install`, the migration is begun, and they are made.

    Raises:
        StoreError: the triggers cannot be made; or they are gone.
    """
    if is_export(sides.source) or find_location(sides.source)[0].name != "postgresql":
        return []
    from .postgres_changes import notes_of

    with closing(MigrationState(shared_journal(), name)) as state:
        if install:
            state.begin(spec)
        progress = state.progress()
        if progress is None or not (install or progress.triggers):
            return []
        notes = notes_of(sides.source, spec.source_collection, progress.token, spec.fields.vector)
        if install:
            state.has_triggers()
            with_retries(notes.install, DEFAULT_RETRY)
        elif not notes.are_made():
            raise StoreError(
                f"the triggers that note changes of {spec.source_collection!r} are not there any more, so changes may "
                "be missing: run it again, which makes them and lists everything anew"
            )
        return [notes]
