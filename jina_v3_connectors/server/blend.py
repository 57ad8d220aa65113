"""`"late_chunking": "blend"`: both readings of a document's chunks as two questions of one request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jina_v3_encoder.texts.blend import Blend, blended, chunk_texts
from jina_v3_encoder.texts.late_chunking import check_spans, join_chunks

from .clients import Client
from .errors import ApiError
from .service import Encoded, Question, Service, check_layers


async def both_readings(service: Service, question: Question, client: Client) -> list[Question]:
    """The chunks inside their document, and each alone, with one task.

    Raises:
        ApiError: too many texts, characters or spans.
        InvalidInput: a wrong window, overlap or span.
    """
    service.check_size(question.texts)
    encoder = question.model.encoder
    if not question.is_told and encoder.tasks:
        question = replace(question, task=service.settings.default_task, is_told=True)
    window, overlap = encoder.info.window_size(question.window, question.overlap, blend=True)
    texts = question.texts
    if question.spans is None:
        texts = [text.strip() for text in texts]
    elif len(texts) == 1:
        most = service.settings.max_items
        if len(question.spans) > most:
            message = f"spans: {len(question.spans):,} chunks to be read alone as well, the limit is {most:,}"
            raise ApiError(422, "VALIDATION_ERROR", message)
        spans = check_spans(question.spans, len(texts[0]), 0)
        check_layers(spans, len(texts[0]))
        texts = await service.in_pool(len(texts[0]), client.gone, chunk_texts, texts[0], spans)
    inside = replace(question, window=window, overlap=overlap)
    if not texts:
        return [inside]
    return [inside, replace(question, texts=texts, late_chunking=False, spans=None, window=None, overlap=None)]


def both_added(question: Question, encoded: Sequence[Encoded]) -> Encoded:
    """One vector for each chunk, not normalised, and the tokens of both readings."""
    if len(encoded) == 1:  # there is no chunk
        return encoded[0]
    inside, alone = encoded
    spans = join_chunks(question.texts, " ")[1] if question.spans is None else question.spans
    vectors = blended(alone.vectors.copy(), inside.vectors.copy(), [spans], Blend())
    return Encoded(vectors, inside.tokens + alone.tokens)
