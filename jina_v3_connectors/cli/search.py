"""`jina-v3 search`."""

from __future__ import annotations

import json
from contextlib import closing

import click

from jina_v3_encoder.errors import InvalidInput

from ..backends import STORE_FORMS
from ..fusion import FUSIONS, Hybrid
from .options import ModelChoice, encoder_options
from .terminal import json_line

BEST = "best"
ASKED: dict[str | None, Hybrid] = {None: False, BEST: True, **{fusion: fusion for fusion in FUSIONS}}
"""What the option's values are for `search`."""


class SearchCommand(click.Command):
    """Takes the word after `--hybrid` as its value only if it is one, so that a question may follow."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        pairs = list(zip(args, [*args[1:], ""], strict=True))
        alone = [after for arg, after in pairs if arg == "--hybrid" and after not in FUSIONS]
        try:
            return super().parse_args(
                ctx, [f"--hybrid={BEST}" if arg == "--hybrid" and after in alone else arg for arg, after in pairs]
            )
        except click.UsageError as error:
            words = [after for after in alone if after and not after.startswith("-")]
            if not words or "unexpected extra argument" not in error.message:
                raise
            choices = " or ".join(FUSIONS)
            message = f"behind --hybrid stands {choices}, or nothing, and one question in quotes: got {words[0]!r}"
            raise click.UsageError(message, ctx) from None


@click.command("search", cls=SearchCommand)
@click.argument("query")
@click.option("--from", "store", required=True, metavar="STORE", help=f"The store that ingest filled: {STORE_FORMS}.")
@click.option("--collection", default="documents", show_default=True, help="Name of the collection in the store.")
@click.option("--limit", type=click.IntRange(min=1, max=10_000), default=5, show_default=True, help="Hits to show.")
@click.option(
    "--filter", "condition", metavar="JSON", help="""Metadata, e.g. '{"lang": "de", "year": {"gte": 2020}}'."""
)
@click.option(
    "--hybrid",
    type=click.Choice([BEST, *FUSIONS]),
    metavar="[ranks|scores]",
    help="Also count shared words, where the collection was made with --hybrid: fuse ranks, or add scores. Alone: what "
    "is better for the backend.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per hit, one per line.")
@click.option(
    "--allow-download", is_flag=True, help="Download the model that the store names from the hub, if it is not here."
)
@encoder_options
def command(
    query: str,
    store: str,
    collection: str,
    limit: int,
    condition: str | None,
    hybrid: str | None,
    as_json: bool,
    allow_download: bool,
    choice: ModelChoice,
) -> None:
    """Find the passages that answer QUERY, with the task that the store names, as retrieval.query.

    The model is the one that filled the store. With --model you can say where it lies, but another model is refused. It
    is downloaded from the hub only with --allow-download, since a store may come from a stranger.

    \b
    Example:
      jina-v3 search "Wer hat das Fernrohr erfunden?" --from qdrant:./store
    """
    from ..backends import filled_store
    from ..connector import VectorConnector

    allowed = None if condition is None else _parsed(condition)
    opened, stored = filled_store(store, collection)
    with closing(opened):
        download = allow_download or choice.model is not None
        encoder = choice.text_encoder(stored.contract.model, stored.contract.revision, download=download)
        connector = VectorConnector(encoder, collection, opened, stored=stored)
        hits = connector.search(query, limit=limit, filter=allowed, hybrid=ASKED[hybrid])
    if as_json:
        for hit in hits:
            click.echo(json_line(hit.to_dict()))
        return
    from rich.console import Console

    from .tables import hits_table

    Console().print(hits_table(hits))


def _parsed(condition: str) -> dict[str, object]:
    from ..filters import parse_filter

    try:
        value = json.loads(condition)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f'--filter is not JSON: {error}; an example: \'{{"lang": "de"}}\'') from error
    parse_filter(value)
    return dict(value)
