"""Two collections asked the same questions: what is told, and what is refused."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from jina_v3_connectors.errors import StoreError
from jina_v3_connectors.migration.compare import Side, compare
from jina_v3_connectors.migration.comparison_page import comparison_page
from jina_v3_connectors.migration.questions import Judgements, Question
from jina_v3_connectors.migration.ranking import Verdict
from jina_v3_connectors.migration.recipe import Recipe, task_recipe
from jina_v3_connectors.migration.records import Record
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput, MissingExtra
from jina_v3_encoder.testing import FakeEncoder
from tests.support.texts import ANSWERS, SUBJECTS, TRANSLATIONS

from .memory import MemorySource, encoded

PASSAGES = [passage for _, _, passage in ANSWERS] + list(TRANSLATIONS["en"]) + list(TRANSLATIONS["de"])
QUESTIONS = [
    question
    for number, (english, german, _) in enumerate(ANSWERS)
    for question in (Question(f"en{number}", english, "en"), Question(f"de{number}", german, "de"))
]
JUDGEMENTS: Judgements = {
    f"{language}{number}": {f"k{number}": 1} for number in range(len(ANSWERS)) for language in ("en", "de")
}
WITHOUT_TASKS = FakeEncoder(dimensions=384)


@cache
def side(encoder: Encoder, task: str | None = "retrieval.passage", dimensions: int = 384) -> Side:
    recipe = task_recipe(encoder, dimensions, task)
    return Side(f"nano-{task}-{dimensions}", MemorySource(encoded(encoder, PASSAGES, task, dimensions)), recipe)


def lost(encoder: Encoder) -> Side:
    """A collection in which the answers are not found: their vectors are those of other passages, turned by one."""
    records = encoded(encoder, PASSAGES, "retrieval.passage")
    turned = [
        replace(record, vector=records[(number + 1) % len(records)].vector) for number, record in enumerate(records)
    ]
    return Side("lost", MemorySource(turned), task_recipe(encoder, 384, "retrieval.passage"))


def test_the_same_collection_twice() -> None:
    """In float32: beside other work, batches are split in other ways, which moves the last digits of bfloat16."""
    exact = Encoder.from_pretrained("nano", dtype="float32")
    comparison = compare(QUESTIONS, side(exact), side(exact), judgements=JUDGEMENTS)
    assert comparison.overlap == 1.0
    assert comparison.rbo == pytest.approx(1.0)
    assert comparison.overlaps == (*[0] * 10, len(QUESTIONS))
    assert comparison.changed == ()
    assert comparison.notes == ()
    assert comparison.judged is not None
    assert comparison.judged.verdict is Verdict.GO
    assert [measure.difference.high for measure in comparison.judged.measures] == [0.0] * 3
    assert all(line.old == line.new for line in comparison.percentiles)
    fit = comparison.new.fit
    assert fit is not None
    assert (fit.sampled, fit.fitting) == (len(PASSAGES), len(PASSAGES))
    assert fit.median == pytest.approx(1.0, abs=1e-4)


def test_smaller_vectors_change_a_little(nano: Encoder) -> None:
    comparison = compare(QUESTIONS, side(nano), side(nano, dimensions=64), judgements=JUDGEMENTS, thresholds=[0.3])
    assert 0.5 < comparison.overlap < 1.0
    assert 0.5 < comparison.rbo < 1.0
    assert comparison.new.dimensions == 64
    assert sum(comparison.overlaps) == len(QUESTIONS)
    shared = sum(count * share / 10 for share, count in enumerate(comparison.overlaps)) / len(QUESTIONS)
    assert shared == pytest.approx(comparison.overlap)
    assert 0 < len(comparison.changed) <= 20
    assert [changed.rbo for changed in comparison.changed] == sorted(changed.rbo for changed in comparison.changed)
    first = comparison.changed[0]
    assert first.old[0].text == PASSAGES[int(first.old[0].document.removeprefix("k"))]
    assert len(first.new) == 3
    (threshold,) = comparison.thresholds
    assert 0 < threshold.reached < 1
    assert [(line.language, line.questions, line.judged) for line in comparison.languages] == [
        ("de", 10, 10),
        ("en", 10, 10),
    ]


def test_a_worse_collection_is_no_go(nano: Encoder) -> None:
    comparison = compare(QUESTIONS, side(nano), lost(nano), judgements=JUDGEMENTS, checked=False)
    assert comparison.judged is not None
    assert comparison.judged.verdict is Verdict.NO_GO
    ndcg = comparison.judged.measures[0]
    assert ndcg.old > 0.8 > 0.7 > ndcg.new
    assert ndcg.difference.mean == pytest.approx(ndcg.new - ndcg.old)
    back = compare(QUESTIONS, lost(nano), side(nano), judgements=JUDGEMENTS, checked=False)
    assert back.judged is not None
    assert back.judged.verdict is Verdict.GO


def test_an_interval_that_spans_the_tolerance_is_undecided(nano: Encoder) -> None:
    """One of the twenty questions gets worse: by the mean alone a tolerance of .06 would be GO."""
    records = encoded(nano, PASSAGES, "retrieval.passage")
    turned = Side("one is lost", MemorySource(records[1:]), task_recipe(nano, 384, "retrieval.passage"))
    comparison = compare(QUESTIONS, side(nano), turned, judgements=JUDGEMENTS, tolerance=0.12)
    judged = comparison.judged
    assert judged is not None
    assert -0.12 < judged.measures[0].difference.mean < 0
    assert judged.verdict is Verdict.UNDECIDED
    assert "-0.120 is inside" in judged.reason
    assert (judged.missing_old, judged.missing_new) == (0, 1)
    assert any("1 of 10 judged documents are not there, such as 'k0'" in note for note in comparison.notes)
    assert any(f"1 of the {len(PASSAGES)} documents in nano" in note for note in comparison.notes)


def test_a_wrong_old_model_is_refused_before_anything_is_compared(nano: Encoder) -> None:
    """The vectors have its size, so nothing else would tell."""
    source = MemorySource(encoded(nano, PASSAGES, "retrieval.passage"))
    wrong = Side("wrong", source, task_recipe(WITHOUT_TASKS, 384, None))
    with pytest.raises(StoreError) as caught:
        compare(QUESTIONS, wrong, side(nano))
    assert re.search(
        r"only 0 of 16 sampled vectors are those of fake.*\(the middle cosine is -?0\.\d+", str(caught.value)
    )
    assert "--old-model" in str(caught.value)
    assert "--unchecked" in str(caught.value)
    assert source.read_records == 16, "a wrong model is told after a first look, not after a pass"


def test_a_wrong_old_task_is_refused(nano: Encoder) -> None:
    wrong = replace(side(nano, "separation"), recipe=task_recipe(nano, 384, "retrieval.passage"))
    with pytest.raises(StoreError, match=r"only \d of 16 sampled vectors are those of nano with retrieval\.passage"):
        compare(QUESTIONS, wrong, side(nano))


def test_two_models_in_one_collection_are_refused(nano: Encoder) -> None:
    """The first look sees the right one only."""
    records = [
        *encoded(nano, PASSAGES[:20], "retrieval.passage"),
        *encoded(WITHOUT_TASKS, PASSAGES[20:], None, first=20),
    ]
    mixed = Side("mixed", MemorySource(records), task_recipe(nano, 384, "retrieval.passage"))
    with pytest.raises(StoreError, match="mixed: only 20 of 34 sampled vectors are those of nano"):
        compare(QUESTIONS, side(nano), mixed)


def test_unchecked_says_so(nano: Encoder) -> None:
    wrong = replace(side(nano), recipe=task_recipe(WITHOUT_TASKS, 384, None))
    comparison = compare(QUESTIONS, wrong, side(nano), checked=False)
    assert comparison.old.fit is None
    assert any("nobody checked that" in note for note in comparison.notes)


def test_without_texts_nothing_can_be_checked(nano: Encoder) -> None:
    records = [replace(record, text=None) for record in encoded(nano, PASSAGES, "retrieval.passage")]
    blind = Side("blind", MemorySource(records), task_recipe(nano, 384, "retrieval.passage"))
    with pytest.raises(StoreError, match=r"blind: no text with a vector was found.* \(--text-field\)"):
        compare(QUESTIONS, blind, side(nano))
    late = replace(blind, recipe=replace(blind.recipe, late_chunking=True))
    with pytest.raises(StoreError, match="blind: no document with all of its texts and vectors was found"):
        compare(QUESTIONS, late, side(nano))
    assert compare(QUESTIONS, blind, side(nano), checked=False).overlap == 1.0


def test_vectors_without_a_direction_are_counted_and_passed_over(nano: Encoder) -> None:
    records = encoded(nano, PASSAGES, "retrieval.passage")
    zero, nan = np.zeros(384, np.float32), np.full(384, np.nan, np.float32)
    damaged = [
        Record("z", "zero", zero),
        Record("n", "nan", nan),
        Record("m", "missing", None),
        *records,
    ]
    comparison = compare(
        QUESTIONS, replace(side(nano), source=MemorySource(damaged)), side(nano), judgements=JUDGEMENTS
    )
    assert comparison.overlap == 1.0
    assert (comparison.old.records, comparison.old.without_direction) == (len(PASSAGES) + 3, 3)
    assert any("3 of 37 records have no vector, or zeros or NaN" in note for note in comparison.notes)


def test_all_zero_vectors_are_refused(nano: Encoder) -> None:
    zeros = [Record(f"k{number}", text, np.zeros(384, np.float32)) for number, text in enumerate(PASSAGES)]
    empty = replace(side(nano), source=MemorySource(zeros))
    with pytest.raises(StoreError, match="none of its 34 records has a vector that can be compared"):
        compare(QUESTIONS, empty, side(nano))


def test_vectors_that_are_not_normalised_are_told_and_compared_by_cosine(nano: Encoder) -> None:
    records = encoded(nano, PASSAGES, "retrieval.passage")
    longer = [
        replace(record, vector=record.vector * np.float32(2 + number % 3))
        for number, record in enumerate(records)
        if record.vector is not None
    ]
    comparison = compare(QUESTIONS, replace(side(nano), source=MemorySource(longer)), side(nano))
    assert comparison.overlap == 1.0
    assert any("its vectors are from 2 to 4 long" in note for note in comparison.notes)


def test_chunks_count_for_their_document(nano: Encoder) -> None:
    """The new collection is cut in another way: no key is the same, all documents are."""
    texts = [f"{first} {second}" for first, second in zip(PASSAGES[:12], PASSAGES[12:24], strict=True)]
    whole = encoded(nano, texts, "retrieval.passage")
    halves = [
        replace(record, key=f"{record.key}-{half}", document_id=f"k{number}", order=half)
        for half in (0, 1)
        for number, record in enumerate(encoded(nano, PASSAGES[12 * half : 12 * half + 12], "retrieval.passage"))
    ]
    recipe = task_recipe(nano, 384, "retrieval.passage")
    comparison = compare(
        QUESTIONS, Side("whole", MemorySource(whole), recipe), Side("halves", MemorySource(halves), recipe)
    )
    assert (comparison.old.documents, comparison.new.documents) == (12, 12)
    assert (comparison.old.records, comparison.new.records) == (12, 24)
    assert comparison.overlap > 0.8
    assert comparison.notes == ()


def test_judgements_of_unknown_documents_are_told(nano: Encoder) -> None:
    judgements = {"en0": {"passage-0": 1}}
    with pytest.raises(
        StoreError, match=r"holds none of the 1 judged documents, such as 'passage-0'.*--document-field"
    ):
        compare(QUESTIONS, side(nano), side(nano), judgements=judgements)


def test_few_judged_questions_decide_nothing(nano: Encoder) -> None:
    few = {question: JUDGEMENTS[question] for question in ("en0", "en1")}
    judged = compare(QUESTIONS, side(nano), side(nano), judgements=few).judged
    assert judged is not None
    assert (judged.questions, judged.verdict) == (2, Verdict.UNDECIDED)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"limit": 0}, "limit must be from 1 to 50"), ({"limit": 51}, "got 51"), ({"tolerance": -0.1}, "0 or more")],
)
def test_numbers_out_of_range(nano: Encoder, settings: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        compare(QUESTIONS, side(nano), side(nano), **settings)  # type: ignore[arg-type]


def test_judgements_of_questions_that_are_not_asked_do_not_count(nano: Encoder) -> None:
    judgements = {"other": {"k1": 1}, **JUDGEMENTS}
    judged = compare(QUESTIONS, side(nano), side(nano), judgements=judgements).judged
    assert judged is not None
    assert judged.questions == len(QUESTIONS)
    with pytest.raises(InvalidInput, match="the judgements are of other questions"):
        compare(QUESTIONS, side(nano), side(nano), judgements={"other": {"k1": 1}})


def test_a_missing_package_is_told_before_the_passes(nano: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    source = MemorySource([])
    with pytest.raises(MissingExtra, match=r"jina-v3-connectors\[eval\]"):
        compare(QUESTIONS, replace(side(nano), source=source), side(nano), judgements=JUDGEMENTS)


def test_no_question(nano: Encoder) -> None:
    with pytest.raises(InvalidInput, match="no question"):
        compare([], side(nano), side(nano))


def test_another_size_than_the_recipes(nano: Encoder) -> None:
    wrong = replace(side(nano, dimensions=64), recipe=Recipe(nano, 384, "retrieval.passage", "retrieval.query"))
    with pytest.raises(StoreError, match="its vectors have 64 dimensions, its model gives 384"):
        compare(QUESTIONS, wrong, side(nano), checked=False)


def test_a_long_pass_tells_how_far_it_is(nano: Encoder) -> None:
    told: list[tuple[str, int, int]] = []
    compare(QUESTIONS, side(nano), side(nano), advance=lambda *step: told.append(step))
    assert (f"reading nano-{'retrieval.passage'}-384", len(PASSAGES), len(PASSAGES)) in told
    assert told[0][0].startswith("encoding questions")


def test_json_holds_everything(nano: Encoder) -> None:
    comparison = compare(QUESTIONS, side(nano), side(nano, dimensions=32), judgements=JUDGEMENTS)
    values = json.loads(json.dumps(comparison.to_dict()))
    assert values["judged"]["verdict"] == comparison.judged.verdict if comparison.judged else False
    assert values["changed"][0]["question"]["text"] == comparison.changed[0].question.text
    assert values["old"]["fit"]["recipe"] == "nano with retrieval.passage"


def test_the_page_escapes_every_text(nano: Encoder) -> None:
    hostile = "<script>alert(1)</script> & <img src=x>"
    records = encoded(nano, [hostile, *PASSAGES], "retrieval.passage")
    old = Side(hostile, MemorySource(records), task_recipe(nano, 384, "retrieval.passage"))
    small = encoded(nano, [hostile, *PASSAGES], "retrieval.passage", 32)
    new = Side("new", MemorySource(small), task_recipe(nano, 32, "retrieval.passage"))
    questions = [replace(question, language=hostile) for question in QUESTIONS] + [Question(hostile, hostile, hostile)]
    page = comparison_page(compare(questions, old, new, judgements=JUDGEMENTS))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "http://" not in page
    assert "https://" not in page


def test_subjects_are_questions_without_judgements(nano: Encoder) -> None:
    questions = [Question(text, text) for texts in SUBJECTS.values() for text in texts]
    comparison = compare(questions, side(nano), side(nano, "text-matching"))
    assert comparison.judged is None
    assert comparison.languages == ()
    assert "UNDECIDED" not in comparison_page(comparison)
