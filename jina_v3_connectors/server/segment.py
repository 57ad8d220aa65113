"""`/v1/segment`, the hosted segmenter's interface with a served model's own tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from tokenizers import Encoding, Tokenizer

from jina_v3_encoder.texts.late_chunking import Span

from ..chunking.lines import Utf16, segments
from ..chunking.names import ChunkerOptions, chunker_named
from ..chunking.sizes import DEFAULT_CHUNK_TOKENS
from .answers import json_answer
from .errors import ApiError
from .models import Model
from .schemas import SegmentRequest
from .service import Service


def router(service: Service) -> APIRouter:
    routes = APIRouter()
    for model in service.models:
        if model.encoder.info.tokenizer_file is not None:
            tokenizer_from(model.encoder.info.tokenizer_file)  # before the first request waits for it

    @routes.post("/v1/segment", summary="Chunks and tokens of a text")
    async def segment(body: SegmentRequest, request: Request) -> Response:
        return await answer(service, body, request)

    @routes.get("/v1/segment", summary="How many tokens a text has")
    async def counted(content: str, request: Request) -> Response:
        return await answer(service, SegmentRequest.model_validate({"content": content}), request)

    return routes


async def answer(service: Service, body: SegmentRequest, request: Request) -> Response:
    """A text's tokens and chunks."""
    if body.head is not None and body.tail is not None:
        raise ApiError(422, "VALIDATION_ERROR", "head and tail cannot both be given")
    model = service.models.named(body.tokenizer) or service.models.default
    file = model.encoder.info.tokenizer_file
    if file is None:
        raise ApiError(503, "SERVICE_UNAVAILABLE", "the model behind this server has no tokenizer of its own here")
    service.check_size([body.content], "content")

    def segmented_text() -> Response:
        """In one turn: tokens of a million characters take 300 MB, and would wait for all the other requests."""
        tokenizer = tokenizer_from(file)
        encoding = encoded(body.content, tokenizer)
        service.check_tokens(len(encoding.ids))
        return json_answer(segmented(body, encoding, tokenizer, model, file))

    return await service.in_pool(len(body.content), request.is_disconnected, segmented_text)


@cache
def tokenizer_from(file: Path) -> Tokenizer:
    """A model's own tokenizer, loaded once."""
    return Tokenizer.from_file(str(file))


def encoded(content: str, tokenizer: Tokenizer) -> Encoding:
    """The text's own tokens.

    Raises:
        ApiError: it holds lone surrogates.
    """
    try:
        return tokenizer.encode(content, add_special_tokens=False)
    except TypeError:
        raise ApiError(422, "VALIDATION_ERROR", "content: it holds a lone surrogate, which is no text") from None


def segmented(
    body: SegmentRequest, encoding: Encoding, tokenizer: Tokenizer, model: Model, file: Path
) -> dict[str, Any]:
    """The answer; positions in UTF-16 code units, ends exclusive."""
    content, shown = body.content, range(len(encoding.ids))
    if body.head is not None:
        shown = shown[: body.head]
    elif body.tail is not None:
        shown = shown[max(0, len(shown) - body.tail) :]
    if body.head is not None or body.tail is not None:
        content = content[encoding.offsets[shown[0]][0] : encoding.offsets[shown[-1]][1]] if shown else ""
        encoding = encoded(content, tokenizer)
    spans = _spans(content, body, file) if body.return_chunks else []
    answer: dict[str, Any] = {"num_tokens": len(encoding.ids), "tokenizer": model.name, "usage": {"tokens": 0}}
    if body.return_chunks:
        units = Utf16(content)
        answer["num_chunks"] = len(spans)
        answer["chunk_positions"] = [[units.position(start), units.position(end)] for start, end in spans]
        answer["chunks"] = [content[start:end] for start, end in spans]
    if body.return_tokens:
        answer["tokens"] = _tokens(content, encoding, spans if body.return_chunks else [(0, len(content))])
    return answer


def _spans(content: str, body: SegmentRequest, file: Path) -> Sequence[Span]:
    """Where the content is cut: into the hosted service's lines, whose spans hold the white space behind them too."""
    if body.chunker == "lines" and body.max_chunk_tokens is None:
        return segments(content, body.max_chunk_length)
    options = ChunkerOptions(max_tokens=body.max_chunk_tokens or DEFAULT_CHUNK_TOKENS, characters=body.max_chunk_length)
    return chunker_named(body.chunker, file, options).spans(content)


def _tokens(content: str, encoding: Encoding, spans: Sequence[Span]) -> list[list[Any]]:
    """Texts and ids of the tokens of each chunk; a token belongs to the chunk that holds its last character."""
    rows: list[list[Any]] = [[] for _ in spans]
    chunk = 0
    for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        while chunk < len(spans) - 1 and end > spans[chunk][1]:
            chunk += 1
        if rows:
            rows[chunk].append([content[start:end], [number]])
    return rows
