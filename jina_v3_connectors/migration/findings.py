"""What a diagnosis says: plain values, for a table, JSON or a page. They hold no text and no vector of a collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

EXAMPLES = 5
"""How many keys of records a finding names."""


class Severity(StrEnum):
    """How bad a finding is. An error makes answers wrong; a warning may; a note is good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about a collection."""

    severity: Severity
    name: str
    """A short name that stays the same from version to version, such as "zero-vectors"."""
    what: str
    remedy: str
    figures: Mapping[str, int | float | str] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    """Keys of records, or ids of documents."""


@dataclass(frozen=True)
class Bins:
    """How many records are in each bin, with the bins' names."""

    labels: tuple[str, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Origin:
    """How many of the sampled vectors one model and task made."""

    recipe: str
    vectors: int


@dataclass(frozen=True)
class Sampled:
    """Where the vectors of a sample come from, the most frequent origin first; the rest are none of the named ones."""

    sample: str
    vectors: int
    origins: tuple[Origin, ...]

    @property
    def unknown(self) -> int:
        return self.vectors - sum(origin.vectors for origin in self.origins)

    def __str__(self) -> str:
        parts = [f"{origin.vectors} are those of {origin.recipe}" for origin in self.origins]
        if self.unknown:
            parts.append(f"{self.unknown} of none that was named")
        return f"of {self.vectors} {self.sample}, {', '.join(parts)}"


@dataclass(frozen=True)
class Diagnosis:
    """A collection as it was seen in one pass."""

    collection: str
    layout: str
    """Whose layout it is, such as "jina-v3" or "LangChain"."""
    model: str | None
    """That its contract names."""
    records: int
    documents: int
    """Ids of documents; 0 where records name none."""
    dimensions: int | None
    norms: Bins
    """The lengths of the vectors."""
    characters: Bins
    """The lengths of the texts."""
    samples: tuple[Sampled, ...]
    findings: tuple[Finding, ...]
    """The worst first."""

    @property
    def worst(self) -> Severity | None:
        return min((finding.severity for finding in self.findings), key=lambda severity: severity.rank, default=None)

    def to_dict(self) -> dict[str, Any]:
        samples = [{**asdict(sample), "unknown": sample.unknown} for sample in self.samples]
        return {**asdict(self), "samples": samples, "worst": self.worst}
