"""Looks at a collection before it is moved, in one pass, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from jina_v3_encoder.text_encoder import TextEncoder

from ..errors import StoreError
from .checks import Check, ModelNames, Texts, Tokens, Vectors
from .findings import Diagnosis, Finding, Severity
from .fit import Sample
from .origins import origin_findings, origins
from .pairs import Chunks, Copies
from .progress import Advance, silent
from .records import Record, Source

PAGE = 1000


def diagnose(
    source: Source,
    collection: str,
    *,
    encoders: Sequence[TextEncoder] = (),
    limit: int | None = None,
    advance: Advance = silent,
) -> Diagnosis:
    """Look at every record once, or at the first `limit`.

    Args:
        source: The collection.
        collection: Its name, for people.
        encoders: Models that may have made the vectors. A sample is encoded again with each, in all of its tasks.
        limit: How many records to look at.
        advance: Called as the pass goes on.

    Raises:
        StoreError: the collection cannot be read, or is empty.
    """
    vectors, texts, chunks = Vectors(), Texts(), Chunks()
    checks: list[Check] = [vectors, texts, Copies(), chunks, ModelNames(), *map(Tokens, encoders)]
    sample, records = Sample(), 0
    total = source.count() if limit is None else min(limit, source.count())
    for record in islice(source.records(vectors=True), limit):
        for check in checks:
            check.add(record)
        sample.add(record)
        records += 1
        if records % PAGE == 0:
            advance(f"reading {collection}", records, max(total, records))
    if not records:
        raise StoreError(f"{collection} holds no records, so there is nothing to look at")
    advance(f"reading {collection}", records, records)
    examples = _rows(source, {row for check in checks for row in check.rows()})
    findings = [finding for check in checks for finding in check.findings(examples)]
    samples = []
    if encoders and source.dimensions:
        samples = origins(sample, encoders, source.dimensions, advance)
        findings += origin_findings(samples, encoders, source.dimensions)
    if limit is not None and records < source.count():
        findings.append(_partly(records))
    contract = source.contract
    return Diagnosis(
        collection,
        source.description,
        contract.model if contract else None,
        records,
        chunks.documents,
        source.dimensions,
        vectors.bins,
        texts.bins,
        tuple(samples),
        tuple(sorted(findings, key=lambda finding: finding.severity.rank)),
    )


def _rows(source: Source, rows: Iterable[int]) -> dict[int, Record]:
    """The records at these places in the order of the collection, which is the same at each reading."""
    wanted = set(rows)
    if not wanted:
        return {}
    return {row: record for row, record in _first(source, max(wanted) + 1) if row in wanted}


def _first(source: Source, count: int) -> Iterator[tuple[int, Record]]:
    yield from enumerate(islice(source.records(vectors=False), count))


def _partly(records: int) -> Finding:
    return Finding(
        Severity.NOTE,
        "partly",
        f"only the first {records:,} records were looked at",
        "leave --limit out to see all",
        {"records": records},
    )
