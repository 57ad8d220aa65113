"""`POST /v1/rerank`: documents by the cosine of their vectors with the query's. v3 is no cross-encoder, and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from jina_v3_encoder.task import Task, offered
from jina_v3_encoder.vectors import finish

from .answers import vectors_answer
from .clients import client_of
from .models import RERANKING, Model
from .schemas import AnyRerankRequest, RerankRequest, TextsRerankRequest, texts_of
from .service import Encoded, Question, Service

Ranked = list[tuple[int, float]]
"""Numbers of the documents and their scores, the best first."""
Build = Callable[[RerankRequest, Model, Ranked, list[Encoded]], Any]
SCORES = "cosines of a bi-encoder's vectors"
"""What the scores are, told in each answer: a reranker's would be others."""


def router(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/rerank", summary="Documents, those nearest to a query first")
    async def rerank(body: AnyRerankRequest, request: Request) -> Response:
        return await answer(service, body, request)

    return routes


async def answer(service: Service, body: RerankRequest | TextsRerankRequest, request: Request) -> Response:
    """The documents' scores, in the hosted service's form or in that of text-embeddings-inference."""
    asked = body.as_request() if isinstance(body, TextsRerankRequest) else body
    build: Build = texts_answer if isinstance(body, TextsRerankRequest) else documents_answer
    model = service.models.reading_with(RERANKING, asked.model)
    questions = _questions(asked, model)
    return await vectors_answer(
        service, questions, client_of(request), lambda encoded: build(asked, model, scores(encoded), encoded)
    )


def _questions(body: RerankRequest, model: Model) -> list[Question]:
    truncate, tasks = body.truncation is not False, model.encoder.tasks
    return [
        Question(model, texts_of(body.query), offered(Task.RETRIEVAL_QUERY, tasks), truncate=truncate),
        Question(
            model,
            texts_of(body.documents),
            offered(Task.RETRIEVAL_PASSAGE, tasks),
            truncate=truncate,
            late_chunking=bool(body.late_chunking),
        ),
    ]


def scores(encoded: list[Encoded]) -> Ranked:
    """Cosines of the documents with the query."""
    query, documents = (finish(part.vectors.copy(), normalize=True) for part in encoded)
    cosines = (documents @ query[0]).tolist()
    return sorted(enumerate(cosines), key=lambda scored: -scored[1])


def documents_answer(body: RerankRequest, model: Model, ranked: Ranked, encoded: list[Encoded]) -> dict[str, Any]:
    """As the hosted service answers. Voyage's clients read `data`, which holds no documents."""
    texts = texts_of(body.documents)
    scored: list[dict[str, Any]] = [{"index": index, "relevance_score": score} for index, score in ranked[: body.top_n]]
    results = scored
    if body.return_documents is not False:
        results = [{**result, "document": {"text": texts[result["index"]]}} for result in scored]
    return {
        "model": model.name,
        "object": "list",
        "scores": SCORES,
        "usage": {"total_tokens": sum(part.tokens for part in encoded)},
        "results": results,
        "data": scored,
    }


def texts_answer(body: RerankRequest, model: Model, ranked: Ranked, encoded: list[Encoded]) -> list[dict[str, Any]]:
    """As text-embeddings-inference answers."""
    texts = texts_of(body.documents)
    shown = body.return_documents is True
    return [{"index": index, "score": score, **({"text": texts[index]} if shown else {})} for index, score in ranked]
