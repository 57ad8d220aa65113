"""The names of chunkers: one table of how each is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.text_encoder import TextEncoder

from .base import Chunker
from .code import CodeChunker
from .fixed import FixedChunker
from .html import HtmlChunker
from .lines import DEFAULT_CHARACTERS, LineChunker
from .sentences import DEFAULT_SENTENCES, SentenceChunker
from .sizes import DEFAULT_CHUNK_TOKENS, Sizes
from .splitter import SemanticChunker
from .tokens import TokenCounter, counter_of
from .vectors import DEFAULT_PERCENTILE, Breakpoints, VectorChunker

if TYPE_CHECKING:
    from .llm.chat import ChatClient
    from .llm.prompts import Kind

DEFAULT_CHUNKER = "splitter"


@dataclass(frozen=True)
class ChunkerOptions:
    """Everything that a chunker of a name can be told. Each reads what concerns it."""

    max_tokens: int = DEFAULT_CHUNK_TOKENS
    min_tokens: int = 0
    overlap: int = 0
    """Of neighbouring chunks: sentences for `sentences`, tokens for `fixed`; the others have none."""
    sentences: int = DEFAULT_SENTENCES
    """In a chunk of `sentences`."""
    characters: int = DEFAULT_CHARACTERS
    """The longest line of `lines`."""
    breakpoints: Breakpoints = "percentile"
    percentile: float = DEFAULT_PERCENTILE
    """How `semantic` finds its breaks; see `VectorChunker`."""
    encoder: TextEncoder | None = field(default=None, repr=False)
    """What reads the sentences for `semantic`."""
    llm: ChatClient | None = field(default=None, repr=False)
    """The model that `llm-simple`, `llm-topics` and `llm-summary` ask."""


@dataclass(frozen=True)
class Builder:
    """How a chunker is built, and what it needs."""

    build: Callable[[TokenCounter, ChunkerOptions], Chunker]
    overlaps: bool = False
    """Whether neighbouring chunks may share something."""
    reads: bool = False
    """Whether it needs an encoder."""
    asks: bool = False
    """Whether it needs a language model."""


def _sizes(counter: TokenCounter, options: ChunkerOptions) -> Sizes:
    return Sizes(counter, options.max_tokens, options.min_tokens)


def _markdown(counter: TokenCounter, options: ChunkerOptions) -> Chunker:
    from .markdown import MarkdownChunker

    return MarkdownChunker(_sizes(counter, options))


def _llm(kind: Kind, counter: TokenCounter, options: ChunkerOptions) -> Chunker:
    from .llm.chunkers import LlmChunker, SummaryChunker
    from .llm.reading import Reader

    if options.llm is None:
        raise InvalidInput(f"the chunker llm-{kind} asks a language model: name its address and the model")
    chunker = SummaryChunker if kind == "summary" else LlmChunker
    return chunker(_sizes(counter, options), Reader(options.llm, kind))


def _semantic(counter: TokenCounter, options: ChunkerOptions) -> Chunker:
    if options.encoder is None:
        raise InvalidInput("the chunker semantic reads sentences with an encoder: pass one")
    return VectorChunker(_sizes(counter, options), options.encoder, options.breakpoints, options.percentile)


BUILDERS: Mapping[str, Builder] = {
    "splitter": Builder(lambda counter, options: SemanticChunker(counter, options.max_tokens, options.min_tokens)),
    "lines": Builder(lambda counter, options: LineChunker(_sizes(counter, options), options.characters)),
    "sentences": Builder(
        lambda counter, options: SentenceChunker(_sizes(counter, options), options.sentences, options.overlap),
        overlaps=True,
    ),
    "fixed": Builder(lambda counter, options: FixedChunker(_sizes(counter, options), options.overlap), overlaps=True),
    "markdown": Builder(_markdown),
    "html": Builder(lambda counter, options: HtmlChunker(_sizes(counter, options))),
    "code": Builder(lambda counter, options: CodeChunker(_sizes(counter, options))),
    "semantic": Builder(_semantic, reads=True),
    "llm-simple": Builder(partial(_llm, "simple"), asks=True),
    "llm-topics": Builder(partial(_llm, "topics"), asks=True),
    "llm-summary": Builder(partial(_llm, "summary"), asks=True),
}
CHUNKERS = tuple(BUILDERS)


def client_of(url: str | None, model: str | None) -> ChatClient | None:
    """The language model behind an address. None without either.

    Raises:
        InvalidInput: one without the other, or the URL is no address.
    """
    if url is None and model is None:
        return None
    if url is None or model is None:
        raise InvalidInput("a language model is named by its address and its name: give both")
    from .llm.chat import ChatClient

    return ChatClient(url, model)


def chunker_named(name: str, tokenizer_file: Path, options: ChunkerOptions | None = None) -> Chunker:
    """The chunker of a name, with sizes counted by a tokenizer.json.

    Raises:
        InvalidInput: there is none of this name, or it has no such option.
    """
    chosen = ChunkerOptions() if options is None else options
    builder = BUILDERS.get(name)
    if builder is None:
        raise InvalidInput(f"there is no chunker {name!r:.100}: use one of {', '.join(CHUNKERS)}")
    if chosen.overlap and not builder.overlaps:
        overlapping = " and ".join(other for other in CHUNKERS if BUILDERS[other].overlaps)
        raise InvalidInput(f"the chunker {name} has no overlap, {overlapping} have: leave it out")
    return builder.build(counter_of(tokenizer_file), chosen)
