"""Qdrant's REST interface over the client's own local mode: what the real HTTP client talks to in tests.

`python -m tests.servers.qdrant FOLDER` serves a folder on all addresses, in a container for which no Qdrant can be had.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter
from qdrant_client import QdrantClient, models

from .rest import Answer, Failures, serve

MAX_BODY = 32 * 2**20
PORT = 6333
ROUTE = re.compile(r"/collections/(?P<name>[^/]+)(?P<rest>/.*)?")
SELECTOR: TypeAdapter[Any] = TypeAdapter(models.PointsSelector)
VECTOR_NAME: TypeAdapter[Any] = TypeAdapter(models.VectorNameConfig)


@contextmanager
def qdrant_server(
    failures: Failures | None = None, max_body: int = MAX_BODY, told: str = version("qdrant-client")
) -> Iterator[str]:
    """The URL of a server that starts empty."""
    service = Service(told=told)
    with serve(service.handle, failures or Failures(), max_body) as url:
        yield url
    service.local.close()


class Service:
    """Requests to calls."""

    def __init__(self, folder: str | None = None, told: str = version("qdrant-client")) -> None:
        """In memory, or kept in a folder. `told` is the version that it says it is."""
        self.told = told
        self.local = QdrantClient(":memory:") if folder is None else QdrantClient(path=folder)

    def handle(self, method: str, path: str, body: Any) -> Answer:
        if path == "/readyz":
            return 200, {}
        if path == "/":
            return 200, {"title": "qdrant", "version": self.told}
        try:
            result = self._result(method, path, body)
        except ValueError as error:
            status = 404 if "not found" in str(error) else 409 if "already exists" in str(error) else 400
            return status, {"status": {"error": str(error)}}
        except KeyError as error:  # the other points of the request were written, as the server does it
            return 404, {"status": {"error": f"Not found: No point with id {error} found"}}
        return 200, {"result": result, "status": "ok", "time": 0.0}

    def _result(self, method: str, path: str, body: Any) -> Any:
        if path == "/aliases":
            return self.local.get_aliases().model_dump(mode="json")
        if path == "/collections/aliases":
            return self.local.update_collection_aliases(models.ChangeAliasesOperation(**body).actions)
        route = ROUTE.fullmatch(path)
        if route is None:
            raise ValueError(f"route {path} not found")
        return self._call(method, route["name"], route["rest"] or "", body)

    def _call(self, method: str, name: str, rest: str, body: Any) -> Any:
        if rest.startswith("/vectors/"):
            return self._vector_name(method, name, rest.removeprefix("/vectors/"), body)
        if rest.startswith("/points"):
            return self._points(name, rest.removeprefix("/points"), body)
        return self._collection(method, name, rest, body)

    def _collection(self, method: str, name: str, rest: str, body: Any) -> Any:
        local = self.local
        match method, rest:
            case "GET", "/exists":
                return {"exists": local.collection_exists(name)}
            case "GET", "":
                return local.get_collection(name).model_dump(mode="json")
            case "PUT", "":
                given = models.CreateCollection(**body)
                return local.create_collection(
                    name,
                    vectors_config=given.vectors,
                    sparse_vectors_config=given.sparse_vectors,
                    metadata=given.metadata,
                )
            case "PATCH", "":
                return local.update_collection(name, metadata=body["metadata"])
            case "DELETE", "":
                return local.delete_collection(name)
            case "PUT", "/index":
                return {"operation_id": 0, "status": "completed"}
        raise ValueError(f"route {method} {rest} not found")

    def _vector_name(self, method: str, name: str, vector: str, body: Any) -> Any:
        match method:
            case "PUT":
                config = VECTOR_NAME.validate_python(body)
                return self.local.create_vector_name(name, vector, config).model_dump(mode="json")
            case "DELETE":
                return self.local.delete_vector_name(name, vector).model_dump(mode="json")
        raise ValueError(f"route {method} /vectors/{vector} not found")

    def _points(self, name: str, rest: str, body: Any) -> Any:
        local = self.local
        match rest:
            case "" if "ids" in body:
                asked = models.PointRequest(**body)
                records = local.retrieve(name, asked.ids, asked.with_payload or False, asked.with_vector or False)
                return [record.model_dump(mode="json") for record in records]
            case "":
                return local.upsert(name, models.PointsList(**body).points).model_dump(mode="json")
            case "/delete":
                return local.delete(name, SELECTOR.validate_python(body)).model_dump(mode="json")
            case "/count":
                counted = models.CountRequest(**body)
                return local.count(name, counted.filter, exact=True).model_dump(mode="json")
            case "/scroll":
                page = models.ScrollRequest(**body)
                records, after = local.scroll(
                    name,
                    page.filter,
                    limit=page.limit or 10,
                    offset=page.offset,
                    with_payload=True if page.with_payload is None else page.with_payload,
                    with_vectors=page.with_vector or False,
                )
                return {"points": [record.model_dump(mode="json") for record in records], "next_page_offset": after}
            case "/query":
                (answer,) = local.query_batch_points(name, [models.QueryRequest(**body)])
                return answer.model_dump(mode="json")
            case "/query/batch":
                answers = local.query_batch_points(name, models.QueryRequestBatch(**body).searches)
                return [answer.model_dump(mode="json") for answer in answers]
        return self._parts_of_points(name, rest, body)

    def _parts_of_points(self, name: str, rest: str, body: Any) -> Any:
        local = self.local
        match rest:
            case "/vectors":
                given = models.UpdateVectors(**body)
                return local.update_vectors(name, given.points).model_dump(mode="json")
            case "/vectors/delete":
                stale = models.DeleteVectors(**body)
                selected = models.PointIdsList(points=stale.points or []) if stale.filter is None else stale.filter
                return local.delete_vectors(name, stale.vector, selected).model_dump(mode="json")
            case "/payload":
                change = models.SetPayload(**body)
                return local.set_payload(name, change.payload, change.points or []).model_dump(mode="json")
        raise ValueError(f"route {rest} not found")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    service = Service(sys.argv[1])
    with serve(service.handle, Failures(), MAX_BODY, address=("0.0.0.0", PORT)):
        signal.pause()
