"""How a collection is searched: by meaning, or by meaning and words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pymilvus import AnnSearchRequest, MilvusClient, RRFRanker

from jina_v3_encoder.vectors import FloatArray

from ..documents import Hit
from ..fusion import RRF_K, Fusion, best_by_scores, fused_depth
from ..stored_chunk import to_hit
from ..vectors import cosine
from .answers import in_parts
from .convert import OUTPUT_FIELDS
from .errors import AnswerTooLarge
from .schema import VECTOR, WORDS

TIMEOUT = 60.0
"""Seconds for one call. Without a timeout the client repeats some errors 75 times, and waits for ever for others."""
MAX_LIMIT = 16_384
HITS_AT_ONCE = 10_000
"""Hits of all queries in one request. A server builds the whole answer before it notices that it is too large."""


class Query(NamedTuple):
    """A query's vector, and its text for hybrid search, or None."""

    vector: FloatArray
    words: str | None


@dataclass(frozen=True)
class Search:
    """One search of a collection, for any number of queries."""

    call: Callable[[Callable[[MilvusClient], Any]], Any]
    """Calls a request with the collection loaded."""
    name: str
    limit: int
    allowed: str
    """An expression, empty if all chunks are."""
    fusion: Fusion | None
    weight: float

    @property
    def queries_at_once(self) -> int:
        return max(1, HITS_AT_ONCE // (self._depth if self.fusion == "scores" else self.limit))

    def hits(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """One call for all queries, where scores are fused one for each query besides.

        Raises:
            AnswerTooLarge: the answer to several queries is.
        """
        if self.fusion == "scores":
            return self._by_scores(queries)
        fields = [*OUTPUT_FIELDS, VECTOR] if self.fusion else OUTPUT_FIELDS
        ask = self._ranked if self.fusion else self._plain
        try:
            answers = ask(queries, fields)
        except AnswerTooLarge:
            if len(queries) > 1:
                raise
            (only_ids,) = ask(queries, ["id"])
            rows = self._rows((hit["id"] for hit in only_ids), fields)
            answers = [
                [{"distance": hit["distance"], "entity": rows[hit["id"]]} for hit in only_ids if hit["id"] in rows]
            ]
        return [[self._to_hit(query, hit) for hit in hits] for query, hits in zip(queries, answers, strict=True)]

    def _plain(self, queries: Sequence[Query], fields: Sequence[str]) -> Any:
        return self._by_meaning(queries, self.limit, fields)

    def _by_meaning(self, queries: Sequence[Query], limit: int, fields: Sequence[str]) -> Any:
        return self.call(
            lambda client: client.search(
                self.name,
                [query.vector for query in queries],
                anns_field=VECTOR,
                limit=limit,
                filter=self.allowed,
                output_fields=list(fields),
                search_params={"metric_type": "COSINE", "params": {"ef": max(64, min(limit * 2, 32_768))}},
                timeout=TIMEOUT,
            )
        )

    def _by_words(self, queries: Sequence[Query], limit: int, allowed: str) -> Any:
        return self.call(
            lambda client: client.search(
                self.name,
                [query.words for query in queries],
                anns_field=WORDS,
                limit=limit,
                filter=allowed,
                output_fields=["id"],
                search_params={"metric_type": "BM25"},
                timeout=TIMEOUT,
            )
        )

    def _ranked(self, queries: Sequence[Query], fields: Sequence[str]) -> Any:
        """The engine fuses the ranks. Its answer has no cosines."""
        vectors, words = [list(column) for column in zip(*queries, strict=True)]
        allowed = self.allowed or None
        sides = [
            AnnSearchRequest(vectors, VECTOR, {"metric_type": "COSINE"}, limit=self.limit, expr=allowed),
            AnnSearchRequest(words, WORDS, {"metric_type": "BM25"}, limit=self.limit, expr=allowed),
        ]
        return self.call(
            lambda client: client.hybrid_search(
                self.name, sides, RRFRanker(RRF_K), limit=self.limit, output_fields=list(fields), timeout=TIMEOUT
            )
        )

    def _by_scores(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """The engine's rankers see only the scores of those that a side has found, so scores are fused here.

        What one side did not find gets its score from a second call. Deleted ones are left out.
        """
        near = [_scores(hits) for hits in self._by_meaning(queries, self._depth, ["id"])]
        worded = [_words_scores(hits) for hits in self._by_words(queries, self._depth, self.allowed)]
        lacking = {key for cosines, shared in zip(near, worded, strict=True) for key in shared.keys() - cosines.keys()}
        vectors = self._rows(lacking, [VECTOR])
        best = []
        for query, cosines, shared in zip(queries, near, worded, strict=True):
            if unknown := sorted(cosines.keys() - shared.keys()):
                allowed = f"id in [{', '.join(map(repr, unknown))}]"
                shared.update(_words_scores(self._by_words([query], len(unknown), allowed)[0]))
            present = (shared.keys() - cosines.keys()) & vectors.keys()
            cosines.update({key: cosine(vectors[key][VECTOR], query.vector) for key in present})
            best.append(best_by_scores(cosines, shared, self.limit, self.weight))
        rows = self._rows((key for hits in best for key, _ in hits), OUTPUT_FIELDS)
        return [
            [to_hit(rows[key]["document_id"], score, rows[key]) for key, score in hits if key in rows] for hits in best
        ]

    @property
    def _depth(self) -> int:
        return min(fused_depth(self.limit), MAX_LIMIT)

    def _rows(self, keys: Iterable[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The fields of those that are there, by id."""

        def read(ids: Sequence[str]) -> list[dict[str, Any]]:
            return list(
                self.call(
                    lambda client: client.query(
                        self.name, ids=list(ids), output_fields=["id", *fields], timeout=TIMEOUT
                    )
                )
            )

        wanted = sorted(set(keys))
        return {row["id"]: row for row in in_parts(read, wanted)} if wanted else {}

    def _to_hit(self, query: Query, match: Mapping[str, Any]) -> Hit:
        """The score of a plain search is the cosine. The score of a fused one is a rank: the cosine is computed."""
        fields = match["entity"]
        score = cosine(fields[VECTOR], query.vector) if self.fusion else match["distance"]
        return to_hit(fields["document_id"], score, fields)


def _scores(hits: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    return {str(hit["id"]): float(hit["distance"]) for hit in hits}


def _words_scores(hits: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Milvus Lite gives BM25 as a distance below 0, servers as a score above it."""
    return {key: abs(score) for key, score in _scores(hits).items()}
