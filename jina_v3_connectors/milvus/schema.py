"""The fields of a collection, its indexes, and where its contract is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from jina_v3_encoder.errors import InvalidInput, MissingExtra

from ..contract import EmbeddingContract
from ..errors import StoreError
from ..keywords import FIELD

try:
    from pymilvus import CollectionSchema, DataType, Function, FunctionType, MilvusClient
    from pymilvus.milvus_client.index import IndexParams
except ImportError:
    raise MissingExtra("pymilvus", "milvus") from None

Datatype = Literal["float32", "float16", "bfloat16"]
Index = Literal["HNSW", "IVF_FLAT", "FLAT", "AUTOINDEX"]

VECTOR = "dense"
WORDS = "words"
PARTITION = "partition"
MAX_PARTITION = 1000
CONTRACT_PROPERTY = "jina_v3"
WRITER_PROPERTY = "jina_v3_writer"
PARTITION_PROPERTY = "jina_v3_partition_key"
INDEX_PROPERTY = "jina_v3_index"
OLD = "v2.3."
"""The oldest servers that work. Their versions begin so."""
MAX_VARCHAR = 65_535
"""Bytes of a VARCHAR field; a JSON field has one more."""
MAX_TERMS = 1024
TERM_BYTES = 1000
ID_CHARACTERS = 36
FIELDS = ("id", "document_id", "chunk", "start", "end", "text", "metadata", "terms", VECTOR)
_DATATYPES: dict[Datatype, Any] = {
    "float32": DataType.FLOAT_VECTOR,
    "float16": DataType.FLOAT16_VECTOR,
    "bfloat16": DataType.BFLOAT16_VECTOR,
}
_NAMES: dict[Any, Datatype] = {kind: name for name, kind in _DATATYPES.items()}
_INDEX_PARAMS: dict[str, dict[str, int]] = {"HNSW": {"M": 16, "efConstruction": 200}, "IVF_FLAT": {"nlist": 1024}}


@dataclass(frozen=True)
class MilvusLayout:
    """How a new collection is stored. It changes speed and size, not the vectors.

    Raises:
        InvalidInput: an unknown name.
    """

    datatype: Datatype = "float32"
    """Milvus Lite stores float32 only."""
    index: Index = "HNSW"
    hybrid: bool = False
    """Store BM25 weights of the text too, for `search(hybrid=True)`."""
    partition_key: str | None = None
    """A metadata field that holds a str in every document, such as a tenant: chunks of one value lie together, and a
    filter on it reads only those."""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("datatype", self.datatype, get_args(Datatype)),
            ("index", self.index, get_args(Index)),
        ):
            if value not in known:
                raise InvalidInput(f"unknown {name} {value!r}: use one of {', '.join(known)}")
        if self.partition_key is not None and not FIELD.fullmatch(self.partition_key):
            raise InvalidInput(f"partition_key must name a metadata field, got {self.partition_key!r}")


def forgets(version: str) -> bool:
    """Whether a server of this version forgets deletions that come while it loads the rows.

    Seen on 2.3.5 once in some hundred ingests: the rows are found again until the collection is released and loaded, or
    they are deleted again. Milvus's issues 33015 and 35261 tell of it.
    """
    return version.startswith(OLD)


def lacks(version: str, layout: MilvusLayout) -> str:
    """What a server of this version cannot do of the layout, and the remedy. Empty if it can do everything.

    The server itself notices only after it has made the collection.
    """
    if not version.startswith(OLD):
        return ""
    if layout.hybrid:
        return "has no BM25: leave out hybrid, or use 2.5 or later"
    if layout.datatype != "float32":
        return f"does not store {layout.datatype}: use float32, or 2.4 or later"
    if layout.partition_key:
        return "finds nothing by partition keys: leave out partition_key, or use a later version"
    return ""


def collection_schema(contract: EmbeddingContract, layout: MilvusLayout) -> CollectionSchema:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False, description=contract.to_json())
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=ID_CHARACTERS)
    schema.add_field("document_id", DataType.VARCHAR, max_length=MAX_VARCHAR)
    for name in ("chunk", "start", "end"):
        schema.add_field(name, DataType.INT64)
    schema.add_field("text", DataType.VARCHAR, max_length=MAX_VARCHAR, enable_analyzer=layout.hybrid)
    schema.add_field("metadata", DataType.JSON)
    schema.add_field(
        "terms", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=MAX_TERMS, max_length=TERM_BYTES
    )
    if layout.partition_key:
        schema.add_field(PARTITION, DataType.VARCHAR, max_length=MAX_PARTITION, is_partition_key=True)
    schema.add_field(VECTOR, _DATATYPES[layout.datatype], dim=contract.dimensions)
    if layout.hybrid:
        schema.add_field(WORDS, DataType.SPARSE_FLOAT_VECTOR)
        schema.add_function(
            Function("words", FunctionType.BM25, input_field_names=["text"], output_field_names=[WORDS])
        )
    return schema


def index_fields(layout: MilvusLayout) -> list[str]:
    """The fields that have an index each."""
    return [VECTOR, WORDS] if layout.hybrid else [VECTOR]


def index_params(layout: MilvusLayout, field: str) -> IndexParams:
    """Parameters of one of these indexes."""
    params = MilvusClient.prepare_index_params()
    if field == WORDS:
        params.add_index(WORDS, index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    else:
        settings = _INDEX_PARAMS.get(layout.index, {})
        params.add_index(VECTOR, index_type=layout.index, metric_type="COSINE", params=settings)
    return params


def stored_contract(description: Mapping[str, Any], collection: str) -> EmbeddingContract | None:
    """The contract in what `describe_collection` returns, None where there is none.

    It is read from the properties; servers keep a copy in the description, which Milvus Lite drops.

    Raises:
        StoreError: it is damaged, or of another version.
    """
    content = (description.get("properties") or {}).get(CONTRACT_PROPERTY)
    return None if content is None else EmbeddingContract.from_json(content, collection)


def properties(contract: EmbeddingContract, layout: MilvusLayout) -> dict[str, str]:
    """Properties of a new collection: contract and layout. The index is named here because it is made later."""
    key = {PARTITION_PROPERTY: layout.partition_key} if layout.partition_key else {}
    return {CONTRACT_PROPERTY: contract.to_json(), INDEX_PROPERTY: layout.index, **key}


def stored_layout(description: Mapping[str, Any], collection: str) -> MilvusLayout:
    """The layout, as `stored_contract`. One that an early version adopted does not name its index.

    Raises:
        StoreError: it is damaged, or of another version.
    """
    stored = description.get("properties") or {}
    try:
        return MilvusLayout(
            datatype=_NAMES[DataType(vector_field(description)["type"])],
            index=stored.get(INDEX_PROPERTY, MilvusLayout.index),
            hybrid=WORDS in field_names(description),
            partition_key=stored.get(PARTITION_PROPERTY),
        )
    except (KeyError, InvalidInput) as error:
        raise StoreError(f"collection {collection!r} has a layout this version cannot read: {error}") from error


def layout_of(description: Mapping[str, Any], index: str, wanted: MilvusLayout) -> MilvusLayout:
    """The layout of a collection that does not name it, with the kind of its index."""
    return MilvusLayout(
        datatype=_NAMES[DataType(vector_field(description)["type"])],
        index=index if index in get_args(Index) else wanted.index,  # type: ignore[arg-type]
        hybrid=WORDS in field_names(description),
        partition_key=wanted.partition_key if PARTITION in field_names(description) else None,
    )


def field_names(description: Mapping[str, Any]) -> list[str]:
    return [field["name"] for field in description["fields"]]


def foreign_fields(description: Mapping[str, Any], ours: CollectionSchema) -> list[str]:
    """What is wrong with fields that have our names but hold something else."""
    wanted = {field.name: {field.dtype} for field in ours.fields} | {VECTOR: set(_DATATYPES.values())}
    problems = []
    for field in description["fields"]:
        name, kind = field["name"], DataType(field["type"])
        if name in wanted and kind not in wanted[name]:
            problems.append(f"its field {name!r} is {kind.name}, not {min(wanted[name]).name}")
        elif name in wanted and field.get("nullable"):
            problems.append(f"its field {name!r} may be null")
    return problems


def vector_field(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises KeyError where there is none."""
    return {field["name"]: dict(field) for field in description["fields"]}[VECTOR]


def vector_size(description: Mapping[str, Any]) -> int:
    """Dimensions of the vector field."""
    return int(vector_field(description)["params"]["dim"])
