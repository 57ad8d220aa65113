"""`jina-v3 migrate`: a group of commands, each imported when it is used."""

from __future__ import annotations

import click

from .groups import LazyGroup

COMMANDS = {
    "doctor": ("migrate_doctor", "Look at a collection: is it sound, and which model made it? Changes nothing."),
    "plan": ("migrate_plan", "What a move takes: documents, tokens, hours, and what stands in the way."),
    "run": ("migrate_run", "Fill the new collection. Stop and repeat it as you like."),
    "status": ("migrate_status", "Which moves there are, and how far they got."),
    "compare": ("migrate_compare", "Ask both collections your own questions."),
    "switch": ("migrate_switch", "Let a name stand for the new collection."),
    "rollback": ("migrate_rollback", "Let it stand for the old collection again."),
    "drop": ("migrate_drop", "Delete a collection that is no longer used."),
    "demo": ("migrate_demo", "All of it with a small corpus, offline, in a minute."),
}


class Commands(LazyGroup):
    """Those above."""

    commands_and_help = COMMANDS


@click.group(cls=Commands)
def command() -> None:
    """Move a live collection to another model, with a way back.

    The old collection is never written. Its texts are encoded by the new model into a new collection. Whatever stops
    it, `run NAME` goes on. A second column of a table in PostgreSQL, or a second vector of a collection on a Qdrant
    server, may take the place of a new collection (--in-place).

    \b
    Example, from a collection that LlamaIndex filled with another model:
      jina-v3 migrate doctor --from qdrant+http://localhost:6333 --collection docs
      jina-v3 migrate plan --from … --collection docs --to … --into docs-v3 --model jinaai/jina-embeddings-v3
      jina-v3 migrate run  --from … --collection docs --to … --into docs-v3 --model jinaai/jina-embeddings-v3
      jina-v3 migrate compare docs-v3 --questions questions.txt --old-model jinaai/jina-embeddings-v2-base-en
      jina-v3 migrate switch docs-v3 --alias live
      jina-v3 migrate rollback docs-v3
    """
