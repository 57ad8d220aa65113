"""The chunkers that options name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jina_v3_encoder.errors import InvalidInput

if TYPE_CHECKING:
    from jina_v3_encoder.text_encoder import TextEncoder

    from ..chunking import Chunker
    from ..chunking.llm.chat import ChatClient

_F = TypeVar("_F", bound=Callable[..., Any])

LOCAL = ("splitter", "lines", "sentences", "fixed", "markdown", "html", "code", "semantic")
ASKING = ("llm-simple", "llm-topics", "llm-summary")
DEFAULT = LOCAL[0]
NAMES = (*LOCAL, *ASKING)
"""Those of `chunking.names`, which takes too long to import for `--help`."""
TOKENS_OPTION = click.option(
    "--chunk-tokens", type=click.IntRange(min=1), default=200, show_default=True, help="Largest chunk."
)
PRICE_OPTION = click.option(
    "--llm-price",
    nargs=2,
    type=click.FloatRange(min=0),
    metavar="IN OUT",
    help="What a million tokens read and written cost, for the costs at the end.",
)


def detail_options(*, defaults: bool) -> list[Callable[[_F], _F]]:
    """How a chunker of a name cuts. Without `defaults` an option left out is None, and a move has its own value."""
    least, overlap, sentences = (0, 0, 5) if defaults else (None, None, None)
    return [
        click.option(
            "--min-chunk-tokens",
            type=click.IntRange(min=0),
            default=least,
            show_default=defaults,
            help="Smaller chunks are joined with a neighbour where both fit in one.",
        ),
        click.option(
            "--chunk-overlap",
            type=click.IntRange(min=0),
            default=overlap,
            show_default=defaults,
            help="What neighbouring chunks share: sentences with --chunker sentences, tokens with fixed.",
        ),
        click.option(
            "--chunk-sentences",
            type=click.IntRange(min=1),
            default=sentences,
            show_default=defaults,
            help="Sentences in a chunk of --chunker sentences.",
        ),
        click.option(
            "--llm",
            metavar="URL",
            envvar="JINA_V3_LLM" if defaults else None,
            show_envvar=defaults,
            help="For the llm- chunkers: any server of OpenAI's chat interface, as http://127.0.0.1:11434/v1; a key "
            "comes from $JINA_V3_LLM_KEY.",
        ),
        click.option("--llm-model", metavar="NAME", help="The model that it is asked for."),
    ]


@dataclass(frozen=True)
class ChunkerChoice:
    """The chunkers that the options name. Nothing is loaded before they are asked for."""

    chunker: str | None
    chunk_tokens: int
    min_chunk_tokens: int
    chunk_overlap: int
    chunk_sentences: int
    llm: str | None = field(default=None, repr=False)
    llm_model: str | None = None
    llm_price: tuple[float, float] | None = None

    @property
    def names(self) -> list[str]:
        """In the order of the option, none twice. None of them where the option is left out and has no default."""
        return [] if self.chunker is None else list(dict.fromkeys(name.strip() for name in self.chunker.split(",")))

    def build(self, name: str, tokenizer_file: Path, encoder: Callable[[], TextEncoder]) -> Chunker:
        """The chunker of a name. The encoder is asked for if the chunker reads with it.

        Raises:
            InvalidInput: there is no such chunker, or it has no such option.
        """
        from ..chunking.names import BUILDERS, ChunkerOptions, chunker_named

        if ":" in name:
            return loaded(name)
        builder = BUILDERS.get(name)
        options = ChunkerOptions(
            max_tokens=self.chunk_tokens,
            min_tokens=self.min_chunk_tokens,
            overlap=self.chunk_overlap if builder is None or builder.overlaps or len(self.names) == 1 else 0,
            sentences=self.chunk_sentences,
            encoder=encoder() if builder is not None and builder.reads else None,
            llm=self._client(name) if builder is not None and builder.asks else None,
        )
        return chunker_named(name, tokenizer_file, options)

    def _client(self, name: str) -> ChatClient | None:
        from ..chunking.names import client_of

        if self.llm is None or self.llm_model is None:
            raise InvalidInput(f"--chunker {name} asks a language model: name it with --llm URL and --llm-model NAME")
        return client_of(self.llm, self.llm_model)

    def remarks(self, chunker: Chunker) -> Iterator[str]:
        """What there is to say at the end of what a chunker did: nothing, unless it asked a language model."""
        report = getattr(chunker, "report", None)
        if report is not None:
            yield from report.lines(self.llm_price)

    def only(self, tokenizer_file: Path, encoder: TextEncoder) -> Chunker:
        """The one chunker that is named.

        Raises:
            InvalidInput: several are named; or as `build`.
        """
        if len(self.names) != 1:
            raise InvalidInput(f"--chunker {self.chunker} names several: a collection is cut by one")
        return self.build(self.names[0], tokenizer_file, lambda: encoder)


def chunker_options(default: str | None = DEFAULT) -> Callable[[_F], _F]:
    """--chunker and what belongs to it; the command gets them as `cutting`."""
    named = click.option(
        "--chunker",
        default=default,
        show_default=True,
        metavar="NAME",
        help=f"{', '.join(NAMES)}; or module:Class, one of your own without arguments.",
    )

    def decorated(function: _F) -> _F:
        @wraps(function)
        def command(**values: Any) -> Any:
            choices = {choice.name: values.pop(choice.name) for choice in fields(ChunkerChoice)}
            return function(cutting=ChunkerChoice(**choices), **values)

        for option in reversed((named, TOKENS_OPTION, *detail_options(defaults=True), PRICE_OPTION)):
            command = option(command)
        return command  # type: ignore[return-value]

    return decorated


def loaded(name: str) -> Chunker:
    """The chunker of `module:Class`, which the user typed. A name out of a file never comes here.

    Raises:
        InvalidInput: there is no such module or class, or it is no chunker.
    """
    from importlib import import_module

    module, _, kind = name.partition(":")
    try:
        chunker = getattr(import_module(module), kind)()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise InvalidInput(
            f"--chunker {name}: {error}; it must be module:Class of a module that Python finds ($PYTHONPATH), and the "
            "class must take no arguments"
        ) from error
    if not callable(getattr(chunker, "spans", None)) or not isinstance(getattr(chunker, "description", None), str):
        raise InvalidInput(f"--chunker {name} must have a method spans and a description, a str; see docs/chunking.md")
    return chunker  # type: ignore[no-any-return]
