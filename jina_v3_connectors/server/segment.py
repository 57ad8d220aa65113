"""`/v1/segment`, the hosted segmenter's interface with this model's own tokens."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from tokenizers import Encoding, Tokenizer

from ..chunking.lines import Utf16, segments
from .answers import json_answer
from .errors import ApiError
from .models import NAME
from .schemas import SegmentRequest
from .service import Service


def router(service: Service) -> APIRouter:
    routes = APIRouter()
    path = service.encoder.info.tokenizer_file
    tokenizer = None if path is None else Tokenizer.from_file(str(path))

    async def segment(body: SegmentRequest, request: Request) -> Response:
        if body.head is not None and body.tail is not None:
            raise ApiError(422, "VALIDATION_ERROR", "head and tail cannot both be given")
        if tokenizer is None:
            raise ApiError(503, "SERVICE_UNAVAILABLE", "the model behind this server has no tokenizer of its own here")
        service.check_size([body.content], "content")

        def answer() -> Response:
            """In one turn: tokens of a million characters take 300 MB, and would wait for all the other requests."""
            encoding = encoded(body.content, tokenizer)
            service.check_tokens(len(encoding.ids))
            return json_answer(segmented(body, encoding, tokenizer))

        return await service.in_pool(len(body.content), request.is_disconnected, answer)

    async def counted(content: str, request: Request) -> Response:
        return await segment(SegmentRequest.model_validate({"content": content}), request)

    for address in ("/v1/segment", "/segment"):
        routes.add_api_route(address, segment, methods=["POST"], summary="Chunks and tokens of a text")
        routes.add_api_route(address, counted, methods=["GET"], summary="How many tokens a text has")
    return routes


def encoded(content: str, tokenizer: Tokenizer) -> Encoding:
    """The text's own tokens.

    Raises:
        ApiError: it holds lone surrogates.
    """
    try:
        return tokenizer.encode(content, add_special_tokens=False)
    except TypeError:
        raise ApiError(422, "VALIDATION_ERROR", "content: it holds a lone surrogate, which is no text") from None


def segmented(body: SegmentRequest, encoding: Encoding, tokenizer: Tokenizer) -> dict[str, Any]:
    """The answer; positions in UTF-16 code units, ends exclusive."""
    content, shown = body.content, range(len(encoding.ids))
    if body.head is not None:
        shown = shown[: body.head]
    elif body.tail is not None:
        shown = shown[max(0, len(shown) - body.tail) :]
    if body.head is not None or body.tail is not None:
        content = content[encoding.offsets[shown[0]][0] : encoding.offsets[shown[-1]][1]] if shown else ""
        encoding = encoded(content, tokenizer)
    spans = segments(content, body.max_chunk_length)
    answer: dict[str, Any] = {"num_tokens": len(encoding.ids), "tokenizer": NAME, "usage": {"tokens": 0}}
    if body.return_chunks:
        units = Utf16(content)
        answer["num_chunks"] = len(spans)
        answer["chunk_positions"] = [[units.position(start), units.position(end)] for start, end in spans]
        answer["chunks"] = [content[start:end] for start, end in spans]
    if body.return_tokens:
        answer["tokens"] = _tokens(content, encoding, spans if body.return_chunks else [(0, len(content))])
    return answer


def _tokens(content: str, encoding: Encoding, spans: list[tuple[int, int]]) -> list[list[Any]]:
    """Texts and ids of the tokens of each chunk; a token belongs to the chunk that holds its last character."""
    rows: list[list[Any]] = [[] for _ in spans]
    chunk = 0
    for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        while chunk < len(spans) - 1 and end > spans[chunk][1]:
            chunk += 1
        if rows:
            rows[chunk].append([content[start:end], [number]])
    return rows
