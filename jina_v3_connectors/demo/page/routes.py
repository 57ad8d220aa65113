"""The page's files and its three questions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import PurePath

from fastapi import APIRouter
from fastapi.responses import Response

from jina_v3_encoder.errors import InvalidInput, JinaV3Error

from ...server.answers import JSON, json_answer, to_json
from ...server.app import Page
from ...server.errors import ApiError
from ..collections import Collections
from .schemas import SearchRequest
from .view import View

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FILES = {f"/demo/{file.name}": file for file in files(__package__).joinpath("static").iterdir()}
FILES["/"] = FILES.pop("/demo/index.html")
OPEN_PAGE_PATHS = frozenset(FILES)
"""Paths that need no key, since the page must load before it can ask for one."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
MAX_WAITING = 32
"""Questions that may wait. One thread answers them in turn."""


def demo_page(collections: Collections) -> Page:
    """The page over these collections, for `create_app`. The server closes them when it ends."""
    return Page(router(View(collections)), OPEN_PAGE_PATHS, collections.close)


def router(view: View) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    thread = ThreadPoolExecutor(1, "jina-v3-page")
    waiting = 0

    for address, file in FILES.items():
        kind = f"{TYPES[PurePath(file.name).suffix]}; charset=utf-8"
        routes.add_api_route(address, _sends(file.read_bytes(), kind), methods=["GET", "HEAD"])
    routes.add_api_route("/demo/about", _sends(to_json(view.about()), JSON), methods=["GET", "HEAD"])

    @routes.get("/demo/stores")
    async def stores() -> Response:
        return json_answer(await view.started())

    @routes.post("/demo/search")
    async def search(body: SearchRequest) -> Response:
        nonlocal waiting
        if waiting >= MAX_WAITING:
            message = f"{waiting} questions are waiting, which is the limit: ask again in a moment"
            raise ApiError(429, "RATE_CONCURRENCY_LIMIT_EXCEEDED", message, retry_after=2)
        waiting += 1
        try:
            return json_answer(await asyncio.get_running_loop().run_in_executor(thread, view.search, body))
        except InvalidInput as error:
            raise ApiError(422, "VALIDATION_ERROR", str(error)) from None
        except JinaV3Error as error:
            raise ApiError(503, "STORE_UNAVAILABLE", str(error), retry_after=5) from error
        finally:
            waiting -= 1

    return routes


def _sends(content: bytes, kind: str) -> Callable[[], Awaitable[Response]]:
    async def send() -> Response:
        return Response(content, media_type=kind, headers=HEADERS)

    return send
