"""A collection without a contract is taken over only if its vectors are those that its texts should have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors import (
    AdoptionRefused,
    Chunk,
    ContractMismatch,
    ContractMissing,
    Document,
    SemanticChunker,
    StoreError,
)
from jina_v3_connectors import demo as demo_package
from jina_v3_connectors.adoption import put_together
from jina_v3_connectors.files.folders import read_documents
from jina_v3_connectors.filters import ChunkNumber
from jina_v3_connectors.milvus import MilvusLayout
from jina_v3_connectors.postgres import PostgresLayout
from jina_v3_connectors.qdrant import QdrantConnector, QdrantLayout
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.network.quantize import has_int8_product
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.vectors import FloatArray

from ..support.backends import Backend, Embedded, Milvus, PineconeService, Postgres, backend_named

CHUNK_TOKENS = 60
SIZES = (64, 128, 256, 384)


def corpus(count: int) -> list[Document]:
    return [
        Document(f"d{n}", f"Text number {n} is here. It's about {'cats' if n % 2 else 'the moon'}.", {"n": n})
        for n in range(count)
    ]


def filled(backend: Backend, documents: Sequence[Document], **settings: Any) -> None:
    """Ingest, then take the contract away."""
    with backend.connect(**settings) as store:
        store.ingest(documents)
    backend.forget()
    with pytest.raises(ContractMissing, match="does not say which model made its vectors"):
        backend.connect(**settings)


def refused(backend: Backend, **settings: Any) -> str:
    """Why the collection is not adopted."""
    with pytest.raises(AdoptionRefused, match=r"(?s)^collection 'docs' was not adopted: .*Nothing was changed\.$") as e:
        backend.connect(adopt=True, **settings)
    with pytest.raises(ContractMissing, match="does not say which model made its vectors"):
        backend.connect(**settings)
    return str(e.value)


@pytest.mark.parametrize("late", [False, True])
def test_what_fits_is_adopted(backend: Backend, late: bool) -> None:
    filled(backend, corpus(60), late_chunking=late)
    with backend.connect(adopt=True, late_chunking=late) as store:
        assert store.count() == 120
        assert store.search("Text number 7 is here.", limit=1)[0].chunk.document_id == "d7"
        if not isinstance(backend, PineconeService):  # it waits for its own count
            store.ingest([Document("new", "One more.")])
    with backend.connect(late_chunking=late) as store:
        assert store.count() in (120, 121), "adopted for good"


def test_what_does_not_fit_is_refused(backend: Backend) -> None:
    filled(backend, corpus(60), late_chunking=False, encoder=FakeEncoder(model_id="fake"))
    message = refused(backend, late_chunking=True)
    assert (
        "They fit task retrieval.passage, each text alone (mean cosine 1.0000). Open it with late_chunking=F" in message
    )
    assert "with fake, 32 dimensions, task retrieval.passage, late chunking of whole documents: their mean" in message


def test_the_sample_comes_from_all_over_the_collection(backend: Backend) -> None:
    with backend.connect(late_chunking=False) as store:
        store.ingest(corpus(300))
        firsts = {str(chunk.id) for chunk, _ in store.store.sample(40)}
        assert len(firsts) == 40
        some = store.store.sample(40)
        assert {str(chunk.id) for chunk, _ in some} != firsts, "nobody knows which"
        for chunk, vector in some:
            expected = store.encoder.encode(chunk.text, task="retrieval.passage", dimensions=32)
            np.testing.assert_allclose(vector / np.linalg.norm(vector), expected, atol=1e-5)
        if not isinstance(backend, PineconeService):
            assert len(store.store.sample(1000)) == 600


LAYOUTS: dict[type[Backend], Any] = {
    Embedded: QdrantLayout(
        slices=(8, 16), datatype="float16", quantization="scalar", hybrid=True, indexes={"n": "integer"}
    ),
    Milvus: MilvusLayout(index="FLAT", hybrid=True),
    Postgres: PostgresLayout(datatype="halfvec", hybrid=True, index_from=5),
}


@pytest.mark.parametrize("backend", ["embedded", "http", "lite", "postgres"], indirect=True)
def test_the_layout_is_noted_as_it_is(backend: Backend) -> None:
    """It was noted as the default, and a layout that fits was refused."""
    layout = LAYOUTS.get(type(backend), QdrantLayout(slices=(8, 16), hybrid=True, indexes={"n": "integer"}))
    filled(backend, corpus(20), layout=layout)
    with backend.connect(adopt=True, layout=layout) as store:
        assert store.stored is not None
        assert store.stored.layout == layout
        store.ingest(corpus(21))
        assert store.search("Text number 7", hybrid=True)


@pytest.mark.parametrize("backend", ["embedded", "memory", "documents", "vectors"], indirect=True)
def test_where_no_text_is_stored(backend: Backend) -> None:
    backend.foreign()
    backend.put({"title": "A text."})
    message = refused(backend)
    assert "none of 1 records holds a text, so nothing shows what made its vectors" in message
    assert "jina-v3 migrate reads them into a new collection" in message
    assert "adopt='unchecked' (--adopt-unchecked) takes your word" in message
    said = r"'docs' is taken over on your word: none of 1 records .* Unless fake did, with 32 dimensions, task ret"
    with pytest.warns(UserWarning, match=said), backend.connect(adopt="unchecked") as store:
        assert store.count() == 1


def test_a_word_is_not_taken_where_texts_are(backend: Backend) -> None:
    filled(backend, corpus(20), encoder=FakeEncoder(model_id="other"), late_chunking=False)
    with pytest.raises(AdoptionRefused, match="Open it with late_chunking=False"):
        backend.connect(adopt="unchecked")


def test_another_layout_is_sent_to_a_migration(tmp_path: Path, milvus_url: Any) -> None:
    from qdrant_client import models

    with backend_named("http", tmp_path, milvus_url) as backend:
        vectors = models.VectorParams(size=32, distance=models.Distance.COSINE)
        backend.client.create_collection("docs", vectors)  # type: ignore[attr-defined]
        message = (
            "'docs' cannot be adopted: it has no vector named 'dense', but one without a name; jina-v3 migrate reads "
            "it into a new collection, or ingest into a new collection yourself. Nothing was changed"
        )
        with pytest.raises(StoreError, match=message):
            backend.connect(adopt=True)


def test_a_document_of_which_parts_are_missing(tmp_path: Path) -> None:
    """Its late chunking cannot be repeated, and the error says so."""
    with backend_named("embedded", tmp_path, None) as backend:
        with backend.connect() as store:
            store.ingest(corpus(10))
            store.store.delete(ChunkNumber(0, 0))
        backend.forget()
        message = refused(backend)
        assert "No document of the sample is stored as a whole, so task retrieval.passage, late chunking of" in message


@pytest.mark.parametrize("adopt", [None, "yes", 1, ""])
def test_other_values_of_adopt(tmp_path: Path, adopt: Any) -> None:
    with pytest.raises(InvalidInput, match="adopt must be True, False or 'unchecked', got"):
        QdrantConnector(FakeEncoder(), "docs", path=tmp_path, adopt=adopt)
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Corpus:
    """Texts of the demo, cut into chunks."""

    documents: list[Document]
    chunks: list[Chunk]

    @property
    def texts(self) -> list[str]:
        return [chunk.text for chunk in self.chunks]

    def late(self, encoder: Any, size: int) -> FloatArray:
        spans = [[(c.start, c.end) for c in self.chunks if c.document_id == d.id] for d in self.documents]
        texts = [document.text for document in self.documents]
        rows = encoder.encode_documents(texts, spans, task="retrieval.passage", dimensions=size)
        return np.concatenate(rows)


@cache
def demo() -> Corpus:
    encoder = bundled()
    chunker = SemanticChunker(encoder.info.tokenizer_file, CHUNK_TOKENS)  # type: ignore[arg-type]
    file = Path(demo_package.__file__).parent / "corpus.jsonl"
    documents = [
        replace(document, metadata={"title": f"Title {n}", "lang": "en"})
        for n, document in enumerate(list(read_documents(file))[:12])
    ]
    chunks = [
        Chunk(document.id, number, start, end, document.text[start:end], document.metadata)
        for document in documents
        for number, (start, end) in enumerate(chunker.spans(document.text, document.format))
    ]
    return Corpus(documents, chunks)


@cache
def bundled(quantize: Any = None) -> Encoder:
    return Encoder.from_pretrained("nano", device="cpu", quantize=quantize)


def of_task(task: str | None, **settings: Any) -> Callable[[int], FloatArray]:
    return lambda size: bundled().encode(demo().texts, task=task, dimensions=size, **settings)


def cut(size: int) -> FloatArray:
    """Slices that nobody renormalised."""
    return np.ascontiguousarray(bundled().encode(demo().texts, task="retrieval.passage", normalize=True)[:, :size])


def mixed(size: int) -> FloatArray:
    """A third of the collection was filled in another way."""
    rows = passages(size).copy()
    rows[::3] = of_task("separation")(size)[::3]
    return rows


def with_metadata(size: int) -> FloatArray:
    """As LlamaIndex does."""
    from llama_index.core.schema import MetadataMode, TextNode

    nodes = [TextNode(text=chunk.text, metadata=dict(chunk.metadata)) for chunk in demo().chunks]
    texts = [node.get_content(MetadataMode.EMBED) for node in nodes]
    return bundled().encode(texts, task="retrieval.passage", dimensions=size)


passages = of_task("retrieval.passage")

KINDS: dict[str, tuple[Callable[[int], FloatArray], dict[str, Any], str]] = {
    "questions": (of_task("retrieval.query"), {}, "They fit task retrieval.query, each text alone"),
    "separation": (of_task("separation"), {}, "They fit task separation, each text alone"),
    "classification": (of_task("classification"), {}, "They fit task classification, each text alone"),
    "text-matching": (of_task("text-matching"), {}, "They fit task text-matching, each text alone"),
    "no task": (of_task(None), {}, "They fit no task, each text alone"),
    "no prompt": (
        of_task("retrieval.passage", prompt=False),
        {},
        "They fit task retrieval.passage without its prompt, each text alone",
    ),
    "late chunking": (
        lambda size: demo().late(bundled(), size),
        {},
        r"They fit task retrieval.passage, late chunking of whole documents .* Open it with late_chunking=True",
    ),
    "no late chunking": (
        passages,
        {"late_chunking": True},
        r"They fit task retrieval.passage, each text alone .* Open it with late_chunking=False",
    ),
    "cut": (cut, {}, "Their lengths are 0.* slices of longer vectors that were not renormalised"),
    "not normalised": (lambda size: 3 * passages(size), {}, "Their lengths are 3.* they were not normalised"),
    "another model": (
        lambda size: FakeEncoder(384).encode(demo().texts, dimensions=size),
        {},
        "another model made them, or they were made of other texts than those that are stored",
    ),
    "mixed up": (lambda size: np.roll(passages(size), 1, axis=0), {}, "texts and vectors were mixed up"),
    "metadata": (with_metadata, {}, "They fit task retrieval.passage, each text alone, its metadata in front"),
    "in two ways": (mixed, {}, r"\d+ vectors fit as they should: the others were made in another way"),
}


@pytest.fixture
def table(tmp_path: Path, milvus_url: Any) -> Iterator[Backend]:
    with backend_named("postgres", tmp_path, milvus_url) as backend:
        yield backend


def write(backend: Backend, vectors: FloatArray) -> None:
    """A collection without a contract, with these vectors."""
    settings = {"encoder": bundled(), "dimensions": vectors.shape[1], "late_chunking": False}
    with backend.connect(**settings) as store:
        store.create()
        assert store.stored is not None
        store.store.upsert(demo().chunks, vectors, store.stored.layout)
    backend.forget()


def drop(backend: Postgres) -> None:
    backend.execute("DROP TABLE docs")


@pytest.mark.parametrize(
    "size", [256, *(pytest.param(size, marks=pytest.mark.servers) for size in SIZES if size != 256)]
)
def test_every_wrong_collection_is_refused_and_named(table: Postgres, size: int) -> None:
    """All are refused. Most guesses are right: which texts lie in a sample is chance."""
    wrong: dict[str, str] = {}
    for name, (vectors_of, settings, guess) in KINDS.items():
        vectors = vectors_of(size)
        if name == "cut" and size == vectors_of(1000).shape[1]:
            continue
        write(table, vectors)
        message = refused(table, encoder=bundled(), **{"dimensions": size, "late_chunking": False} | settings)
        if not re.search(guess, message):
            wrong[name] = message
        table.execute("DROP TABLE docs")
    assert len(wrong) <= len(KINDS) - 12, wrong


@pytest.mark.parametrize("size", SIZES[1:])
def test_another_size_is_refused_and_named(table: Postgres, size: int) -> None:
    write(table, passages(64))
    with pytest.raises(ContractMismatch, match=f"dimensions: the collection has 64, you use {size}"):
        table.connect(encoder=bundled(), dimensions=size, late_chunking=False, adopt=True)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("late", [False, True])
def test_int8_beside_bfloat16_is_the_same_model(table: Postgres, size: int, late: bool) -> None:
    """The fingerprints differ, and the contract has the one that adopts."""
    if not has_int8_product():
        pytest.skip("this processor has no int8 product")
    eight = bundled("int8")
    rows = demo().late(eight, size) if late else eight.encode(demo().texts, task="retrieval.passage", dimensions=size)
    write(table, rows)
    with table.connect(encoder=bundled(), dimensions=size, late_chunking=late, adopt=True) as store:
        assert store.contract.fingerprint == bundled().fingerprint != eight.fingerprint


def entry(number: int, start: int, text: str, end: int | None = None) -> Any:
    chunk = Chunk("d", number, start, start + len(text) if end is None else end, text)
    return chunk, np.array([number, 1], np.float32)


def test_documents_are_put_together() -> None:
    whole = put_together(
        [entry(1, 9, "Two."), entry(0, 1, "One two."), entry(2, 10, "wo. Three."), entry(3, 22, "End.")]
    )
    assert whole is not None
    assert whole.texts == (" One two.Two. Three.\n\nEnd.", "\nOne two.Two. Three.\n\nEnd.")
    assert whole.spans == [(1, 9), (9, 13), (10, 20), (22, 26)]
    assert whole.vectors[:, 0].tolist() == [0, 1, 2, 3]
    joined = put_together([entry(0, 0, "One."), entry(1, 0, "Two.")])
    assert joined is not None
    assert (joined.texts, joined.spans) == (("One. Two.",), [(0, 4), (4, 9)])
    alone = put_together([entry(0, 0, "One.")])
    assert alone is not None
    assert alone.texts == ("One.",)


@pytest.mark.parametrize(
    "stored",
    [
        [],
        [entry(1, 5, "Two.")],
        [entry(0, 0, "One."), entry(2, 5, "Three.")],
        [entry(0, 0, "One."), entry(1, 50, "Two.")],
        [entry(0, 0, "One."), entry(1, 5, "Two.", end=7)],
        [entry(0, 20, "One.")],
        [entry(0, 0, "One."), entry(1, 4, " ")],
    ],
    ids=["none", "no first", "one missing", "a gap", "another length", "no beginning", "a blank one"],
)
def test_documents_that_are_not_whole(stored: Any) -> None:
    assert put_together(stored) is None
