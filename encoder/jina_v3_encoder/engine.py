"""What computes behind `TextEncoder`: one small protocol, and the values that travel through it.

An engine gets checked values, and everything that decides how much is computed or sent. It returns means of token
states, sliced but not normalised. `TextEncoder` checks, normalises and casts. A new option of `encode` is one argument
there and one field of a request here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol, TypeAlias

from .config import Quantization
from .task import Task
from .texts.blend import resolve_blend_window
from .texts.late_chunking import Span, WindowSize, resolve_window
from .vectors import FloatArray, check_dimensions

Progress: TypeAlias = Callable[[int], None]
"""Called with the number of vectors that have been started since the last call."""


def silent(_: int) -> None:
    """The progress of a call without a progress bar."""


@dataclass(frozen=True, kw_only=True)
class EncoderInfo:
    """What an encoder says about its model, and what its engine can do."""

    model_id: str
    """The name the model was loaded by."""
    revision: str | None = None
    """Commit of a model from the hub, None for others."""
    compute_fingerprint: Callable[[], str] = field(repr=False, compare=False)
    """Computes the fingerprint. It is called once, at the first use, since it may read all weights."""
    dimensions: int
    """Components of a full vector."""
    trained_dimensions: tuple[int, ...] = ()
    """Sizes of shorter vectors that the model was trained for. Empty if they are not known."""
    max_tokens: int
    """Longest text in tokens, specials and prompt included."""
    late_chunking_window: int | None = None
    """Tokens that late chunking reads at once by default, where that is less than `max_tokens`. These windows do not
    overlap by default: on nano an overlap of half a window gained .001 nDCG@10, and each token was read twice."""
    can_be_shortened: bool = True
    """False: the model was not trained for shorter vectors, so these are refused."""
    tasks: tuple[str, ...]
    """The names that a task may have. Empty for a model without tasks."""
    prompts: Mapping[str, str]
    """The instruction that each task puts in front of a text. A task without one is absent or has an empty text."""
    tokenizer_file: Path | None = None
    """The tokenizer.json that token counts come from, where it is on this machine."""
    quantization: Quantization | None = None
    licence: str = "not known here"
    """Licence of the weights, as far as their name and sizes show it."""
    device: str | None = None
    dtype: str | None = None
    max_batch_tokens: int | None = None
    """Tokens that a thread computes together, where that is known."""
    threads: int | None = None
    """Computing threads, where that is known."""
    can_leave_prompts_out: bool = True
    can_read_windows: bool = True
    """True: windows of any size, and spans with gaps or overlaps. False: only chunks that follow one another."""

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with everything that decides a vector."""
        return self.compute_fingerprint()

    def check_dimensions(self, dimensions: object) -> int:
        """`dimensions`, or all of them for None.

        Raises:
            InvalidDimensions: not a whole number from 1 to all, or less than all where that has no use.
        """
        return check_dimensions(dimensions, self.dimensions, shorter=self.can_be_shortened)

    def window_size(self, window: int | None, overlap: int | None, *, blend: bool = False) -> WindowSize:
        """What late chunking reads at once: the caller's values, or the defaults of the reading and the model.

        Raises:
            InvalidInput: window outside 2..max_tokens, or overlap not below it.
        """
        if blend and self.can_read_windows:
            return resolve_blend_window(window, overlap, self.max_tokens)
        if window is None and self.late_chunking_window is not None:
            window, overlap = self.late_chunking_window, 0 if overlap is None else overlap
        return resolve_window(window, overlap, self.max_tokens)

    def settled(self) -> EncoderInfo:
        """The same with its fingerprint computed: a value for another process."""
        return replace(self, compute_fingerprint=partial(str, self.fingerprint))


@dataclass(frozen=True, kw_only=True)
class TextRequest:
    """Texts that are each read alone."""

    texts: Sequence[str]
    tasks: Sequence[Task | None]
    """One for each text."""
    dimensions: int
    prompt: bool
    """Whether each task's instruction is put in front."""
    truncate: bool
    """Cut texts that are too long. Otherwise they are an error."""
    first: int = 0
    """The caller's number of the first text, for error messages: a request may be a part of the caller's texts."""

    def part(self, part: slice) -> TextRequest:
        """Some neighbours, with their numbers."""
        return replace(self, texts=self.texts[part], tasks=self.tasks[part], first=self.first + part.start)


@dataclass(frozen=True, kw_only=True)
class SpanRequest:
    """Documents that are read as a whole, each for the vectors of its spans."""

    texts: Sequence[str]
    spans: Sequence[Sequence[Span]]
    """The spans of each document. A document may have none."""
    task: Task | None
    dimensions: int
    prompt: bool
    window: WindowSize
    first: int = 0
    """The caller's number of the first document, for error messages."""

    @property
    def vectors(self) -> int:
        return sum(map(len, self.spans))

    def part(self, part: slice) -> SpanRequest:
        """Some neighbours, with their numbers."""
        return replace(self, texts=self.texts[part], spans=self.spans[part], first=self.first + part.start)


class Engine(Protocol):
    """A way of computing. It returns new arrays, which `TextEncoder` changes in place."""

    @property
    def info(self) -> EncoderInfo: ...

    def text_means(self, request: TextRequest, progress: Progress) -> FloatArray:
        """Mean token states (texts, dimensions) in the order of the texts.

        Raises:
            InputTooLong: a text is too long and `truncate` is off.
        """

    def span_means(self, request: SpanRequest, progress: Progress) -> FloatArray:
        """Mean token states (spans of all documents, dimensions), the documents one after the other.

        Raises:
            InvalidSpan: a span holds no token.
        """

    def token_counts(self, texts: Sequence[str], tasks: Sequence[Task | None], *, prompt: bool) -> list[int]:
        """Tokens that are read for each text, specials and prompt included."""

    def close(self) -> None:
        """End processes and close connections. Calling it again is safe."""
