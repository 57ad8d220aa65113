"""Stage 1: a Unigram tokenizer in the XLM-RoBERTa layout (`<s> <pad> </s> <unk> … <mask>`).

NFKC and lowercasing live in tokenizer.json; punctuation is split off first, or "school." becomes one token.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from tokenizers.trainers import UnigramTrainer

from .corpus import Corpus

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
CHARACTERS_ENGLISH = 4_000_000
CHARACTERS_OTHER = 700_000
CHARACTER_COVERAGE = 0.9995


def train_tokenizer(corpus: Corpus, english: Sequence[str], vocabulary: int, path: Path, seed: int) -> Tokenizer:
    """Train on a language-balanced sample and write tokenizer.json to `path`."""
    texts = _drop_rare_characters(_balanced_sample(corpus, english, seed))
    tokenizer = Tokenizer(Unigram())
    _attach_pipeline(tokenizer)
    trainer = UnigramTrainer(
        vocab_size=vocabulary - 1,
        special_tokens=list(SPECIAL_TOKENS),
        unk_token=SPECIAL_TOKENS[3],
        max_piece_length=16,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(path))
    return tokenizer


def _attach_pipeline(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="always"), pre_tokenizers.Punctuation()]
    )
    tokenizer.decoder = decoders.Metaspace()


def _balanced_sample(corpus: Corpus, english: Sequence[str], seed: int) -> list[str]:
    order = random.Random(seed)
    sample = _take(order.sample(english, len(english)), CHARACTERS_ENGLISH)
    by_language: dict[str, list[str]] = {}
    for text, _, language in corpus.translations:
        by_language.setdefault(language, []).append(text)
    for pair in corpus.pairs:
        if any("\u3040" <= character < "\u3100" for character in pair.passage[:200]):
            by_language["ja"].append(pair.passage)
        elif any("\u4e00" <= character < "\ua000" for character in pair.passage[:50]):
            by_language["zh"].append(pair.passage)
    for texts in by_language.values():
        order.shuffle(texts)
        sample += _take(texts, CHARACTERS_OTHER)
    return sample


def _take(texts: list[str], characters: int) -> list[str]:
    taken, total = [], 0
    for text in texts:
        if total >= characters:
            break
        taken.append(text[:600])
        total += len(taken[-1])
    return taken


def _drop_rare_characters(texts: list[str]) -> list[str]:
    """Keep the characters that cover `CHARACTER_COVERAGE`: the trainer gives every one of them a row."""
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    texts = [normalizer.normalize_str(text) for text in texts]
    counts = Counter("".join(texts))
    limit, seen, kept = CHARACTER_COVERAGE * sum(counts.values()), 0, set()
    for character, count in counts.most_common():
        if seen >= limit:
            break
        kept.add(character)
        seen += count
    dropped = {ord(character): None for character in counts if character not in kept}
    return [text.translate(dropped) for text in texts]
