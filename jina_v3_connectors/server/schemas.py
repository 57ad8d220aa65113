"""Requests as the hosted service takes them, with the aliases that clients send. Unknown fields are ignored."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    field_validator,
)
from pydantic.json_schema import SkipJsonSchema

from jina_v3_encoder.task import TASK_NAMES

EmbeddingType = Literal["float", "base64", "binary", "ubinary"]
Task = Literal["retrieval.query", "retrieval.passage", "text-matching", "classification", "separation"]
InputType = Literal["query", "document", "passage", "search_query", "search_document"]
Label = Annotated[str, StringConstraints(min_length=1)]
MODEL = Field(
    max_length=300,
    description="jina-embeddings-v3, or jina-embeddings-v3:TASK for clients without a task.",
    json_schema_extra={
        "pattern": f"^(jinaai/|jina-ai/)?jina-embeddings-v3(:({'|'.join(map(re.escape, TASK_NAMES))}))?$"
    },
)
MAX_LABELS, MAX_GROUPS, MAX_GROUP_LABELS, MAX_CLASSIFIED = 512, 8, 64, 512
MAX_SPANS = 16_384
Labels = Annotated[list[Label], Field(min_length=1, max_length=MAX_LABELS, fail_fast=True)]
GroupLabels = Annotated[list[Label], Field(min_length=1, max_length=MAX_GROUP_LABELS, fail_fast=True)]
Groups = Annotated[dict[str, GroupLabels], Field(min_length=1, max_length=MAX_GROUPS)]


def _whole(given: Any) -> Any:
    """JSON knows 64.0 as a whole number; "64" and true are none."""
    if isinstance(given, float) and given.is_integer():
        return int(given)
    if not isinstance(given, int) or isinstance(given, bool):
        raise ValueError("a whole number is expected")
    return given


Whole = BeforeValidator(_whole)


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str
    type: str
    input: str


class NestedError(BaseModel):
    """The same error as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None = None
    code: str


class ErrorBody(BaseModel):
    """Every answer that is no success."""

    detail: str
    code: str
    request_id: str
    error: NestedError
    errors: list[FieldError] | None = None


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": told}
    for status, told in {
        400: "A model that is not served, too many tokens, or no JSON",
        401: "No key, or one that is not known",
        403: "Sent by another site's page, and not as JSON",
        404: "No such address",
        405: "Another method",
        408: "The body did not arrive in time",
        413: "The body is too large",
        421: "Asked for by a name that the server does not go by",
        422: "A field is missing or has a value that is not allowed",
        429: "Too much is waiting or held; Retry-After says when to come back",
        500: "The server failed",
        503: "The server is shutting down, or too many connections are open",
    }.items()
}


class TextDoc(BaseModel):
    """A text in an object, as clients for several media send it."""

    text: str


Input = str | TextDoc | Annotated[list[str | TextDoc], Field(min_length=1, fail_fast=True)]
"""Lists are read up to their first wrong item: a thousand errors help nobody and take long to tell."""
Classified = (
    str | TextDoc | Annotated[list[str | TextDoc], Field(min_length=1, max_length=MAX_CLASSIFIED, fail_fast=True)]
)


def texts_of(given: Input | Classified) -> list[str]:
    """The texts of any form of input."""
    texts = given if isinstance(given, list) else [given]
    return [text.text if isinstance(text, TextDoc) else text for text in texts]


class EmbeddingsRequest(BaseModel):
    """`POST /v1/embeddings`."""

    model: str = MODEL
    input: Input = Field(description="A text, {'text': …}, or a list of both; token ids are not taken.")
    task: Task | None = None
    input_type: InputType | None = Field(None, description="Another way to name the retrieval tasks.")
    dimensions: Annotated[int, Field(gt=0, le=1024), Whole] | None = None
    late_chunking: StrictBool | None = Field(None, description="The input list is one document, cut into chunks.")
    normalized: StrictBool | None = True
    truncate: StrictBool | None = Field(False, validation_alias=AliasChoices("truncate", "truncation"))
    spans: SkipJsonSchema[Annotated[list[tuple[int, int]], Field(max_length=MAX_SPANS, fail_fast=True)] | None] = Field(
        None, description="An extension: with late_chunking, chunks of the only text in characters."
    )
    window: SkipJsonSchema[int | None] = Field(
        None, description="An extension: tokens that late chunking reads at once."
    )
    overlap: SkipJsonSchema[int | None] = Field(None, description="An extension: tokens that windows share.")
    embedding_type: EmbeddingType | None = Field(
        None, validation_alias=AliasChoices("embedding_type", "encoding_format", "encoding_type")
    )

    @field_validator("input", mode="before")
    @classmethod
    def no_token_ids(cls, given: Any) -> Any:
        """LangChain's OpenAI client sends token ids unless told otherwise."""
        first = given[0] if isinstance(given, list) and given else None
        if isinstance(first, int) or (isinstance(first, list) and first and isinstance(first[0], int)):
            raise ValueError("token ids are not taken, only text (LangChain: check_embedding_ctx_length=False)")
        return given


class TokensRequest(BaseModel):
    """`POST /v1/tokens`, an extension."""

    input: Input
    task: Task | None = None


class ClassifyRequest(BaseModel):
    """`POST /v1/classify`, zero-shot."""

    model: str = MODEL
    input: Classified = Field(description=f"At most {MAX_CLASSIFIED} texts.")
    labels: Labels | Groups = Field(
        description=f"At most {MAX_LABELS} labels, or {MAX_GROUPS} groups of {MAX_GROUP_LABELS}."
    )


WHOLE: dict[str, Any] = {"type": "integer"}


class SegmentRequest(BaseModel):
    """`POST /v1/segment`."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"properties": {"head": WHOLE, "tail": WHOLE}, "required": ["head", "tail"]}}
    )
    content: str
    tokenizer: str = Field("jina-embeddings-v3", description="Any name is taken; tokens are always v3's own.")
    return_tokens: StrictBool = False
    return_chunks: StrictBool = False
    max_chunk_length: Annotated[int, Field(gt=0, le=1_000_000), Whole] = Field(
        1000, description="Characters after which a line is cut."
    )
    head: Annotated[int, Field(ge=0), Whole] | None = Field(
        None, description="Only the first so many tokens; not together with tail."
    )
    tail: Annotated[int, Field(ge=0), Whole] | None = None
