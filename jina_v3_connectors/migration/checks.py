"""What a doctor looks at, each check by itself, while records stream by. These look at each record alone."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.task import Task
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.vectors import FloatArray

from .findings import EXAMPLES, Bins, Finding, Severity
from .records import Record

UNIT = 1e-3
GROUP_GAP = 1.25
"""Two groups of lengths are apart if nothing lies within this factor. The lengths of one model vary less."""
FEWEST_OF_GROUP = 5
SMALLEST_GROUP = 0.01
"""The share of all vectors that a group must have."""
MODEL_FIELDS = ("embedding_model", "embedding_model_name", "embedding_model_id", "embed_model", "embedder")
MAYBE_MODEL_FIELDS = ("model", "model_name", "model_id")
"""In a collection of cars or phones, these name something else."""
MOST_MODELS = 10
"""A field with more values than that names no models."""
BYTES_OF_SPECIALS = 64
"""A generous bound on the tokens that a model puts around a text, besides its prompt."""
COUNTED_AT_ONCE = 64


class Check(Protocol):
    """One kind of trouble."""

    def add(self, record: Record) -> None:
        """See a record, each once, in the order of the collection."""

    def findings(self, key_of: Mapping[int, Record]) -> Iterator[Finding]:
        """What was found. `key_of` has the records of the rows that `rows` named."""

    def rows(self) -> list[int]:
        """Numbers of records that are examples, and whose names were not kept."""


class Keys:
    """How many records, and the keys of the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self.examples: tuple[str, ...] = ()

    def add(self, key: str) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples = (*self.examples, key)


class Vectors:
    """Missing, zero, not finite, of several sizes or lengths."""

    def __init__(self) -> None:
        self._missing, self._zero, self._broken = Keys(), Keys(), Keys()
        self._sizes: Counter[int] = Counter()
        self._norms = array("f")

    def add(self, record: Record) -> None:
        if record.vector is None:
            self._missing.add(record.key)
            return
        self._sizes[len(record.vector)] += 1
        with np.errstate(over="ignore"):
            norm = float(np.linalg.norm(record.vector.astype(np.float64)))
        if norm == 0:
            self._zero.add(record.key)
        elif not np.isfinite(norm):
            self._broken.add(record.key)
        else:
            self._norms.append(norm)

    def rows(self) -> list[int]:
        return []

    @property
    def norms(self) -> FloatArray:
        return np.frombuffer(self._norms, dtype=np.float32) if self._norms else np.zeros(0, dtype=np.float32)

    @property
    def bins(self) -> Bins:
        """Twenty bins between the shortest and the longest, or one where all have the same length."""
        return _bins(self.norms.astype(np.float64), ".3g")

    def findings(self, key_of: Mapping[int, Record]) -> Iterator[Finding]:
        yield from counted(
            self._missing,
            "no-vector",
            "records without a vector: {}",
            "no search finds them. Encode them again; the migration does, where they have a text",
        )
        yield from counted(
            self._zero,
            "zero-vectors",
            "vectors that hold zeros only: {}",
            "their encoding failed and nobody noticed. No search finds them by their meaning: encode them again",
        )
        yield from counted(
            self._broken,
            "broken-vectors",
            "vectors with NaN or infinite numbers: {}",
            "some databases give them as best hit of every search: delete them, or encode them again",
        )
        if len(self._sizes) > 1:
            shown = ", ".join(f"{size} ({count:,})" for size, count in self._sizes.most_common(MOST_MODELS))
            yield Finding(
                Severity.ERROR,
                "several-sizes",
                f"the vectors have several sizes: {shown}",
                "more than one model wrote here: find out which, and encode the rest again",
                {str(size): count for size, count in self._sizes.most_common(MOST_MODELS)},
            )
        yield from self._lengths()

    def _lengths(self) -> Iterator[Finding]:
        norms = np.sort(self.norms)
        if not len(norms):
            return
        groups = _groups(norms)
        if len(groups) > 1:
            shown = ", ".join(f"{len(group):,} about {np.median(group):.3g} long" for group in groups)
            yield Finding(
                Severity.WARNING,
                "several-lengths",
                f"the vectors are in {len(groups)} groups by length: {shown}",
                "more than one model wrote here, or one of the writers did not normalise: name the models that may "
                "have made them with --model",
                {f"{np.median(group):.3g}": len(group) for group in groups},
            )
        unit = int((np.abs(norms - 1) < UNIT).sum())
        if unit < len(norms):
            yield Finding(
                Severity.NOTE,
                "not-normalised",
                f"vectors of another length than 1: {len(norms) - unit:,} of {len(norms):,} (from {norms[0]:.3g} to "
                f"{norms[-1]:.3g})",
                "cosines do not change by it, but dot products and distances do. The migration writes vectors of "
                "length 1 and compares by cosine",
                {"unit": unit, "shortest": float(norms[0]), "longest": float(norms[-1])},
            )


def _groups(norms: FloatArray) -> list[FloatArray]:
    """Sorted lengths, cut where nothing lies between, if every part is large enough to be one model's."""
    cuts = np.flatnonzero(norms[1:] > norms[:-1] * GROUP_GAP) + 1
    groups = np.split(norms, cuts)
    large = [group for group in groups if len(group) >= max(FEWEST_OF_GROUP, SMALLEST_GROUP * len(norms))]
    return large if len(large) > 1 else [norms]


def _bins(values: NDArray[np.float64], form: str) -> Bins:
    if not len(values):
        return Bins((), ())
    low, high = float(values.min()), float(values.max())
    if high - low <= UNIT * max(1.0, high):
        return Bins((format((low + high) / 2, form),), (len(values),))
    counts, edges = np.histogram(values, np.linspace(low, high, 21))
    return Bins(tuple(format(edge, form) for edge in edges[:-1].tolist()), tuple(counts.tolist()))


def counted(keys: Keys, name: str, what: str, remedy: str, severity: Severity = Severity.ERROR) -> Iterator[Finding]:
    if keys.count:
        yield Finding(severity, name, what.format(f"{keys.count:,}"), remedy, {"records": keys.count}, keys.examples)


class Texts:
    """Missing, without a word, and how long."""

    def __init__(self) -> None:
        self._missing, self._blank = Keys(), Keys()
        self._lengths = array("q")

    def add(self, record: Record) -> None:
        if record.text is None:
            self._missing.add(record.key)
            return
        self._lengths.append(len(record.text))
        if not record.text.strip():
            self._blank.add(record.key)

    def rows(self) -> list[int]:
        return []

    @property
    def bins(self) -> Bins:
        return _bins(np.array(self._lengths, dtype=np.float64), ",.0f")

    def findings(self, key_of: Mapping[int, Record]) -> Iterator[Finding]:
        yield from counted(
            self._missing,
            "no-text",
            "records without a text: {}",
            "nothing can be encoded for them. Name the field that holds the text (--text-field), or fetch the texts "
            "from where they come from",
        )
        yield from counted(
            self._blank,
            "blank-texts",
            "texts without a letter in them: {}",
            "their vectors mean nothing, and they come up in searches by chance: delete them",
            Severity.WARNING,
        )


class ModelNames:
    """Fields that name the model of each record."""

    def __init__(self) -> None:
        self._values: dict[str, Counter[str]] = {}

    def add(self, record: Record) -> None:
        for name in (*MODEL_FIELDS, *MAYBE_MODEL_FIELDS):
            if name in record.metadata:
                values = self._values.setdefault(name, Counter())
                value = str(record.metadata[name])[:80]
                if value in values or len(values) <= MOST_MODELS:
                    values[value] += 1

    def rows(self) -> list[int]:
        return []

    def findings(self, key_of: Mapping[int, Record]) -> Iterator[Finding]:
        for name, values in self._values.items():
            if 1 < len(values) <= MOST_MODELS:
                shown = ", ".join(f"{value!r} ({count:,})" for value, count in values.most_common())
                yield Finding(
                    Severity.ERROR if name in MODEL_FIELDS else Severity.WARNING,
                    "several-models",
                    f"the field {name!r} names {len(values)} models: {shown}",
                    "vectors of two models cannot be compared: encode all records with one. Find out with --model "
                    "which vectors are whose",
                    dict(values),
                )


class Tokens:
    """Texts that a model cannot read to their end. Only texts that are long enough to be past its limit are counted."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._task = Task.RETRIEVAL_PASSAGE if Task.RETRIEVAL_PASSAGE in encoder.tasks else None
        prompt = encoder.info.prompts.get(self._task, "") if self._task else ""
        self._most_bytes = encoder.max_tokens - len(prompt.encode()) - BYTES_OF_SPECIALS
        self._long: list[tuple[str, str]] = []
        self._past = Keys()
        self._longest = 0

    def add(self, record: Record) -> None:
        # No token is shorter than a byte.
        if record.text and len(record.text.encode("utf-8", "replace")) > self._most_bytes:
            self._long.append((record.key, record.text))
            if len(self._long) == COUNTED_AT_ONCE:
                self._count()

    def _count(self) -> None:
        counts = self._encoder.count_tokens([text for _, text in self._long], self._task) if self._long else []
        for (key, _), tokens in zip(self._long, counts, strict=True):
            if tokens > self._encoder.max_tokens:
                self._past.add(key)
                self._longest = max(self._longest, tokens)
        self._long = []

    def rows(self) -> list[int]:
        return []

    def findings(self, key_of: Mapping[int, Record]) -> Iterator[Finding]:
        self._count()
        model, limit = self._encoder.model_id, self._encoder.max_tokens
        if self._past.count:
            yield Finding(
                Severity.WARNING,
                "past-the-limit",
                f"texts past the {limit:,} tokens that {model} reads: {self._past.count:,} (up to {self._longest:,})",
                "their ends are in no vector: cut them into chunks (--chunk-tokens), or use late chunking",
                {"records": self._past.count, "limit": limit, "most_tokens": self._longest},
                self._past.examples,
            )
