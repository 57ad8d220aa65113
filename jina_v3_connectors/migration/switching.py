"""Moves the name that searches use from the old collection to the new one, and back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial

from jina_v3_encoder.retry import SHORT_RETRY, with_retries

from ..backends import backend_of
from ..connector import check_collection_name
from ..errors import ContractMissing, DocumentError, StoreBusy, StoreError
from ..store import Store
from .changes import held
from .migration import MAY_WAIT, OURS, Migration
from .second_vector import no_name
from .sources.open import is_export
from .spec import MigrationSpec
from .state import SWITCHED, MigrationState
from .verification import Verification

OpenStore = Callable[[str], Store]
"""Opens a collection of the target's backend by its name, an alias too."""


@dataclass
class Readiness:
    """Whether it is safe to switch."""

    records: int
    """Of the old collection, now."""
    stored: int
    """Chunks of the new collection."""
    missing: int
    waiting: int
    verification: Verification
    problems: list[str] = field(default_factory=list)
    """Why not, as sentences. Empty if it is safe."""
    no_way_back: str | None = None
    """Why `rollback` will not be able to undo it. None where it will."""


def readiness(migration: Migration, *, accept_missing: int = 0, sample: int | None = None) -> Readiness:
    """Look at both collections. Changes nothing.

    Args:
        migration: What was run before.
        accept_missing: So many documents may be missing: exactly the number that the last run named.
        sample: Documents that are encoded again, None for the usual number, 0 for all.
    """
    totals = migration.state.totals()
    if migration.state.progress() is None or not totals.records:
        return Readiness(0, 0, 0, 0, Verification(), ["nothing was moved yet: run it first"])
    missing = sum(1 for _ in migration.missing())
    result = Readiness(
        records=with_retries(migration.source.count, SHORT_RETRY),
        stored=migration.target.count(),
        missing=missing,
        waiting=migration.waiting(),
        verification=migration.verify(sample),
        no_way_back=no_way_back(migration.spec, is_ours=migration.source.description == OURS),
    )
    if missing != accept_missing:
        result.problems.append(
            f"{missing:,} documents are missing in the new collection: run it again; or, if they may be missing, say "
            f"--accept-missing {missing}"
            if missing
            else f"no document is missing, and --accept-missing says {accept_missing}: leave it out"
        )
    if result.waiting > MAY_WAIT:
        result.problems.append(
            f"{result.waiting:,} changes are not brought over yet, {MAY_WAIT} may wait at most: run it again"
        )
    if result.records != totals.records and not result.waiting:
        result.problems.append(
            f"the old collection holds {result.records:,} records by now, {totals.records:,} were listed: run it again"
        )
    if not result.verification.is_right:
        first = result.verification.wrong[0]
        result.problems.append(
            f"{result.verification.wrong_count:,} of {result.verification.chunks:,} compared chunks are wrong, such as "
            f"chunk {first.chunk} of document {first.document!r}: {first.reason}"
        )
    if not result.verification.chunks:
        result.problems.append("nothing could be compared: every document changes, or the new collection is empty")
    return result


def switch(
    migration: Migration, alias: str, open_store: OpenStore, *, accept_missing: int = 0, sample: int | None = None
) -> Readiness:
    """Let `alias` name the new collection, if it is safe. Searches by that name never fail on the way.

    Effects come in this order. Below each stands what is left if it dies after it.

    1. The state notes the name, and what it named before. Nothing has changed for searches.
    2. The backend moves the name, at once. Searches use the new collection. Switching again, or back, works.
    3. The state notes that it is done.
    4. Changes that were made meanwhile are brought over.

    No lock is held while the model computes, and none stops those who write.

    Raises:
        StoreError: it is not safe, another name was switched before, the backend has no aliases, or a collection itself
            has this name.
        DocumentError: a change cannot be brought over.
    """
    check_collection_name(alias)
    with migration.alone(SHORT_RETRY):
        progress = migration.state.progress()
        if (
            progress is not None
            and progress.alias not in (None, alias)
            and named_by(progress.alias or "", open_store) == migration.spec.target_collection
        ):
            raise StoreError(f"this migration has switched {progress.alias!r} before: roll that back first")
        if progress is not None:
            migration.follow_alone(skip_bad=False, retry=SHORT_RETRY)
        result = readiness(migration, accept_missing=accept_missing, sample=sample)
        if result.problems:
            raise StoreError("it is not safe to switch, nothing was changed:\n  " + "\n  ".join(result.problems))
        named = named_by(alias, open_store)
        if named != migration.spec.target_collection:  # a switch that was stopped after its effect stays what it noted
            migration.state.point(alias, named)
        try:
            migration.target.swap_alias(alias)
        except StoreBusy:  # it may have moved
            raise
        except StoreError:
            before = (progress.alias, progress.previous) if progress else (None, None)
            migration.state.point(*before)
            raise
        if named is not None and named != migration.spec.target_collection:
            result.no_way_back = None  # the name stood for a collection of this store, and can do so again
        migration.state.reach(SWITCHED)
        with suppress(DocumentError):  # its note waits, and the next run names it
            migration.follow_alone(skip_bad=False, retry=SHORT_RETRY)
    return result


def no_way_back(spec: MigrationSpec, *, is_ours: bool) -> str | None:
    """Why `rollback` cannot lead searches back to the old collection, and what to do instead. None where it can.

    `is_ours`: this project made the old collection.
    """
    if spec.in_place:
        return None if is_ours or backend_of(spec.target).foreign_in_place else no_name(spec)
    old, new = f"{spec.source_collection!r} in {spec.source}", f"{spec.target_collection!r} in {spec.target}"
    if is_export(spec.source):
        return "the old side is an export, which cannot be searched: keep what it was made from until you are sure"
    backend = backend_of(spec.target)
    if not backend.aliases:
        return (
            f"{backend.title} has no aliases, so no name is switched: your application's settings name {new}, and "
            f"{old} again to go back"
        )
    if spec.source != spec.target:
        return (
            f"the old collection is in {spec.source}, the new one in {spec.target}, and no name stands for both: "
            f"searches reach the new one once your application's settings name {spec.target}, and go back when they "
            f"name {old} again. `rollback` cannot do that for you"
        )
    if not (is_ours or backend.foreign_aliases):
        return (
            f"{spec.source_collection!r} is a table of another project, and no name of ours can stand for it: an "
            f"application with SQL of its own names the table {spec.target_collection!r} in its code, and "
            f"{spec.source_collection!r} again to go back. `rollback` cannot do that for you"
        )
    return None


def rollback(state: MigrationState, open_store: OpenStore) -> tuple[str, str]:
    """Let the name stand again for what it stood for before. Needs no model, and not the new collection.

    Returns the name, and the collection that it stands for.

    Raises:
        StoreError: nothing was switched, the store refuses, or no name can stand for the old collection.
    """
    progress = state.progress()
    if progress is None or progress.alias is None:
        raise StoreError(f"migration {state.name!r} has switched nothing, so there is nothing to roll back")
    spec = progress.spec
    collection = progress.previous or spec.source_collection
    with held(state.lock_file, SHORT_RETRY.total) as is_mine:
        if not is_mine:
            raise StoreError(f"migration {state.name!r} is being run by another process: stop it first")
        if progress.previous is None:
            reason = no_way_back(spec, is_ours=_is_ours(spec, open_store))
            if reason is not None:
                raise StoreError(f"{progress.alias!r} was not moved: {reason}")
        with closing(open_store(collection)) as old:
            with_retries(partial(old.point_alias, progress.alias), SHORT_RETRY)
        state.roll_back()
    return progress.alias, collection


def _is_ours(spec: MigrationSpec, open_store: OpenStore) -> bool:
    """Whether this project made the old collection, where that is in the new one's store."""
    if spec.source != spec.target:
        return False
    with closing(open_store(spec.source_collection)) as old:
        try:
            return with_retries(old.read, SHORT_RETRY) is not None
        except ContractMissing:
            return False


def named_by(alias: str, open_store: OpenStore) -> str | None:
    """The collection that a name stands for now, None where there is no such name."""
    with closing(open_store(alias)) as store:
        name = with_retries(store.real_name, SHORT_RETRY)
    return None if name == alias else name


def is_switched(migration: Migration) -> bool:
    """Whether the last switch was not rolled back, as the state says."""
    progress = migration.state.progress()
    return progress is not None and progress.stage == SWITCHED
