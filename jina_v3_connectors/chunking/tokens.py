"""Sizes of texts in a model's own tokens, counted fast: a word that came before is not tokenised again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jina_v3_encoder.texts.tokenizer import check_unicode

KEPT_WORDS = 1_000_000
"""So many words are remembered, about 100 MB. Then the memory starts anew."""
LONGEST_WORD = 64
"""Longer words come once: links, and whole sentences of scripts without spaces."""
BEFORE = "a"
"""Stands before a word that is counted: some words have a token more behind a space than at the head of a text."""
SPLITTING = {"WhitespaceSplit", "BertPreTokenizer"}
"""Pre-tokenizers that read no token across white space of any kind."""


class TokenCounter:
    """Counts tokens without specials, as the tokenizer itself does.

    Most tokenizers read no token across a space. Then a text has as many tokens as its words together. Only a `<mask>`
    behind several spaces is counted too long. Threads can at worst count a word twice.
    """

    def __init__(self, tokenizer_file: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.tokenizer.post_processor = None
        kinds = _kinds(json.loads(self.tokenizer.to_str()).get("pre_tokenizer"))
        self.breaks_are_spaces = kinds[:1] != [] and kinds[0] in SPLITTING
        """Whether words end at line breaks, as at spaces."""
        self.by_words = self.breaks_are_spaces or kinds[:1] == ["Metaspace"]
        """Whether a text has as many tokens as its words together."""
        self._first = _Words(self.exact)
        before = self.exact(BEFORE)
        self._later = _Words(lambda word: self.exact(f"{BEFORE} {word}") - before)

    def exact(self, text: str) -> int:
        """Tokens of `text`, by the tokenizer.

        Raises:
            InvalidInput: it holds lone surrogates.
        """
        try:
            return len(self.tokenizer.encode(text, add_special_tokens=False))
        except TypeError:
            check_unicode([text])
            raise

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where each token of `text` starts and ends."""
        return self.tokenizer.encode(text, add_special_tokens=False).offsets

    def count(self, text: str) -> int:
        """Tokens of `text`.

        Raises:
            InvalidInput: it holds lone surrogates.
        """
        if not self.by_words:
            return self.exact(text)
        first, *later = self.words(text)
        return self._first[first] + sum(map(self._later.__getitem__, later))

    def words(self, text: str) -> list[str]:
        """The parts of `text` between single spaces. To some tokenizers a line break is a space too."""
        return (text.replace("\n", " ") if self.breaks_are_spaces else text).split(" ")

    def known(self, head: bool) -> Mapping[str, int]:
        """Tokens of any word, at the head of a text or behind another; a new one is counted when it is asked for."""
        return self._first if head else self._later

    def later_counts(self, words: list[str]) -> NDArray[np.int64]:
        """Tokens of each of the words, all of them behind another."""
        for memory in (self._first, self._later):
            if len(memory) > KEPT_WORDS:
                memory.clear()
        return np.fromiter(map(self._later.__getitem__, words), dtype=np.int64, count=len(words))


@cache
def counter_of(tokenizer_file: Path) -> TokenCounter:
    """The counter of a tokenizer, which all chunkers share with what it remembers."""
    return TokenCounter(tokenizer_file)


class _Words(dict[str, int]):
    """Tokens by word; a new one is counted when it is asked for."""

    def __init__(self, count: Callable[[str], int]) -> None:
        super().__init__()
        self._count = count

    def __missing__(self, word: str) -> int:
        count = self._count(word)
        if len(word) <= LONGEST_WORD:
            self[word] = count
        return count


def _kinds(pre_tokenizer: dict[str, Any] | None) -> list[str]:
    """The types of a pre-tokenizer's steps, in order."""
    if pre_tokenizer is None:
        return []
    steps = pre_tokenizer["pretokenizers"] if pre_tokenizer["type"] == "Sequence" else [pre_tokenizer]
    return [str(step["type"]) for step in steps if step.get("split", True)]
