"""The contract that follows from the caller's settings and from what the collection says."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, is_dataclass

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import Task, offered
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import Blend, LateChunking, as_late_chunking
from jina_v3_encoder.vectors import check_dimensions

from .chunking import Chunker, WholeDocument
from .contract import EmbeddingContract
from .errors import StoreError

NO_WINDOWS = "window and overlap belong to late chunking: pass late_chunking=True with them"


@dataclass(frozen=True)
class Settings:
    """The caller's settings. None means the collection's value, or the default if there is no collection yet."""

    dimensions: int | None = None
    late_chunking: LateChunking | None = None
    chunker: Chunker | None = None
    window: int | None = None
    overlap: int | None = None

    def check(self, encoder: TextEncoder) -> None:
        """Refuse settings that are wrong for any collection, before one is opened.

        Raises:
            InvalidInput: a value of another type, a number out of range, or window without late chunking.
        """
        if not isinstance(self.dimensions, int) or self.dimensions <= encoder.dimensions:
            encoder.info.check_dimensions(self.dimensions)
        if self.late_chunking is not None:
            as_late_chunking(self.late_chunking)
        if self.chunker is not None and not callable(getattr(self.chunker, "spans", None)):
            raise InvalidInput(f"chunker must have a method spans and a description, got {self.chunker!r:.200}")
        if self.window is not None or self.overlap is not None:
            if self.late_chunking is False:
                raise InvalidInput(NO_WINDOWS)
            encoder.info.window_size(self.window, self.overlap)


def agree(
    settings: Settings, encoder: TextEncoder, stored: EmbeddingContract | None, collection: str
) -> EmbeddingContract:
    """The contract in use: the caller's values, then stored ones, then defaults. It is compared with the stored one.

    An encoder without tasks has no prompts either.

    Raises:
        ContractMismatch: the collection was filled in another way.
        InvalidInput: a number out of range, or window without late chunking.
    """
    late, window, overlap = _late_chunking(settings, encoder, stored)
    dimensions = settings.dimensions if settings.dimensions is not None or stored is None else stored.dimensions
    chunker = settings.chunker or WholeDocument()
    contract = EmbeddingContract(
        model=encoder.model_id,
        revision=encoder.revision,
        fingerprint=encoder.fingerprint,
        dimensions=check_dimensions(dimensions, max(encoder.dimensions, stored.dimensions if stored else 0)),
        chunker=stored.chunker if settings.chunker is None and stored else chunker.description,
        late_chunking=late,
        window=window,
        overlap=overlap,
        passage_task=offered(Task.RETRIEVAL_PASSAGE, encoder.tasks),
        query_task=offered(Task.RETRIEVAL_QUERY, encoder.tasks),
        prompts=bool(encoder.tasks),
        collection_id=stored.collection_id if stored else "",
    )
    if stored:
        stored.check(contract, collection)
    return contract


def check_layout(wanted: object, stored: object, collection: str) -> None:
    """Compare the options of a layout that the caller set with the collection's own. A default asks for nothing.

    Raises:
        StoreError: an option differs.
    """
    if not is_dataclass(wanted) or isinstance(wanted, type):
        return
    lines = []
    for option in fields(wanted):
        value, stored_value = getattr(wanted, option.name), getattr(stored, option.name)
        default = option.default if option.default_factory is MISSING else option.default_factory()
        if value not in (default, stored_value):
            lines.append(f"{option.name}: the collection has {stored_value!r}, you use {value!r}")
    if lines:
        raise StoreError(
            f"collection {collection!r} was made with another layout, which cannot be changed:\n  "
            + "\n  ".join(lines)
            + "\nLeave these options out, or ingest into a new collection. Nothing was changed."
        )


def _late_chunking(
    settings: Settings, encoder: TextEncoder, stored: EmbeddingContract | None
) -> tuple[bool | str, int | None, int | None]:
    """Late chunking on, off or blended, with its window and overlap."""
    window, overlap = settings.window, settings.overlap
    late: bool | str = stored.late_chunking if stored else False
    if settings.late_chunking is not None:
        way = as_late_chunking(settings.late_chunking)
        late = str(way) if isinstance(way, Blend) else way
    if not late:
        if window is not None or overlap is not None:
            raise InvalidInput(NO_WINDOWS)
        return False, None, None
    if window is None and stored is not None:
        window = stored.window
    if overlap is None and stored is not None and window == stored.window:
        overlap = stored.overlap
    return late, *encoder.info.window_size(window, overlap, blend=isinstance(late, str))
