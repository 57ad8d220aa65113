"""Stage 3: the backbone learns the teacher's vectors for English, translations and paragraphs inside documents."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from jina_v3_encoder.batching import Reading
from jina_v3_encoder.model import JinaV3Model

from .corpus import Corpus
from .dictionary import align, translated_rows
from .teacher import Targets
from .training import IntArray, Trainer, imitate, pooled
from .warm_start import config_for, initial_model, teacher_weights, token_rows

BATCH_TOKENS = 4096
TEXT_TOKENS = 160
DOCUMENT_TOKENS = 1024
RATE = 6e-4
DECAY = 0.01
SHARES = (("english", 0.38), ("translations", 0.44), ("documents", 0.18))


def encode_all(tokenizer: Tokenizer, texts: list[str], limit: int, *, specials: bool = True) -> list[IntArray]:
    """Token ids of each text, cut to `limit` with the last token kept."""
    ids: list[IntArray] = []
    for start in range(0, len(texts), 4096):
        for encoding in tokenizer.encode_batch_fast(texts[start : start + 4096], add_special_tokens=specials):
            row = np.asarray(encoding.ids, dtype=np.int64)
            ids.append(row if len(row) <= limit else np.append(row[: limit - 1], row[-1]))
    return ids


class BackboneData:
    """Batches of (readings, targets) that depend on the step alone."""

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, targets: Targets, basis: Tensor) -> None:
        self.targets, self.basis = targets, basis
        self.english = encode_all(tokenizer, targets.texts, TEXT_TOKENS)
        known = [(text, targets.row[english]) for text, english, _ in corpus.translations if english in targets.row]
        self.translations = encode_all(tokenizer, [text for text, _ in known], TEXT_TOKENS)
        self.translation_rows = [row for _, row in known]
        self.documents = [
            (encode_all(tokenizer, document.paragraphs, TEXT_TOKENS * 2, specials=False), rows)
            for document in corpus.documents
            if -1 not in (rows := [targets.row.get(text, -1) for text in document.titled[:24]])
        ]

    def batch(self, step: int) -> tuple[list[Reading], Tensor]:
        order = random.Random(step)
        kind = order.choices([name for name, _ in SHARES], [share for _, share in SHARES])[0]
        readings, rows = self._documents(order) if kind == "documents" else self._texts(order, kind)
        return readings, torch.from_numpy(self.targets.vectors[rows].astype(np.float32)) @ self.basis

    def _texts(self, order: random.Random, kind: str) -> tuple[list[Reading], list[int]]:
        readings: list[Reading] = []
        rows: list[int] = []
        room = BATCH_TOKENS
        while room > 0:
            if kind == "english":
                row = order.randrange(len(self.english))
                ids = self.english[row]
            else:
                pick = order.randrange(len(self.translations))
                row, ids = self.translation_rows[pick], self.translations[pick]
                if len(readings) % 3 == 2:
                    ids = self.english[row]
            readings.append(Reading(ids, None, np.full(len(ids), len(rows))))
            rows.append(row)
            room -= len(ids)
        return readings, rows

    def _documents(self, order: random.Random) -> tuple[list[Reading], list[int]]:
        readings: list[Reading] = []
        rows: list[int] = []
        for _ in range(BATCH_TOKENS // DOCUMENT_TOKENS):
            paragraphs, targets = order.choice(self.documents)
            start = order.randrange(max(1, len(targets) - 4))
            ids, owners = [np.array([0])], [np.array([len(rows)])]
            own_rows: list[int] = []
            room = DOCUMENT_TOKENS - 2
            for paragraph, row in zip(paragraphs[start : len(targets)], targets[start:], strict=False):
                part = paragraph[:room]
                if len(part) < 8:
                    break
                ids.append(part)
                owners.append(np.full(len(part), len(rows) + len(own_rows)))
                own_rows.append(row)
                room -= len(part)
            if own_rows:
                ids.append(np.array([2]))
                owners.append(np.array([len(rows) + len(own_rows) - 1]))
                readings.append(Reading(np.concatenate(ids), None, np.concatenate(owners)))
                rows += own_rows
        return readings, rows


def start_model(corpus: Corpus, tokenizer: Tokenizer, targets: Targets, seed: int) -> JinaV3Model:
    """Warm start with translated token rows."""
    vocabulary = tokenizer.get_vocab_size()
    foreign = encode_all(tokenizer, [text for text, _, _ in corpus.translations], 60, specials=False)
    english = encode_all(tokenizer, [text for _, text, _ in corpus.translations], 60, specials=False)
    everything = encode_all(tokenizer, targets.texts[:150_000], 60, specials=False)
    links = align(foreign, english, vocabulary)
    counts = [np.bincount(np.concatenate(ids), minlength=vocabulary) for ids in (everything, foreign)]
    rows = translated_rows(token_rows(tokenizer, teacher_weights()), links, *counts)
    return initial_model(config_for(vocabulary), rows, targets.basis(seed))


def train_backbone(model: JinaV3Model, data: BackboneData, seconds: float, state_file: Path) -> JinaV3Model:
    """Train everything but the adapters and the pooler."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora" not in name and not name.startswith("pooler"))
    trainer = Trainer(model, seconds, RATE, DECAY, state_file)

    def loss_of(step: int) -> tuple[Tensor, int]:
        readings, targets = data.batch(step)
        tokens = sum(len(reading.ids) for reading in readings)
        return imitate(pooled(model, readings, len(targets)), targets), tokens

    trainer.run("backbone", loss_of)
    return model
