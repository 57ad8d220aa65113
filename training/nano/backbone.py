"""Stage 3: the backbone learns the teacher's vectors: questions with passages, translations, whole documents."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from jina_v3_encoder.network.batching import Reading
from jina_v3_encoder.network.jina_v3 import JinaV3Model

from .corpus import Corpus
from .dictionary import align, translated_rows
from .losses import imitate
from .teacher import Targets
from .training import IntArray, Trainer, pooled
from .warm_start import config_for, initial_model, teacher_weights, token_rows

BATCH_TOKENS = 4096
TEXT_TOKENS = 288
RATE = 6e-4
DECAY = 0.01
SHARES = {"pairs": 0.27, "loose": 0.13, "translations": 0.36, "documents": 0.24}
CONTEXTS = {512: 0.35, 1024: 0.4, 2048: 0.185, 4096: 0.05, 8192: 0.015}
LONG_PASSAGE = 40
FLATTENING = 0.7
START, END = np.array([0]), np.array([2])
Batch = tuple[list[Reading], list[int]]
Name = TypeVar("Name")


def encode_all(tokenizer: Tokenizer, texts: Sequence[str], limit: int, *, specials: bool = True) -> list[IntArray]:
    """Token ids of each text, cut to `limit` with the last token kept."""
    ids: list[IntArray] = []
    for start in range(0, len(texts), 4096):
        for encoding in tokenizer.encode_batch_fast(list(texts[start : start + 4096]), add_special_tokens=specials):
            row = np.asarray(encoding.ids, dtype=np.int64)
            ids.append(row if len(row) <= limit else np.append(row[: limit - 1], row[-1]))
    return ids


class BackboneData:
    """Batches of (readings, targets) that depend on the step alone. A target is named by its row."""

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, targets: Targets, basis: Tensor) -> None:
        self.targets, self.basis = targets, basis
        self.english = encode_all(tokenizer, targets.texts, TEXT_TOKENS)
        self._pairs(corpus)
        self._translations(corpus, tokenizer)
        self._documents(corpus, tokenizer)
        self.kinds: dict[str, Callable[[random.Random], Batch]] = {
            "pairs": self._paired_batch,
            "loose": self._loose_batch,
            "translations": self._translated_batch,
            "documents": self._document_batch,
        }

    def batch(self, step: int) -> tuple[list[Reading], Tensor]:
        order = random.Random(step)
        readings, rows = self.kinds[pick(order, SHARES)](order)
        return readings, torch.from_numpy(self.targets.vectors[rows].astype(np.float32)) @ self.basis

    def _pairs(self, corpus: Corpus) -> None:
        row = self.targets.row
        known = [(row[p.query], row[p.passage]) for p in corpus.pairs if p.query in row and p.passage in row]
        self.long_pairs = [pair for pair in known if len(self.english[pair[1]]) >= LONG_PASSAGE]
        self.short_pairs = [pair for pair in known if len(self.english[pair[1]]) < LONG_PASSAGE]

    def _translations(self, corpus: Corpus, tokenizer: Tokenizer) -> None:
        by_language: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for text, english, language in corpus.translations:
            if english in self.targets.row:
                by_language[language].append((text, self.targets.row[english]))
        self.languages = {
            language: len(texts_and_rows) ** FLATTENING for language, texts_and_rows in by_language.items()
        }
        self.translations = {
            language: list(
                zip(
                    encode_all(tokenizer, [t for t, _ in texts_and_rows], TEXT_TOKENS),
                    [r for _, r in texts_and_rows],
                    strict=True,
                )
            )
            for language, texts_and_rows in by_language.items()
        }

    def _documents(self, corpus: Corpus, tokenizer: Tokenizer) -> None:
        """Each document as its chunks: (token ids, row of the chunk named by its subject)."""
        self.documents = []
        for document in corpus.documents:
            ids = encode_all(tokenizer, document.chunks, TEXT_TOKENS, specials=False)
            rows = [self.targets.row[document.named(n)] for n in range(len(ids))]
            self.documents.append(list(zip(ids, rows, strict=True)))

    def _paired_batch(self, order: random.Random) -> Batch:
        rows: list[int] = []
        room = BATCH_TOKENS
        while room > 0:
            pair = order.choice(self.long_pairs if order.random() < 0.75 else self.short_pairs)
            rows += pair
            room -= sum(len(self.english[row]) for row in pair)
        return [whole(self.english[row], number) for number, row in enumerate(rows)], rows

    def _loose_batch(self, order: random.Random) -> Batch:
        rows: list[int] = []
        room = BATCH_TOKENS
        while room > 0:
            rows.append(order.randrange(len(self.english)))
            room -= len(self.english[rows[-1]])
        return [whole(self.english[row], number) for number, row in enumerate(rows)], rows

    def _translated_batch(self, order: random.Random) -> Batch:
        readings: list[Reading] = []
        rows: list[int] = []
        room = BATCH_TOKENS
        while room > 0:
            ids, row = order.choice(self.translations[pick(order, self.languages)])
            if len(rows) % 4 == 3:
                ids = self.english[row]
            readings.append(whole(ids, len(rows)))
            rows.append(row)
            room -= len(ids)
        return readings, rows

    def _document_batch(self, order: random.Random) -> Batch:
        """Texts of one context length; a long one runs over several sections, as a book does."""
        context = pick(order, CONTEXTS)
        readings: list[Reading] = []
        rows: list[int] = []
        for _ in range(max(1, BATCH_TOKENS // context)):
            ids, owners, room = [START], [np.array([len(rows)])], context - 2
            for chunk, row in self._running_text(order):
                if len(chunk) > room:
                    break
                ids.append(chunk)
                owners.append(np.full(len(chunk), len(rows)))
                rows.append(row)
                room -= len(chunk)
            ids.append(END)
            owners.append(np.array([len(rows) - 1]))
            readings.append(Reading(np.concatenate(ids), None, np.concatenate(owners)))
        return readings, rows

    def _running_text(self, order: random.Random) -> Sequence[tuple[IntArray, int]]:
        first = order.choice(self.documents)
        chunks = list(first[order.randrange(max(1, len(first) - 6)) :])
        while sum(len(ids) for ids, _ in chunks) < max(CONTEXTS):
            chunks += order.choice(self.documents)
        return chunks


def whole(ids: IntArray, number: int) -> Reading:
    """A text pooled over all its tokens into vector number `place`, read without an adapter."""
    return Reading(ids, None, np.full(len(ids), number))


def pick(order: random.Random, weights: dict[Name, float]) -> Name:
    return order.choices(list(weights), list(weights.values()))[0]


def start_model(corpus: Corpus, tokenizer: Tokenizer, targets: Targets, seed: int) -> JinaV3Model:
    """Warm start with translated token rows."""
    vocabulary = tokenizer.get_vocab_size()
    foreign = encode_all(tokenizer, [text for text, _, _ in corpus.translations], 60, specials=False)
    english = encode_all(tokenizer, [text for _, text, _ in corpus.translations], 60, specials=False)
    everything = encode_all(tokenizer, targets.texts, 60, specials=False)
    links = align(foreign, english, vocabulary)
    counts = [np.bincount(np.concatenate(ids), minlength=vocabulary) for ids in (everything, foreign)]
    rows = translated_rows(token_rows(tokenizer, teacher_weights()), links, *counts)
    return initial_model(config_for(vocabulary), rows, targets.basis(seed))


def empty_model(tokenizer: Tokenizer) -> JinaV3Model:
    """For a run that goes on from its state file, which holds every weight that counts."""
    model = JinaV3Model(config_for(tokenizer.get_vocab_size()))
    model.initialize()
    return model


def train_backbone(model: JinaV3Model, data: BackboneData, seconds: float, state_file: Path) -> JinaV3Model:
    """Train everything but the adapters and the pooler."""
    device = next(model.parameters()).device
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora" not in name and not name.startswith("pooler"))
    trainer = Trainer(model, seconds, lambda _: RATE, DECAY, state_file)

    def loss_of(step: int) -> tuple[Tensor, int]:
        readings, targets = data.batch(step)
        tokens = sum(len(reading.ids) for reading in readings)
        return imitate(pooled(model, readings, len(targets)), targets.to(device)), tokens

    trainer.run("backbone", loss_of)
    return model
