"""`EncoderPool`: an encoder of several processes, for corpora."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from .errors import InputTooLong, JinaV3Error
from .task import TaskLike, as_tasks
from .texts.inputs import as_spans, as_texts
from .texts.late_chunking import Span, join_chunks
from .usage import add_tokens
from .vectors import OutputType
from .workers import Plan, WorkerGroup, plan_cores

PART_CHARACTERS = 40_000
"""Texts are handed out in parts of about this size: large enough to fill batches, small enough to share evenly."""


class EncoderPool:
    """A `TextEncoder` that spreads each call over processes, each with its own cores; results keep the input order.

    On the CPU only. It pays for many texts; for single ones `Encoder` with all cores answers sooner.

    >>> with EncoderPool("nano", workers=2) as pool:
    ...     vectors = pool.encode(texts, task="retrieval.passage")
    """

    def __init__(
        self,
        name: str | Path,
        *,
        workers: int | None = None,
        dtype: str = "auto",
        quantize: str | None = None,
        revision: str | None = None,
        max_batch_tokens: int | None = None,
    ) -> None:
        """Start the processes and load the model, once on Linux, once in each elsewhere.

        Args:
            workers: How many; None for one on each core.
            name, dtype, quantize, revision, max_batch_tokens: As `Encoder.from_pretrained`.

        Raises:
            InvalidInput, CheckpointError: as `Encoder.from_pretrained`, or workers out of range.
        """
        settings = {"dtype": dtype, "quantize": quantize, "revision": revision, "max_batch_tokens": max_batch_tokens}
        cores = plan_cores(workers)
        self._lock = threading.Lock()
        self._group: WorkerGroup | None = WorkerGroup(Plan(str(name), settings, cores))
        self.workers = len(cores)
        try:
            self.model_id: str = self._one("model_id")
            self.revision: str | None = self._one("revision")
            self.fingerprint: str = self._one("fingerprint")
            self.dimensions: int = self._one("dimensions")
            self.max_tokens: int = self._one("max_tokens")
            self.tokenizer_file: Path = self._one("tokenizer_file")
        except BaseException:
            self.close()
            raise

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
    ) -> NDArray[Any]:
        """As `Encoder.encode`."""
        items = as_texts(texts)
        tasks = as_tasks(task, len(items))
        settings = {
            "dimensions": dimensions,
            "normalize": normalize,
            "truncate": truncate,
            "prompt": prompt,
            "output_type": output_type,
        }
        parts = list(parts_of([len(item) for item in items])) or [slice(0, 0)]
        calls = [("encode", (items[part],), {**settings, "task": tasks[part]}) for part in parts]
        found = np.concatenate(self._spread(calls, parts, len(items), progress))
        return found[0] if isinstance(texts, str) else found

    def encode_chunks(
        self,
        chunks: Sequence[str],
        *,
        separator: str = " ",
        **settings: Any,
    ) -> NDArray[Any]:
        """As `Encoder.encode_chunks`."""
        return self.encode_spans(*join_chunks(as_texts(chunks, "chunk"), separator), **settings)

    def encode_spans(self, text: str, spans: Sequence[Span], **settings: Any) -> NDArray[Any]:
        """As `Encoder.encode_spans`."""
        return self.encode_documents([text], [spans], **settings)[0]

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
    ) -> list[NDArray[Any]]:
        """As `Encoder.encode_documents`."""
        items = as_texts(texts, "document")
        each_spans = as_spans(spans, items)
        settings = {
            "task": task,
            "dimensions": dimensions,
            "normalize": normalize,
            "prompt": prompt,
            "window": window,
            "overlap": overlap,
            "output_type": output_type,
        }
        parts = list(parts_of([len(item) for item in items]))
        calls = [("encode_documents", (items[part], each_spans[part]), settings) for part in parts]
        return [own for part in self._spread(calls, parts, len(items), progress) for own in part]

    def count_tokens(
        self, texts: str | Sequence[str], task: TaskLike = None, *, prompt: bool = True
    ) -> int | list[int]:
        """As `Encoder.count_tokens`."""
        return self._one("count_tokens", texts, task, prompt=prompt)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the processes; nothing can be encoded afterwards."""
        with self._lock:
            group, self._group = self._group, None
        if group is not None:
            group.close()

    def __enter__(self) -> EncoderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EncoderPool({self.model_id!r}, {self.dimensions} dimensions, {self.workers} workers)"

    def _one(self, method: str, *arguments: Any, **settings: Any) -> Any:
        return self._spread([(method, arguments, settings)], [slice(0, 1)], 1, False)[0]

    def _spread(
        self,
        calls: Sequence[tuple[str, tuple[Any, ...], dict[str, Any]]],
        parts: Sequence[slice],
        total: int,
        progress: bool,
    ) -> list[Any]:
        """The values of all calls in their order."""
        found: list[Any] = [None] * len(calls)
        with self._lock, tqdm(total=total, unit="text", desc="Encoding", disable=not progress) as bar:
            if self._group is None:
                raise JinaV3Error("this EncoderPool is closed")
            for place, answer in self._group.call(calls):
                if isinstance(answer.error, InputTooLong):
                    error = answer.error
                    raise InputTooLong(error.index + parts[place].start, error.tokens, error.limit)
                if answer.error is not None:
                    raise answer.error
                add_tokens(answer.tokens)
                found[place] = answer.value
                bar.update(parts[place].stop - parts[place].start)
        return found


def parts_of(lengths: Sequence[int]) -> Iterator[slice]:
    """Neighbours of together about `PART_CHARACTERS`."""
    start = size = 0
    for index, length in enumerate(lengths):
        size += length
        if size >= PART_CHARACTERS:
            yield slice(start, index + 1)
            start, size = index + 1, 0
    if start < len(lengths):
        yield slice(start, len(lengths))
