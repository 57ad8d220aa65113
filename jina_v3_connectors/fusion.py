"""Hybrid search: how the order by meaning and the order by shared words become one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import fsum, sqrt
from typing import Literal, NamedTuple, TypeAlias, TypeVar, get_args

from jina_v3_encoder.errors import InvalidInput

Fusion: TypeAlias = Literal["ranks", "scores"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
Hybrid: TypeAlias = bool | Fusion
"""As `search` takes it. True leaves the fusion to the backend."""
Key = TypeVar("Key", bound=Hashable)

RRF_K = 60
"""The constant of reciprocal rank fusion (Cormack et al. 2009): a hit of rank r counts 1 / (RRF_K + r)."""
WORDS_WEIGHT = 0.5
"""What a deviation of shared words counts beside one of cosines; chosen with `python -m benchmarks.hybrid`."""
LEAST_FUSED = 64


class Words(NamedTuple):
    """What hybrid search adds to the queries' vectors."""

    texts: Sequence[str]
    """The queries, one for each vector."""
    fusion: Fusion
    weight: float = WORDS_WEIGHT
    """What scores of words count; ranks need none."""


def fusion_of(hybrid: object, default: Fusion) -> Fusion | None:
    """The fusion that a caller asks for, None for a search by meaning alone.

    Raises:
        InvalidInput: no bool, "ranks" or "scores".
    """
    if hybrid is True:
        return default
    if hybrid is False:
        return None
    for fusion in FUSIONS:
        if hybrid == fusion:
            return fusion
    raise InvalidInput(f"hybrid must be True, False, {' or '.join(map(repr, FUSIONS))}, got {hybrid!r:.100}")


def check_words(words: Words, queries: int, collection: str, *, hybrid: bool) -> None:
    """Check `words` before a search of `queries` vectors; `hybrid` is whether the collection was made for them.

    Raises:
        InvalidInput: it was not, or there is not one text for each vector.
    """
    if not hybrid:
        raise InvalidInput(
            f"collection {collection!r} was not made for hybrid search: pass hybrid=True to the connector that first "
            "ingests into a new collection"
        )
    if len(words.texts) != queries:
        raise InvalidInput(f"words are one text for each vector: got {len(words.texts)} for {queries} vectors")


def fused_depth(limit: int) -> int:
    """How many of each side's best are candidates."""
    return max(LEAST_FUSED, 2 * limit)


def best_by_scores(
    cosines: Mapping[Key, float], shared: Mapping[Key, float], limit: int, weight: float = WORDS_WEIGHT
) -> list[tuple[Key, float]]:
    """The `limit` best candidates with their cosines, best first.

    Both scores are known of every candidate. Each kind is brought to mean 0 and deviation 1 over the candidates of this
    query; those of words count `weight`. Where words tell nothing, the order is that of the cosines.

    Args:
        cosines: Of all candidates: the best of each side.
        shared: The scores of words. A candidate that shares none is left out.
        limit: Candidates at most.
    """
    keys = sorted(cosines, key=lambda key: (-cosines[key], str(key)))
    meaning = _standardised([cosines[key] for key in keys])
    words = _standardised([shared.get(key, 0.0) for key in keys])
    sums = [one + weight * other for one, other in zip(meaning, words, strict=True)]
    order = sorted(range(len(keys)), key=lambda row: -sums[row])
    return [(keys[row], cosines[keys[row]]) for row in order[:limit]]


def _standardised(values: Sequence[float]) -> list[float]:
    """With mean 0 and deviation 1. Zeros if all are equal, whatever rounding says of their deviation."""
    if len(set(values)) < 2:
        return [0.0] * len(values)
    mean = fsum(values) / len(values)
    deviation = sqrt(fsum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / deviation for value in values]
