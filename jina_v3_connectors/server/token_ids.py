"""Texts of clients that send token ids of another model's tokenizer, as LangChain's OpenAIEmbeddings does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic_core import PydanticCustomError
from starlette.datastructures import Headers

from jina_v3_encoder.errors import InvalidInput, MissingExtra

from .errors import ApiError

if TYPE_CHECKING:
    from tiktoken import Encoding

TokenizerName = Literal["cl100k_base", "o200k_base", "p50k_base", "r50k_base"]
OPENAI_PYTHON: TokenizerName = "cl100k_base"
"""LangChain, the one program that sends ids through OpenAI's Python client, uses this for models that it does not know.
It uses it for OpenAI's embedding models, too."""
INCOMPLETE_BYTES = 3
"""A client that cuts a long list of ids may cut a character, of which this many bytes can be left at either end."""
REMEDY = "Send text instead (LangChain: check_embedding_ctx_length=False)"


@dataclass(frozen=True)
class TokenIds:
    """One list of ids for each text."""

    rows: Sequence[NDArray[np.int64]]

    @classmethod
    def read(cls, given: Any) -> TokenIds | None:
        """Ids of one text or of several; None where it is something else.

        Raises:
            PydanticCustomError: among ids there is what is none.
        """
        first = given[0] if isinstance(given, list) and given else None
        if isinstance(first, int) and not isinstance(first, bool):
            return cls([_row(given)])
        if isinstance(first, list) and (not first or isinstance(first[0], int)):
            return cls([_row(row) for row in given])
        return None


def _row(given: Any) -> NDArray[np.int64]:
    if not isinstance(given, list):
        raise _no_ids()
    try:
        row = np.asarray(given) if given else np.empty(0, np.int64)
    except (ValueError, OverflowError):
        raise _no_ids() from None
    if row.dtype != np.int64 or row.ndim != 1:
        raise _no_ids()
    return row


def _no_ids() -> PydanticCustomError:
    return PydanticCustomError("token_ids", "a list of token ids holds whole numbers only")


def tokenizer_of(headers: Headers, told: TokenizerName | None) -> TokenizerName:
    """Whose ids a client sends: `told` by who runs the server, or known by the client.

    Raises:
        ApiError: nobody knows.
    """
    if told is not None:
        return told
    if headers.get("user-agent", "").startswith(("OpenAI/Python", "AsyncOpenAI/Python")):
        return OPENAI_PYTHON
    message = (
        f"input: these are token ids, and nobody told of which tokenizer. {REMEDY}, or serve with --token-ids "
        f"{OPENAI_PYTHON}"
    )
    raise ApiError(422, "VALIDATION_ERROR", message)


def decoded(ids: TokenIds, tokenizer: TokenizerName) -> list[str]:
    """The texts.

    Raises:
        ApiError: the tokenizer is not installed here, or the ids are not its own.
    """
    try:
        encoding = load(tokenizer)
    except (InvalidInput, MissingExtra) as error:
        raise ApiError(422, "VALIDATION_ERROR", f"input: token ids cannot be read here: {error}. {REMEDY}") from None
    return [_text(number, row, encoding) for number, row in enumerate(ids.rows)]


def _text(number: int, row: NDArray[np.int64], encoding: Encoding) -> str:
    try:
        text = encoding.decode_bytes(row.tolist())
    except (KeyError, OverflowError):
        message = f"input[{number}]: it holds token ids that {encoding.name} does not have. {REMEDY}"
        raise ApiError(422, "VALIDATION_ERROR", message) from None
    for start in range(INCOMPLETE_BYTES + 1):
        for end in range(INCOMPLETE_BYTES + 1):
            try:
                return text[start : len(text) - end].decode("utf-8")
            except UnicodeDecodeError:
                continue
    message = f"input[{number}]: its token ids, read as {encoding.name}, are no text. {REMEDY}"
    raise ApiError(422, "VALIDATION_ERROR", message)


def loaded_name(name: str) -> TokenizerName:
    """The name of a tokenizer that is known and can be loaded here.

    Raises:
        InvalidInput: another name, or its file is not to be had.
        MissingExtra: tiktoken is not installed.
    """
    for known in get_args(TokenizerName):
        if name == known:
            load(known)
            return cast(TokenizerName, name)
    raise InvalidInput(f"no tokenizer is called {name[:100]!r}: use one of {', '.join(get_args(TokenizerName))}")


@cache
def load(tokenizer: TokenizerName) -> Encoding:
    """A tokenizer, from the folder $TIKTOKEN_CACHE_DIR or as `tiktoken` downloads it.

    Raises:
        MissingExtra: tiktoken is not installed.
        InvalidInput: its file is not there and cannot be downloaded.
    """
    try:
        import tiktoken
    except ImportError:
        raise MissingExtra("tiktoken", "token-ids") from None
    try:
        return tiktoken.get_encoding(tokenizer)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"tiktoken cannot load {tokenizer} ({type(error).__name__}): put its file into $TIKTOKEN_CACHE_DIR"
        ) from None
