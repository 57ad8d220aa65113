"""Stage 6: a finished model gets tokens for English words that its tokenizer cuts into three pieces or more.

Questions whose rarest word falls into three pieces lost twice as much against the teacher as others. Long Chinese and
Japanese tokens that the training texts hardly use give their numbers to the new ones, and the vocabulary grows.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint, load_model
from jina_v3_encoder.checkpoints.save import save_checkpoint
from jina_v3_encoder.network.jina_v3 import JinaV3Model

from .corpus import Corpus, mostly_latin, read_corpus
from .warm_start import teacher_weights, token_rows, tokenizer_from

VOCABULARY = 19_520
"""As bfloat16 27.5 MB: under 28 with the tokenizer."""
RARE = 110
"""Uses in the training texts that are not only English."""
LEAST_PIECES = 3
ONE_SIDED = {"medicine": 0.2, "commands": 0.2}
"""Weights of sources with words that general texts hardly have."""
WORD = re.compile(r"[a-z]{3,16}")
EAST_ASIAN = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]{2,}")
RIDGE = 1.0
SCORE_DIGITS = 5
"""More only make the file longer."""
START = "\u2581"
KNOWN = re.compile(f"{START}[a-z]{{3,}}")
TABLES = {"word_embeddings.weight": 0, "word_embeddings.lora_A": 1}
"""Those with a row for each token, and the axis of the tokens."""
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class NewTokens:
    """What is added: words, each with its number in the new vocabulary and its score in the tokenizer."""

    words: list[str]
    numbers: list[int]
    scores: list[float]


def english_words(corpus: Corpus) -> dict[str, float]:
    """How often each word comes in the English texts. Texts of one-sided sources count less."""
    texts: dict[str, list[str]] = defaultdict(list)
    for pair in corpus.pairs:
        texts[pair.source] += filter(mostly_latin, (pair.query, pair.passage))
    texts["others"] = [*corpus.loose, *(english for _, english, _ in corpus.translations)]
    texts["sections"] = [chunk for document in corpus.documents for chunk in document.chunks]
    words: dict[str, float] = defaultdict(float)
    for source, of_source in texts.items():
        counts = Counter(word for text in dict.fromkeys(of_source) for word in WORD.findall(text.lower()))
        for word, count in counts.items():
            words[word] += count * ONE_SIDED.get(source, 1.0)
    return words


def used_tokens(corpus: Corpus, tokenizer: Tokenizer) -> NDArray[np.int64]:
    """How often each token comes in the training texts that are not only English. Shape (vocabulary,)."""
    texts = [text for pair in corpus.pairs if not mostly_latin(pair.passage) for text in (pair.query, pair.passage)]
    texts += [text for text, _, _ in corpus.translations]
    uses = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    for start in range(0, len(texts), 4096):
        for encoding in tokenizer.encode_batch_fast(texts[start : start + 4096], add_special_tokens=False):
            uses += np.bincount(encoding.ids, minlength=len(uses))
    return uses


def choose_tokens(corpus: Corpus, tokenizer: Tokenizer, vocabulary: int) -> NewTokens:
    """The words that save most pieces, with the numbers of rare long tokens, then with new ones."""
    uses = used_tokens(corpus, tokenizer)
    old = tokenizer.get_vocab()
    rare = sorted(number for token, number in old.items() if EAST_ASIAN.fullmatch(token.lstrip(START)))
    mask = len(old) - 1  # the last token, and the last one it stays
    numbers = [number for number in rare if uses[number] < RARE] + list(range(mask, vocabulary - 1))
    words = english_words(corpus)
    pieces = _lengths(tokenizer, list(words))
    saved = {word: count * (pieces[word] - 1) for word, count in words.items() if pieces[word] >= LEAST_PIECES}
    chosen = sorted(saved, key=lambda word: (-saved[word], word))[: len(numbers)]
    return NewTokens(chosen, numbers[: len(chosen)], _scores(tokenizer, words, chosen))


def _scores(tokenizer: Tokenizer, uses: Mapping[str, float], words: Sequence[str]) -> list[float]:
    """Logarithms of the words' shares, on the scale of the words that are whole already."""
    entries = json.loads(tokenizer.to_str())["model"]["vocab"]
    whole = [
        score - math.log(uses[token[1:]]) for token, score in entries if KNOWN.fullmatch(token) and uses[token[1:]]
    ]
    return [statistics.median(whole) + math.log(uses[word]) for word in words]


def _lengths(tokenizer: Tokenizer, words: Sequence[str]) -> Mapping[str, int]:
    encodings = tokenizer.encode_batch_fast(list(words), add_special_tokens=False)
    return {word: len(encoding.ids) for word, encoding in zip(words, encodings, strict=True)}


def enlarged_tokenizer(source: Path, new: NewTokens, vocabulary: int) -> dict[str, Any]:
    """The content of a tokenizer.json with the new tokens."""
    content: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    entries: list[list[Any]] = content["model"]["vocab"]
    entries += [["", 0.0] for _ in range(vocabulary - 1 - len(entries))]
    for word, number, score in zip(new.words, new.numbers, new.scores, strict=True):
        entries[number] = [START + word, score]
    content["model"]["vocab"] = [[token, round(score, SCORE_DIGITS)] for token, score in entries]
    for added in content["added_tokens"]:
        if added["content"] == "<mask>":
            added["id"] = vocabulary - 1
    return content


def enlarge(model: JinaV3Model, tokenizer: Tokenizer, theirs: FloatArray, tokens: NewTokens) -> JinaV3Model:
    """The model with rows for the new tokens, as it would have had them had it known the words.

    The teacher knows most of the words whole. A linear map from its rows to the model's, met over the words that both
    know, gives a new word's row and its low-rank one.

    Args:
        tokenizer: The new one.
        theirs: The teacher's rows for all of its tokens, shape (V, D).
    """
    vocabulary = tokenizer.get_vocab()
    grown = JinaV3Model(replace(model.config, vocab_size=len(vocabulary)))
    grown.initialize()
    state = model.state_dict()
    known = sorted({number for token, number in vocabulary.items() if KNOWN.fullmatch(token)} - set(tokens.numbers))
    theirs = np.concatenate([theirs, np.ones((len(theirs), 1), dtype=np.float32)], axis=1)
    gram = theirs[known].T @ theirs[known] + RIDGE * np.eye(theirs.shape[1], dtype=np.float32)
    for name, axis in TABLES.items():
        table = state[name].float().movedim(axis, 0)
        wanted = table[known].flatten(1).numpy()
        linear = np.linalg.solve(gram, theirs[known].T @ wanted)
        click.echo(
            f"{name}: {len(known):,} known words are met with cosine {_cosine(theirs[known] @ linear, wanted):.3f}"
        )
        mask, grows = table[-1:], len(vocabulary) - len(table)
        table = torch.cat([table[:-1], table.new_zeros(grows, *table.shape[1:]), mask])
        table[tokens.numbers] = torch.from_numpy(theirs[tokens.numbers] @ linear).reshape(-1, *table.shape[1:])
        state[name] = table.movedim(0, axis)
    grown.load_state_dict(state)
    return grown


def _cosine(left: FloatArray, right: FloatArray) -> float:
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return float(np.mean(np.sum(left * right, axis=1) / lengths))


@click.command()
@click.option("--start", type=click.Path(path_type=Path, exists=True), required=True, help="A finished checkpoint.")
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of *.jsonl.gz files.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the checkpoint is written.")
@click.option("--vocabulary", default=VOCABULARY, show_default=True, help="Tokens.")
def main(start: Path, data: Path, out: Path, vocabulary: int) -> None:
    """Give a finished model tokens for more English words. It has to be trained after that."""
    checkpoint = find_checkpoint(start)
    model = load_model(checkpoint, torch.float32)
    if not isinstance(model, JinaV3Model):
        raise click.UsageError(f"{start} is no model of jina-embeddings-v3's architecture")
    old = tokenizer_from(checkpoint.tokenizer_file)
    tokens = choose_tokens(read_corpus(data, 0), old, vocabulary)
    out.mkdir(parents=True, exist_ok=True)
    file = out / "tokenizer.json"
    content = enlarged_tokenizer(checkpoint.tokenizer_file, tokens, vocabulary)
    file.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    new = tokenizer_from(file)
    save_checkpoint(enlarge(model, new, token_rows(new, teacher_weights()), tokens), file, out)
    click.echo(f"{len(tokens.words):,} new tokens, from {tokens.words[0]!r} to {tokens.words[-1]!r}")


if __name__ == "__main__":
    main()
