"""What everything downstream asks of an encoder, local or remote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from .task import TaskLike
from .texts.late_chunking import Span
from .vectors import OutputType


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into vectors. Implemented by `Encoder` and `testing.FakeEncoder`; each method is documented there."""

    @property
    def model_id(self) -> str: ...

    @property
    def revision(self) -> str | None: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def encode(
        self,
        texts: str | Sequence[str],
        *,
        task: TaskLike | Sequence[TaskLike] = None,
        dimensions: int | None = None,
        normalize: bool = True,
        truncate: bool = False,
        prompt: bool = True,
        progress: bool = False,
        output_type: OutputType = "float32",
    ) -> NDArray[Any]: ...

    def encode_chunks(
        self,
        chunks: Sequence[str],
        *,
        task: TaskLike = None,
        dimensions: int | None = None,
        normalize: bool = True,
        prompt: bool = True,
        separator: str = " ",
        window: int | None = None,
        overlap: int | None = None,
        output_type: OutputType = "float32",
    ) -> NDArray[Any]: ...

    def encode_spans(
        self,
        text: str,
        spans: Sequence[Span],
        *,
        task: TaskLike = None,
        dimensions: int | None = None,
        normalize: bool = True,
        prompt: bool = True,
        window: int | None = None,
        overlap: int | None = None,
        output_type: OutputType = "float32",
    ) -> NDArray[Any]: ...

    def encode_documents(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        *,
        task: TaskLike = None,
        dimensions: int | None = None,
        normalize: bool = True,
        prompt: bool = True,
        window: int | None = None,
        overlap: int | None = None,
        progress: bool = False,
        output_type: OutputType = "float32",
    ) -> list[NDArray[Any]]: ...

    def count_tokens(
        self, texts: str | Sequence[str], task: TaskLike = None, *, prompt: bool = True
    ) -> int | list[int]: ...
