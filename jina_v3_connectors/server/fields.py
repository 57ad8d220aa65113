"""Names that clients give to fields and values, read as the hosted service's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

WITHOUT_EFFECT = frozenset({"user", "request_id", "metadata", "safety_identifier"})
"""Fields that ask for no other answer, so that they may be passed over."""
UNKNOWN_FIELDS: dict[str, Any] = {"additionalProperties": {"enum": [None, False, "", [], {}]}}
"""How the description of the interface says which values of unknown fields are passed over."""
SHOWN = 60
"""Characters of an unknown name that are sent back."""

OF_EMBEDDINGS = {
    "texts": "input",
    "task_type": "task",
    "output_dimension": "dimensions",
    "output_dimensionality": "dimensions",
    "truncation": "truncate",
    "normalize": "normalized",
    "normalize_embeddings": "normalized",
    "encoding_format": "embedding_type",
    "encoding_type": "embedding_type",
    "output_dtype": "embedding_type",
}
OF_RERANKING = {"top_k": "top_n", "truncate": "truncation"}

TASKS = {
    "clustering": "separation",
    "RETRIEVAL_QUERY": "retrieval.query",
    "RETRIEVAL_DOCUMENT": "retrieval.passage",
    "QUESTION_ANSWERING": "retrieval.query",
    "FACT_VERIFICATION": "retrieval.query",
    "SEMANTIC_SIMILARITY": "text-matching",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "separation",
}
"""Other services' names of v3's tasks."""
TASK_OF_INPUT = {
    "query": "retrieval.query",
    "search_query": "retrieval.query",
    "document": "retrieval.passage",
    "passage": "retrieval.passage",
    "search_document": "retrieval.passage",
    "classification": "classification",
    "clustering": "separation",
}
"""What `input_type` says, which names the kind of a text and not a task."""


class ClientBody(BaseModel):
    """A request's body. What asks for something that is not known here is refused: dropped, it would answer wrongly."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=dict(UNKNOWN_FIELDS))
    other_names: ClassVar[Mapping[str, str]] = {}
    """Names that other services give to fields of this one."""

    @model_validator(mode="before")
    @classmethod
    def read_names(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        body: dict[str, Any] = {}
        for name, value in given.items():
            field = cls.other_names.get(name, name)
            if field not in cls.model_fields:
                if asks_for_something(name, value):
                    raise unknown_field(name, list(cls.model_fields))
            elif body.get(field) is None:
                body[field] = value
            elif value is not None and value != body[field]:
                message = "{field} is given twice, with two values: {field} and {name} mean the same"
                raise PydanticCustomError("given_twice", message, {"field": field, "name": name})
        return body


def asks_for_something(name: str, value: Any) -> bool:
    """Whether an unknown field, passed over, could change the answer."""
    return name not in WITHOUT_EFFECT and value is not False and value not in (None, "", [], {})


def unknown_field(name: str, known: list[str]) -> PydanticCustomError:
    """The refusal of a field."""
    message = "this server knows no {name}, and passing it over might answer wrongly: leave it out. It knows {known}"
    return PydanticCustomError("unknown_field", message, {"name": repr(name[:SHOWN]), "known": ", ".join(known)})
