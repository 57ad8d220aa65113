"""`Encoder`: texts to vectors with a local jina-embeddings-v3 checkpoint."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from .ahead import ahead
from .checkpoints.checkpoint import Checkpoint, find_checkpoint, load_model
from .checkpoints.fingerprint import fingerprint
from .checkpoints.layouts import Layout
from .checkpoints.save import save_checkpoint
from .config import QUANTIZATIONS, ModelConfig, Quantization
from .errors import CheckpointMismatch, InvalidInput
from .network.batching import Reading, fill, pack, plan_batches, used_rows, window_readings
from .network.device import default_batch_tokens, resolve_device, resolve_dtype
from .network.jina_v3 import JinaV3Model
from .network.late_document import LateDocument
from .network.pooling import sum_states
from .network.quantize import check_int8
from .task import Task, TaskLike, as_task, as_tasks
from .texts.inputs import as_spans, as_texts
from .texts.late_chunking import Span, join_chunks, resolve_window, token_rows, windows
from .texts.tokenizer import IntArray, TextTokenizer
from .usage import add_tokens
from .vectors import FloatArray, OutputType, check_dimensions, check_output_type, finish, to_output

BLOCK_TEXTS = 4096
"""Texts tokenised at a time, the next ones while these are read; sorting by length stays within a block."""


class Encoder:
    """A loaded model. Thread-safe: the task travels with each call, nothing is switched.

    Pickling (multiprocessing, Ray, Spark) takes name, revision and settings along, no weights: the process that
    unpickles loads them itself, from the folder or the hub, on a device of its own where "auto" was asked for, and
    raises CheckpointMismatch if they have another fingerprint there. Copies share the weights.

    >>> encoder = Encoder.from_pretrained("nano")
    >>> encoder.encode("What is a lightsaber?", task="retrieval.query", dimensions=64).shape
    (64,)
    """

    def __init__(
        self,
        model: JinaV3Model,
        checkpoint: Checkpoint,
        max_batch_tokens: int | None = None,
        device: str | None = None,
    ) -> None:
        """`device` is what was asked for, by default the model's own."""
        if max_batch_tokens is not None and (not isinstance(max_batch_tokens, int) or max_batch_tokens < 1):
            raise InvalidInput(f"max_batch_tokens must be a whole number above 0, got {max_batch_tokens!r}")
        if model.device.type == "cpu":
            model.pack()
        self._model = model
        self._checkpoint = checkpoint
        self._tokenizer = TextTokenizer(checkpoint.tokenizer_file, checkpoint.config)
        self._warned: set[int] = set()
        self._asked_device, self._asked_batch_tokens = device or str(model.device), max_batch_tokens
        self.max_batch_tokens = max_batch_tokens or default_batch_tokens(checkpoint.config, model.device, model.dtype)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        device: str = "auto",
        dtype: str = "auto",
        quantize: Quantization | None = None,
        revision: str | None = None,
        max_batch_tokens: int | None = None,
        download: bool = True,
    ) -> Encoder:
        """Load a checkpoint of either published layout.

        Args:
            name: A folder, a hub id such as "jinaai/jina-embeddings-v3", or "nano", the small bundled model.
            device: "auto" (CUDA where there is a GPU, else CPU) or a torch device.
            dtype: "auto" (bfloat16 where the hardware multiplies it, else float32), "float32", "bfloat16", "float16".
            quantize: "int8" rounds the linear layers of the blocks to bytes: half the memory of bfloat16 and faster on
                CPUs with VNNI, at a cosine of about 0.999 to float32. The fingerprint changes with it.
            revision: Branch, tag or commit on the hub; ignored for folders.
            max_batch_tokens: Tokens computed together; more is faster up to the caches' size and takes more memory.
            download: False: only what is on this machine already, the hub's cache included.

        Raises:
            CheckpointError: the model cannot be found, is damaged, or is of another architecture.
            InvalidInput: unknown device, dtype or quantize, or a machine that cannot multiply bytes.
        """
        if quantize not in QUANTIZATIONS:
            raise InvalidInput(f"quantize must be one of {list(QUANTIZATIONS)}, got {quantize!r}")
        target = resolve_device(device)
        number_format = resolve_dtype(dtype, target)
        checkpoint = find_checkpoint(name, revision, download=download)
        if quantize or checkpoint.config.quantization:
            check_int8(target, number_format)
        model = load_model(checkpoint, number_format)
        if quantize and not model.config.quantization:
            model.quantize()
        return cls(model.to(target), checkpoint, max_batch_tokens, device)

    def with_batch_tokens(self, max_batch_tokens: int) -> Encoder:
        """Another encoder over the same weights, with its own `max_batch_tokens`.

        Raises:
            InvalidInput: not a whole number above 0.
        """
        return Encoder(self._model, self._checkpoint, max_batch_tokens, self._asked_device)

    @property
    def model_id(self) -> str:
        """The name the model was loaded by."""
        return self._checkpoint.model_id

    @property
    def revision(self) -> str | None:
        """Commit of a model from the hub, None for folders and the bundled model."""
        return self._checkpoint.revision

    @property
    def licence(self) -> str:
        """Of the weights, as far as their name and sizes tell."""
        return self._checkpoint.licence

    @property
    def config(self) -> ModelConfig:
        return self._checkpoint.config

    @property
    def dimensions(self) -> int:
        """Components of a full vector: 1024 for the published model."""
        return self.config.hidden_size

    @property
    def max_tokens(self) -> int:
        """Longest input of `encode` in tokens, specials and prompt included: 8192 for the published model."""
        return self.config.max_tokens

    @property
    def device(self) -> torch.device:
        return self._model.device

    @property
    def dtype(self) -> torch.dtype:
        return self._model.dtype

    @property
    def quantization(self) -> Quantization | None:
        """ "int8", or None."""
        return self._model.config.quantization

    @property
    def tokenizer_file(self) -> Path:
        """The tokenizer.json that the token counts come from."""
        return self._checkpoint.tokenizer_file

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with weights, prompts or tokenizer; the same for both layouts."""
        return fingerprint(self._model, self._checkpoint.tokenizer_file)

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
        """Encode each text on its own: (n, dimensions) in input order, or (dimensions,) for a single str.

        Args:
            texts: A str, or a sequence of them; an empty sequence gives (0, dimensions).
            task: One task for all texts, or one per text in the same batch; None is the base model.
            dimensions: 1 to `self.dimensions`, sliced and renormalised (Matryoshka); None for all.
            normalize: L2-normalise each vector.
            truncate: Cut texts past `self.max_tokens` instead of raising.
            prompt: Put the task's instruction in front, as the reference `encode()` does.
            progress: Show a progress bar on stderr.
            output_type: See `vectors.to_output`.

        Raises:
            InvalidInput: wrong types, unknown task, dimensions out of range, or a text too long (`InputTooLong`).
            InvalidVector: a vector came out NaN, infinite or zero.
        """
        items = as_texts(texts)
        tasks = as_tasks(task, len(items))
        size = self._output_size(dimensions, output_type)
        parts = [slice(start, start + BLOCK_TEXTS) for start in range(0, len(items), BLOCK_TEXTS)]
        blocks = (self._text_readings(items[part], tasks[part], part.start, prompt, truncate) for part in parts)
        means = self._read(ahead(blocks) if len(parts) > 1 else blocks, len(items), size, progress)
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
        output_type: OutputType = "float32",
    ) -> NDArray[Any]:
        """Late chunking of consecutive chunks of one document: (len(chunks), dimensions).

        The chunks are joined by `separator` and read together, so each vector knows its context. A separator belongs
        to the chunk after it. Other arguments and errors as in `encode_documents`.
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
        progress: bool = False,
        output_type: OutputType = "float32",
    ) -> list[NDArray[Any]]:
        """Late chunking (arXiv 2409.04701) of documents of any length, packed together, never mixed.

        Args:
            texts: Whole documents.
            spans: For each document its chunks as [start, end) in characters; overlaps and gaps are allowed.
            task, dimensions, normalize, prompt, progress, output_type: As in `encode`.
            window: Tokens read at once, at most and by default `self.max_tokens`. Longer documents take several.
            overlap: Tokens that a window shares with the one before; their states come from the earlier one. Below the
                window; default 512, or half the window where that is less.

        Returns:
            One (len(spans[i]), dimensions) array per document.

        Raises:
            InvalidSpan: a span is reversed, outside its text, or holds no token.
            InvalidInput, InvalidVector: as in `encode`.
        """
        items = as_texts(texts, "document")
        each_spans = as_spans(spans, items)
        one_task = as_task(task)
        size = self._output_size(dimensions, output_type)
        window_size = resolve_window(window, overlap, self.max_tokens)
        instruction = self.config.prompt(one_task) if prompt else ""
        first = np.cumsum([0] + [len(own) for own in each_spans])
        readings: list[Reading] = []
        for number, tokens in enumerate(self._tokenizer.encode_with_offsets(items, instruction)):
            if each_spans[number]:
                rows = token_rows(tokens, each_spans[number], number)
                plan = windows(len(tokens.ids), *window_size)
                readings += window_readings(tokens.ids, rows, plan, self._bank(one_task), int(first[number]))
        vectors = finish(self._read([readings], int(first[-1]), size, progress), normalize=normalize)
        return np.split(to_output(vectors, output_type), first[1:-1]) if items else []

    def open_document(
        self,
        text: str,
        spans: Sequence[Span],
        *,
        task: TaskLike = None,
        prompt: bool = True,
        window: int | None = None,
        overlap: int | None = None,
    ) -> LateDocument:
        """Late chunking of one text in steps, for callers with other work in between; arguments of `encode_documents`.

        `read_windows` reads it, then `LateDocument.vectors` gives what `encode_documents` gives without normalising.

        Raises:
            InvalidSpan, InvalidInput: as `encode_documents`; also where there are no spans.
        """
        (document_spans,) = as_spans([spans], as_texts([text], "document"))
        if not document_spans:
            raise InvalidInput("a document to be read in steps needs at least one span, got none")
        one_task = as_task(task)
        window_size = resolve_window(window, overlap, self.max_tokens)
        (tokens,) = self._tokenizer.encode_with_offsets([text], self.config.prompt(one_task) if prompt else "")
        rows = token_rows(tokens, document_spans, 0)
        return LateDocument(tokens.ids, rows, window_size, self._bank(one_task), self.dimensions)

    @torch.inference_mode()
    def read_windows(self, document: LateDocument, start: int, stop: int) -> None:
        """Read windows [start, stop) of a document, each of which is to be read once."""
        for _ in self._batches_into(document.sums, document.counts, document.readings(start, stop)):
            pass

    @overload
    def count_tokens(  # type: ignore[overload-overlap]
        self, texts: str, task: TaskLike = None, *, prompt: bool = True
    ) -> int: ...
    @overload
    def count_tokens(self, texts: Sequence[str], task: TaskLike = None, *, prompt: bool = True) -> list[int]: ...
    def count_tokens(
        self, texts: str | Sequence[str], task: TaskLike = None, *, prompt: bool = True
    ) -> int | list[int]:
        """Tokens that the model sees, specials and prompt included: an int for a str, a list for a sequence."""
        items = as_texts(texts)
        tasks = as_tasks(task, len(items))
        parts = [slice(start, start + BLOCK_TEXTS) for start in range(0, len(items), BLOCK_TEXTS)]
        blocks = (self._ids(items[part], tasks[part], part.start, prompt) for part in parts)
        counts = [len(ids) for block in blocks for ids in block]
        return counts[0] if isinstance(texts, str) else counts

    def save_pretrained(self, folder: str | Path, layout: Layout = "original") -> None:
        """Write the checkpoint to `folder` as bfloat16, or as float32 when loaded so, in either layout.

        int8 weights stay int8, in the original layout only; such a folder loads here and nowhere else.

        Raises:
            CheckpointError: unknown layout, or the folder cannot be written.
        """
        save_checkpoint(self._model, self._checkpoint.tokenizer_file, Path(folder), layout, self.dtype)

    def __reduce__(self) -> tuple[Callable[..., Encoder], tuple[Any, ...]]:
        settings = {
            "device": self._asked_device,
            "dtype": str(self.dtype).removeprefix("torch."),
            "quantize": self.quantization,
            "revision": self.revision,
            "max_batch_tokens": self._asked_batch_tokens,
        }
        return _loaded_again, (self._checkpoint.portable_name, settings, self.fingerprint)

    def __copy__(self) -> Encoder:
        return self

    def __deepcopy__(self, _: object) -> Encoder:
        return self

    def __repr__(self) -> str:
        numbers = self.quantization or self.dtype
        return f"Encoder({self.model_id!r}, {self.dimensions} dimensions, {self.device}, {numbers})"

    def _output_size(self, dimensions: int | None, output_type: OutputType) -> int:
        check_output_type(output_type)
        size = check_dimensions(dimensions, self.dimensions)
        trained = self.config.matryoshka_dimensions
        if size not in (*trained, self.dimensions) and size not in self._warned:
            self._warned.add(size)
            warnings.warn(
                f"{size} is not among the dimensions the model was trained for {list(trained)}; "
                "vectors are valid, and the next larger of these is usually better",
                stacklevel=3,
            )
        return size

    def _bank(self, task: Task | None) -> int | None:
        return None if task is None else self.config.bank(task)

    def _ids(self, texts: Sequence[str], tasks: Sequence[Task | None], first: int, prompt: bool) -> list[IntArray]:
        prompts = [self.config.prompt(task) if prompt else "" for task in tasks]
        return self._tokenizer.encode([own + text for own, text in zip(prompts, texts, strict=True)], first)

    def _text_readings(
        self, texts: Sequence[str], tasks: Sequence[Task | None], first: int, prompt: bool, truncate: bool
    ) -> list[Reading]:
        ids = self._tokenizer.fit(self._ids(texts, tasks, first, prompt), self.max_tokens, first, truncate=truncate)
        return [
            Reading(item, self._bank(task), np.broadcast_to(np.int64(index), len(item)))
            for index, (item, task) in enumerate(zip(ids, tasks, strict=True), first)
        ]

    @torch.inference_mode()
    def _read(self, blocks: Iterable[Sequence[Reading]], vectors: int, size: int, progress: bool) -> FloatArray:
        """Mean states (vectors, size) over all readings, in float32."""
        sums, counts = torch.zeros(vectors, size), torch.zeros(vectors, 1)
        with tqdm(total=vectors, unit="vector", desc="Encoding", disable=not progress) as bar:
            for readings in blocks:
                for _ in self._batches_into(sums, counts, readings):
                    bar.update(int((counts > 0).sum()) - bar.n if progress else 0)
        return (sums / counts.clamp(min=1)).numpy()

    def _batches_into(self, sums: Tensor, counts: Tensor, readings: Sequence[Reading]) -> Iterator[None]:
        """Read batch after batch and add the states to `sums` and `counts`."""
        lengths = [len(reading.ids) for reading in readings]
        banks = [reading.bank for reading in readings]
        for batch in plan_batches(lengths, banks, self.max_batch_tokens):
            self._add(sums, counts, [readings[index] for index in batch])
            yield
        add_tokens(sum(lengths))

    def _add(self, sums: Tensor, counts: Tensor, readings: Sequence[Reading]) -> None:
        """Read one batch and add its states to the vectors they belong to."""
        readings = fill(readings)
        states = self._model(pack(readings, self.device))[:, : sums.shape[1]]
        owners, own = np.unique(np.concatenate([item.owners for item in readings]), return_inverse=True)
        partial = sum_states(states, used_rows(readings), own, len(owners))
        target = torch.from_numpy(owners)
        sums.index_add_(0, target, partial.cpu())
        counts[target, 0] += torch.from_numpy(np.bincount(own).astype(np.float32))


def _loaded_again(name: str, settings: dict[str, Any], expected: str) -> Encoder:
    """What a pickled encoder becomes in another process.

    Raises:
        CheckpointError: the model cannot be found there.
        CheckpointMismatch: it is another one there.
    """
    encoder = Encoder.from_pretrained(name, **settings)
    if encoder.fingerprint != expected:
        raise CheckpointMismatch(
            f"{name} has the fingerprint {encoder.fingerprint} here, the pickled encoder had {expected}: give both "
            "processes the same weights"
        )
    return encoder
