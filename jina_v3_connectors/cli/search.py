"""`jina-v3 search`."""

from __future__ import annotations

import json

import click

from .options import load_encoder, model_options


@click.command("search")
@click.argument("query")
@click.option("--from", "store", required=True, metavar="STORE", help="qdrant:./folder that was filled by ingest.")
@click.option("--collection", default="documents", show_default=True, help="Name of the collection in the store.")
@click.option("--limit", type=click.IntRange(min=1, max=10_000), default=5, show_default=True, help="Hits to show.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per hit, one per line.")
@model_options
def command(
    query: str,
    store: str,
    collection: str,
    limit: int,
    as_json: bool,
    model: str | None,
    revision: str | None,
    device: str,
    dtype: str,
) -> None:
    r"""Find the passages that answer QUERY, with retrieval.query.

    The model is the one the store was filled with, unless --model says otherwise; another model is refused.

    \b
    Example:
      jina-v3 search "Wer hat das Fernrohr erfunden?" --from qdrant:./store
    """
    from ..stores import open_store, stored_contract

    contract = stored_contract(store, collection)
    encoder = load_encoder(model or contract.model, revision or contract.revision, device, dtype)
    with open_store(store, encoder, collection) as connector:
        hits = connector.search(query, limit=limit)
    if as_json:
        for hit in hits:
            click.echo(json.dumps(hit.to_dict(), ensure_ascii=False))
        return
    from rich.console import Console

    from .tables import hits_table

    Console().print(hits_table(hits))
