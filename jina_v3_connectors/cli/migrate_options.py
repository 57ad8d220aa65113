"""Options and values that the commands of `jina-v3 migrate` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jina_v3_encoder.task import TASK_NAMES

from ..backends import STORE_FORMS
from ..shared_encoders import SERVERS
from .options import NO_TASK, ModelChoice

if TYPE_CHECKING:
    from rich.console import Console

    from jina_v3_encoder.text_encoder import TextEncoder

    from ..migration.progress import Advance
    from ..migration.records import FieldNames, Source

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class SourceChoice:
    """The collection that the options name, and its fields. It is read and never written."""

    store: str = field(repr=False)
    collection: str
    text_field: str | None = None
    document_field: str | None = None
    order_field: str | None = None
    metadata_fields: str | None = None
    vector_field: str | None = None

    @property
    def name(self) -> str:
        """For people, without a password."""
        from ..backends import shown_url

        return f"{self.collection} in {shown_url(self.store)}"

    def open(self) -> Source:
        """The collection.

        Raises:
            InvalidInput, MissingExtra, StoreError: see `open_source`.
        """
        from ..migration.sources import open_source

        return open_source(self.store, self.collection, self.names)

    @property
    def names(self) -> FieldNames:
        """The fields that the options name."""
        from ..migration.records import FieldNames

        metadata = None if self.metadata_fields is None else tuple(self.metadata_fields.split(","))
        return FieldNames(
            text=self.text_field,
            document=self.document_field,
            order=self.order_field,
            metadata=metadata,
            vector=self.vector_field,
        )


FIELD_OPTIONS = (
    click.option("--collection", default="documents", show_default=True, metavar="NAME", help="Its collection."),
    click.option(
        "--text-field",
        metavar="FIELD",
        help="Holds the text. Needed where the collection is not recognised; a.b is b inside a.",
    ),
    click.option("--document-field", metavar="FIELD", help="Holds the id of the document that the text is a part of."),
    click.option("--order-field", metavar="FIELD", help="Holds the number of the text among those of its document."),
    click.option(
        "--metadata-fields", metavar="FIELD,FIELD,…", help="Are kept as metadata.  [default: all other fields]"
    ),
    click.option("--vector-field", metavar="NAME", help="The vector to read, where a record has several."),
)
OLD_MODEL = "--old-model"
OLD_TASK = "--old-task"


def source_options(function: _F) -> _F:
    """--from, --collection and the names of fields; the command gets them as `source`."""
    return _source_options(function, required=True)


def target_options(function: _F) -> _F:
    """--to and --into; the command gets them as `target`."""
    return _target_options(function, required=True)


def side_options(function: _F) -> _F:
    """All of them, where the name of a move may stand in their place. What is not given is None."""
    return _source_options(_target_options(function, required=False), required=False)


def _source_options(function: _F, *, required: bool) -> _F:
    @wraps(function)
    def command(**values: Any) -> Any:
        choices = {name: values.pop(name) for name in (option_field.name for option_field in fields(SourceChoice))}
        return function(source=SourceChoice(**choices) if choices["store"] is not None else None, **values)

    store = click.option(
        "--from",
        "store",
        required=required,
        metavar="URL",
        help=f"The store to move from; it is only read. {STORE_FORMS}.",
    )
    return _decorated(command, (store, *FIELD_OPTIONS))  # type: ignore[return-value]


def _target_options(function: _F, *, required: bool) -> _F:
    @wraps(function)
    def command(**values: Any) -> Any:
        store, collection = values.pop("target_store"), values.pop("target_collection")
        return function(target=None if store is None else SourceChoice(store, collection or ""), **values)

    store = click.option(
        "--to", "target_store", required=required, metavar="URL", help="The store to move to; it may be the same."
    )
    collection = click.option(
        "--into", "target_collection", required=required, metavar="NAME", help="The new collection in it."
    )
    return _decorated(command, (store, collection))  # type: ignore[return-value]


def old_model_options(function: _F) -> _F:
    """--old-model and --old-task; the command gets them as `old_model` and `old_task`."""
    options = (
        click.option(
            OLD_MODEL,
            metavar="NAME",
            help="The model that filled the collection of --from, where it does not say so itself: as for --model, or "
            "the URL of a server of vectors.",
        ),
        click.option(
            OLD_TASK,
            type=click.Choice([*TASK_NAMES, NO_TASK]),
            help="The task that it was filled with. Questions get retrieval.query where that is retrieval.passage.  "
            "[default: retrieval.passage, or none for a model without tasks]",
        ),
    )
    return _decorated(function, options)


def _decorated(command: _F, options: Sequence[Callable[[_F], _F]]) -> _F:
    for option in reversed(options):
        command = option(command)
    return command


def html_option(function: _F) -> _F:
    """--html; the command gets it as `html_file`."""
    option = click.option(
        "--html",
        "html_file",
        type=click.Path(path_type=Path, dir_okay=False, writable=True),
        metavar="FILE",
        callback=_in_a_folder,
        help="Also write a page that stands alone.",
    )
    return option(function)


def _in_a_folder(_: click.Context, __: click.Parameter, file: Path | None) -> Path | None:
    """Told before a long pass, not after it."""
    if file is not None and not file.parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.parent}")
    return file


def named_encoder(name: str, choice: ModelChoice) -> TextEncoder:
    """The encoder of a model that was named besides --model: with the device of `choice`, or a server by its URL."""
    if name.startswith(SERVERS):
        from jina_v3_encoder.remote import RemoteEncoder

        return RemoteEncoder(name)
    return ModelChoice(name, None, choice.device, choice.dtype, choice.quantize, choice.threads).load()


@contextmanager
def progress_bars(console: Console) -> Iterator[Advance]:
    """Bars for long passes, one for each name. A total of 0 shows work whose length is not known."""
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from .terminal import printable

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bars: dict[str, Any] = {}

        def advance(what: str, done: int, total: int) -> None:
            if what not in bars:
                for bar in bars.values():  # what came before is over
                    progress.stop_task(bar)
                bars[what] = progress.add_task(escape(printable(what)), total=total or None)
            progress.update(bars[what], completed=done, total=total or None)

        yield advance
