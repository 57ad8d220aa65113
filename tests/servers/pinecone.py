"""Pinecone's REST interface, control plane and both data planes, as the real client speaks it in tests.

Limits and refusals are those the service documents: 2 MB and 1,000 rows a request, flat metadata, 20 tags of 120 ASCII
characters, one metric and size for each index, and no document request on a vector index or the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .rest import Answer, Failures, serve

MAX_BODY = 2 * 10**6
MAX_ROWS = 1000
MAX_METADATA = 40_000
COMPARE: dict[str, Any] = {
    "$gt": lambda stored, value: stored > value,
    "$gte": lambda stored, value: stored >= value,
    "$lt": lambda stored, value: stored < value,
    "$lte": lambda stored, value: stored <= value,
}
DOCUMENTS = re.compile(r"/namespaces/(?P<namespace>[^/]+)/documents/(?P<action>\w+)")


@contextmanager
def pinecone_server(failures: Failures | None = None, lag: int = 0) -> Iterator[tuple[str, Service]]:
    """URL and state of a service that starts empty. Reads see writes only after `lag` further reads."""
    service = Service(lag)
    with serve(service.handle, failures or Failures(), MAX_BODY, too_large=413) as url:
        service.url = url
        yield url, service


class Refused(Exception):
    """(status, message)."""


class Service:
    """One data plane for all indexes, so a test that writes uses one index."""

    def __init__(self, lag: int = 0) -> None:
        self.url, self.lag = "", lag
        self.indexes: dict[str, dict[str, Any]] = {}
        self.records: dict[str, dict[str, dict[str, Any]]] = {}
        self.position = self.reads = 0

    def handle(self, method: str, path: str, body: Any) -> Answer:
        try:
            if path == "/indexes" or path.startswith("/indexes/"):
                return self._control(method, path.removeprefix("/indexes").strip("/"), body)
            return self._data(method, path, body)
        except Refused as refused:
            status, message = refused.args
            return status, {"error": {"code": str(status), "message": message}, "status": status}

    def _control(self, method: str, name: str, body: Any) -> Answer:
        if method == "POST":
            return 201, self._create(body)
        if not name:
            return 200, {"indexes": list(self.indexes.values())}
        if name not in self.indexes:
            raise Refused(404, f"Resource {name} not found")
        if method == "PATCH":
            self._tags(body["tags"])
            self.indexes[name]["tags"] = {**(self.indexes[name]["tags"] or {}), **body["tags"]}
        if method == "DELETE":
            del self.indexes[name]
            self.records.clear()
            return 202, {}
        return 200, self.indexes[name]

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body["name"]
        if name in self.indexes:
            raise Refused(409, f"Resource {name} already exists")
        self._tags(body.get("tags") or {})
        self.indexes[name] = {
            "name": name,
            "host": self.url,
            "status": {"ready": True, "state": "Ready"},
            "schema": body["schema"],
            "deployment": {"environment": "test", **body["deployment"]},
            "deletion_protection": "disabled",
            "tags": body.get("tags"),
        }
        return self.indexes[name]

    def _tags(self, tags: dict[str, str]) -> None:
        if len(tags) > 20 or any(len(v) > 120 or not v.isascii() or not v.isprintable() for v in tags.values()):
            raise Refused(400, "at most 20 tags of 120 printable ASCII characters")

    def _data(self, method: str, path: str, body: Any) -> Answer:
        if path == "/describe_index_stats":
            counts = {name: {"vectorCount": len(records)} for name, records in self.records.items()}
            return 200, {"namespaces": counts, "totalVectorCount": sum(map(len, self.records.values()))}
        documents_path = DOCUMENTS.fullmatch(path)
        if (documents_path is None) != (self._field == "_values"):
            raise Refused(400, "this index is of the other kind")
        action = documents_path["action"] if documents_path else {"/query": "search"}.get(path, path.rpartition("/")[2])
        namespace = documents_path["namespace"] if documents_path else _namespace(body)
        return getattr(self, f"_{action}")(self.records.setdefault(namespace, {}), namespace, body)  # type: ignore[no-any-return]

    @property
    def _field(self) -> str:
        (schema,) = [index["schema"] for index in self.indexes.values()]
        return str(next(name for name, field in schema["fields"].items() if field["type"] == "dense_vector"))

    @property
    def _size(self) -> int:
        (schema,) = [index["schema"] for index in self.indexes.values()]
        return int(schema["fields"][self._field]["dimension"])

    def _upsert(self, records: dict[str, Any], _: str, body: Any) -> Answer:
        rows = body.get("documents") or [
            {"_id": v["id"], "_values": v["values"], **(v.get("metadata") or {})} for v in body["vectors"]
        ]
        if len(rows) > MAX_ROWS:
            raise Refused(400, f"{len(rows)} rows, {MAX_ROWS} at most")
        for row in rows:
            self._check(row)
        for row in rows:
            records[row["_id"]] = row
        self.position += 1
        answer = {"upserted_count": len(rows), "upsertedCount": len(rows)}
        return 200, answer, {"x-pinecone-request-lsn": str(self.position)}

    def _check(self, row: dict[str, Any]) -> None:
        values = row.get(self._field)
        if values is None or len(values) != self._size or any(value is None for value in values):
            raise Refused(400, f"vector dimension does not match the index's {self._size}")
        metadata = {name: value for name, value in row.items() if name not in ("_id", self._field)}
        for name, value in metadata.items():
            texts = isinstance(value, list) and all(isinstance(element, str) for element in value)
            if not (texts or isinstance(value, str | int | float | bool)):
                raise Refused(400, f"metadata {name!r} must be a string, number, boolean or list of strings")
        if len(str(metadata).encode()) > MAX_METADATA * 1.1:
            raise Refused(400, "metadata over 40 KB")

    def _search(self, records: dict[str, Any], namespace: str, body: Any) -> Answer:
        score = body.get("score_by", [{}])[0]
        query = np.array(score.get("values") or body.get("vector"), dtype=np.float64)
        if len(query) != self._size:
            raise Refused(400, f"query dimension {len(query)} does not match the index's {self._size}")
        rows = [row for row in records.values() if holds(body.get("filter"), row)]
        table = np.array([row[self._field] for row in rows], dtype=np.float64).reshape(len(rows), self._size)
        scores = table @ query / (np.linalg.norm(table, axis=1) * np.linalg.norm(query))
        best = np.argsort(-scores, kind="stable")[: body.get("top_k") or body["topK"]]
        headers = {"x-pinecone-max-indexed-lsn": str(self._indexed())}
        if "vector" in body:
            matches = [
                {"id": rows[n]["_id"], "score": scores[n], "metadata": _metadata(rows[n], self._field)} for n in best
            ]
        else:
            names = body.get("include_fields") or []
            matches = [
                {"_id": rows[n]["_id"], "_score": scores[n], **{k: rows[n][k] for k in names if k in rows[n]}}
                for n in best
            ]
        return 200, {"matches": matches, "namespace": namespace, "usage": {"read_units": 1, "readUnits": 1}}, headers

    def _indexed(self) -> int:
        self.reads += 1
        return self.position if self.reads > self.lag else 0

    def _fetch(self, records: dict[str, Any], namespace: str, body: Any) -> Answer:
        rows = {name: records[name] for name in body["ids"] if name in records}
        vectors = {
            name: {"id": name, "values": row.get("_values", []), "metadata": _metadata(row, self._field)}
            for name, row in rows.items()
        }
        return 200, {
            "documents": rows,
            "vectors": vectors,
            "namespace": namespace,
            "usage": {"read_units": 1, "readUnits": 1},
        }

    def _list(self, records: dict[str, Any], namespace: str, body: Any) -> Answer:
        limit, token = (_one(body.get(key)) for key in ("limit", "pagination_token"))
        token = token or _one(body.get("paginationToken")) or ""
        names = [name for name in sorted(records) if name > token][: int(limit or 100)]
        more = bool(names) and names[-1] != max(records)
        page: dict[str, Any] = {"namespace": namespace, "usage": {"read_units": 1, "readUnits": 1}}
        page["documents"] = [{"_id": name} for name in names]
        page["vectors"] = [{"id": name} for name in names]
        return 200, page | ({"pagination": {"next": names[-1]}} if more else {})

    def _delete(self, records: dict[str, Any], _: str, body: Any) -> Answer:
        for name in [
            name
            for name, row in records.items()
            if body.get("deleteAll") or body.get("delete_all") or holds(body["filter"], row)
        ]:
            del records[name]
        self.position += 1
        return 200, {}, {"x-pinecone-request-lsn": str(self.position)}


def holds(condition: Any, row: dict[str, Any]) -> bool:
    """Pinecone's filter language."""
    return all(_part(name, wanted, row) for name, wanted in (condition or {}).items())


def _part(name: str, wanted: Any, row: dict[str, Any]) -> bool:
    if name == "$and":
        return all(holds(part, row) for part in wanted)
    if name == "$or":
        return any(holds(part, row) for part in wanted)
    tests = wanted if isinstance(wanted, dict) else {"$eq": wanted}
    return all(_test(sign, value, row.get(name)) for sign, value in tests.items())


def _test(sign: str, value: Any, field: Any) -> bool:
    elements = field if isinstance(field, list) else [field]
    if sign in ("$eq", "$in"):
        return any(element in (value if sign == "$in" else [value]) for element in elements if element is not None)
    if sign in ("$ne", "$nin"):
        return not _test("$eq" if sign == "$ne" else "$in", value, field)
    if sign not in COMPARE:
        raise Refused(400, f"unknown operator {sign}")
    numbers = isinstance(field, int | float) and not isinstance(field, bool)
    return numbers and bool(COMPARE[sign](field, value))


def _metadata(row: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("_id", field)}


def _namespace(body: Any) -> str:
    return str(_one((body or {}).get("namespace")) or "__default__")


def _one(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value
