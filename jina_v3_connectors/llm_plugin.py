"""jina-embeddings-v3 for the `llm` command line: `llm embed -m jina-v3-passage -c "…"`.

One model id fits one collection, so each role has its own: `jina-v3` compares like with like, and a collection that is
filled with `jina-v3-passage` is searched with `llm jina-v3 COLLECTION QUESTION`, which embeds the question with
retrieval.query. A size behind the name, as `jina-v3-passage-256`, is a Matryoshka slice. The weights are those that
$JINA_V3_MODEL names, default the published ones. Of a model without tasks, all roles give the same vectors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from jina_v3_encoder.errors import MissingExtra
from jina_v3_encoder.task import Task, offered

try:
    import click
    import llm
except ImportError:
    raise MissingExtra("llm", "llm") from None

MODEL_VARIABLE = "JINA_V3_MODEL"
DEFAULT_MODEL = "jinaai/jina-embeddings-v3"
ROLES = {"": Task.TEXT_MATCHING, "-query": Task.RETRIEVAL_QUERY, "-passage": Task.RETRIEVAL_PASSAGE}
SIZES = (None, 512, 256, 128, 64, 32)
TEXTS_AT_ONCE = 32
LIMIT = 5


class JinaV3EmbeddingModel(llm.EmbeddingModel):  # type: ignore[misc, name-defined]  # llm names it for plugins
    """One role and size."""

    supports_text = True
    supports_binary = False
    batch_size = TEXTS_AT_ONCE

    def __init__(self, role: str, size: int | None) -> None:
        """Nothing is loaded yet."""
        self.model_id = f"jina-embeddings-v3{role}" + (f"-{size}" if size else "")
        self.alias = self.model_id.replace("jina-embeddings-v3", "jina-v3", 1)
        self.task, self.size = ROLES[role], size

    def embed_batch(self, items: Iterable[str | bytes], *, key: str | None = None) -> Iterator[list[float]]:
        """Vectors in order. Items are read in small batches, however many there are."""
        from .shared_encoders import shared_encoder

        encoder = shared_encoder(os.environ.get(MODEL_VARIABLE, DEFAULT_MODEL))
        task, texts = offered(self.task, encoder.tasks), iter(items)
        while batch := [str(text) for text in islice(texts, TEXTS_AT_ONCE)]:
            yield from encoder.encode(batch, task=task, dimensions=self.size).tolist()


@llm.hookimpl
def register_embedding_models(register: Callable[..., None]) -> None:
    """All roles in all sizes."""
    for role in ROLES:
        for size in SIZES:
            model = JinaV3EmbeddingModel(role, size)
            register(model, aliases=(model.alias,))


@llm.hookimpl
def register_commands(cli: Any) -> None:
    """`llm jina-v3`."""

    @cli.command("jina-v3")  # type: ignore[untyped-decorator]
    @click.argument("collection")
    @click.argument("question")
    @click.option("-n", "--number", type=click.IntRange(min=1), default=LIMIT, show_default=True, help="Hits to show.")
    @click.option("-d", "--database", type=click.Path(exists=True, dir_okay=False), help="Default: llm's own.")
    def ask(collection: str, question: str, number: int, database: str | None) -> None:
        """Search a COLLECTION, embedded with a -passage model, for a QUESTION.

        `llm similar` would embed the question as a passage; here it is embedded with retrieval.query, in the size of
        the collection. One JSON object per hit.
        """
        path = database or str(llm.user_dir() / "embeddings.db")  # type: ignore[no-untyped-call]
        from .cli.terminal import json_line

        entries = similar(path, collection, question, number)
        for entry in entries:
            click.echo(json_line({"id": entry.id, "score": entry.score, "content": entry.content}))


def similar(database: str, collection: str, question: str, number: int) -> list[Any]:
    """The nearest entries of an `llm` collection to a question.

    Raises:
        click.ClickException: there is no such collection, or it was not embedded as passages by this plugin.
    """
    import sqlite_utils

    try:
        entries = llm.Collection(collection, sqlite_utils.Database(database), create=False)
    except llm.Collection.DoesNotExist:
        raise click.ClickException(f"there is no collection {collection!r} in {database}") from None
    filled_by = entries.model_id or ""
    if not filled_by.startswith("jina-embeddings-v3-passage"):
        raise click.ClickException(
            f"collection {collection!r} was embedded by {filled_by!r}; search one that was embedded by "
            "jina-embeddings-v3-passage, with or without a size: llm embed-multi NAME -m jina-v3-passage …"
        )
    size = filled_by.removeprefix("jina-embeddings-v3-passage").removeprefix("-")
    model = JinaV3EmbeddingModel("-query", int(size) if size else None)
    return list(entries.similar_by_vector(model.embed(question), number=number))
