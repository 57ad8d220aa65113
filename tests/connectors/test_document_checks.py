"""What a document may hold: refused before anything is encoded, kept exactly by every backend up to the limits."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jina_v3_connectors import Document, DocumentError, Mark
from jina_v3_connectors.document_checks import (
    MAX_DEPTH,
    MAX_ID_BYTES,
    MAX_INTEGER,
    MIN_INTEGER,
    check_document,
    check_spans,
)
from jina_v3_connectors.ingestion.chunked import chunks_of
from jina_v3_connectors.milvus.store import MilvusStore
from jina_v3_connectors.pinecone.store import PineconeStore
from jina_v3_encoder.testing import FakeEncoder

from ..servers.rest import Failures
from ..support.backends import Backend, Embedded

TEXT = "A text. And more."
DOCS = Path(__file__).parents[2] / "docs" / "values.md"


def objects(levels: int) -> dict[str, Any]:
    """Metadata of that many levels, itself the first."""
    values: Any = 1
    for _ in range(levels):
        values = {"a": values}
    return dict(values)


def lists(levels: int) -> dict[str, Any]:
    values: Any = 1
    for _ in range(levels - 1):
        values = [values]
    return {"a": values}


BAD: dict[str, tuple[Any, str]] = {
    "no document": ("text", "expected a Document, got 'text'"),
    "text": (Document("x", 7), "document 'x': its text must be a str, got 7"),  # type: ignore[arg-type]
    "text surrogate": (Document("x", "a\ud800b"), "document 'x': character 1 is a lone surrogate, which is no text"),
    "text NUL": (
        Document("x", "One.\0Two."),
        r"document 'x': character 4 is a null character \(U\+0000\).*convert the source, or take the nulls out",
    ),
    "format": (Document("x", TEXT, {}, "html"), "format is 'html', use one of text, markdown"),  # type: ignore[arg-type]
    "id type": (Document(7, TEXT), "a document's id must be a str with something in it, got 7"),  # type: ignore[arg-type]
    "id empty": (Document("", TEXT), "a document's id must be a str with something in it, got ''"),
    "id NUL": (Document("a\0b", TEXT), r"document id 'a\\x00b': character 1 is a control character"),
    "id escape": (Document("a\x1b[1m", TEXT), r"character 1 is a control character.*leave it out of the id"),
    "id newline": (Document("a\nb", TEXT), r"document id 'a\\nb': character 1 is a control character"),
    "id C1": (Document("ab\x9f", TEXT), "character 2 is a control character"),
    "id surrogate": (Document("a\udc80", TEXT), r"document id 'a\\udc80': character 1 is a lone surrogate"),
    "id long": (
        Document("é" * (MAX_ID_BYTES // 2) + "x", TEXT),
        "has 2,049 bytes, 2,048 are kept at most",
    ),
    "metadata": (Document("x", TEXT, [1]), r"document 'x': its metadata must be JSON, an object, got \[1\]"),  # type: ignore[arg-type]
    "key": (Document("x", TEXT, {"a": {1: 2}}), r"document 'x': its metadata\['a'\] must be JSON, where keys are str"),
    "key surrogate": (Document("x", TEXT, {"\ud800": 2}), r"its metadata, key '\\ud800': character 0 is a lone surr"),
    "value surrogate": (Document("x", TEXT, {"a": ["\ud800"]}), r"its metadata\['a'\]\[0\]: character 0 is a lone sur"),
    "object": (Document("x", TEXT, {"a": object()}), r"its metadata\['a'\] must be JSON, got object"),
    "set": (Document("x", TEXT, {"a": {1, 2}}), "must be JSON, got set: keep a dict, list, str"),
    "bytes": (Document("x", TEXT, {"a": b"b"}), "must be JSON, got bytes"),
    "nan": (Document("x", TEXT, {"a": math.nan}), r"metadata\['a'\] must be JSON, a finite number, got nan"),
    "infinite": (
        Document("x", TEXT, {"a": [-math.inf]}),
        r"\['a'\]\[0\] must be JSON, a finite number, got -inf",
    ),
    "large": (Document("x", TEXT, {"a": 10**30}), r"metadata\['a'\] is an integer past 64 bits.*keep it as a str"),
    "2^63": (Document("x", TEXT, {"a": MAX_INTEGER + 1}), "an integer past 64 bits"),
    "-2^63-1": (Document("x", TEXT, {"a": MIN_INTEGER - 1}), "an integer past 64 bits"),
    "objects": (
        Document("x", TEXT, objects(MAX_DEPTH + 1)),
        "is nested 33 deep, 32 levels of objects and lists",
    ),
    "lists": (Document("x", TEXT, lists(MAX_DEPTH + 1)), "is nested 33 deep, 32 levels"),
    "mark order": (
        Document("x", TEXT, marks=(Mark(3, {}), Mark(3, {}))),
        "mark 1 starts at 3: it must be a whole number past the start of the mark before",
    ),
    "mark far": (Document("x", TEXT, marks=(Mark(18, {}),)), "mark 0 starts at 18: .* within the text's 17 characters"),
    "mark before": (Document("x", TEXT, marks=(Mark(-1, {}),)), "mark 0 starts at -1: it must be a whole number"),
    "mark values": (Document("x", TEXT, marks=(Mark(0, []),)), "metadata of mark 0 must be an object"),  # type: ignore[arg-type]
    "mark nan": (
        Document("x", TEXT, marks=(Mark(0, {"a": math.nan}),)),
        r"mark 0\['a'\] must be JSON, a finite number",
    ),
    "objects, far": (Document("x", TEXT, objects(100_000)), "is nested 33 deep, 32 levels"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_a_document_may_not_hold(name: str) -> None:
    document, message = BAD[name]
    with pytest.raises(DocumentError, match=message) as caught:
        check_document(document)
    assert len(str(caught.value)) < 1000


def test_a_structure_that_holds_itself() -> None:
    values: dict[str, Any] = {}
    values["self"] = values
    with pytest.raises(DocumentError, match="is nested 33 deep"):
        check_document(Document("x", TEXT, values))


class Counting(FakeEncoder):
    """Knows what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encode_documents(self, texts: Any, spans: Any, **settings: Any) -> Any:
        self.texts += texts
        return super().encode_documents(texts, spans, **settings)


def test_no_backend_is_given_what_one_cannot_keep(backend: Backend) -> None:
    """Each refusal is a DocumentError, before anything is encoded, and `skip_bad` goes on to what is good."""
    encoder = Counting()
    with backend.connect(encoder=encoder) as store:
        for bad, message in BAD.values():
            with pytest.raises(DocumentError, match=message):
                store.ingest([bad])
        assert (encoder.texts, store.count()) == ([], 0)
        corpus = [Document("first", TEXT), *(bad for bad, _ in BAD.values()), Document("last", TEXT)]
        report = store.ingest(corpus, skip_bad=True)
        assert (report.documents, report.skipped) == (2, len(BAD))
        names = [bad.id for bad, _ in BAD.values() if isinstance(bad, Document)]
        for reason, (bad, message) in zip(report.bad, BAD.values(), strict=True):
            twice = isinstance(bad, Document) and names.count(bad.id) > 1 and "came twice" in reason
            assert twice or re.search(message, reason)
        assert sorted(store.ids()) == [("first", 0), ("first", 1), ("last", 0), ("last", 1)]
    with backend.connect() as store:
        assert store.count() == 4


EDGES: dict[str, Any] = {
    "integers": {"most": MAX_INTEGER, "least": MIN_INTEGER, "odd": 2**53 + 1},
    "floats": {"large": 1e300, "small": 5e-324, "whole": 3.0},
    "objects": objects(MAX_DEPTH),
    "lists": lists(MAX_DEPTH),
    "texts": {"": "", "\0": "\0\x1b\n", "a.b": "\U0010ffff\u2028", "emoji": "👩‍👧"},
}


@pytest.mark.parametrize("name", EDGES)
def test_up_to_the_limits_every_backend_keeps_it_exactly(backend: Backend, name: str) -> None:
    document = Document("x", TEXT, EDGES[name])
    with backend.connect() as store:
        store.ingest([document])
    with backend.connect() as store:
        (hit,) = store.search("text", limit=1)
        stored = dict(hit.chunk.metadata)
        assert stored == document.metadata
        assert repr(stored) == repr(document.metadata) or name == "integers", "numbers keep their type"


def test_the_longest_id_is_stored_found_and_deleted(backend: Backend) -> None:
    longest = "é" * (MAX_ID_BYTES // 2)
    with backend.connect() as store:
        store.ingest([Document(longest, TEXT), Document("other", TEXT)])
        assert {hit.chunk.document_id for hit in store.search("x", filter={"document_id": longest})} == {longest}
        store.ingest([Document(longest, "Short.")])
        store.delete([longest])
        assert sorted(store.ids()) == [("other", 0), ("other", 1)]


class Given:
    """A chunker that gives what it is told."""

    description = "given"

    def __init__(self, spans: Any) -> None:
        self._spans = spans

    def spans(self, text: str, text_format: str = "text") -> Any:
        return self._spans


BAD_SPANS: dict[str, tuple[Any, str]] = {
    "reversed": ([(0, 2), (7, 3)], r"span 1 of its chunker is \(7, 3\): it must lie within the text's 17 characters"),
    "empty": ([(3, 3)], r"span 0 of its chunker is \(3, 3\)"),
    "negative": ([(-3, 4)], r"is \(-3, 4\)"),
    "outside": ([(0, 18)], r"is \(0, 18\): it must lie within the text's 17 characters and start before it ends"),
    "not in order": ([(5, 9), (0, 5)], "span 1 of its chunker starts at 0, the one before it at 5: give them in order"),
    "float": ([(0.0, 4.0)], r"span 0 of its chunker must be two whole numbers, start and end, got \(0.0, 4.0\)"),
    "bool": ([(False, True)], "must be two whole numbers"),
    "three": ([(0, 1, 2)], "must be two whole numbers"),
    "str": (["ab"], "must be two whole numbers, start and end, got 'ab'"),
}


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("name", BAD_SPANS)
def test_spans_that_are_no_parts_of_the_text(tmp_path: Path, name: str, late: bool) -> None:
    spans, message = BAD_SPANS[name]
    backend = Embedded(tmp_path, Failures())
    with backend.connect(chunker=Given(spans), late_chunking=late) as store:
        with pytest.raises(DocumentError, match=rf"document 'x': .*{message}"):
            store.ingest([Document("x", TEXT)])
        report = store.ingest([Document("x", TEXT)], skip_bad=True)
        assert (report.skipped, report.documents, store.count()) == (1, 0, 0)


@pytest.mark.parametrize("make", [list, tuple, iter], ids=["list", "tuple", "iterator"])
def test_spans_in_order_may_overlap(make: Callable[[Any], Any]) -> None:
    spans = [(0, 7), (2, 9), (2, 17)]
    check_spans(Document("x", TEXT), spans)
    assert [chunk.text for chunk in chunks_of(Document("x", TEXT), Given(make(spans)))] == [TEXT[a:b] for a, b in spans]


def test_the_page_says_what_the_code_does() -> None:
    page = DOCS.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([a-zA-Z ]+) \| (.+) \|$", page, re.MULTILINE))
    assert f"1 to {MAX_ID_BYTES:,} bytes" in rows["id"]
    assert f"{MAX_DEPTH} levels" in rows["metadata"]
    assert (MIN_INTEGER, MAX_INTEGER) == (-(2**63), 2**63 - 1)
    assert "−2^63 to 2^63 − 1" in rows["metadata"]
    for name, limits in (("Milvus", MilvusStore.write_limits), ("Pinecone", PineconeStore.write_limits)):
        assert f"{limits.text_bytes:,} bytes of text" in rows[name]
        assert f"{limits.metadata_bytes:,} bytes of metadata" in rows[name]
    assert f"{MilvusStore.write_limits.terms:,} different values" in rows["Milvus"]
    assert "docs/values.md" in (DOCS.parents[1] / "README.md").read_text(encoding="utf-8")
