"""`TextEncoder`: the public methods of every encoder. An `Engine` behind it computes."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from .engine import EncoderInfo, Engine, Progress, SpanRequest, TextRequest, silent
from .errors import InputTooLong, InvalidInput, InvalidSpan
from .task import Task, TaskLike, as_task, as_tasks
from .texts.blend import Blend, blended, check_blend, chunk_texts
from .texts.inputs import as_spans, as_texts
from .texts.late_chunking import Span, WindowSize, follow_one_another, join_chunks
from .vectors import FloatArray, OutputType, check_output_type, finish, to_output


class TextEncoder:
    """Turns texts into vectors with the engine it is given. Every encoder here is one.

    `Encoder` computes on this machine, `EncoderPool` in several processes, `RemoteEncoder` asks a server, and
    `testing.FakeEncoder` makes vectors up for tests.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._warned: set[int] = set()

    @property
    def info(self) -> EncoderInfo:
        """The model, and what its engine can do."""
        return self.engine.info

    @property
    def model_id(self) -> str:
        """The name the model was loaded by."""
        return self.info.model_id

    @property
    def revision(self) -> str | None:
        """Commit of a model from the hub, None for folders and the bundled model."""
        return self.info.revision

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with weights, prompts or tokenizer; the same for both layouts."""
        return self.info.fingerprint

    @property
    def dimensions(self) -> int:
        """Components of a full vector: 1024 for jina-embeddings-v3."""
        return self.info.dimensions

    @property
    def max_tokens(self) -> int:
        """Longest input of `encode` in tokens, specials and prompt included: 8192 for the published model."""
        return self.info.max_tokens

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names that `task` may have, besides None. Empty for jina-embeddings-v2."""
        return self.info.tasks

    def encode(
        self,
        texts: str | Sequence[str],
        *,
        task: TaskLike | Sequence[TaskLike] = None,
        dimensions: int | None = None,
        normalize: bool = True,
        truncate: bool = False,
        prompt: bool = True,
        progress: bool | Progress = False,
        output_type: OutputType = "float32",
    ) -> NDArray[Any]:
        """Encode each text on its own: (n, dimensions) in input order, or (dimensions,) for a single str.

        Args:
            texts: A str, or a sequence of them; an empty sequence gives (0, dimensions). An empty text is no error: its
                vector is that of the prompt and the special tokens.
            task: One task for all texts, or one per text in the same batch; None is the base model.
            dimensions: 1 to `self.dimensions`, sliced and renormalised (Matryoshka); None for all. Vectors of
                jina-embeddings-v2 cannot be sliced.
            normalize: L2-normalise each vector.
            truncate: Cut texts past `self.max_tokens` instead of raising.
            prompt: Put the task's instruction in front, as the reference `encode()` does.
            progress: Show a progress bar on stderr; or a function that is told how many more vectors have been started.
            output_type: See `vectors.to_output`.

        Raises:
            InvalidInput: wrong types, unknown task, dimensions out of range, a text too long (`InputTooLong`), or
                `prompt=False` where the engine always puts prompts in.
            InvalidVector: a vector came out NaN, infinite or zero.
            RemoteError: a server refused, stayed busy, or answered nonsense.
        """
        checked_texts = as_texts(texts)
        tasks = as_tasks(task, len(checked_texts), self.tasks)
        size = self._output_size(dimensions, output_type)
        self._check_prompt(tasks, prompt)
        request = TextRequest(texts=checked_texts, tasks=tasks, dimensions=size, prompt=prompt, truncate=truncate)
        with _progress(len(checked_texts), progress) as advance:
            means = self.engine.text_means(request, advance)
        vectors = to_output(finish(means, normalize=normalize), output_type)
        return vectors[0] if isinstance(texts, str) else vectors

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
        blend: Blend | None = None,
        output_type: OutputType = "float32",
    ) -> NDArray[Any]:
        """Late chunking of consecutive chunks of one document: (len(chunks), dimensions).

        The chunks are joined by `separator` and read together, so each vector depends on its context. A separator
        belongs to the chunk after it. Other arguments and errors as in `encode_documents`.
        """
        text, spans = join_chunks(as_texts(chunks, "chunk"), separator)
        return self.encode_spans(
            text,
            spans,
            task=task,
            dimensions=dimensions,
            normalize=normalize,
            prompt=prompt,
            window=window,
            overlap=overlap,
            blend=blend,
            output_type=output_type,
        )

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
        blend: Blend | None = None,
        output_type: OutputType = "float32",
    ) -> NDArray[Any]:
        """Late chunking of one text by character spans: (len(spans), dimensions). As `encode_documents`."""
        return self.encode_documents(
            [text],
            [spans],
            task=task,
            dimensions=dimensions,
            normalize=normalize,
            prompt=prompt,
            window=window,
            overlap=overlap,
            blend=blend,
            output_type=output_type,
        )[0]

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
        blend: Blend | None = None,
        alone: Sequence[Sequence[str]] | None = None,
        progress: bool | Progress = False,
        output_type: OutputType = "float32",
    ) -> list[NDArray[Any]]:
        """Late chunking (arXiv 2409.04701) of documents of any length, packed together, never mixed.

        Args:
            texts: Whole documents.
            spans: For each document its chunks as [start, end) in characters; overlaps and gaps are allowed.
            task, dimensions, normalize, prompt, progress, output_type: As in `encode`.
            window: Tokens read at once, at most `self.max_tokens`. Longer documents take several. Default: as many as
                the model can, or what its config.json says (`late_chunking_window`: the bundled model has one).
            overlap: Tokens that a window shares with the one before; their states come from the earlier one. Below the
                window; default 512, or half the window where that is less; 0 with a model's own window.
            blend: Add the vector of each chunk alone and those of its neighbours, with these weights. The window is
                then 1,024 tokens without overlap by default, and the cost twice that of one reading. A chunk past the
                model's limit cannot be read alone. With `normalize=False` it is the sum of unit vectors.
            alone: For `blend`, what is read where each chunk stands alone. Default its text without blanks around it.

        Returns:
            One (len(spans[i]), dimensions) array per document.

        Raises:
            InvalidSpan: a span is reversed, outside its text, or holds no token; or with `blend` too many to be read
                alone.
            InvalidInput: as in `encode`; or the engine takes chunks only, and no windows.
            InvalidVector, RemoteError: as in `encode`.
        """
        documents = as_texts(texts, "document")
        document_spans = as_spans(spans, documents)
        one_task = as_task(task, self.tasks)
        size = self._output_size(dimensions, output_type)
        check_blend(blend)
        window_size = self.info.window_size(window, overlap, blend=blend is not None)
        self._check_prompt([one_task], prompt)
        self._check_windows(document_spans, window_size)
        request = SpanRequest(
            texts=documents,
            spans=document_spans,
            task=one_task,
            dimensions=self.dimensions if blend else size,
            prompt=prompt,
            window=window_size,
        )
        with _progress(request.vectors * (2 if blend else 1), progress) as advance:
            if blend:
                means = self._blended(request, blend, alone, advance)[:, :size]
            else:
                means = self.engine.span_means(request, advance)
        vectors = to_output(finish(means, normalize=normalize), output_type)
        ends = np.cumsum([len(one_document) for one_document in document_spans])
        return np.split(vectors, ends[:-1]) if documents else []

    @overload
    def count_tokens(  # type: ignore[overload-overlap]
        self, texts: str, task: TaskLike = None, *, prompt: bool = True
    ) -> int: ...
    @overload
    def count_tokens(
        self, texts: Sequence[str], task: TaskLike | Sequence[TaskLike] = None, *, prompt: bool = True
    ) -> list[int]: ...
    def count_tokens(
        self, texts: str | Sequence[str], task: TaskLike | Sequence[TaskLike] = None, *, prompt: bool = True
    ) -> int | list[int]:
        """Tokens that the model sees, specials and prompt included: an int for a str, a list for a sequence.

        Raises:
            InvalidInput: as in `encode`.
            RemoteError: a server that has no way to count, or cannot be reached.
        """
        checked_texts = as_texts(texts)
        tasks = as_tasks(task, len(checked_texts), self.tasks)
        self._check_prompt(tasks, prompt)
        counts = self.engine.token_counts(checked_texts, tasks, prompt=prompt)
        return counts[0] if isinstance(texts, str) else counts

    def close(self) -> None:
        """End processes and close connections. An encoder that had some cannot encode afterwards."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model_id!r}, {self.dimensions} dimensions)"

    def _blended(
        self, request: SpanRequest, blend: Blend, alone: Sequence[Sequence[str]] | None, progress: Progress
    ) -> FloatArray:
        """Sums (spans of all documents, all dimensions) of both readings."""
        pairs = zip(request.texts, request.spans, strict=True)
        document_texts = [chunk_texts(*pair) for pair in pairs] if alone is None else alone
        chunks = list(map(len, request.spans))
        if list(map(len, document_texts)) != chunks:
            raise InvalidInput("alone must have one text for each span of each document")
        texts = as_texts([text for some_texts in document_texts for text in some_texts])
        alone_request = TextRequest(
            texts=texts,
            tasks=[request.task] * len(texts),
            dimensions=request.dimensions,
            prompt=request.prompt,
            truncate=False,
        )
        try:
            alone_means = self.engine.text_means(alone_request, progress)
        except InputTooLong as error:
            document = int(np.searchsorted(np.cumsum(chunks), error.index, side="right"))
            raise InvalidSpan(
                f"document {document}, span {error.index - sum(chunks[:document])}: {error.tokens} tokens with its "
                f"prompt, the limit is {error.limit}. A blend reads each chunk alone too: cut it, or leave `blend` out"
            ) from error
        return blended(alone_means, self.engine.span_means(request, progress), request.spans, blend)

    def _output_size(self, dimensions: int | None, output_type: OutputType) -> int:
        check_output_type(output_type)
        size = self.info.check_dimensions(dimensions)
        trained = self.info.trained_dimensions
        if trained and size not in (*trained, self.dimensions) and size not in self._warned:
            self._warned.add(size)
            warnings.warn(
                f"{size} is not among the dimensions the model was trained for {list(trained)}; "
                "vectors are valid, and the next larger of these is usually better",
                stacklevel=_level_of_caller(),
            )
        return size

    def _check_prompt(self, tasks: Sequence[Task | None], prompt: bool) -> None:
        if prompt or self.info.can_leave_prompts_out:
            return
        for task in tasks:
            if task is not None and self.info.prompts.get(task):
                raise InvalidInput(f"prompt=False: a server cannot leave out the prompt of {task}; pass prompt=True")

    def _check_windows(self, spans: Sequence[Sequence[Span]], window: WindowSize) -> None:
        if self.info.can_read_windows:
            return
        if window != self.info.window_size(None, None) or not all(map(follow_one_another, spans)):
            raise InvalidInput(
                f"{self!r} takes the chunks of a document one after the other: no window or overlap, and spans without "
                "gap or overlap from 0 on. `jina-v3 serve` takes any"
            )


def _level_of_caller() -> int:
    """The `stacklevel` that makes a warning of the function which calls this point out of this file."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals is globals():
        level, frame = level + 1, frame.f_back
    return level


@contextmanager
def _progress(vectors: int, shown: bool | Progress) -> Iterator[Progress]:
    """A bar on stderr, the caller's function, or nothing."""
    if callable(shown):
        yield shown
        return
    if not shown:
        yield silent
        return
    from tqdm.auto import tqdm

    with tqdm(total=vectors, unit="vector", desc="Encoding") as bar:
        yield bar.update
