"""Texts to token ids and character offsets, straight from tokenizer.json.

Rebuilding the tokenizer from its vocabulary loses the normalizer, and with it the ids of full-width forms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from ..architecture import AnyConfig
from ..errors import CheckpointError, CheckpointMismatch, InputTooLong, InvalidInput
from .scripts import unknown_token, unread_scripts

IntArray = NDArray[np.int64]
LEAST_UNKNOWN = 2
"""Words with unknown letters. A single one may be an emoji."""


class Tokens(NamedTuple):
    """A text between `<s>` and `</s>`: ids (n,), and the index of each token's last character in the text (n,).

    `<s>` and the tokens of the prompt have negative indices; `</s>`, always the last token, has the text's length.
    """

    ids: IntArray
    last_characters: IntArray


class TextTokenizer:
    """Thread-safe and stateless after construction."""

    def __init__(self, path: Path, config: AnyConfig) -> None:
        """Load tokenizer.json. Where config.json does not tell the first and the last token, it tells them itself.

        Raises:
            CheckpointError: the file is damaged.
            CheckpointMismatch: its specials or its size are not those of config.json.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the Rust side raises bare Exception
            raise CheckpointError(f"{path} is not a readable tokenizer: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._eos = self._last_token(path, config)
        self._unknown = unknown_token(self._tokenizer)
        size = self._tokenizer.get_vocab_size()
        if size > config.vocab_size:
            raise CheckpointMismatch(f"{path} has {size} tokens, config.json has rows for {config.vocab_size}")

    def _last_token(self, path: Path, config: AnyConfig) -> int:
        """The token that ends a text. Another one begins it."""
        ids, inside = self._tokenizer.encode("a").ids, self._tokenizer.encode("a", add_special_tokens=False).ids
        told = config.bos_token_id, config.eos_token_id
        if told == (None, None):
            if len(ids) < 2 or ids[1:-1] != inside:
                raise CheckpointMismatch(f"{path} encodes 'a' as {ids}, expected {inside} between two special tokens")
        elif len(ids) < 2 or (ids[0], ids[-1]) != told:
            raise CheckpointMismatch(
                f"{path} encodes 'a' as {ids}, expected it between <s> {told[0]} and </s> {told[1]} of config.json"
            )
        return ids[-1]

    def encode(self, texts: Sequence[str], first: int = 0) -> list[IntArray]:
        """Ids (n,) of each text, specials included; errors count texts from `first`.

        Raises:
            InvalidInput: a text holds lone surrogates.
        """
        encodings = self._encode(self._tokenizer.encode_batch_fast, texts, first)
        return [np.asarray(encoding.ids, dtype=np.int64) for encoding in encodings]

    def encode_with_offsets(self, texts: Sequence[str], prompt: str, first: int = 0) -> list[Tokens]:
        """Ids and last characters of each prompt + text; errors count texts from `first`.

        Raises:
            InvalidInput: a text holds lone surrogates.
        """
        encodings = self._encode(self._tokenizer.encode_batch, [prompt + text for text in texts], first)
        return [_tokens(encoding, len(prompt), len(text)) for encoding, text in zip(encodings, texts, strict=True)]

    def cut(self, ids: IntArray, limit: int) -> IntArray:
        """The first `limit` tokens with `</s>` kept at the end, as the reference truncates."""
        return ids if len(ids) <= limit else np.append(ids[: limit - 1], self._eos)

    def fit(self, ids: Sequence[IntArray], limit: int, first: int = 0, *, truncate: bool) -> list[IntArray]:
        """Check every text against `limit` tokens, or cut it; errors count texts from `first`.

        Raises:
            InputTooLong: a text is longer and `truncate` is off.
        """
        for index, text_ids in enumerate(ids, first):
            if len(text_ids) > limit and not truncate:
                raise InputTooLong(index, len(text_ids), limit)
        return [self.cut(text_ids, limit) for text_ids in ids]

    def unread_scripts(self) -> list[str]:
        """Names of scripts whose letters are mostly unknown to the model, in the order of `scripts.SAMPLES`."""
        return unread_scripts(self._tokenizer)

    def are_unread(self, ids: Sequence[IntArray], prompts: Sequence[str]) -> bool:
        """Whether most words of these texts, each with its prompt in front, have letters unknown to the model.

        A word that is not known at all is two tokens: the mark of its beginning, and the unknown.
        """
        unknown = sum(int(np.count_nonzero(text_ids == self._unknown)) for text_ids in ids)
        if unknown < LEAST_UNKNOWN:
            return False
        of_prompts = {prompt: len(self._tokenizer.encode(prompt).ids) for prompt in set(prompts)}
        return 4 * unknown > sum(map(len, ids)) - sum(of_prompts[prompt] for prompt in prompts)

    def _encode(
        self, encode: Callable[[list[str]], list[Encoding]], texts: Sequence[str], first: int
    ) -> list[Encoding]:
        try:
            return encode(list(texts))
        except TypeError:
            check_unicode(texts, first)
            raise InvalidInput("the tokenizer refused the input: every text must be a str") from None


def check_unicode(texts: Sequence[str], first: int = 0, noun: str = "text") -> None:
    """Make sure that texts can be written as UTF-8; errors count them from `first`.

    Raises:
        InvalidInput: a text holds a lone surrogate.
    """
    for index, text in enumerate(texts, first):
        if text.isascii():
            continue
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidInput(
                f"{noun} {index} holds a lone surrogate at character {error.start}, which no tokenizer can read; "
                "decode its source with errors='replace'"
            ) from None


def _tokens(encoding: Encoding, prompt_length: int, text_length: int) -> Tokens:
    starts, ends = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2).T
    # A byte-level tokenizer puts a token of nothing but space behind it, which may be past the end of the text.
    last = np.minimum(np.maximum(ends - 1, starts) - prompt_length, text_length - 1)
    last[0], last[-1] = -1, text_length
    return Tokens(np.asarray(encoding.ids, dtype=np.int64), last)
