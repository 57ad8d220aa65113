"""What the page shows is what the encoder gives."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors import Document, SemanticChunker, demo
from jina_v3_connectors.demo import corpus as corpus_module
from jina_v3_connectors.demo.collections import Collections
from jina_v3_connectors.demo.corpus import Corpus, Mode
from jina_v3_connectors.demo.page.schemas import SearchRequest
from jina_v3_connectors.demo.page.view import View
from jina_v3_connectors.documents import TextFormat
from jina_v3_encoder import Blend
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput, UnknownTask
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.texts.late_chunking import Span


class Lines:
    """One chunk per line."""

    description = "lines"

    def spans(self, text: str, text_format: TextFormat = "text") -> Sequence[Span]:
        spans, start = [], 0
        for line in text.splitlines(keepends=True):
            if line.strip():
                spans.append((start, start + len(line.rstrip("\n"))))
            start += len(line)
        return spans


TEXTS = {"a": "red apples grow\nthey are sweet", "b": "blue water flows\nit is deep\nit is cold", "c": "one line"}


def made(texts: dict[str, str] = TEXTS, dimensions: int = 64) -> Corpus:
    return Corpus(FakeEncoder(dimensions=dimensions), [Document(name, text) for name, text in texts.items()], Lines())


def test_documents_without_text_are_left_out() -> None:
    corpus = made({**TEXTS, "empty": "  \n "})
    assert [document.id for document in corpus.documents] == ["a", "b", "c"]
    assert corpus.chunks == 6


@pytest.mark.parametrize("texts", [{}, {"a": ""}, {"a": " \n"}])
def test_no_text_at_all_is_refused(texts: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="no text"):
        made(texts)


def test_ids_must_differ() -> None:
    with pytest.raises(InvalidInput, match="same id"):
        Corpus(FakeEncoder(), [Document("a", "one"), Document("a", "two")], Lines())


def test_too_many_chunks_name_the_limit_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "MAX_CHUNKS", 5)
    with pytest.raises(InvalidInput, match=r"more than 5 chunks.*jina-v3 ingest"):
        made()


def test_an_endless_source_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "MAX_CHUNKS", 5)
    read = []

    def endless() -> object:
        number = 0
        while True:
            number += 1
            read.append(number)
            yield Document(str(number), "a line")

    with pytest.raises(InvalidInput, match=r"more than 5 chunks.*show fewer here"):
        Corpus(FakeEncoder(), endless(), Lines())  # type: ignore[arg-type]
    assert len(read) == 6


@pytest.mark.parametrize("dimensions", [8, 64])
@pytest.mark.parametrize("task", ["retrieval.query", "text-matching", None])
def test_cosines_are_those_of_the_encoder(task: str | None, dimensions: int) -> None:
    corpus, encoder = made(), FakeEncoder(dimensions=64)
    asked = corpus.ask("cold water", task, dimensions)
    query = encoder.encode("cold water", task=task, dimensions=dimensions)
    np.testing.assert_allclose(asked.vector, query, atol=1e-6)
    chunks = [text[start:end] for text in TEXTS.values() for start, end in Lines().spans(text)]
    plain = encoder.encode(chunks, task="retrieval.passage", dimensions=dimensions)
    np.testing.assert_allclose(asked.cosines[Mode.PLAIN], plain @ query, atol=1e-6)
    texts = list(TEXTS.values())
    late = np.concatenate(
        encoder.encode_documents(
            texts, [Lines().spans(text) for text in texts], task="retrieval.passage", dimensions=dimensions
        )
    )
    np.testing.assert_allclose(asked.cosines[Mode.LATE], late @ query, atol=1e-6)
    spans = [Lines().spans(text) for text in texts]
    settings: dict[str, Any] = {"task": "retrieval.passage", "dimensions": dimensions}
    blend = np.concatenate(encoder.encode_documents(texts, spans, blend=Blend(), **settings))
    np.testing.assert_allclose(asked.cosines[Mode.BLEND], blend @ query, atol=1e-6)


def test_asking_twice_changes_nothing() -> None:
    corpus = made()
    first, second = (corpus.ask("deep water", "retrieval.query", 64) for _ in range(2))
    np.testing.assert_array_equal(first.vector, second.vector)
    for mode in Mode:
        np.testing.assert_array_equal(first.cosines[mode], second.cosines[mode])
        np.testing.assert_array_equal(first.points[mode], second.points[mode])


def test_the_map_has_a_point_for_each_chunk_and_one_for_the_question() -> None:
    corpus = made()
    assert {mode: plane.points.shape for mode, plane in corpus.maps.items()} == dict.fromkeys(Mode, (6, 2))
    points = corpus.ask("red apples grow", "retrieval.query", 64).points
    np.testing.assert_allclose(points[Mode.PLAIN], corpus.maps[Mode.PLAIN].points[0], atol=1e-5)


def test_the_name_follows_texts_cut_and_model() -> None:
    base = made().name
    assert base == made().name
    assert len(base) == 8
    assert base != made({**TEXTS, "c": "another line"}).name
    assert base != made({"z": TEXTS["a"], "b": TEXTS["b"], "c": TEXTS["c"]}).name
    assert base != made(dimensions=32).name
    other = made()
    other.spans[0] = [(0, 3)]
    assert base != other.name, "the same chunker with another tokenizer cuts elsewhere"


@pytest.mark.parametrize("task", ["retrieval", "query", ""])
def test_unknown_tasks_are_refused(task: str) -> None:
    with pytest.raises(InvalidInput, match="task"):
        made().ask("a question", task, 8)


def test_the_real_corpus_shows_what_it_is_for(nano: Encoder) -> None:
    """The passage that never names its subject is nearer with late chunking; on the map documents lie apart."""
    corpus = Corpus(nano, demo.documents(), SemanticChunker(nano.tokenizer_file, demo.CHUNK_TOKENS))
    asked = corpus.ask(demo.LATE_QUESTION.text, "retrieval.query", demo.DIMENSIONS)
    names = [document.id for document, spans in zip(corpus.documents, corpus.spans, strict=True) for _ in spans]
    second = names.index(demo.LATE_QUESTION.document_id) + 1
    assert asked.cosines[Mode.LATE][second] > asked.cosines[Mode.PLAIN][second] + 0.05
    assert _apart(corpus, Mode.LATE) > _apart(corpus, Mode.PLAIN)


def _apart(corpus: Corpus, mode: Mode) -> float:
    """Mean distance between documents in units of the mean distance within them."""
    points = corpus.maps[mode].points
    owners = np.repeat(np.arange(len(corpus.spans)), [len(spans) for spans in corpus.spans])
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    same = owners[:, None] == owners[None]
    return float(distances[~same].mean() / distances[same & (distances > 0)].mean())


def test_a_model_without_tasks_shows_its_own_vectors() -> None:
    encoder = FakeEncoder(dimensions=300, tasks=())
    corpus = Corpus(encoder, [Document(name, text) for name, text in TEXTS.items()], Lines())
    assert corpus.dimensions == 300, "its vectors cannot be sliced"
    answer = corpus.ask("cold water", None, 300)
    assert np.allclose(answer.vector, encoder.encode("cold water"))
    with pytest.raises(UnknownTask, match="v2 has no tasks"):
        corpus.ask("cold water", "retrieval.query", 300)


def test_the_page_of_a_model_without_tasks_offers_none(tmp_path: Path) -> None:
    encoder = FakeEncoder(tasks=())
    corpus = Corpus(encoder, [Document(name, text) for name, text in TEXTS.items()], Lines())
    with closing(Collections(corpus, [str(tmp_path)])) as collections:
        view = View(collections)
        about = view.about()
        assert (about["tasks"], about["dimensions"], about["dimension"]) == ([], [64], 64)
        answer = view.search(SearchRequest(question="cold water", store=about["stores"][0], limit=2))
        assert answer["dimensions"] == 64
        with pytest.raises(UnknownTask, match="v2 has no tasks"):
            view.search(SearchRequest(question="cold", store=about["stores"][0], task="retrieval.query", limit=2))
