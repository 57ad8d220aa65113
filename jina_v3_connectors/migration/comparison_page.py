"""A comparison as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..pages import Content, Markup, element, page, table
from . import charts
from .comparison import MEASURES, Answer, Changed, Comparison, Judged, SideFigures
from .ranking import Verdict

PASSAGE_CHARACTERS = 300


def comparison_page(comparison: Comparison) -> str:
    """One page that stands alone. It holds questions and the beginnings of passages."""
    return page(
        "Old and new collection compared",
        element(
            "p",
            f"{comparison.questions:,} questions were asked of ",
            _named(comparison.old, "old"),
            " and of ",
            _named(comparison.new, "new"),
            ". Both were searched exactly, without an index.",
        ),
        *_verdict(comparison.judged),
        *_notes(comparison),
        *_change(comparison),
        *_scores(comparison),
        *_languages(comparison),
        *_changed(comparison),
        *_collections(comparison),
        made_by="jina-v3 migrate",
    )


def _named(side: SideFigures, name: str) -> Markup:
    return element("strong", side.collection, class_=name)


def _verdict(judged: Judged | None) -> Iterator[Content]:
    if judged is None:
        yield element(
            "p",
            "Without judgements nothing here says which collection is better: overlap shows how much changes, and a "
            "better model changes answers too. --judgements adds a verdict.",
        )
        return
    colour = {Verdict.GO: "good", Verdict.NO_GO: "bad"}.get(judged.verdict)
    yield element("p", element("span", str(judged.verdict), class_=f"verdict {colour or ''}".strip()))
    yield element("p", f"{judged.reason[:1].upper()}{judged.reason[1:]}.")
    rows = [
        (
            MEASURES[measure.name],
            f"{measure.old:.3f}",
            f"{measure.new:.3f}",
            f"{measure.difference.mean:+.3f}",
            f"{measure.difference.low:+.3f} to {measure.difference.high:+.3f}",
        )
        for measure in judged.measures
    ]
    yield table(
        ("", "old", "new", "new − old", "95% interval"),
        rows,
        caption=f"{judged.questions:,} judged questions, paired bootstrap",
    )


def _notes(comparison: Comparison) -> Iterator[Content]:
    if comparison.notes:
        yield element("h2", "What to know")
        yield element("ul", (element("li", note) for note in comparison.notes))


def _change(comparison: Comparison) -> Iterator[Content]:
    limit = comparison.limit
    yield element("h2", "How much changes")
    yield element(
        "p",
        f"Of the first {limit} documents, {comparison.overlap:.0%} are the same on average. "
        f"Rank-biased overlap, in which the first ranks weigh most, is {comparison.rbo:.3f}.",
    )
    labels = [str(shared) for shared in range(limit + 1)]
    yield charts.columns(
        f"Questions by documents shared among the first {limit}",
        labels,
        comparison.overlaps,
        below="documents shared",
    )


def _scores(comparison: Comparison) -> Iterator[Content]:
    yield element("h2", "Scores")
    yield element(
        "p", "Thresholds do not carry over from one model to another. The same row of this table keeps as many hits."
    )
    histogram = comparison.histogram
    yield charts.steps(
        f"Scores of the first {comparison.limit} documents of all questions",
        histogram.edges,
        {"old": histogram.old, "new": histogram.new},
        below="cosine",
    )
    yield table(
        ("hits below", "old", "new"),
        [(f"{line.percent}%", f"{line.old:.3f}", f"{line.new:.3f}") for line in comparison.percentiles],
        caption="Percentiles of scores",
    )
    if comparison.thresholds:
        rows = [
            (f"{line.old:.3f}", f"{line.reached:.1%}", "none" if line.new is None else f"{line.new:.3f}")
            for line in comparison.thresholds
        ]
        yield table(("old threshold", "hits that reach it", "new threshold"), rows, caption="Your thresholds")


def _languages(comparison: Comparison) -> Iterator[Content]:
    if not comparison.languages:
        return
    yield element("h2", "Languages")
    judged = {
        line.language or "not named": (line.old_ndcg, line.new_ndcg)
        for line in comparison.languages
        if line.old_ndcg is not None and line.new_ndcg is not None
    }
    if judged:
        yield charts.rows("nDCG@10 by language", judged, below="nDCG@10")
    rows = [
        (line.language or "not named", line.questions, f"{line.overlap:.0%}", f"{line.rbo:.3f}", line.judged)
        for line in comparison.languages
    ]
    yield table(("language", "questions", "overlap", "rank-biased overlap", "judged"), rows, caption="By language")


def _changed(comparison: Comparison) -> Iterator[Content]:
    if not comparison.changed:
        return
    yield element("h2", "Questions that changed most")
    for changed in comparison.changed:
        yield from _question(changed)


def _question(changed: Changed) -> Iterator[Content]:
    question = changed.question
    yield element("h3", question.text)
    language = f"{question.language} · " if question.language else ""
    yield element(
        "p",
        f"{language}question {question.id} · overlap {changed.overlap:.0%} · rank-biased overlap {changed.rbo:.3f}",
        class_="soft",
    )
    yield element("div", _answers("old", changed.old), _answers("new", changed.new), class_="pair")


def _answers(side: str, answers: Sequence[Answer]) -> Markup:
    lines = (
        element(
            "li",
            element("strong", answer.document),
            " ",
            element("span", f"{answer.score:.3f}", class_="soft"),
            element("div", _shortened(answer.text)),
        )
        for answer in answers
    )
    return element("div", element("strong", side, class_=side), element("ol", lines))


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= PASSAGE_CHARACTERS else f"{flat[: PASSAGE_CHARACTERS - 1]}…"


def _collections(comparison: Comparison) -> Iterator[Content]:
    yield element("h2", "The two collections")
    sides = (comparison.old, comparison.new)
    rows: list[tuple[str | int, ...]] = [
        ("collection", *(side.collection for side in sides)),
        ("model", *(side.model for side in sides)),
        ("task of questions", *(side.query_task or "none" for side in sides)),
        ("dimensions", *(side.dimensions for side in sides)),
        ("records", *(f"{side.records:,}" for side in sides)),
        ("documents", *(f"{side.documents:,}" for side in sides)),
        ("records without a usable vector", *(f"{side.without_direction:,}" for side in sides)),
        ("sampled vectors that are the model's", *(_fit(side) for side in sides)),
    ]
    yield table(("", "old", "new"), rows, caption="What was compared")


def _fit(side: SideFigures) -> str:
    fit = side.fit
    return "not checked" if fit is None else f"{fit.fitting} of {fit.sampled}, middle cosine {fit.median:.4f}"
