"""Stage 4: the five adapters, each on its own data and with its prompt, over the frozen backbone."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from jina_v3_encoder.batching import Reading
from jina_v3_encoder.model import JinaV3Model
from jina_v3_encoder.task import Task

from .backbone import encode_all
from .corpus import Corpus
from .training import MATRYOSHKA, IntArray, Trainer, contrast, pooled

RATE = 5e-3
PASSAGE_TOKENS = 128
QUERY_TOKENS = 48
BATCH_PAIRS = 64
BATCH_CLASSES = 16
PER_CLASS = 6
TEMPERATURE = 0.05
BATCH_SCORED = 96
SHARES = {
    "retrieval": 0.55,
    Task.TEXT_MATCHING.value: 0.15,
    Task.CLASSIFICATION.value: 0.15,
    Task.SEPARATION.value: 0.15,
}
Loss = Callable[[int], tuple[Tensor, int]]


class AdapterLosses:
    """One loss per adapter; retrieval trains its two adapters together."""

    def __init__(self, model: JinaV3Model, corpus: Corpus, tokenizer: Tokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer
        self._pairs(corpus)
        self._scored(corpus)
        self.classes = {
            Task.CLASSIFICATION: self._by_label(corpus.labelled),
            Task.SEPARATION: self._by_label(corpus.clusters),
        }

    def loss(self, name: str) -> Loss:
        if name == "retrieval":
            return self._retrieval
        if name == Task.TEXT_MATCHING.value:
            return self._matching
        return lambda step: self._supervised(Task(name), step)

    def _ids(self, texts: Sequence[str], task: Task, limit: int) -> list[IntArray]:
        prompt = self.model.config.prompt(task)
        return encode_all(self.tokenizer, [prompt + text for text in texts], limit)

    def _pairs(self, corpus: Corpus) -> None:
        queries = self._ids([pair.query for pair in corpus.pairs], Task.RETRIEVAL_QUERY, QUERY_TOKENS)
        passages = self._ids([pair.passage for pair in corpus.pairs], Task.RETRIEVAL_PASSAGE, PASSAGE_TOKENS)
        groups = [pair.group for pair in corpus.pairs]
        self.retrieval = list(zip(queries, passages, groups, strict=True))
        translated = corpus.translations[:60_000]
        foreign = self._ids([text for text, _, _ in translated], Task.RETRIEVAL_QUERY, QUERY_TOKENS)
        english = self._ids([text for _, text, _ in translated], Task.RETRIEVAL_PASSAGE, QUERY_TOKENS)
        self.crossing = list(zip(foreign, english, [text for _, text, _ in translated], strict=True))

    def _scored(self, corpus: Corpus) -> None:
        task = Task.TEXT_MATCHING
        firsts = self._ids([pair.first for pair in corpus.scored], task, QUERY_TOKENS)
        seconds = self._ids([pair.second for pair in corpus.scored], task, QUERY_TOKENS)
        self.matching = list(zip(firsts, seconds, [pair.score for pair in corpus.scored], strict=True))

    def _by_label(self, sets: dict[str, list[tuple[str, str]]]) -> list[dict[str, list[IntArray]]]:
        """One mapping of label to texts for each data set."""
        tables = []
        for items in sets.values():
            table: dict[str, list[IntArray]] = defaultdict(list)
            ids = encode_all(self.tokenizer, [text for text, _ in items], PASSAGE_TOKENS)
            for (_, label), row in zip(items, ids, strict=True):
                table[label].append(row)
            tables.append({label: rows for label, rows in table.items() if len(rows) >= PER_CLASS})
        return tables

    def _vectors(self, sides: Sequence[tuple[Sequence[IntArray], Task]]) -> tuple[Tensor, int]:
        """Pooled vectors of all sides stacked; texts of one adapter lie together, as packing wants."""
        readings: list[Reading] = []
        for ids, task in sides:
            bank = self.model.config.bank(task)
            readings += [Reading(row, bank, np.full(len(row), len(readings) + n)) for n, row in enumerate(ids)]
        return pooled(self.model, readings, len(readings)), sum(len(reading.ids) for reading in readings)

    def _retrieval(self, step: int) -> tuple[Tensor, int]:
        order = random.Random(step)
        crossing = order.random() < 0.2
        batch = order.sample(self.crossing if crossing else self.retrieval, BATCH_PAIRS * (3 if crossing else 1))
        queries, passages, groups = zip(*batch, strict=True)
        vectors, tokens = self._vectors([(queries, Task.RETRIEVAL_QUERY), (passages, Task.RETRIEVAL_PASSAGE)])
        return contrast(vectors[: len(batch)], vectors[len(batch) :], same_group(groups), TEMPERATURE), tokens

    def _matching(self, step: int) -> tuple[Tensor, int]:
        firsts, seconds, scores = zip(*random.Random(step).sample(self.matching, BATCH_SCORED), strict=True)
        vectors, tokens = self._vectors([(firsts + seconds, Task.TEXT_MATCHING)])
        return rank_by_score(vectors[:BATCH_SCORED], vectors[BATCH_SCORED:], torch.tensor(scores)), tokens

    def _supervised(self, task: Task, step: int) -> tuple[Tensor, int]:
        order = random.Random(step)
        table = order.choice(self.classes[task])
        labels = order.sample(sorted(table), min(BATCH_CLASSES, len(table)))
        batch = [(row, number) for number, label in enumerate(labels) for row in order.sample(table[label], PER_CLASS)]
        vectors, tokens = self._vectors([([row for row, _ in batch], task)])
        return same_label(vectors, torch.tensor([number for _, number in batch])), tokens


def same_group(groups: Sequence[str]) -> Tensor:
    """(B, B) bool: off-diagonal pairs of one group."""
    codes = torch.tensor([hash(group) for group in groups])
    return (codes[:, None] == codes[None]) & ~torch.eye(len(groups), dtype=torch.bool)


def rank_by_score(firsts: Tensor, seconds: Tensor, scores: Tensor) -> Tensor:
    """CoSENT: pairs of higher score should have higher cosine. Shapes: (B, C), (B, C), (B,)."""
    losses = []
    higher = scores[:, None] - scores[None] > 1e-6
    for size in MATRYOSHKA:
        cosine = F.cosine_similarity(firsts[:, :size], seconds[:, :size]) * 20
        gaps = (cosine[None] - cosine[:, None])[higher]
        losses.append(torch.logsumexp(torch.cat((torch.zeros(1), gaps)), 0))
    return torch.stack(losses).mean()


def same_label(vectors: Tensor, labels: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020), averaged over Matryoshka slices."""
    same = (labels[:, None] == labels[None]) & ~torch.eye(len(labels), dtype=torch.bool)
    itself = torch.eye(len(labels), dtype=torch.bool)
    losses = []
    for size in MATRYOSHKA:
        unit = F.normalize(vectors[:, :size], dim=1)
        scores = (unit @ unit.T / 0.1).masked_fill(itself, -math.inf)
        log_share = F.log_softmax(scores, dim=1).masked_fill(~same, 0.0)
        losses.append(-(log_share.sum(1) / same.sum(1)).mean())
    return torch.stack(losses).mean()


def train_adapters(model: JinaV3Model, losses: AdapterLosses, seconds: float, folder: Path) -> None:
    """Train each adapter for its share of `seconds`; state files in `folder` make it resumable."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora" in name and not name.startswith("pooler"))
        if name.endswith("lora_A") and not (folder / "retrieval.safetensors").exists():
            with torch.no_grad():
                parameter.normal_(0.0, 0.05, generator=torch.Generator().manual_seed(len(name)))
    for name, share in SHARES.items():
        trainer = Trainer(model, seconds * share, RATE, 0.0, folder / f"{name}.safetensors")
        trainer.run(name, losses.loss(name))
