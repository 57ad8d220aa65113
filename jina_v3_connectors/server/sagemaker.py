"""`POST /invocations`, as SageMaker's endpoints of the hosted models take it. `/ping` says whether the server runs."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from . import embeddings, rerank
from .errors import ApiError
from .schemas import EmbeddingsRequest, InvocationRequest, Ranked, RerankRequest
from .service import Service


def router(service: Service) -> APIRouter:
    routes = APIRouter()

    @routes.post("/invocations", summary="Vectors of texts, as SageMaker's endpoints give them")
    async def invocations(body: InvocationRequest, request: Request) -> Response:
        if isinstance(body.data, Ranked):
            if body.parameters:
                message = "parameters: they are for texts; with a query, give its options inside data"
                raise ApiError(422, "VALIDATION_ERROR", message)
            ranked = RerankRequest.model_validate({"model": body.model, **body.data.model_dump(exclude_unset=True)})
            return await rerank.answer(service, ranked, request)
        told = body.parameters.model_dump(exclude_unset=True) if body.parameters else {}
        asked = EmbeddingsRequest.model_validate({"model": body.model, "input": body.data, **told})
        return await embeddings.answer(service, asked, request)

    return routes
