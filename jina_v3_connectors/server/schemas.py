"""Requests as the hosted service takes them. `fields` has the other names that clients give to fields and values."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StringConstraints,
    Tag,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from .fields import OF_EMBEDDINGS, OF_RERANKING, TASKS, UNKNOWN_FIELDS, ClientBody
from .token_ids import TokenIds

EmbeddingType = Literal["float", "base64", "binary", "ubinary"]
Task = Annotated[
    Literal["retrieval.query", "retrieval.passage", "text-matching", "classification", "separation"],
    BeforeValidator(lambda given: TASKS.get(given, given) if isinstance(given, str) else given),
]
SegmentChunker = Literal["lines", "splitter", "sentences", "fixed", "markdown", "html", "code"]
InputType = Literal["query", "document", "passage", "search_query", "search_document", "classification", "clustering"]
Label = Annotated[str, StringConstraints(min_length=1)]
MODEL_CHARACTERS = 300
ModelName = Annotated[
    str,
    Field(
        max_length=MODEL_CHARACTERS,
        description="The name of a served model, or jina-embeddings-v3:TASK for clients without a task. It may be "
        "missing where one model is served.",
    ),
]
MAX_LABELS, MAX_GROUPS, MAX_GROUP_LABELS, MAX_CLASSIFIED = 512, 8, 64, 512
MAX_SPANS = 16_384
Labels = Annotated[list[Label], Field(min_length=1, fail_fast=True, json_schema_extra={"maxItems": MAX_LABELS})]
GroupLabels = Annotated[list[Label], Field(min_length=1, max_length=MAX_GROUP_LABELS, fail_fast=True)]
Groups = Annotated[dict[str, GroupLabels], Field(min_length=1, max_length=MAX_GROUPS)]


def _whole(given: Any) -> Any:
    """JSON knows 64.0 as a whole number; "64" and true are none."""
    if isinstance(given, float) and given.is_integer():
        return int(given)
    if not isinstance(given, int) or isinstance(given, bool):
        raise PydanticCustomError("whole_number", "a whole number is expected")
    return given


Whole = BeforeValidator(_whole)


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str
    type: str
    input: str


class NestedError(BaseModel):
    """The same error as OpenAI's clients read it. Clients of other services are sent its message only."""

    message: str
    type: str
    param: str | None = None
    code: str


class ErrorBody(BaseModel):
    """Every answer that is no success."""

    detail: str
    code: str
    request_id: str
    error: NestedError | str
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


class TextDoc(ClientBody):
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


class TextOptions(ClientBody):
    """How texts are read."""

    other_names: ClassVar = OF_EMBEDDINGS
    task: Task | None = None
    input_type: InputType | None = Field(
        default=None, description="Another way to name a task: by the kind of the texts."
    )
    dimensions: Annotated[int, Field(gt=0), Whole] | None = None
    normalized: StrictBool | None = True
    truncate: StrictBool | None = False


class EmbeddingOptions(TextOptions):
    """How texts are read together, and their vectors written."""

    late_chunking: StrictBool | Literal["blend"] | None = Field(
        default=None,
        description="The input list is one document, cut into chunks. blend, an extension, adds the vectors of each "
        "chunk alone and of its neighbours.",
    )
    embedding_type: EmbeddingType | Annotated[list[EmbeddingType], Field(min_length=1, max_length=4)] | None = None


def _ids_or(given: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Token ids, which no list of texts could be, or what `read` makes of the input."""
    return TokenIds.read(given) or read(given)


class EmbeddingsRequest(EmbeddingOptions):
    """`POST /v1/embeddings`."""

    model: ModelName | None = None
    input: Annotated[Input, WrapValidator(_ids_or)] = Field(
        description="A text, {'text': …}, or a list of both. Token ids are taken where their tokenizer is known."
    )
    spans: SkipJsonSchema[Annotated[list[tuple[int, int]], Field(max_length=MAX_SPANS, fail_fast=True)] | None] = Field(
        None, description="An extension: with late_chunking, chunks of the only text in characters."
    )
    window: SkipJsonSchema[int | None] = Field(
        None, description="An extension: tokens that late chunking reads at once."
    )
    overlap: SkipJsonSchema[int | None] = Field(None, description="An extension: tokens that windows share.")

    @model_validator(mode="after")
    def check_late_chunking(self) -> Self:
        for name in ("spans", "window", "overlap"):
            if getattr(self, name) is not None and not self.late_chunking:
                message = 'it belongs to late chunking: send "late_chunking": true with {field}, or leave it out'
                raise PydanticCustomError("without_late_chunking", message, {"field": name})
        return self


class TokensRequest(ClientBody):
    """`POST /v1/tokens`, an extension."""

    model: ModelName | None = None
    input: Input
    task: Task | None = None


class Ranked(ClientBody):
    """What is ranked, and how it is told."""

    other_names: ClassVar = OF_RERANKING
    query: str | TextDoc
    documents: Annotated[list[str | TextDoc], Field(min_length=1, fail_fast=True)]
    top_n: Annotated[int, Field(gt=0), Whole] | None = None
    return_documents: StrictBool | None = True
    truncation: StrictBool | None = Field(True, description="Cut texts that are too long; false refuses them.")
    late_chunking: StrictBool | None = Field(
        None, description="An extension: the documents are the chunks of one document, in their order."
    )


class RerankRequest(Ranked):
    """`POST /v1/rerank`: documents by the cosine of their vectors with the query's. v3 is no cross-encoder."""

    model: ModelName | None = None


class TextsRerankRequest(ClientBody):
    """`POST /rerank` as text-embeddings-inference has it."""

    other_names: ClassVar = {"return_documents": "return_text"}
    model: ModelName | None = None
    query: str
    texts: Annotated[list[str], Field(min_length=1, fail_fast=True)]
    return_text: StrictBool | None = False
    raw_scores: StrictBool | None = Field(False, description="Of no effect: the scores are cosines.")
    truncate: StrictBool | None = True
    truncation_direction: Literal["right", "Right"] | None = "Right"

    def as_request(self) -> RerankRequest:
        """The same in the hosted service's words."""
        return RerankRequest.model_validate(
            {
                "model": self.model,
                "query": self.query,
                "documents": self.texts,
                "return_documents": bool(self.return_text),
                "truncation": self.truncate,
            }
        )


def _form_of_rerank(body: Any) -> str:
    return "#texts" if isinstance(body, dict) and "texts" in body and "documents" not in body else "#documents"


AnyRerankRequest = Annotated[
    Annotated[RerankRequest, Tag("#documents")] | Annotated[TextsRerankRequest, Tag("#texts")],
    Discriminator(_form_of_rerank),
]
"""Told apart by the field that holds what is ranked."""


class TeiRequest(ClientBody):
    """`POST /embed`, as text-embeddings-inference has it."""

    model: ModelName | None = None
    inputs: Input
    prompt_name: Task | InputType | None = Field(None, description="A task, by its name or by the kind of the texts.")
    dimensions: Annotated[int, Field(gt=0), Whole] | None = None
    normalize: StrictBool | None = True
    truncate: StrictBool | None = False
    truncation_direction: Literal["right", "Right"] | None = "Right"


class CohereRequest(ClientBody):
    """`POST /v2/embed`, as Cohere has it."""

    other_names: ClassVar = {"output_dimension": "dimensions"}
    model: ModelName | None = None
    texts: Annotated[list[str], Field(min_length=1, fail_fast=True)]
    input_type: InputType | None = Field(None, description="A task, named by the kind of the texts.")
    embedding_types: Annotated[list[EmbeddingType], Field(min_length=1, max_length=4)] | None = None
    dimensions: Annotated[int, Field(gt=0), Whole] | None = None
    truncate: Literal["NONE", "END"] | None = Field(
        "END", description="Cut texts that are too long; NONE refuses them."
    )


class InferenceInput(ClientBody):
    """A text that Qdrant wants a vector of."""

    data: str
    data_type: Literal["text"] = "text"
    model: ModelName | None = None
    options: TextOptions | None = None


class InferenceRequest(ClientBody):
    """What Qdrant sends to its `inference.address`."""

    inputs: Annotated[list[InferenceInput], Field(min_length=1, fail_fast=True)]
    inference: Literal["update", "search"] | None = None
    token: str | None = Field(None, description="The key of this server, if it has one.")


class InvocationRequest(ClientBody):
    """`POST /invocations`, SageMaker's form of the other requests."""

    data: TextDoc | Annotated[list[TextDoc], Field(min_length=1, fail_fast=True)] | Ranked
    parameters: EmbeddingOptions | None = None
    model: ModelName | None = None


class ClassifyRequest(ClientBody):
    """`POST /v1/classify`, zero-shot."""

    model: ModelName | None = None
    input: Classified = Field(description=f"At most {MAX_CLASSIFIED} texts.")
    labels: Labels | Groups = Field(
        description=f"At most {MAX_LABELS} labels, or {MAX_GROUPS} groups of {MAX_GROUP_LABELS}."
    )


class TrainItem(ClientBody):
    """A text and what it is."""

    text: str
    label: Annotated[str, StringConstraints(min_length=1, max_length=200)]


Steps = Annotated[int, Field(ge=1, le=200), Whole]


OfClassifier = Annotated[ModelName | None, Field(description="A classifier has its model. Another one is refused.")]


class CreateTrainRequest(ClientBody):
    """`POST /v1/train` for a new classifier."""

    model: ModelName | None = None
    input: Annotated[list[TrainItem], Field(min_length=2, max_length=MAX_CLASSIFIED, fail_fast=True)]
    access: Literal["public", "private"] = "public"
    num_iters: Steps = 10


class UpdateTrainRequest(ClientBody):
    """`POST /v1/train` for one that is there."""

    classifier_id: Annotated[str, Field(max_length=100)]
    model: OfClassifier = None
    input: TrainItem | Annotated[list[TrainItem], Field(min_length=1, max_length=MAX_CLASSIFIED, fail_fast=True)]
    num_iters: Steps = 10


def _form_with_id(body: Any) -> str:
    return "#known" if isinstance(body, dict) and body.get("classifier_id") is not None else "#new"


AnyTrainRequest = Annotated[
    Annotated[CreateTrainRequest, Tag("#new")] | Annotated[UpdateTrainRequest, Tag("#known")],
    Discriminator(_form_with_id),
]


class FewShotRequest(ClientBody):
    """`POST /v1/classify` with a classifier of `/v1/train`."""

    classifier_id: Annotated[str, Field(max_length=100)]
    model: OfClassifier = None
    input: Classified


AnyClassifyRequest = Annotated[
    Annotated[ClassifyRequest, Tag("#new")] | Annotated[FewShotRequest, Tag("#known")], Discriminator(_form_with_id)
]

WHOLE: dict[str, Any] = {"type": "integer"}


class SegmentRequest(ClientBody):
    """`POST /v1/segment`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            **UNKNOWN_FIELDS,
            "not": {"properties": {"head": WHOLE, "tail": WHOLE}, "required": ["head", "tail"]},
        },
    )
    content: str
    tokenizer: str | None = Field(
        None, description="The name of a served model. With any other name the tokens are those of the first model."
    )
    return_tokens: StrictBool = False
    return_chunks: StrictBool = False
    max_chunk_length: Annotated[int, Field(gt=0, le=1_000_000), Whole] = Field(
        1000, description="Characters after which a line is cut. Of the chunker lines only."
    )
    chunker: SegmentChunker = Field(
        "lines", description="How the content is cut. lines are those of the hosted service; it has no others."
    )
    max_chunk_tokens: Annotated[int, Field(gt=0, le=1_000_000), Whole] | None = Field(
        None, description="The most tokens in a chunk, a hard limit. By default 200, and with lines no limit."
    )
    head: Annotated[int, Field(ge=0), Whole] | None = Field(
        None, description="Only the first so many tokens; not together with tail."
    )
    tail: Annotated[int, Field(ge=0), Whole] | None = None
