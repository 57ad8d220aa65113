"""The order of a server's queue: credit for small requests beside a plain queue by due time, simulated.

Run: python -m benchmarks.order
"""

from __future__ import annotations

import heapq
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from jina_v3_connectors.bench.corpus import mixed_texts
from jina_v3_connectors.server.jobs import Job, Piece
from jina_v3_connectors.server.models import Model
from jina_v3_connectors.server.waiting import Batch, Waiting
from jina_v3_encoder.task import TASK_NAMES
from jina_v3_encoder.testing import FakeEncoder

from .command import Benchmark
from .load import SIZES, SMALL_EVERY, SMALL_TASK, TEXTS

TASKS = (*TASK_NAMES, None)
MODEL = Model("one", FakeEncoder())
BUDGET = 5461
"""Tokens of a batch, as nano on a CPU has it."""
SMALL_TOKENS = 10
BATCH_SECONDS, TOKEN_SECONDS = 0.004, 1 / 25_000
LENGTH_SECONDS, TASK_SECONDS = 0.0008, 0.0026
"""More for each further length and task in a batch: about 1.15 × and 1.06 × for a full one of all kinds."""
CROWDS = {"63 large, 1 small": (1, 63, SMALL_EVERY), "4 large, 300 small": (300, 4, 0.0)}
"""Clients that ask again when they are answered: with one short question after a pause, or as in `benchmarks.load`."""
DUE_SECONDS = 0.01
"""How much later a request is due for each of its tokens; a tenth of it made small requests wait for seconds."""

PERCENTILES = ("small_p50", "small_p95", "large_p50", "large_p95")


@dataclass
class Outcome:
    """What clients saw."""

    order: str
    crowd: str
    small: list[float] = field(default_factory=list, repr=False)
    """Seconds of each short question."""
    large: list[float] = field(default_factory=list, repr=False)
    tokens_per_second: float = 0.0

    def to_dict(self) -> dict[str, str | float]:
        times = [np.percentile(seconds, percent) for seconds in (self.small, self.large) for percent in (50, 95)]
        percentiles = dict(zip(PERCENTILES, map(float, times), strict=True))
        return {
            "order": self.order,
            "crowd": self.crowd,
            **percentiles,
            "tokens_per_second": self.tokens_per_second,
        }


class ByDueTime:
    """The plain queue: texts in the order in which their requests are due, sooner for small ones."""

    def __init__(self) -> None:
        self.now = 0.0
        self._texts: list[tuple[float, int, int, Job]] = []
        self._numbers = count()

    def add(self, job: Job) -> None:
        due = self.now + job.size * DUE_SECONDS
        for index in range(len(job.tokens)):
            heapq.heappush(self._texts, (due, next(self._numbers), index, job))

    def take(self) -> Batch:
        """As many texts as there is room for."""
        pieces: list[Piece] = []
        tokens = 0
        while self._texts:
            _, _, index, job = self._texts[0]
            if pieces and tokens + job.tokens[index] > BUDGET:
                break
            heapq.heappop(self._texts)
            pieces.append((job, index))
            tokens += job.tokens[index]
        return Batch("large", pieces, tokens, Counter({MODEL: tokens}))


class ByTurns(Waiting):
    """The server's queue."""

    now = 0.0


ORDERS: dict[str, Callable[[], ByTurns | ByDueTime]] = {
    "turns, credit for small": lambda: ByTurns({MODEL: BUDGET}),
    "turns only": lambda: ByTurns({MODEL: BUDGET}, small_share=0),
    "due time": ByDueTime,
}


class Clients:
    """Some that ask short questions, and some that ask as those of `benchmarks.load` do."""

    def __init__(self, small: int, large: int) -> None:
        self.small = small
        self._chances = [random.Random(seed) for seed in range(small + large)]
        self._tokens = FakeEncoder().count_tokens(mixed_texts(TEXTS))

    def job(self, client: int) -> Job:
        """The next request of a client."""
        if client < self.small:
            return Job(MODEL, [""], [SMALL_TOKENS], SMALL_TASK)
        chance = self._chances[client]
        first = chance.randrange(len(TASKS))
        numbers = [chance.randrange(first, TEXTS, len(TASKS)) for _ in range(chance.choice(SIZES))]
        return Job(MODEL, [""] * len(numbers), [self._tokens[number] for number in numbers], TASKS[first])


def batch_seconds(pieces: Sequence[Piece]) -> float:
    """What a batch takes."""
    lengths = [job.tokens[index] for job, index in pieces]
    tasks = {job.task for job, _ in pieces}
    more = LENGTH_SECONDS * (len(set(lengths)) - 1) + TASK_SECONDS * (len(tasks) - 1)
    return BATCH_SECONDS + TOKEN_SECONDS * sum(lengths) + more


def simulate(order: str, crowd: str, seconds: float) -> Outcome:
    """Let a crowd ask for so many seconds of simulated time. The same arguments give the same outcome."""
    small, large, pause = CROWDS[crowd]
    clients, waiting, outcome = Clients(small, large), ORDERS[order](), Outcome(order, crowd)
    coming = [(client / 1000, client) for client in range(small + large)]
    jobs: dict[int, tuple[float, Job]] = {}
    now = tokens = 0.0
    while now < seconds:
        while coming and coming[0][0] <= now:
            since, client = heapq.heappop(coming)
            jobs[client] = since, clients.job(client)
            waiting.now = since
            waiting.add(jobs[client][1])
        batch = waiting.take()
        if not batch.pieces:
            now = coming[0][0]
            continue
        now += batch_seconds(batch.pieces)
        tokens += batch.tokens
        for job, index in batch.pieces:
            job.finish(index, np.zeros((1, 1), dtype=np.float32))
        for client, (since, job) in list(jobs.items()):
            if job.result.done():
                del jobs[client]
                (outcome.small if client < small else outcome.large).append(now - since)
                heapq.heappush(coming, (now + (pause if client < small else 0.0), client))
    outcome.tokens_per_second = tokens / now
    return outcome


@click.command(cls=Benchmark)
@click.option("--seconds", type=click.FloatRange(min=1), default=120, show_default=True, help="Of simulated time.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(seconds: float, as_json: bool) -> None:
    """What the order of a server's queue brings to small requests, and what it costs.

    Nothing is computed: a batch takes as long as a simple formula says. The figures are the same on every machine.

    \b
    Example:
      python -m benchmarks.order --seconds 60
    """
    outcomes = [simulate(order, crowd, seconds).to_dict() for crowd in CROWDS for order in ORDERS]
    if as_json:
        click.echo(json.dumps({"rows": outcomes}))
        return
    table = Table("clients", "order", "small p50", "p95", "large p50", "p95", "tokens/s")
    for outcome in outcomes:
        times = [f"{float(outcome[name]) * 1000:,.0f} ms" for name in PERCENTILES]
        table.add_row(
            str(outcome["crowd"]), str(outcome["order"]), *times, f"{float(outcome['tokens_per_second']):,.0f}"
        )
    Console().print(table)


if __name__ == "__main__":
    command()
