"""Where the vectors of a sample come from, and how little has to be encoded to tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jina_v3_connectors.migration.doctor import diagnose
from jina_v3_connectors.migration.findings import Diagnosis
from jina_v3_connectors.migration.records import Record
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.usage import count_usage
from tests.support.texts import TRANSLATIONS

from .memory import MemorySource, encoded

TEXTS = [text for texts in TRANSLATIONS.values() for text in texts][:64]
WAYS = 8
"""Of nano: six tasks or none, and two prompts that may be left out."""


def origins(diagnosis: Diagnosis) -> dict[str, int]:
    return {origin.recipe: origin.vectors for sample in diagnosis.samples for origin in sample.origins}


@pytest.mark.parametrize("task", ["separation", None], ids=["separation", "none"])
def test_a_sample_is_not_encoded_in_every_way(nano: Encoder, task: str | None) -> None:
    """16 of 64 vectors are tried in all ways, the others in the one that made these."""
    records = encoded(nano, TEXTS, task)
    once = sum(nano.count_tokens(TEXTS, "retrieval.passage"))
    with count_usage() as usage:
        diagnosis = diagnose(MemorySource(records), "docs", encoders=[nano])
    assert origins(diagnosis) == {f"nano with {task}" if task else "nano without a task": 64}
    assert usage.tokens < once * (WAYS * 16 + 48) / 64 * 1.2


def test_no_way_is_tried_on_more_than_a_few_vectors_of_a_stranger(nano: Encoder) -> None:
    records = encoded(nano, TEXTS, "separation")
    strange = [replace(record, text=f"{record.text} {number}") for number, record in enumerate(reversed(records))]
    mixed = [replace(record, vector=records[number].vector) for number, record in enumerate(strange)]
    with count_usage() as usage:
        diagnosis = diagnose(MemorySource(mixed), "docs", encoders=[nano])
    assert (origins(diagnosis), diagnosis.samples[0].unknown) == ({}, 64)
    assert usage.tokens < sum(nano.count_tokens(TEXTS, "retrieval.passage")) * WAYS / 3


def test_a_few_vectors_of_another_task_are_found(nano: Encoder) -> None:
    """One in ten. Once the others are explained, they are what is left to try."""
    records = [*encoded(nano, TEXTS[:58], "retrieval.passage"), *encoded(nano, TEXTS[58:], "separation", first=58)]
    diagnosis = diagnose(MemorySource(records), "docs", encoders=[nano])
    assert origins(diagnosis) == {"nano with retrieval.passage": 58, "nano with separation": 6}


def test_the_bar_is_true(nano: Encoder) -> None:
    steps: list[tuple[int, int]] = []

    def advance(what: str, done: int, total: int) -> None:
        if what == "encoding the sample":
            steps.append((done, total))

    late = [replace(record, document_id=f"d{row // 4}", order=row % 4) for row, record in enumerate(_shifted(nano))]
    diagnose(MemorySource(late), "docs", encoders=[nano], advance=advance)
    assert all(0 <= done <= total and total for done, total in steps)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1]


def _shifted(nano: Encoder) -> list[Record]:
    """Vectors that no way explains, so that whole documents are tried too."""
    records = encoded(nano, TEXTS[:16], "separation")
    return [
        replace(record, vector=other.vector) for record, other in zip(records, records[1:] + records[:1], strict=True)
    ]
