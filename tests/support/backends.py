"""Every backend behind one small interface, so that one suite can be run on all of them.

Each imports its vendor when it starts: a package that is not installed skips the tests of its own backend.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qdrant_edge import Distance, EdgeConfig, EdgeShard, EdgeVectorParams, Point, ScrollRequest, UpdateOperation

from jina_v3_connectors import VectorConnector
from jina_v3_connectors.backends import BY_NAME
from jina_v3_connectors.pinecone import PineconeConnector
from jina_v3_connectors.qdrant import QdrantConnector
from jina_v3_connectors.qdrant.schema import CONTRACT_FILE
from jina_v3_encoder.state import STATE_VARIABLE
from jina_v3_encoder.testing import FakeEncoder

from ..servers.milvus import ask_often, milvus_server
from ..servers.milvus_standalone import MISSING, PROGRAM, standalone
from ..servers.pinecone import pinecone_server
from ..servers.rest import PATIENCE, Failures

if TYPE_CHECKING:
    from pymilvus import MilvusClient
    from qdrant_client import QdrantClient

    from ..servers.postgres import PostgresServer

Vectors = dict[str, NDArray[np.float32]]
ROW = [1.0] + [0.0] * 31
"""The vector of a foreign record."""
ask_often()


class Sentences:
    """A chunker that needs no tokenizer."""

    description = "sentences"

    def spans(self, text: str, text_format: str = "text") -> list[tuple[int, int]]:
        spans, start = [], 0
        for position, character in enumerate(text):
            if character == ".":
                spans.append((start, position + 1))
                start = position + 2
        return spans


class Backend(ABC):
    """A place for collections."""

    name: str
    """Of its row in the table of backends."""
    url: str = ""
    """As the command line names it; empty where a second process cannot reach it."""

    def __init__(self, folder: Path, failures: Failures) -> None:
        self.folder, self.failures = folder, failures
        self.environment: dict[str, str] = {STATE_VARIABLE: str(folder / "state")}

    @property
    def hybrid(self) -> bool:
        return BY_NAME[self.name].hybrid

    @property
    def aliases(self) -> bool:
        return BY_NAME[self.name].aliases

    @abstractmethod
    def open(self, encoder: Any, name: str, **settings: Any) -> VectorConnector:
        """A connector of this backend."""

    @abstractmethod
    def foreign(self, dimensions: int = 32, metric: str = "cosine") -> None:
        """Make a collection "docs" that has no contract."""

    def put(self, fields: Mapping[str, Any], vector: Sequence[float] = ROW) -> None:
        """Write a record of somebody else into "docs", where records have no fixed fields."""
        raise NotImplementedError

    @abstractmethod
    def forget(self) -> None:
        """Take the contract away from "docs", as if somebody else had made it."""

    @abstractmethod
    def vectors(self) -> Vectors:
        """What is stored in "docs", by point id, at unit length."""

    def connect(self, name: str = "docs", **settings: Any) -> VectorConnector:
        defaults: dict[str, Any] = {"chunker": Sentences(), "dimensions": 32, "late_chunking": True}
        settings = defaults | settings
        return self.open(settings.pop("encoder", None) or FakeEncoder(), name, **settings)


class Embedded(Backend):
    """Qdrant's engine in this process."""

    name = "qdrant"

    def __init__(self, folder: Path, failures: Failures) -> None:
        super().__init__(folder, failures)
        self.path = folder / "embedded"
        self.url = f"qdrant:{self.path}"

    def open(self, encoder: Any, name: str, **settings: Any) -> VectorConnector:
        return QdrantConnector(encoder, name, path=self.path, **settings)

    def foreign(self, dimensions: int = 32, metric: str = "cosine") -> None:
        distance = {"cosine": Distance.Cosine, "dot": Distance.Dot}[metric]
        shard = self.path / "docs" / "shard"
        shard.mkdir(parents=True)
        EdgeShard.create(str(shard), EdgeConfig(vectors={"dense": EdgeVectorParams(dimensions, distance)})).close()

    def put(self, fields: Mapping[str, Any], vector: Sequence[float] = ROW) -> None:
        shard = EdgeShard.load(str(self.path / "docs" / "shard"))
        shard.update(UpdateOperation.upsert_points([Point(7, {"dense": list(vector)}, dict(fields))]))
        shard.close()

    def forget(self) -> None:
        (self.path / "docs" / CONTRACT_FILE).unlink()

    def vectors(self) -> Vectors:
        shard = EdgeShard.load(str(self.path / "docs" / "shard"))
        records, _ = shard.scroll(ScrollRequest(limit=100_000, with_vector=True))
        shard.close()
        return {str(record.id): unit(record.vector["dense"]) for record in records}  # type: ignore[index,call-overload]


class QdrantServer(Backend):
    """The real client over HTTP."""

    name = "qdrant"

    def __init__(self, folder: Path, failures: Failures, client: QdrantClient, url: str = "") -> None:
        super().__init__(folder, failures)
        self.client = client
        self.url = f"qdrant+{url}" if url else ""

    def open(self, encoder: Any, name: str, **settings: Any) -> VectorConnector:
        return QdrantConnector(encoder, name, client=self.client, **settings)

    def foreign(self, dimensions: int = 32, metric: str = "cosine") -> None:
        from qdrant_client import models

        distance = {"cosine": models.Distance.COSINE, "dot": models.Distance.DOT}[metric]
        self.client.create_collection("docs", {"dense": models.VectorParams(size=dimensions, distance=distance)})

    def put(self, fields: Mapping[str, Any], vector: Sequence[float] = ROW) -> None:
        from qdrant_client import models

        self.client.upsert("docs", [models.PointStruct(id=7, vector={"dense": list(vector)}, payload=dict(fields))])

    def forget(self) -> None:
        self.client.update_collection("docs", metadata=dict.fromkeys(("jina_v3", "jina_v3_layout", "jina_v3_writer")))

    def vectors(self) -> Vectors:
        vectors: Vectors = {}
        offset: Any = None
        while True:  # a short page each time: the client gives up after a second, since some tests wait for that
            records, offset = self.client.scroll("docs", limit=100, offset=offset, with_vectors=True)
            vectors |= {str(record.id): unit(record.vector["dense"]) for record in records}  # type: ignore[index,call-overload]
            if offset is None:
                return vectors


class Milvus(Backend):
    """The real client over gRPC; the server is in this process or in another."""

    name = "milvus"

    def __init__(self, folder: Path, failures: Failures, client: MilvusClient, url: str) -> None:
        super().__init__(folder, failures)
        self.client, self.url = client, url

    def open(self, encoder: Any, name: str, **settings: Any) -> VectorConnector:
        from jina_v3_connectors.milvus import MilvusConnector

        return MilvusConnector(encoder, name, client=self.client, **settings)

    def foreign(self, dimensions: int = 32, metric: str = "cosine") -> None:
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=36)
        for name in ("document_id", "text"):
            schema.add_field(name, DataType.VARCHAR, max_length=1000)
        for name in ("chunk", "start", "end"):
            schema.add_field(name, DataType.INT64)
        schema.add_field("metadata", DataType.JSON)
        schema.add_field("terms", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=100, max_length=100)
        schema.add_field("dense", DataType.FLOAT_VECTOR, dim=dimensions)
        index = MilvusClient.prepare_index_params()
        index.add_index("dense", index_type="FLAT", metric_type={"cosine": "COSINE", "dot": "IP"}[metric])
        self.client.create_collection("docs", schema=schema, index_params=index)

    def forget(self) -> None:
        names = ["jina_v3", "jina_v3_index", "jina_v3_partition_key", "jina_v3_writer"]
        self.client.drop_collection_properties("docs", names)

    def clean(self) -> None:
        """Leave nothing to the next test, then close."""
        for name in self.client.list_collections():
            for alias in self.client.list_aliases(name)["aliases"]:
                self.client.drop_alias(alias)
            self.client.drop_collection(name)
        self.release()

    def release(self) -> None:
        """Close; Milvus Lite lets another process in."""
        from jina_v3_connectors.milvus.lite import close_lite

        if self.url.startswith("milvus:"):
            close_lite(Path(self.url.removeprefix("milvus:")), self.client)
        else:
            self.client.close()

    def vectors(self) -> Vectors:
        self.client.load_collection("docs")
        rows = self.client.query("docs", filter='id != ""', output_fields=["dense"], limit=16_000)
        return {row["id"]: unit(row["dense"]) for row in rows}


class OldMilvus(Milvus):
    """A server of version 2.3, which has no BM25 and cannot drop properties."""

    def forget(self) -> None:
        """Make the collection again, without properties."""
        from pymilvus import CollectionSchema

        schema = CollectionSchema.construct_from_dict(self.client.describe_collection("docs"))
        described = self.client.describe_index("docs", "dense")
        names = ("index_type", "metric_type", "M", "efConstruction")
        index = self.client.prepare_index_params()
        index.add_index("dense", **{name: described[name] for name in names if name in described})
        self.client.load_collection("docs")
        rows = self.client.query("docs", filter='id != ""', output_fields=["*"], limit=16_000)
        self.client.drop_collection("docs")
        self.client.create_collection("docs", schema=schema, index_params=index)
        self.client.insert("docs", rows)

    @property
    def hybrid(self) -> bool:
        return False


class Postgres(Backend):
    """A real server."""

    name = "postgresql"

    def __init__(self, folder: Path, failures: Failures, url: str) -> None:
        super().__init__(folder, failures)
        self.url = url

    def open(self, encoder: Any, name: str, **settings: Any) -> VectorConnector:
        from jina_v3_connectors.postgres import PostgresConnector

        return PostgresConnector(encoder, name, url=self.url, **settings)

    def foreign(self, dimensions: int = 32, metric: str = "cosine") -> None:
        from jina_v3_connectors.postgres.layout import COLUMNS

        columns = ", ".join(f'"{name}" {kind} NOT NULL' for name, kind in COLUMNS.items())
        self.execute(f"CREATE EXTENSION vector; CREATE TABLE docs ({columns}, dense vector({dimensions}) NOT NULL)")
        operators = {"cosine": "vector_cosine_ops", "dot": "vector_ip_ops"}[metric]
        self.execute(f"ALTER TABLE docs ADD UNIQUE (id); CREATE INDEX ON docs USING hnsw (dense {operators})")

    def forget(self) -> None:
        self.execute("DELETE FROM jina_v3_collections")

    def execute(self, statements: str) -> list[Any]:
        """What the last of them answers."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statements)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def vectors(self) -> Vectors:
        rows = self.execute("SELECT id, dense::text FROM docs")
        return {str(name): unit(json.loads(values)) for name, values in rows}


class PineconeService(Backend):
    """The real client over HTTP."""

    name = "pinecone"

    def __init__(self, folder: Path, failures: Failures, url: str, service: Any, kind: str) -> None:
        from pinecone import Pinecone, RetryConfig

        super().__init__(folder, failures)
        self.service, self.kind = service, kind
        at_once = RetryConfig(backoff_factor=0.01)
        self.client = Pinecone(api_key="secret-key", host=url, timeout=PATIENCE, retry_config=at_once)
        self.url = "pinecone:docs" if kind == "documents" else ""
        self.environment |= {"PINECONE_API_KEY": "secret-key", "PINECONE_CONTROLLER_HOST": url}

    def open(self, encoder: Any, name: str, **settings: Any) -> VectorConnector:
        return PineconeConnector(encoder, name, client=self.client, kind=self.kind, **settings)  # type: ignore[arg-type]

    def foreign(self, dimensions: int = 32, metric: str = "cosine") -> None:
        metric = {"cosine": "cosine", "dot": "dotproduct"}[metric]
        if self.kind == "vectors":
            spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
            self.client.indexes.create(name="docs", dimension=dimensions, metric=metric, spec=spec)
            return
        field = {"type": "dense_vector", "dimension": dimensions, "metric": metric}
        deployment = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
        self.client.indexes.create(name="docs", schema={"fields": {"embedding": field}}, deployment=deployment)

    def forget(self) -> None:
        self.service.indexes["docs"]["tags"] = {}

    def put(self, fields: Mapping[str, Any], vector: Sequence[float] = ROW) -> None:
        index = self.client.index(host=str(self.client.indexes.describe("docs").host))
        if self.kind == "vectors":
            index.upsert(vectors=[{"id": "7", "values": vector, "metadata": dict(fields)}])
        else:
            index.documents.upsert(namespace="__default__", documents=[{"_id": "7", "embedding": vector, **fields}])
        index.close()

    def vectors(self) -> Vectors:
        field = "embedding" if self.kind == "documents" else "_values"
        return {name: unit(row[field]) for rows in self.service.records.values() for name, row in rows.items()}


def unit(values: Any) -> NDArray[np.float32]:
    row = np.asarray(values, dtype=np.float32)
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


SERVER = pytest.param("server", marks=pytest.mark.servers)
"""A real Milvus server: `make test-servers`."""
NAMES = ("embedded", "memory", "http", "lite", "tcp", SERVER, "documents", "vectors", "postgres")
REACHED_BY_OTHERS = ("embedded", "http", "lite", "tcp", SERVER, "documents", "postgres")


@contextmanager
def backend_named(name: str, folder: Path, milvus_url: Any) -> Iterator[Backend]:
    """A backend that starts empty. `milvus_url(name)` starts a shared server, see `shared_milvus`."""
    failures = Failures()
    with ExitStack() as stack:
        backend = _start(name, folder, failures, milvus_url, stack)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for key, value in backend.environment.items():
            patch.setenv(key, value)
        yield backend


def _start(name: str, folder: Path, failures: Failures, milvus_url: Any, stack: ExitStack) -> Backend:
    if name == "embedded":
        return Embedded(folder, failures)
    if name in ("memory", "http"):
        from qdrant_client import QdrantClient

        from ..servers.qdrant import qdrant_server

        url = stack.enter_context(qdrant_server(failures)) if name == "http" else ""
        qdrant = QdrantClient(url=url, timeout=PATIENCE, check_compatibility=False) if url else QdrantClient(":memory:")
        stack.callback(qdrant.close)
        return QdrantServer(folder, failures, qdrant, url)
    if name in ("lite", "tcp", "server"):
        from jina_v3_connectors.milvus.connector import connect
        from jina_v3_connectors.milvus.lite import open_lite

        path = folder / "lite.db"
        url = f"milvus:{path}" if name == "lite" else f"milvus+{milvus_url(name)}"
        milvus_client = open_lite(path) if name == "lite" else connect(milvus_url(name))
        milvus = (OldMilvus if name == "server" else Milvus)(folder, failures, milvus_client, url)
        stack.callback(milvus.clean)
        return milvus
    if name == "postgres":
        return Postgres(folder, failures, stack.enter_context(shared_postgres().database()))
    url, service = stack.enter_context(pinecone_server(failures))
    backend = PineconeService(folder, failures, url, service, name)
    stack.callback(backend.client.close)
    return backend


def release(backend: Backend) -> None:
    """Milvus Lite lets one process in at a time."""
    if isinstance(backend, Milvus) and backend.url.startswith("milvus:"):
        backend.release()


def reopen(backend: Backend) -> None:
    """Undo `release`."""
    from jina_v3_connectors.milvus.lite import open_lite

    if isinstance(backend, Milvus) and backend.url.startswith("milvus:"):
        backend.client = open_lite(Path(backend.url.removeprefix("milvus:")))


@cache
def shared_postgres() -> PostgresServer:
    """A server for all tests of this process, started when it is first asked for."""
    from ..servers.postgres import PostgresServer, Unavailable

    try:
        server = PostgresServer()
    except Unavailable as error:
        pytest.skip(str(error))
    atexit.register(server.close)
    server.start()
    return server


@contextmanager
def shared_milvus() -> Iterator[Any]:
    """A function that starts Milvus Lite's TCP server ("tcp") or a real one ("server") when first asked for its URL."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="milvus"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        started: dict[str, str] = {}

        def url(name: str) -> str:
            if name == "server" and not PROGRAM.exists():
                pytest.skip(MISSING)
            if name not in started:
                server = milvus_server(folder / name) if name == "tcp" else standalone(folder / name)
                started[name] = stack.enter_context(server)
            return started[name]

        yield url


def same_vectors(first: Mapping[str, NDArray[Any]], second: Mapping[str, NDArray[Any]]) -> bool:
    """The same ids, with vectors equal to six digits."""
    return first.keys() == second.keys() and all(np.allclose(first[key], second[key], atol=1e-6) for key in first)
