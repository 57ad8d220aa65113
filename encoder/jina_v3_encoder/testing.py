"""For tests, yours and ours: an encoder without weights, and random checkpoints in the exact published layouts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .architecture import AnyConfig
from .config import PROMPTS, ModelConfig
from .engine import EncoderInfo, Progress, SpanRequest, TextRequest
from .errors import InputTooLong
from .jina_bert_config import JinaBertConfig, Variant
from .task import TASK_NAMES, Task
from .text_encoder import TextEncoder
from .texts.late_chunking import Span, no_token, windows
from .tokenizer_factory import TokenizerKind, write_tokenizer
from .usage import add_tokens
from .vectors import FloatArray

if TYPE_CHECKING:
    import torch

    from .checkpoints.layouts import Layout

WORD = re.compile(r"\w+|[^\w\s]")
SPECIALS = 2
"""The tokens before and after a text."""
REMEMBERED_WORDS = 4096
TASK_SHARE = 0.15
PROMPT_SHARE = 0.05
CONTEXT_SHARE = 0.3


class FakeEngine:
    """Makes up vectors, the same ones each time.

    A token is a word or a punctuation mark. Its state comes from its letters.

    A text's vector is the mean of its words' hashed letter trigrams, plus a direction of the task's own, plus a share
    of the prompt. In late chunking each word also has a share of the mean of the window that its state comes from.
    """

    def __init__(self, info: EncoderInfo) -> None:
        self.info = info

    def text_means(self, request: TextRequest, progress: Progress) -> FloatArray:
        """As the network does, one text after the other."""
        rows = []
        for number, (text, task) in enumerate(zip(request.texts, request.tasks, strict=True), request.first):
            words, prompt = _words(text), self._prompt(task, request.prompt)
            tokens = len(words) + len(prompt) + SPECIALS
            if tokens > self.info.max_tokens:
                if not request.truncate:
                    raise InputTooLong(number, tokens, self.info.max_tokens)
                words = words[: max(0, self.info.max_tokens - len(prompt) - SPECIALS)]
                tokens = self.info.max_tokens
            add_tokens(tokens)
            rows.append(self._mean(words) + self._direction(task) + self._share(prompt))
            progress(1)
        return self._table(rows, request.dimensions)

    def span_means(self, request: SpanRequest, progress: Progress) -> FloatArray:
        """As the network does, in the same windows. Here spans may cut words."""
        rows: list[FloatArray] = []
        for number, (text, spans) in enumerate(zip(request.texts, request.spans, strict=True), request.first):
            if spans:
                rows += self._document(text, spans, number, request)
                progress(len(spans))
        return self._table(rows, request.dimensions)

    def token_counts(self, texts: Sequence[str], tasks: Sequence[Task | None], *, prompt: bool) -> list[int]:
        """Words and punctuation marks, those of the prompt included, plus two."""
        return [
            len(_words(text)) + len(self._prompt(task, prompt)) + SPECIALS
            for text, task in zip(texts, tasks, strict=True)
        ]

    def close(self) -> None:
        """Do nothing."""

    def _document(self, text: str, spans: Sequence[Span], number: int, request: SpanRequest) -> list[FloatArray]:
        """The vectors of a document's spans."""
        prompt = self._prompt(request.task, request.prompt)
        matches = list(WORD.finditer(text))
        states = np.array([_word_vector(match[0].lower(), self.info.dimensions) for match in matches], dtype=np.float32)
        before = 1 + len(prompt)
        plan = windows(before + len(matches) + 1, *request.window)
        add_tokens(sum(window.end - window.start for window in plan))
        contexts = np.zeros((len(matches), self.info.dimensions), dtype=np.float32)
        for start, end, keep in plan:
            read = states[max(0, start - before) : max(0, end - before)]
            if len(read):
                contexts[max(0, keep - before) : max(0, end - before)] = read.mean(axis=0)
        ends = np.array([match.end() for match in matches])
        starts = np.array([match.start() for match in matches])
        first = min(range(len(spans)), key=lambda index: spans[index][0])
        common = self._direction(request.task)
        rows = []
        for index, (start, end) in enumerate(spans):
            words = _words(text[start:end])
            if not words and (start, end) != (0, len(text)):
                raise no_token(number, index, (start, end))
            row = self._mean(words) + common
            if words:
                inside = slice(np.searchsorted(ends, start, "right"), np.searchsorted(starts, end, "left"))
                row += CONTEXT_SHARE * contexts[inside].mean(axis=0)
            rows.append(row + self._share(prompt) if index == first else row)
        return rows

    def _table(self, rows: Sequence[FloatArray], dimensions: int) -> FloatArray:
        table = np.array(rows, dtype=np.float32).reshape(len(rows), self.info.dimensions)
        return table[:, :dimensions].copy()

    def _prompt(self, task: Task | None, prompt: bool) -> list[str]:
        return _words(self.info.prompts.get(task, "")) if prompt and task is not None else []

    def _share(self, prompt: Sequence[str]) -> FloatArray:
        return np.float32(PROMPT_SHARE) * self._mean(prompt) if prompt else np.zeros(self.info.dimensions, np.float32)

    def _direction(self, task: Task | None) -> FloatArray:
        return np.float32(TASK_SHARE) * _hashed(f"task {task}", self.info.dimensions)

    def _mean(self, words: Sequence[str]) -> FloatArray:
        vectors = [_word_vector(word, self.info.dimensions) for word in words or [" "]]
        return np.asarray(np.mean(vectors, axis=0), dtype=np.float32)


@lru_cache(maxsize=REMEMBERED_WORDS)
def _word_vector(word: str, dimensions: int) -> FloatArray:
    """The mean of the word's letter trigrams. It is shared by all who ask, so nobody may change it."""
    padded = f"^{word}$"
    grams = [padded[start : start + 3] for start in range(len(padded) - 2)]
    vector = np.asarray(np.mean([_hashed(gram, dimensions) for gram in grams], axis=0), dtype=np.float32)
    vector.flags.writeable = False
    return vector


def _hashed(key: str, dimensions: int) -> FloatArray:
    seed = int.from_bytes(hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8).digest(), "little")
    return np.asarray(np.random.default_rng(seed).standard_normal(dimensions), dtype=np.float32)


def _words(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


class FakeEncoder(TextEncoder):
    """Deterministic stand-in for `Encoder`: no weights, no torch, same checks, texts of similar words are similar.

    Vectors are those of `FakeEngine`. A subclass may override `encode` and the other methods.

    >>> FakeEncoder(dimensions=32).encode(["hello"], task="separation").shape
    (1, 32)
    """

    def __init__(
        self,
        dimensions: int = 64,
        max_tokens: int = 8192,
        model_id: str = "fake",
        *,
        revision: str | None = None,
        fingerprint: str | None = None,
        max_batch_tokens: int | None = None,
        tasks: tuple[str, ...] = TASK_NAMES,
        late_chunking_window: int | None = None,
    ) -> None:
        """The arguments are what `info` will say. The default fingerprint follows from `model_id` and `dimensions`.

        Without tasks it is like jina-embeddings-v2: there are no prompts and no shorter vectors either.
        """
        made_up = hashlib.sha256(f"{model_id}:{dimensions}".encode()).hexdigest()[:16]
        info = EncoderInfo(
            model_id=model_id,
            revision=revision,
            compute_fingerprint=partial(str, fingerprint or made_up),
            dimensions=dimensions,
            max_tokens=max_tokens,
            late_chunking_window=late_chunking_window,
            can_be_shortened=bool(tasks),
            tasks=tasks,
            prompts=PROMPTS if tasks else {},
            max_batch_tokens=max_batch_tokens,
        )
        super().__init__(FakeEngine(info))


def tiny_config(**changes: Any) -> ModelConfig:
    """A small geometry with everything the real one has; `changes` are fields of `ModelConfig`."""
    sizes = {"vocab_size": 4096, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    rest = {"intermediate_size": 128, "max_position_embeddings": 514, "matryoshka_dimensions": (16, 32, 64)}
    return ModelConfig(**{**sizes, **rest, **changes})


def tiny_jina_bert_config(variant: Variant = "plain", **changes: Any) -> JinaBertConfig:
    """A small geometry of jina-embeddings-v2; `changes` are fields of `JinaBertConfig`."""
    sizes = {"vocab_size": 4096, "hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 6}
    rest = {"intermediate_size": 160, "model_max_length": 512}
    return JinaBertConfig(**{**sizes, **rest, **changes}, variant=variant)


def write_random_checkpoint(
    folder: Path,
    config: AnyConfig | None = None,
    *,
    layout: Layout = "original",
    seed: int = 0,
    dtype: str = "bfloat16",
) -> Path:
    """Write a checkpoint with random weights and a working tokenizer.json; the same seed gives the same model.

    No adapter, bias or norm has its trivial value, so a program that forgets one gets other vectors. The two variants
    of jina-embeddings-v2 have the kinds of tokenizer that base-en and base-code have.
    """
    import torch

    from .checkpoints.checkpoint import network_of
    from .checkpoints.save import save_checkpoint
    from .network.device import DTYPES

    config = config or tiny_config()
    generator = torch.Generator().manual_seed(seed)
    model = network_of(config).requires_grad_(False).to(DTYPES[dtype])
    for name, parameter in model.named_parameters():
        parameter.normal_(0.0, _deviation(name, parameter, config), generator=generator)
        if "norm" in name and name.endswith("weight"):
            parameter.add_(1.0)
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder / "tokenizer.json", config.vocab_size, _tokenizer_kind(config))
    save_checkpoint(model, folder / "tokenizer.json", folder, layout, DTYPES[dtype])
    return folder


def _deviation(name: str, parameter: torch.Tensor, config: AnyConfig) -> float:
    """Of a random weight. Scores of JinaBERT are as large as those of a trained model, so that ALiBi is not alone."""
    if isinstance(config, JinaBertConfig):
        return 1.5 * parameter.shape[1] ** -0.5 if parameter.dim() > 1 and "embeddings" not in name else 0.1
    return 0.3 if name.endswith("lora_A") else 0.05


def _tokenizer_kind(config: AnyConfig) -> TokenizerKind:
    if isinstance(config, ModelConfig):
        return "unigram"
    return "wordpiece" if config.variant == "plain" else "byte-level"
