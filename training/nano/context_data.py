"""What the last stage learns from: texts of the teacher, its basis, and the vectors that chunks should have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from jina_v3_encoder import Encoder

from .backbone import encode_all
from .corpus import Corpus, Pair, mostly_latin
from .teacher import Targets
from .titled import Titled

BASIS_TEXTS = 40_000
PAIRS_OF_A_SOURCE = 3000
TRANSLATIONS = 20_000
NEIGHBOURS = 0.3
TEXTS_OF_A_TOKEN = 14
NEW_WORDS_WITHIN = 120
"""Tokens from the start of a text."""


def reduced(corpus: Corpus, sections: Sequence[Titled]) -> Corpus:
    """Fewer pairs and translations, so that the teacher reads them in minutes."""
    by_source: dict[str, list[Pair]] = defaultdict(list)
    for pair in corpus.pairs:
        by_source[pair.source].append(pair)
    pairs = [pair for of_source in by_source.values() for pair in of_source[:PAIRS_OF_A_SOURCE]]
    documents = [titled.document for titled in sections if titled.source == "textbooks"]
    return replace(
        corpus, pairs=pairs, translations=corpus.translations[:TRANSLATIONS], documents=documents, near=[], loose=[]
    )


def teacher_texts(corpus: Corpus, titled: Sequence[Titled]) -> list[str]:
    """Chunks alone and named, and both sides of pairs; what the teacher, which reads English, may be asked about."""
    documents = [each.document for each in titled if each.document.title]
    chunks = [chunk for document in documents for chunk in document.chunks]
    named = [document.named(number) for document in documents for number in range(len(document.chunks))]
    paired = [text for pair in corpus.pairs for text in (pair.query, pair.passage) if mostly_latin(text)]
    return list(dict.fromkeys([*chunks, *named, *paired, *(english for _, english, _ in corpus.translations)]))


def texts_with_new_tokens(corpus: Corpus, tokenizer: Tokenizer, before: Tokenizer) -> list[str]:
    """English texts, so many that each token which `before` does not have comes in `TEXTS_OF_A_TOKEN`, if there are."""
    known = before.get_vocab()
    wanting = {number: TEXTS_OF_A_TOKEN for token, number in tokenizer.get_vocab().items() if token not in known}
    texts = [text for pair in corpus.pairs for text in (pair.query, pair.passage) if mostly_latin(text)]
    texts += [*corpus.loose, *(english for _, english, _ in corpus.translations)]
    chosen: list[str] = []
    for ids, text in zip(encode_all(tokenizer, texts, NEW_WORDS_WITHIN) if wanting else (), texts, strict=False):
        new = {number for number in ids.tolist() if wanting.get(number, 0) > 0}
        for number in new:
            wanting[number] -= 1
        if new:
            chosen.append(text)
    return list(dict.fromkeys(chosen))


def basis_of(targets: Targets, encoder: Encoder, seed: int) -> Tensor:
    """The rotation (C, C) that brings the teacher's vectors nearest to the model's own (Schönemann 1966).

    The model was trained in the teacher's principal directions. Computed again from some of the texts, those of like
    energy come out mixed: with 40,000 texts the cosine is .57, after this rotation .80.
    """
    rows = np.random.default_rng(seed).permutation(len(targets.texts))[:BASIS_TEXTS]
    wanted = targets.vectors[rows].astype(np.float32)
    vectors = encoder.encode([targets.texts[row] for row in rows], truncate=True)
    left, _, right = np.linalg.svd(wanted.T @ vectors)
    basis = (left @ right).astype(np.float32)
    print(f"the model's cosine to the teacher: {float((wanted @ basis * vectors).sum(1).mean()):.3f}", flush=True)
    return torch.from_numpy(basis)


@dataclass(frozen=True)
class Wanted:
    """Vectors that the chunks of a document should have: alone, and inside it. Shapes (chunks, C)."""

    alone: Tensor
    inside: Tensor


def wanted_of(titled: Titled, targets: Targets, basis: Tensor) -> Wanted:
    """The teacher's: the chunk alone; and chunk, chunk with its title and a little of its neighbours added."""
    document = titled.document
    numbers = range(len(document.chunks))
    alone = _rotated([targets.row[chunk] for chunk in document.chunks], targets, basis)
    named = _rotated([targets.row[document.named(number)] for number in numbers], targets, basis)
    return Wanted(alone, F.normalize(alone + named + NEIGHBOURS * neighbours(alone), dim=1))


def neighbours(vectors: Tensor) -> Tensor:
    """The mean of the vectors before and after each. Shapes: (n, C) -> (n, C)."""
    sums, counts = torch.zeros_like(vectors), torch.zeros(len(vectors), 1)
    sums[1:] += vectors[:-1]
    counts[1:] += 1
    sums[:-1] += vectors[1:]
    counts[:-1] += 1
    return sums / counts.clamp(min=1)


def _rotated(rows: Sequence[int], targets: Targets, basis: Tensor) -> Tensor:
    vectors: NDArray[np.float32] = targets.vectors[list(rows)].astype(np.float32)
    return torch.from_numpy(vectors) @ basis
