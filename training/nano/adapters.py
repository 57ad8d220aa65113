"""Stage 4: the five adapters, each on its own data and with its prompt, over the frozen backbone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jina_v3_encoder.network.batching import Reading
from jina_v3_encoder.network.jina_v3 import JinaV3Model
from jina_v3_encoder.task import Task

from .adapter_data import AdapterData, Chunked, Example, document_ids
from .losses import contrast, imitate, repeated, same_label, same_neighbours, same_ranking
from .training import Trainer, pooled

RATE = 5e-3
START_DEVIATION = 0.05
BATCH_PAIRS = 40
BATCH_CROSSING = 96
BATCH_DOCUMENT_TOKENS = 4096
BATCH_NEAR = 24
BATCH_KNOWN = 96
CLASSES, PER_CLASS = 16, 6
SHARES = {
    "retrieval": 0.52,
    Task.TEXT_MATCHING.value: 0.22,
    Task.CLASSIFICATION.value: 0.16,
    Task.SEPARATION.value: 0.10,
}
RETRIEVAL = (Task.RETRIEVAL_QUERY, Task.RETRIEVAL_PASSAGE)
Loss = tuple[Tensor, int]


class AdapterLosses:
    """One loss per adapter; retrieval trains its two adapters together."""

    def __init__(self, model: JinaV3Model, data: AdapterData, basis: Tensor) -> None:
        self.model, self.data, self.basis = model, data, basis

    def of(self, name: str) -> Callable[[int], Loss]:
        if name == "retrieval":
            return self._retrieval
        if name == Task.TEXT_MATCHING.value:
            return self._matching
        return self._classification if name == Task.CLASSIFICATION.value else self._separation

    def _retrieval(self, step: int) -> Loss:
        order = random.Random(step)
        kind = order.random()
        if kind < 0.3:
            return self._late(order)
        if kind < 0.45:
            return self.paired(*self.data.crossing_pairs(order, BATCH_CROSSING))
        return self.paired(*self.data.pairs_of(order, BATCH_PAIRS))

    def paired(self, queries: list[Example], passages: list[Example]) -> Loss:
        """Contrast, and the teacher's ranking where it has read all texts."""
        vectors, tokens = self._vectors([(queries, Task.RETRIEVAL_QUERY), (passages, Task.RETRIEVAL_PASSAGE)])
        query_vectors, passage_vectors = vectors[: len(queries)], vectors[len(queries) :]
        same = repeated([example.group for example in queries], [example.group for example in passages]).to(
            vectors.device
        )
        loss = contrast(query_vectors, passage_vectors, same)
        if all(example.row >= 0 for example in (*queries, *passages)):
            loss = 0.5 * loss + same_ranking(
                query_vectors, passage_vectors, self._targets(queries), self._targets(passages)
            )
        return loss, tokens

    def _late(self, order: random.Random) -> Loss:
        """Chunks pooled inside whole documents, against questions; all other chunks are negatives."""
        documents: list[Chunked] = []
        while sum(len(chunk.ids) for document in documents for chunk in document.chunks) < BATCH_DOCUMENT_TOKENS:
            documents.append(self.data.chunked(order))
        chunks = [chunk for document in documents for chunk in document.chunks]
        queries = [query for document in documents for query, _ in document.asked]
        readings, first, wanted = [], 0, []
        bank = self.model.config.bank(Task.RETRIEVAL_PASSAGE)
        for document in documents:
            ids, owners = document_ids(document, self.data.prompt, first)
            readings.append(Reading(ids, bank, owners))
            wanted += [first + number for _, number in document.asked]
            first += len(document.chunks)
        vectors, tokens = self._vectors([(queries, Task.RETRIEVAL_QUERY)], readings, len(chunks))
        chunk_vectors, query_vectors = vectors[: len(chunks)], vectors[len(chunks) :]
        answer_columns = wanted + [n for n in range(len(chunks)) if n not in set(wanted)]
        same = repeated([query.group for query in queries], [chunks[n].group for n in answer_columns]).to(
            vectors.device
        )
        loss = 0.5 * contrast(query_vectors, chunk_vectors[answer_columns], same) + 0.5 * imitate(
            chunk_vectors, self._targets(chunks)
        )
        return loss, tokens

    def _matching(self, step: int) -> Loss:
        """The teacher's vectors and similarities for pairs of near sentences, and for translations and other texts."""
        order = random.Random(step)
        known = self.data.near_pairs(order, BATCH_NEAR) + self.data.known_texts(order, Task.TEXT_MATCHING, BATCH_KNOWN)
        return self._distilled(known, Task.TEXT_MATCHING)

    def _classification(self, step: int) -> Loss:
        """The teacher's vectors and similarities for utterances of a few labels at a time, and for other short texts.

        Pulling labels together (supervised contrast) was tried: labels never seen came out worse than without adapter.
        """
        order, task = random.Random(step), Task.CLASSIFICATION
        texts, _ = self.data.labelled_texts(order, task, CLASSES, PER_CLASS)
        known = [text for text in texts if text.row >= 0] + self.data.known_texts(order, task, BATCH_KNOWN // 2)
        return self._distilled(known, task)

    def _distilled(self, known: list[Example], task: Task) -> Loss:
        vectors, tokens = self._vectors([(known, task)])
        targets = self._targets(known)
        return imitate(vectors, targets) + same_neighbours(vectors, targets), tokens

    def _separation(self, step: int) -> Loss:
        """Texts of one label together; the teacher's vectors keep labels apart that were never seen."""
        order, task = random.Random(step), Task.SEPARATION
        texts, labels = self.data.labelled_texts(order, task, CLASSES, PER_CLASS)
        known = self.data.known_texts(order, task, BATCH_KNOWN // 2)
        vectors, tokens = self._vectors([(texts + known, task)])
        grouped = same_label(vectors[: len(texts)], torch.tensor(labels, device=vectors.device))
        return grouped + imitate(vectors[len(texts) :], self._targets(known)), tokens

    def _vectors(
        self, sides: Sequence[tuple[list[Example], Task]], readings: Sequence[Reading] = (), first: int = 0
    ) -> tuple[Tensor, int]:
        """Vectors of `readings`, numbered below `first`, then of all sides; one adapter's texts are neighbours."""
        all_readings = list(readings)
        for examples, task in sides:
            bank = self.model.config.bank(task)
            for example in examples:
                all_readings.append(Reading(example.ids, bank, np.full(len(example.ids), first)))
                first += 1
        return pooled(self.model, all_readings, first), sum(len(reading.ids) for reading in all_readings)

    def _targets(self, examples: Sequence[Example]) -> Tensor:
        vectors = self.data.targets.vectors[[example.row for example in examples]]
        return (torch.from_numpy(vectors.astype(np.float32)) @ self.basis).to(next(self.model.parameters()).device)


def train_adapters(model: JinaV3Model, losses: AdapterLosses, seconds: float, folder: Path) -> None:
    """Train each adapter for its share of `seconds`; state files in `folder` make it resumable."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora" in name and not name.startswith("pooler"))
        if name.endswith("lora_A") and not (folder / "retrieval.safetensors").exists():
            with torch.no_grad():
                parameter.normal_(0.0, START_DEVIATION, generator=torch.Generator().manual_seed(len(name)))
    for name, share in SHARES.items():
        tasks = RETRIEVAL if name == "retrieval" else (Task(name),)
        banks = [model.config.bank(task) for task in tasks]
        trainer = Trainer(model, seconds * share, lambda _: RATE, 0.0, folder / f"{name}.safetensors", banks)
        trainer.run(name, losses.of(name))
