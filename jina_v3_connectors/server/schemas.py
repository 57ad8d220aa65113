"""Requests as the hosted service takes them, with the aliases that clients send. Unknown fields are ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, Field, StringConstraints, field_validator

EmbeddingType = Literal["float", "base64", "binary", "ubinary"]
Task = Literal["retrieval.query", "retrieval.passage", "text-matching", "classification", "separation"]
InputType = Literal["query", "document", "passage", "search_query", "search_document"]
Label = Annotated[str, StringConstraints(min_length=1)]
MODEL = Field(max_length=300, description="jina-embeddings-v3, or jina-embeddings-v3:TASK for clients without a task.")
MAX_LABELS, MAX_GROUPS, MAX_GROUP_LABELS, MAX_CLASSIFIED = 512, 8, 64, 512


class TextDoc(BaseModel):
    """A text in an object, as clients for several media send it."""

    text: str


Input = str | TextDoc | list[str | TextDoc]


def texts_of(given: Input) -> list[str]:
    """The texts of any form of input."""
    items = given if isinstance(given, list) else [given]
    return [item.text if isinstance(item, TextDoc) else item for item in items]


class EmbeddingsRequest(BaseModel):
    """`POST /v1/embeddings`."""

    model: str = MODEL
    input: Input = Field(description="A text, {'text': …}, or a list of both; token ids are not taken.")
    task: Task | None = None
    input_type: InputType | None = Field(None, description="Another way to name the retrieval tasks.")
    dimensions: int | None = Field(None, gt=0, le=1024, strict=True)
    late_chunking: bool | None = Field(None, description="The input list is one document, cut into chunks.")
    normalized: bool | None = True
    truncate: bool | None = Field(False, validation_alias=AliasChoices("truncate", "truncation"))
    spans: list[tuple[int, int]] | None = Field(
        None, max_length=100_000, description="An extension: with late_chunking, chunks of the only text in characters."
    )
    window: int | None = Field(None, description="An extension: tokens that late chunking reads at once.")
    overlap: int | None = Field(None, description="An extension: tokens that windows share.")
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

    @field_validator("input")
    @classmethod
    def not_empty(cls, given: Input) -> Input:
        if given == []:
            raise ValueError("the list is empty")
        return given


class TokensRequest(BaseModel):
    """`POST /v1/tokens`, an extension."""

    input: Input
    task: Task | None = None


class ClassifyRequest(BaseModel):
    """`POST /v1/classify`, zero-shot."""

    model: str = MODEL
    input: Input = Field(description=f"At most {MAX_CLASSIFIED} texts.")
    labels: list[Label] | dict[str, list[Label]] = Field(
        description=f"At most {MAX_LABELS} labels, or {MAX_GROUPS} groups of {MAX_GROUP_LABELS}."
    )

    @field_validator("input")
    @classmethod
    def few_texts(cls, given: Input) -> Input:
        if not 1 <= len(texts_of(given)) <= MAX_CLASSIFIED:
            raise ValueError(f"from 1 to {MAX_CLASSIFIED} texts, got {len(texts_of(given))}")
        return given

    @field_validator("labels")
    @classmethod
    def few_labels(cls, given: list[str] | dict[str, list[str]]) -> list[str] | dict[str, list[str]]:
        groups = given if isinstance(given, dict) else {"": given}
        limit = MAX_GROUP_LABELS if isinstance(given, dict) else MAX_LABELS
        if not 1 <= len(groups) <= MAX_GROUPS or not all(1 <= len(labels) <= limit for labels in groups.values()):
            raise ValueError(f"from 1 to {limit} labels" + (f" in 1 to {MAX_GROUPS} groups" if groups is given else ""))
        return given


class SegmentRequest(BaseModel):
    """`POST /v1/segment`."""

    content: str
    tokenizer: str = Field("jina-embeddings-v3", description="Any name is taken; tokens are always v3's own.")
    return_tokens: bool = False
    return_chunks: bool = False
    max_chunk_length: int = Field(1000, gt=0, le=1_000_000, description="Characters after which a line is cut.")
    head: int | None = Field(None, ge=0, description="Only the first so many tokens; not together with tail.")
    tail: int | None = Field(None, ge=0)
