"""`jina-v3 ingest`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Literal

import click

from jina_v3_encoder.errors import InvalidInput, JinaV3Error
from jina_v3_encoder.texts.blend import reading_name

from ..backends import BACKENDS, STORE_FORMS
from ..shared_encoders import tokenizer_of
from .chunkers import ChunkerChoice, chunker_options
from .inputs import Inputs, Meter, input_options
from .options import ModelChoice, encoder_options, late_options
from .terminal import say

if TYPE_CHECKING:
    from ..connector import VectorConnector
    from ..ingestion.report import IngestReport

HYBRID = ", ".join(backend.title for backend in BACKENDS if backend.hybrid)


@click.command("ingest")
@input_options
@click.option("--to", "store", required=True, metavar="STORE", help=f"{STORE_FORMS}; it is made on first use.")
@click.option("--collection", default="documents", show_default=True, help="Name of the collection in the store.")
@click.option(
    "--dimensions", type=int, help="Stored size of a vector; default that of the collection, or of the model."
)
@late_options
@chunker_options()
@click.option(
    "--hybrid",
    is_flag=True,
    help=f"Make a new collection for hybrid search as well ({HYBRID}); refused if it exists without.",
)
@click.option(
    "--adopt",
    is_flag=True,
    help="Take over a collection that does not name its model. A sample of its texts is encoded again and compared.",
)
@click.option(
    "--adopt-unchecked",
    is_flag=True,
    help="As --adopt, also where no texts are stored to check it by. You must know that this model filled it.",
)
@click.option("--skip-bad", is_flag=True, help="Leave out what cannot be read or encoded, and name it at the end.")
@click.option("--prune", is_flag=True, help="Afterwards delete documents of earlier runs that were not in this one.")
@click.option(
    "--take-over",
    is_flag=True,
    help="Write everything again with this machine's journal, because the collection's own is elsewhere or lost.",
)
@click.option(
    "--also-into",
    "migration",
    metavar="NAME",
    help="Bring the same documents into the new collection of the move of this name; see `jina-v3 migrate run`.",
)
@click.option(
    "--also-to",
    "target",
    metavar="STORE",
    help="The new store of that move again, where it is another one than --to and its URL needs a password.",
)
@encoder_options
def command(
    inputs: Inputs,
    store: str,
    collection: str,
    dimensions: int | None,
    late_chunking: bool | Literal["blend"] | None,
    cutting: ChunkerChoice,
    window: int | None,
    overlap: int | None,
    hybrid: bool,
    adopt: bool,
    adopt_unchecked: bool,
    skip_bad: bool,
    prune: bool,
    take_over: bool,
    migration: str | None,
    target: str | None,
    choice: ModelChoice,
) -> None:
    """Chunk, encode and store files, with retrieval.passage where the model has tasks.

    PATH is a file or a folder: .txt, .md, .html, .pdf, .docx, .pptx, .epub, and with a document in each line or row
    .jsonl, .csv, .tsv, .parquet. A .jsonl line is {"id": …, "text": …, "metadata": {…}}. Other columns of a table are
    metadata. URL is a page or file on the web. A chunk's `page` and `section` (the headings above it) are metadata, for
    filters such as {"page": {"gte": 9}} or {"section": "Setup"}. In folders, hidden files and linked folders are left
    out.

    Run it again at any time: unchanged documents are skipped, changed ones are replaced, nothing is stored twice. If it
    was stopped, it goes on from there. It refuses a store that was filled with another model, dimension or chunking.

    \b
    Example:
      jina-v3 ingest handbook/ --to qdrant:./store --dimensions 256 --late-chunking
      jina-v3 ingest handbook/ --glob '**/*.html' --glob '*.pdf' --exclude drafts --skip-bad --to qdrant:./store
      jina-v3 ingest faq.csv --text-column answer --id-column key --to qdrant:./store
      jina-v3 ingest https://example.org/manual.html --to qdrant:./store
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from ..adoption import UNCHECKED
    from ..backends import open_store, shown_url

    if migration is not None and (prune or take_over):
        raise InvalidInput(
            "--also-into goes without --prune and --take-over: leave it out, and bring everything over with "
            "`jina-v3 migrate run` afterwards"
        )
    if target is not None and migration is None:
        raise InvalidInput("--also-to goes with --also-into NAME, which says which move it is")
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with ExitStack() as stack:
        documents = stack.enter_context(inputs.opened())
        encoder = choice.text_encoder()
        chunker = cutting.only(tokenizer_of(encoder), encoder)
        connector = stack.enter_context(
            open_store(
                store,
                encoder,
                collection,
                hybrid=hybrid,
                dimensions=dimensions,
                late_chunking=late_chunking,
                chunker=chunker,
                window=window,
                overlap=overlap,
                adopt=UNCHECKED if adopt_unchecked else adopt,
            )
        )
        contract = connector.contract
        mode = reading_name(contract.reading)
        say(f"model {encoder.model_id}, {contract.dimensions} dimensions, {mode}")
        with (
            Progress(*columns, console=console) as progress,
            Stop() as stop,
            _writer(connector, migration, (store, target), choice) as writer,
        ):
            meter = Meter(progress, progress.add_task("ingesting", total=None, rate=""))
            report = writer(
                documents.documents(meter, stop.check),
                skip_bad=skip_bad,
                on_progress=meter.show,
                **({"prune": prune, "take_over": take_over} if migration is None else {}),
            )
            meter.finish()
        total = connector.count()
    for line in chain(summary(report, shown_url(store), total), cutting.remarks(chunker)):
        say(line)


@contextmanager
def _writer(
    connector: VectorConnector, migration: str | None, addresses: tuple[str, str | None], choice: ModelChoice
) -> Iterator[Callable[..., IngestReport]]:
    """What ingests: the connector, or both collections of a move. `addresses` are the old store's and the new one's.

    Passwords are not kept with the move, so they come from this command.
    """
    if migration is None:
        yield connector.ingest
        return
    from ..migration.live import MigratingConnector
    from .migrate_moves import reopened

    other = replace(choice, model=None, revision=None, quantize=None, url=None)
    with reopened(migration, *addresses, other, beside=connector.store) as both:
        yield MigratingConnector(connector, both).ingest


def summary(report: IngestReport, store: str, total: int) -> Iterator[str]:
    """What happened, for people."""
    if report.documents == report.pruned == report.skipped == 0 and report.unchanged:
        yield f"nothing to do: all {report.unchanged:,} documents are in {store} as they are ({total:,} chunks)"
        yield from (f"note: {remark}" for remark in report.remarks)
        return
    rate = report.chunks / report.seconds if report.seconds else 0.0
    yield (
        f"stored {report.chunks:,} chunks of {report.documents:,} documents ({report.tokens:,} tokens) in {store} in "
        f"{report.seconds:.1f} s ({rate:,.0f} chunks/s; encoding {report.seconds_encoding:.1f} s, "
        f"writing {report.seconds_writing:.1f} s)"
    )
    others = {"unchanged": report.unchanged, "empty": report.empty, "pruned": report.pruned, "skipped": report.skipped}
    counts = [f"{count:,} {name}" for name, count in others.items() if count]
    if report.retried:
        counts.append(f"{report.retried:,} requests repeated")
    yield "; ".join([*counts, f"the collection holds {total:,} chunks"])
    yield from (f"skipped: {reason}" for reason in report.bad)
    yield from (f"note: {remark}" for remark in report.remarks)


class Stop:
    """Ctrl-C and SIGTERM. What is encoded is still written, and the next run goes on from there.

    A KeyboardInterrupt that rises inside a finaliser or a native callback is lost, so the signal is also remembered.
    """

    def __init__(self) -> None:
        self.requested = False

    def __call__(self, *_: object) -> None:
        self.requested = True
        raise KeyboardInterrupt

    def check(self) -> None:
        if self.requested:
            raise KeyboardInterrupt

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is KeyboardInterrupt:
            raise JinaV3Error(
                "stopped; what the store acknowledged is kept, run the same command again to go on"
            ) from None
