"""What waits to be computed, and in which order it goes."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from operator import itemgetter
from typing import NamedTuple

from .jobs import Job, Piece
from .models import Model

SMALL_SHARE = 0.1
"""Of a batch's tokens: a request up to this size is small."""
MISSES = 64
"""So many texts that are too long for the rest of a batch end the search for one that is not."""


class Batch(NamedTuple):
    """Texts of one model that are read together, and what left the queue: they, and those of cancelled jobs."""

    kind: str
    """ "small" or "large"."""
    pieces: list[Piece]
    tokens: int
    gone: Counter[Model]
    """Tokens that left, of each model."""


class Waiting:
    """The requests in line, each with what is left of it: few, since each is a connection.

    The request that is due first leads a batch with its longest text, and is due again after all others. Texts of like
    length of the same model fill the batch, those of the leader's task first. With nano on two cores a batch of mixed
    lengths takes 1.15 × as long, and a batch of all tasks another 1.06 ×.

    Small requests have their own batches. These go first until they have used as many tokens as the large ones did. So
    a small request waits for the batch under way, and a large one waits at most twice as long as it would alone.
    `python -m benchmarks.order` shows what this brings. Tokens of a model that takes longer count for more, so that it
    holds for requests of different models too.
    """

    def __init__(self, budgets: Mapping[Model, int], small_share: float = SMALL_SHARE) -> None:
        """`budgets`: tokens of a batch of each model. A `small_share` of 0 makes all requests equal."""
        self._budgets, self._small_share = budgets, small_share
        self.costs = dict.fromkeys(budgets, 1.0)
        """How much longer a token of each model takes than one of the first. The queue's owner measures it."""
        self._credit = self._most_credit
        """Tokens of the first model that small requests may still use before large ones have their turn."""
        self._requests: list[_Request] = []
        self._turns = count()

    def __bool__(self) -> bool:
        return bool(self._requests)

    def add(self, job: Job) -> None:
        small = job.size <= self._budgets[job.model] * self._small_share
        self._requests.append(_Request(job, next(self._turns), small=small))

    def take(self) -> Batch:
        """At least one text, and as many more as there is room for; none where nobody waits for any job."""
        gone = self._drop()
        small = [request for request in self._requests if request.small]
        large = [request for request in self._requests if not request.small]
        if not large:
            self._credit = self._most_credit
        turn = small if small and (self._credit > 0 or not large) else large
        kind = "small" if turn is small else "large"
        if not turn:
            return Batch(kind, [], 0, gone)
        leader = min(turn, key=lambda request: request.due)
        leader.due = next(self._turns)
        model = leader.job.model
        pieces = _filled(leader, [request for request in turn if request.job.model is model], self._budgets[model])
        self._requests = [request for request in self._requests if request.left]
        tokens = sum(job.tokens[index] for job, index in pieces)
        cost = tokens * self.costs[model]
        self._credit = min(self._most_credit, self._credit + (-cost if turn is small else cost))
        gone[model] += tokens
        return Batch(kind, pieces, tokens, gone)

    @property
    def _most_credit(self) -> float:
        """The largest batch."""
        return max(budget * self.costs[model] for model, budget in self._budgets.items())

    def _drop(self) -> Counter[Model]:
        """Take out cancelled and failed jobs; the tokens that they still had, of each model."""
        ended = {request for request in self._requests if request.job.result.done()}
        self._requests = [request for request in self._requests if request not in ended]
        tokens: Counter[Model] = Counter()
        for request in ended:
            tokens[request.job.model] += request.tokens
        return tokens


class _Request:
    """A job, and which of its texts still wait: the longest last."""

    def __init__(self, job: Job, due: int, *, small: bool) -> None:
        self.job, self.due, self.small = job, due, small
        self.left = sorted(range(len(job.tokens)), key=job.tokens.__getitem__)

    @property
    def tokens(self) -> int:
        return sum(self.job.tokens[index] for index in self.left)

    def nearest(self, length: int, task: str | None) -> Iterator[_Candidate]:
        """What is left, by its difference to a length."""
        left, tokens = self.left, self.job.tokens
        high = bisect_left(left, length, key=tokens.__getitem__)
        low = high - 1
        while low >= 0 or high < len(left):
            if high == len(left) or (low >= 0 and length - tokens[left[low]] <= tokens[left[high]] - length):
                index, low = left[low], low - 1
            else:
                index, high = left[high], high + 1
            yield _Candidate((self.job.task != task, abs(tokens[index] - length)), self, index)


class _Candidate(NamedTuple):
    distance: tuple[bool, int]
    """Another task counts for more than any length."""
    request: _Request
    number: int
    """Of the text in its job."""


def _filled(leader: _Request, requests: Iterable[_Request], room: int) -> list[Piece]:
    """Take the leader's longest text, and those nearest to it by length as far as there is room."""
    first = leader.left.pop()
    length = leader.job.tokens[first]
    room -= length
    taken: dict[_Request, set[int]] = {leader: {first}}
    misses = 0
    candidates = (request.nearest(length, leader.job.task) for request in requests)
    for candidate in heapq.merge(*candidates, key=itemgetter(0)):
        tokens = candidate.request.job.tokens[candidate.number]
        if tokens <= room:
            room -= tokens
            taken.setdefault(candidate.request, set()).add(candidate.number)
        elif (misses := misses + 1) == MISSES:
            break
    for request, indices in taken.items():
        request.left = [index for index in request.left if index not in indices]
    return [(request.job, index) for request, indices in taken.items() for index in sorted(indices)]
