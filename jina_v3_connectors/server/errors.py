"""One error body that every client can read, whatever it looks at."""

from __future__ import annotations

import logging
import reprlib
import uuid
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from jina_v3_encoder.errors import InvalidInput

from .paths import not_found
from .records import Record, record_of

SHOWN = 200
"""Characters of a wrong value that are sent back."""
LISTED = 20
"""Errors of one request that are told."""
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 2 * SHOWN

logger = logging.getLogger(__name__)


class ApiError(Exception):
    """An answer that is no success. `code` is the hosted service's own where it has one."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after: float | None = None,
        fields: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_after, self.fields = retry_after, fields

    def body(self, record: Record | None = None) -> dict[str, Any]:
        """The hosted service's flat form and OpenAI's nested one together, or with a plain text in its place."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        nested: Any = {"message": self.message, "type": kind, "param": None, "code": self.code}
        if record is not None and record.has_plain_error:
            nested = self.message
        body = {"detail": self.message, "code": self.code, "request_id": uuid.uuid4().hex, "error": nested}
        return body if self.fields is None else {**body, "errors": self.fields}

    def response(self, record: Record | None = None) -> Response:
        """The answer. `record` learns why there is no other."""
        if record is not None:
            record.refuse(self.code, self.message)
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, round(self.retry_after)))}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(orjson.dumps(self.body(record)), self.status, headers, media_type="application/json")


def as_api_error(error: Exception) -> ApiError:
    """Ours for the client, anything else as an internal error whose cause is logged and not told."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, InvalidInput):
        return ApiError(422, "VALIDATION_ERROR", str(error))
    logger.error("a request failed", exc_info=error)
    return ApiError(500, "INTERNAL_ERROR", "the server failed on this request; its log says why")


CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 400: "BAD_REQUEST"}


def install(app: FastAPI) -> None:
    """Make what the framework itself refuses answer in the one form; the gate sees to all else."""

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = error.errors()
        fields = [_field(refused) for refused in errors[:LISTED]]
        message = "; ".join(f"{field['field']}: {field['message']}" for field in fields[:5])
        if len(errors) > LISTED:
            message += f"; {len(errors):,} errors in all, of which the first {LISTED} are listed"
        return ApiError(422, "VALIDATION_ERROR", message, fields=fields).response(record_of(request.scope))

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path, served = request.scope["path"], app.openapi()["paths"]
        message = not_found(path, served) if error.status_code == 404 else str(error.detail)
        refusal = ApiError(error.status_code, CODES.get(error.status_code, "ERROR"), message)
        response = refusal.response(record_of(request.scope))
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            methods = served.get(path, {})
            response.headers["Allow"] = ", ".join(sorted(method.upper() for method in methods))
        return response

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)


def _field(refused: Any) -> dict[str, Any]:
    told = (str(part) for part in refused["loc"] if part != "body")
    path = ".".join(part for part in told if not part.startswith("#")) or "body"  # "#" marks forms of a body
    shown = SHORT.repr(refused.get("input")).encode("ascii", "backslashreplace").decode()  # never megabytes in full
    return {"field": path[:SHOWN], "message": refused["msg"][:500], "type": refused["type"], "input": shown[:SHOWN]}
