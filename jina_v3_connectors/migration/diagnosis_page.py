"""A diagnosis as a page. It holds figures and keys, no text and no vector of the collection."""

from __future__ import annotations

from collections.abc import Iterator

from ..pages import Content, Markup, element, page, table
from . import charts
from .findings import Bins, Diagnosis, Finding, Severity

COLOURS = {Severity.ERROR: "bad", Severity.WARNING: "old", Severity.NOTE: "soft"}


def diagnosis_page(diagnosis: Diagnosis) -> str:
    """One page that stands alone."""
    return page(
        "A collection before it is moved",
        element("p", element("strong", diagnosis.collection), " was read once, and not changed."),
        *_findings(diagnosis),
        *_samples(diagnosis),
        *_figures(diagnosis),
        *_chart("Lengths of vectors", diagnosis.norms, "length; 1 is normalised"),
        *_chart("Lengths of texts", diagnosis.characters, "characters"),
        made_by="jina-v3 migrate",
    )


def _findings(diagnosis: Diagnosis) -> Iterator[Content]:
    yield element("h2", "What was found")
    if not diagnosis.findings:
        yield element("p", "Nothing odd was found.")
        return
    rows = [
        (
            element("strong", str(finding.severity), class_=COLOURS[finding.severity]),
            _what(finding),
            element("span", finding.remedy),
        )
        for finding in diagnosis.findings
    ]
    yield table(("", "what", "what to do"), rows, caption="Findings, the worst first")


def _what(finding: Finding) -> Markup:
    examples = f" Such as {', '.join(finding.examples)}." if finding.examples else None
    return element("div", f"{finding.what}.", element("span", examples, class_="soft") if examples else None)


def _samples(diagnosis: Diagnosis) -> Iterator[Content]:
    for sample in diagnosis.samples:
        rows: list[tuple[str | int, ...]] = [(origin.recipe, origin.vectors) for origin in sample.origins]
        if sample.unknown:
            rows.append(("none that was named", sample.unknown))
        yield table(("made by", "vectors"), rows, caption=f"Whose the {sample.vectors} {sample.sample} are")


def _figures(diagnosis: Diagnosis) -> Iterator[Content]:
    yield element("h2", "The collection")
    rows: list[tuple[str | int, ...]] = [
        ("records", f"{diagnosis.records:,}"),
        ("documents", f"{diagnosis.documents:,}" if diagnosis.documents else "not named"),
        ("dimensions", diagnosis.dimensions or "no vectors"),
        ("layout", diagnosis.layout),
        ("model that it names", diagnosis.model or "none"),
    ]
    yield table(("", "value"), rows, caption="As it was seen")


def _chart(title: str, bins: Bins, below: str) -> Iterator[Content]:
    if bins.counts:
        yield charts.columns(title, bins.labels, bins.counts, below=below)
