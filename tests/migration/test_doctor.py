"""What a doctor finds in collections that are damaged on purpose, and that it finds nothing in sound ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jina_v3_connectors.errors import StoreError
from jina_v3_connectors.migration.diagnosis_page import diagnosis_page
from jina_v3_connectors.migration.doctor import diagnose
from jina_v3_connectors.migration.findings import Diagnosis, Finding, Severity
from jina_v3_connectors.migration.records import Record
from jina_v3_encoder import Blend
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.testing import FakeEncoder, write_random_checkpoint
from tests.support.texts import ANSWERS, TRANSLATIONS

from .memory import MemorySource, encoded

TEXTS = [passage for _, _, passage in ANSWERS] + [text for texts in TRANSLATIONS.values() for text in texts][:54]
SIZE = 32


def made_up(count: int = 64) -> list[Record]:
    """Sound records with vectors of length 1."""
    vectors = np.random.default_rng(0).normal(size=(count, SIZE)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [Record(f"k{number}", f"text number {number}", vector) for number, vector in enumerate(vectors)]


def diagnosed(records: list[Record], **settings: Any) -> Diagnosis:
    return diagnose(MemorySource(records), "docs in memory", **settings)


def finding(diagnosis: Diagnosis, name: str) -> Finding:
    (only,) = [one for one in diagnosis.findings if one.name == name]
    return only


def names(diagnosis: Diagnosis) -> set[str]:
    return {one.name for one in diagnosis.findings}


def test_a_sound_collection() -> None:
    diagnosis = diagnosed(made_up())
    assert diagnosis.findings == ()
    assert diagnosis.worst is None
    assert (diagnosis.records, diagnosis.documents, diagnosis.dimensions) == (64, 0, SIZE)
    assert diagnosis.norms.counts == (64,)
    assert sum(diagnosis.characters.counts) == 64


def test_an_empty_collection() -> None:
    with pytest.raises(StoreError, match="docs in memory holds no records"):
        diagnosed([])


def test_all_zero_vectors() -> None:
    diagnosis = diagnosed([replace(record, vector=np.zeros(SIZE, np.float32)) for record in made_up()])
    assert finding(diagnosis, "zero-vectors").severity is Severity.ERROR
    assert finding(diagnosis, "zero-vectors").figures == {"records": 64}
    assert finding(diagnosis, "zero-vectors").examples == ("k0", "k1", "k2", "k3", "k4")
    assert "same-vector" not in names(diagnosis), "zeros are told once"


def test_vectors_that_are_missing_or_broken() -> None:
    records = made_up()
    records[3] = replace(records[3], vector=None)
    broken, infinite = np.full(SIZE, np.nan, np.float32), np.full(SIZE, np.inf, np.float32)
    records[5], records[6] = replace(records[5], vector=broken), replace(records[6], vector=infinite)
    diagnosis = diagnosed(records)
    assert finding(diagnosis, "no-vector").examples == ("k3",)
    assert finding(diagnosis, "broken-vectors").examples == ("k5", "k6")
    assert diagnosis.worst is Severity.ERROR


def test_forty_identical_vectors_from_a_wrong_text_column() -> None:
    records = made_up()
    same = [replace(record, vector=records[0].vector) for record in records[:40]]
    diagnosis = diagnosed([*same, *records[40:]])
    told = finding(diagnosis, "same-vector")
    assert told.severity is Severity.ERROR
    assert told.figures == {"vectors": 1, "most_texts": 40}
    assert told.what == "vectors that stand for several different texts: 1 (one of them for 40)"
    assert len(told.examples) == 5
    assert set(told.examples) <= {record.key for record in same}


def test_two_texts_on_one_vector_are_a_warning_and_spelling_is_none() -> None:
    records = made_up()
    records[1] = replace(records[1], vector=records[0].vector)
    assert finding(diagnosed(records), "same-vector").severity is Severity.WARNING
    assert set(finding(diagnosed(records), "same-vector").examples) == {"k0", "k1"}
    records[1] = replace(records[1], text="TEXT  number\n0")
    assert "same-vector" not in names(diagnosed(records))


def test_the_same_text_twice() -> None:
    records = made_up()
    records[7] = replace(records[7], text=records[2].text)
    told = finding(diagnosed(records), "same-text")
    assert told.severity is Severity.NOTE
    assert told.figures == {"records": 1}
    assert told.examples == ("k2", "k7")
    many = [replace(record, text="the same") for record in records]
    assert finding(diagnosed(many), "same-text").severity is Severity.WARNING
    assert finding(diagnosed(many), "same-text").figures == {"records": 63}


def test_texts_that_are_missing_or_blank() -> None:
    records = made_up()
    records[1], records[2] = replace(records[1], text=None), replace(records[2], text=" \n")
    diagnosis = diagnosed(records)
    assert finding(diagnosis, "no-text").examples == ("k1",)
    assert finding(diagnosis, "blank-texts").examples == ("k2",)


def test_several_sizes_and_lengths() -> None:
    records = made_up()
    longer = [
        replace(record, vector=record.vector * np.float32(14 + number / 64)) if number % 2 else record
        for number, record in enumerate(records)
        if record.vector is not None
    ]
    told = finding(diagnosed(longer), "several-lengths")
    assert told.severity is Severity.WARNING
    assert sorted(told.figures.values()) == [32, 32]
    assert "32 about 1 long" in told.what
    records[0] = replace(records[0], vector=np.ones(8, np.float32))
    assert finding(diagnosed(records), "several-sizes").figures == {"32": 63, "8": 1}


def test_lengths_of_one_model_are_one_group() -> None:
    spread = np.random.default_rng(1).normal(10, 1, size=64).clip(8, 12)
    records = [
        replace(record, vector=record.vector * np.float32(length))
        for record, length in zip(made_up(), spread, strict=True)
        if record.vector is not None
    ]
    assert names(diagnosed(records)) == {"not-normalised"}
    assert finding(diagnosed(records), "not-normalised").severity is Severity.NOTE


def test_models_named_by_a_field() -> None:
    records = [
        replace(record, metadata={"embedding_model": "a" if number < 60 else "b", "model": "X"})
        for number, record in enumerate(made_up())
    ]
    told = finding(diagnosed(records), "several-models")
    assert told.figures == {"a": 60, "b": 4}
    assert told.severity is Severity.ERROR
    cars = [replace(record, metadata={"model": record.key}) for record in made_up()]
    assert diagnosed(cars).findings == ()


def chunks(numbers: list[int | None], document: str = "d", **fields: Any) -> list[Record]:
    records = made_up(len(numbers))
    return [
        replace(record, key=f"{document}{row}", text=f"{document} {row}", document_id=document, order=number, **fields)
        for row, (record, number) in enumerate(zip(records, numbers, strict=True))
    ]


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ([0, 1, 2, 3], None),
        ([1, 2, 3], None),
        ([3, 1, 0, 2], None),
        ([0, 1, 3], "missing-chunks"),
        ([2, 3], "missing-chunks"),
        ([0, 1, 1, 2], "repeated-chunks"),
        ([None, None], "unnumbered-chunks"),
        ([None], None),
    ],
)
def test_chunks_of_a_document(numbers: list[int | None], name: str | None) -> None:
    diagnosis = diagnosed([*chunks(numbers), *chunks([0, 1], "sound")])
    assert names(diagnosis) - {"same-vector"} == ({name} if name else set())
    assert diagnosis.documents == 2
    if name:
        assert finding(diagnosis, name).examples == ("d",)
        assert finding(diagnosis, name).figures == {"documents": 1}


def test_positions_of_chunks() -> None:
    def placed(*starts: int) -> list[Record]:
        return [
            replace(record, start=start, end=start + 10)
            for record, start in zip(chunks(list(range(len(starts)))), starts, strict=True)
        ]

    assert diagnosed(placed(0, 11, 22)).findings == ()
    assert diagnosed(placed(0, 5, 10)).findings == (), "chunks may overlap"
    assert names(diagnosed(placed(0, 11, 500))) == {"missing-characters"}
    assert names(diagnosed(placed(0, 50, 11))) == {"unordered-chunks"}


def test_records_without_a_document_among_others() -> None:
    diagnosis = diagnosed([*chunks([0, 1]), Record("alone", "alone", np.ones(SIZE, np.float32))])
    assert finding(diagnosis, "no-document").examples == ("alone",)


def test_the_model_and_its_task_are_named(nano: Encoder) -> None:
    diagnosis = diagnosed(encoded(nano, TEXTS, "retrieval.passage"), encoders=[nano])
    assert finding(diagnosis, "origin").what == "of 64 sampled vectors, 64 are those of nano with retrieval.passage"
    assert diagnosis.worst is Severity.NOTE


def test_a_slice_is_its_models_too(nano: Encoder) -> None:
    diagnosis = diagnosed(encoded(nano, TEXTS, "separation", 64), encoders=[nano])
    assert finding(diagnosis, "origin").figures == {"nano with separation": 64}


def test_texts_that_were_stored_as_questions(nano: Encoder) -> None:
    diagnosis = diagnosed(encoded(nano, TEXTS, "retrieval.query"), encoders=[nano])
    assert finding(diagnosis, "stored-as-questions").severity is Severity.WARNING


def test_a_prompt_that_was_left_out(nano: Encoder) -> None:
    vectors = nano.encode(TEXTS, task="retrieval.passage", prompt=False)
    records = [Record(f"k{row}", text, vector) for row, (text, vector) in enumerate(zip(TEXTS, vectors, strict=True))]
    told = finding(diagnosed(records, encoders=[nano]), "origin")
    assert told.figures == {"nano with retrieval.passage, without its prompt": 64}


def test_two_models_of_one_size_in_one_table(nano: Encoder) -> None:
    other = FakeEncoder(dimensions=384)
    strange = np.random.default_rng(0).normal(size=(7, 384)).astype(np.float32)
    strange /= np.linalg.norm(strange, axis=1, keepdims=True)
    records = [
        *encoded(nano, TEXTS[:37], "retrieval.passage"),
        *encoded(other, TEXTS[37:57], "separation", first=37),
        *(Record(f"k{57 + row}", text, strange[row]) for row, text in enumerate(TEXTS[57:])),
    ]
    told = finding(diagnosed(records, encoders=[nano, other]), "several-origins")
    assert told.severity is Severity.ERROR
    assert told.what == (
        "of 64 sampled vectors, 37 are those of nano with retrieval.passage, "
        f"20 are those of {other.model_id} with separation, 7 of none that was named"
    )
    assert "several-lengths" not in names(diagnosed(records)), "nothing but encoding again can tell"


def test_a_wrong_source_model(nano: Encoder) -> None:
    other = FakeEncoder(dimensions=384)
    told = finding(diagnosed(encoded(nano, TEXTS, "retrieval.passage"), encoders=[other]), "unknown-origin")
    assert told.severity is Severity.ERROR
    assert told.what == "of 64 sampled vectors, 64 of none that was named"


def test_a_wrong_text_column(nano: Encoder) -> None:
    records = encoded(nano, TEXTS, "retrieval.passage")
    titles = [replace(record, text=f"Title {number}") for number, record in enumerate(records)]
    assert "--text-field" in finding(diagnosed(titles, encoders=[nano]), "unknown-origin").remedy


def test_a_model_that_is_smaller_than_the_vectors(nano: Encoder) -> None:
    diagnosis = diagnosed(encoded(nano, TEXTS, "retrieval.passage"), encoders=[FakeEncoder(dimensions=64)])
    assert "64 dimensions, the stored vectors 384" in finding(diagnosis, "smaller-model").what
    assert finding(diagnosis, "unknown-origin").what == "of 64 sampled vectors, 64 of none that was named"


@pytest.mark.parametrize("blend", [None, Blend()], ids=["late", "blend"])
def test_late_chunks_are_recognised(nano: Encoder, blend: Blend | None) -> None:
    """Each vector depends on its neighbours, so encoding a chunk alone finds nobody."""
    records = []
    for number in range(4):
        parts = TEXTS[number * 5 : number * 5 + 5]
        text = "\n".join(parts)
        starts = [text.index(part) for part in parts]
        spans = [(start, start + len(part)) for start, part in zip(starts, parts, strict=True)]
        (vectors,) = nano.encode_documents([text], [spans], task="retrieval.passage", blend=blend)
        records += [
            Record(f"{number}-{row}", part, vectors[row], f"d{number}", row, *spans[row])
            for row, part in enumerate(parts)
        ]
    diagnosis = diagnosed(records, encoders=[nano])
    assert diagnosis.samples[1].origins[0].recipe == f"nano with retrieval.passage, {blend or 'late chunking'}"
    assert diagnosis.samples[1].origins[0].vectors == 20
    assert finding(diagnosis, "origin").severity is Severity.NOTE


def test_texts_past_the_models_limit(tmp_path: Path) -> None:
    encoder = Encoder.from_pretrained(write_random_checkpoint(tmp_path), device="cpu", dtype="float32")
    long = "word " * (2 * encoder.max_tokens)
    records = made_up()
    records[4] = replace(records[4], text=long)
    told = finding(diagnosed(records, encoders=[encoder]), "past-the-limit")
    assert told.figures["records"] == 1
    assert told.figures["most_tokens"] == encoder.count_tokens(long, "retrieval.passage")
    assert told.examples == ("k4",)


def test_a_part_of_a_collection() -> None:
    source = MemorySource(made_up())
    diagnosis = diagnose(source, "docs", limit=10)
    assert diagnosis.records == 10
    assert source.read_records == 10
    assert names(diagnosis) == {"partly"}
    assert names(diagnose(source, "docs", limit=64)) == set()


def test_the_worst_stands_first() -> None:
    records = made_up()
    records[0] = replace(records[0], vector=None)
    records[1] = replace(records[1], text=" ")
    records[2] = replace(records[2], text=records[3].text)
    ranks = [one.severity.rank for one in diagnosed(records).findings]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == 3


def test_neither_json_nor_page_holds_a_text_or_a_vector(nano: Encoder) -> None:
    secret = "the secret passage about apples"
    records = encoded(nano, [secret, secret, "", *TEXTS], "retrieval.passage")
    records[3] = replace(records[3], vector=records[4].vector, document_id="<b>id</b>")
    diagnosis = diagnosed(records, encoders=[nano])
    values, page = json.dumps(diagnosis.to_dict()), diagnosis_page(diagnosis)
    vector = records[0].vector
    assert vector is not None
    for shown in (values, page):
        assert "secret" not in shown
        assert f"{vector[0]:.4f}" not in shown
        assert not any(text in shown for text in TEXTS)
    assert json.loads(values)["worst"] == diagnosis.worst
    assert "<b>" not in page
    assert "<script" not in page


def test_a_long_pass_needs_little_memory() -> None:
    """Hashes are kept, not texts: these are 8,000 texts of 10 KB, 80 MB together."""
    import tracemalloc

    class Long(MemorySource):
        def records(self, *, vectors: bool, after: str | None = None) -> Iterator[Record]:
            for number in range(8_000):
                vector = np.array([1, number, number % 7, 0], dtype=np.float32)
                yield Record(f"key {number}", f"{number:09} " * 1_000, vector, f"d{number // 10}", number % 10)

        def count(self) -> int:
            return 8_000

    tracemalloc.start()
    diagnosis = diagnose(Long(made_up(1)), "docs")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (diagnosis.records, diagnosis.documents) == (8_000, 800)
    assert most < 8 * 2**20
