"""Requests of the page."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from ...fusion import Fusion
from ...server.schemas import Task

MAX_CHARACTERS = 4000
MAX_HITS = 20


class SearchRequest(BaseModel):
    """`POST /demo/search`."""

    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_CHARACTERS)]
    store: Annotated[str, StringConstraints(max_length=300)]
    task: Task | None = None
    """null for the base model. Left out: retrieval.query, where the model has it."""
    dimensions: int | None = None
    limit: int = Field(5, ge=1, le=MAX_HITS)
    hybrid: Fusion | None = None
    """How shared words count too; null for meaning alone."""
