"""`Encoder`: texts to vectors with a local checkpoint, and the engine that computes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from .architecture import AnyConfig
from .checkpoints.checkpoint import Checkpoint, find_checkpoint, load_model
from .checkpoints.fingerprint import fingerprint
from .checkpoints.layouts import Layout
from .checkpoints.save import save_checkpoint
from .config import QUANTIZATIONS, Quantization
from .engine import EncoderInfo, Progress, SpanRequest, TextRequest, silent
from .errors import CheckpointMismatch, InvalidInput
from .network.batching import Reading, window_readings
from .network.cores import resolve_threads
from .network.device import default_batch_tokens, resolve_device, resolve_dtype
from .network.kernels import Chosen, choose
from .network.late_document import LateDocument
from .network.packed import PackedNetwork
from .network.quantize import check_int8
from .network.reader import Reader
from .network.team import team_of
from .task import Task, TaskLike, as_task
from .text_encoder import TextEncoder
from .texts.inputs import as_spans, as_texts
from .texts.late_chunking import Span, token_rows, windows
from .texts.tokenizer import IntArray, TextTokenizer
from .usage import add_tokens
from .vectors import FloatArray

BLOCK_TEXTS = 4096
"""Texts in one block. The next block is tokenised while one is read. Texts are sorted by length within a block."""
SLOW_INT8 = (
    "quantize='int8' is slower than {} for batches on this processor (`jina-v3 info --quantize int8` shows the times). "
    "It takes half the memory"
)
UNREAD = (
    "most words of these texts have letters that {} does not know, so their vectors say next to nothing. `jina-v3 "
    "info` names the scripts; jina-embeddings-v3 reads 89 languages. This is said once"
)
_Block = TypeVar("_Block")
_Result = TypeVar("_Result")


class LocalEngine:
    """A network on this machine. Thread-safe: the task travels with each call, nothing is switched."""

    def __init__(
        self,
        model: PackedNetwork,
        checkpoint: Checkpoint,
        tokenizer: TextTokenizer,
        max_batch_tokens: int | None = None,
        threads: int | None = None,
        chosen: Chosen | None = None,
    ) -> None:
        """`model` is used as it is. Pack it first if it should be fast on a CPU. `chosen` says why it is packed so."""
        whole = isinstance(max_batch_tokens, int) and not isinstance(max_batch_tokens, bool)
        if max_batch_tokens is not None and (not whole or max_batch_tokens < 1):
            raise InvalidInput(f"max_batch_tokens must be a whole number above 0, got {max_batch_tokens!r}")
        self.model, self.checkpoint, self.tokenizer = model, checkpoint, tokenizer
        default = model.kernels.batch_tokens or default_batch_tokens(model.config, model.device, model.dtype)
        self.max_batch_tokens, self.threads = max_batch_tokens or default, resolve_threads(threads)
        self.chosen, self._has_warned = chosen, False
        self._reader = Reader(model, self.max_batch_tokens, self.threads)
        compute = _computing(model.device, self.threads)
        self.info = EncoderInfo(
            model_id=checkpoint.model_id,
            revision=checkpoint.revision,
            compute_fingerprint=lambda: compute(partial(fingerprint, model, checkpoint.tokenizer_file)),
            dimensions=model.config.hidden_size,
            trained_dimensions=model.config.matryoshka_dimensions,
            max_tokens=model.config.max_tokens,
            late_chunking_window=model.config.late_chunking_window,
            can_be_shortened=model.config.can_be_shortened,
            tasks=model.config.tasks,
            prompts=model.config.prompts,
            tokenizer_file=checkpoint.tokenizer_file,
            quantization=model.config.quantization,
            licence=checkpoint.licence,
            device=str(model.device),
            dtype=str(model.dtype).removeprefix("torch."),
            max_batch_tokens=self.max_batch_tokens,
            threads=self.threads if model.device.type == "cpu" else None,
        )

    def text_means(self, request: TextRequest, progress: Progress) -> FloatArray:
        """Read block after block. The next one is tokenised meanwhile."""
        parts = [slice(start, start + BLOCK_TEXTS) for start in range(0, len(request.texts), BLOCK_TEXTS)]
        blocks = (self._text_readings(request.part(part), part.start) for part in parts)
        shape = len(request.texts), request.dimensions
        return self._read(_ahead(blocks) if len(parts) > 1 else blocks, shape, progress)

    def span_means(self, request: SpanRequest, progress: Progress) -> FloatArray:
        """Tokenise all documents, then read them together."""
        instruction = self.model.config.prompt(request.task) if request.prompt else ""
        bank = self._bank(request.task)
        readings: list[Reading] = []
        first_vector = 0
        documents = self.tokenizer.encode_with_offsets(request.texts, instruction, request.first)
        self._warn_if_unread([tokens.ids for tokens in documents], [instruction] * len(documents))
        for number, (tokens, spans) in enumerate(zip(documents, request.spans, strict=True), request.first):
            if spans:
                rows = token_rows(tokens, spans, number)
                readings += window_readings(
                    tokens.ids, rows, windows(len(tokens.ids), *request.window), bank, first_vector
                )
                first_vector += len(spans)
        return self._read([readings], (first_vector, request.dimensions), progress)

    def token_counts(self, texts: Sequence[str], tasks: Sequence[Task | None], *, prompt: bool) -> list[int]:
        """Count block after block, so that memory holds the ids of one block only."""
        parts = [slice(start, start + BLOCK_TEXTS) for start in range(0, len(texts), BLOCK_TEXTS)]
        return [len(ids) for part in parts for ids in self._ids(texts[part], tasks[part], part.start, prompt)]

    def close(self) -> None:
        """Do nothing: the weights are freed with the last reference to them."""

    def with_batch_tokens(self, max_batch_tokens: int) -> LocalEngine:
        """Another engine over the same weights. Their fingerprint is computed once."""
        return self._again(max_batch_tokens, self.threads)

    def with_threads(self, threads: int) -> LocalEngine:
        """Another engine over the same weights. Their fingerprint is computed once."""
        return self._again(self.max_batch_tokens, threads)

    def _again(self, max_batch_tokens: int, threads: int) -> LocalEngine:
        other = LocalEngine(self.model, self.checkpoint, self.tokenizer, max_batch_tokens, threads, self.chosen)
        other.info = replace(other.info, compute_fingerprint=lambda: self.info.fingerprint)
        return other

    def text_ids(self, texts: Sequence[str], tasks: Sequence[Task | None], *, prompt: bool) -> list[IntArray]:
        """Ids of each text, specials and prompt included, however many: for callers that tokenise long before."""
        return self._ids(texts, tasks, 0, prompt)

    def cut_ids(self, ids: IntArray) -> IntArray:
        """What `truncate` leaves of a text."""
        return self.tokenizer.cut(ids, self.info.max_tokens)

    def id_means(self, ids: Sequence[IntArray], tasks: Sequence[Task | None]) -> FloatArray:
        """As `text_means` in all dimensions, for texts that are tokenised already and fit."""
        readings = [
            self._reading(np.asarray(text_ids, dtype=np.int64), task, vector)
            for vector, (text_ids, task) in enumerate(zip(ids, tasks, strict=True))
        ]
        return self._read([readings], (len(readings), self.info.dimensions), silent)

    def open_document(self, request: SpanRequest) -> LateDocument:
        """The only document of a request, tokenised but not read."""
        (text,), (spans,) = request.texts, request.spans
        instruction = self.model.config.prompt(request.task) if request.prompt else ""
        (tokens,) = self.tokenizer.encode_with_offsets([text], instruction, request.first)
        self._warn_if_unread([tokens.ids], [instruction])
        rows = token_rows(tokens, spans, request.first)
        return LateDocument(tokens.ids, rows, request.window, self._bank(request.task), request.dimensions)

    def read_windows(self, document: LateDocument, start: int, stop: int) -> None:
        """Read windows [start, stop) of a document."""
        self._add_all(document.sums, document.counts, document.readings(start, stop), silent)

    def _bank(self, task: Task | None) -> int | None:
        return None if task is None else self.model.config.bank(task)

    def _ids(self, texts: Sequence[str], tasks: Sequence[Task | None], first: int, prompt: bool) -> list[IntArray]:
        prompts = [self.model.config.prompt(task) if prompt else "" for task in tasks]
        ids = self.tokenizer.encode([before + text for before, text in zip(prompts, texts, strict=True)], first)
        self._warn_if_unread(ids, prompts)
        return ids

    def _warn_if_unread(self, ids: Sequence[IntArray], prompts: Sequence[str]) -> None:
        if not self._has_warned and self.tokenizer.are_unread(ids, prompts):
            self._has_warned = True
            warnings.warn(UNREAD.format(self.info.model_id), stacklevel=2)

    def _text_readings(self, block: TextRequest, first_vector: int) -> list[Reading]:
        ids = self._ids(block.texts, block.tasks, block.first, block.prompt)
        fitting = self.tokenizer.fit(ids, self.info.max_tokens, block.first, truncate=block.truncate)
        return [
            self._reading(text_ids, task, vector)
            for vector, (text_ids, task) in enumerate(zip(fitting, block.tasks, strict=True), first_vector)
        ]

    def _reading(self, ids: IntArray, task: Task | None, vector: int) -> Reading:
        return Reading(ids, self._bank(task), np.broadcast_to(np.int64(vector), len(ids)))

    def _read(self, blocks: Iterable[Sequence[Reading]], shape: tuple[int, int], progress: Progress) -> FloatArray:
        """Mean states (vectors, dimensions) over all readings, in float32."""
        sums, counts = np.zeros(shape, np.float32), np.zeros((shape[0], 1), np.float32)
        for readings in blocks:
            self._add_all(sums, counts, readings, progress)
        sums /= np.maximum(counts, np.float32(1))
        return sums

    def _add_all(self, sums: FloatArray, counts: FloatArray, readings: Sequence[Reading], progress: Progress) -> None:
        """Read, and add the states to `sums` and `counts`. Progress counts vectors that had no state before."""
        for batch in self._reader.read(readings, sums.shape[1]):
            progress(batch.add_to(sums, counts))
        add_tokens(sum(len(reading.ids) for reading in readings))


class Encoder(TextEncoder):
    """A loaded model. Thread-safe: the task travels with each call, nothing is switched.

    Pickling (multiprocessing, Ray, Spark) takes name, revision and settings along, no weights: the process that
    unpickles loads them itself, from the folder or the hub, on a device of its own choice with "auto", and
    raises CheckpointMismatch if they have another fingerprint there. Copies share the weights.

    >>> encoder = Encoder.from_pretrained("nano")
    >>> encoder.encode("What is a lightsaber?", task="retrieval.query", dimensions=64).shape
    (64,)
    """

    engine: LocalEngine

    def __init__(
        self,
        engine: LocalEngine,
        device: str | None = None,
        max_batch_tokens: int | None = None,
        threads: int | None = None,
    ) -> None:
        """`device`, `max_batch_tokens` and `threads` are the caller's arguments. Pickling keeps them as they are."""
        super().__init__(engine)
        self._given_device = device or str(engine.model.device)
        self._given_batch_tokens, self._given_threads = max_batch_tokens, threads

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
        threads: int | None = None,
        download: bool = True,
    ) -> Encoder:
        """Load a checkpoint in a published layout: jina-embeddings-v3, or jina-embeddings-v2 without remote code.

        Args:
            name: A folder, a hub id such as "jinaai/jina-embeddings-v3" or "jinaai/jina-embeddings-v2-base-en", or
                "nano", the small bundled model.
            device: "auto" (CUDA where there is a GPU, else CPU) or a torch device.
            dtype: "auto" (bfloat16 where the hardware multiplies it, else float32), "float32", "bfloat16", "float16".
            quantize: "int8" rounds the linear layers of the blocks to bytes: half the memory of bfloat16 at a cosine of
                about 0.999 to float32. Faster on many CPUs with VNNI; it is tried, and a warning says where it is not.
                The fingerprint changes with it.
            revision: Branch, tag or commit on the hub; ignored for folders.
            max_batch_tokens: Tokens that a thread computes together; more is faster up to the caches' size and takes
                more memory. None takes what was fastest on this machine.
            threads: Computing threads on the CPU; None for the cores that the machine grants this process (affinity,
                quota of its container, torch's own setting).
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
        count = resolve_threads(threads)
        compute = _computing(target, count)
        model = compute(partial(_loaded, checkpoint, number_format, target, quantize))
        chosen = None
        if target.type == "cpu":
            batch_tokens = default_batch_tokens(model.config, target, number_format)
            chosen = choose(model.config, number_format, team_of(count), batch_tokens)
            if chosen.int8_is_slower:
                warnings.warn(SLOW_INT8.format(str(number_format).removeprefix("torch.")), stacklevel=2)
            compute(partial(model.pack, chosen.kernels))
        tokenizer = TextTokenizer(checkpoint.tokenizer_file, model.config)
        engine = LocalEngine(model, checkpoint, tokenizer, max_batch_tokens, count, chosen)
        return cls(engine, device, max_batch_tokens, threads)

    def with_batch_tokens(self, max_batch_tokens: int) -> Encoder:
        """Another encoder over the same weights, with its own `max_batch_tokens`.

        Raises:
            InvalidInput: not a whole number above 0.
        """
        engine = self.engine.with_batch_tokens(max_batch_tokens)
        return Encoder(engine, self._given_device, max_batch_tokens, self._given_threads)

    @property
    def config(self) -> AnyConfig:
        """The config of the loaded model: its `quantization` is the one in use."""
        return self.engine.model.config

    @property
    def device(self) -> torch.device:
        return self.engine.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.engine.model.dtype

    @property
    def quantization(self) -> Quantization | None:
        """ "int8", or None."""
        return self.info.quantization

    @property
    def licence(self) -> str:
        """Licence of the weights, as far as their name and sizes show it."""
        return self.info.licence

    @property
    def max_batch_tokens(self) -> int:
        """Tokens that a thread computes together."""
        return self.engine.max_batch_tokens

    @property
    def threads(self) -> int:
        """Computing threads on the CPU."""
        return self.engine.threads

    @property
    def tokenizer_file(self) -> Path:
        """The tokenizer.json that the token counts come from."""
        return self.engine.checkpoint.tokenizer_file

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
        """Late chunking of one text in steps. Arguments as in `encode_documents`.

        For callers with other work between the steps. Call `read_windows`, then `LateDocument.vectors`: these are the
        vectors of `encode_documents`, not yet normalised.

        Raises:
            InvalidSpan, InvalidInput: as `encode_documents`; also where there are no spans.
        """
        texts = as_texts([text], "document")
        document_spans = as_spans([spans], texts)
        if not document_spans[0]:
            raise InvalidInput("a document to be read in steps needs at least one span, got none")
        request = SpanRequest(
            texts=texts,
            spans=document_spans,
            task=as_task(task, self.tasks),
            dimensions=self.dimensions,
            prompt=prompt,
            window=self.info.window_size(window, overlap),
        )
        return self.engine.open_document(request)

    def read_windows(self, document: LateDocument, start: int, stop: int) -> None:
        """Read windows [start, stop) of a document. Read each window once."""
        self.engine.read_windows(document, start, stop)

    def save_pretrained(self, folder: str | Path, layout: Layout = "original") -> None:
        """Write the checkpoint to `folder` as bfloat16, or as float32 when loaded so, in either layout.

        int8 weights stay int8, in the original layout only; such a folder loads here and nowhere else.
        jina-embeddings-v2 has one layout, its original one.

        Raises:
            CheckpointError: unknown layout, or the folder cannot be written.
        """
        save_checkpoint(self.engine.model, self.tokenizer_file, Path(folder), layout, self.dtype)

    def __reduce__(self) -> tuple[Callable[..., Encoder], tuple[Any, ...]]:
        settings = {
            "device": self._given_device,
            "dtype": self.info.dtype,
            "quantize": self.quantization,
            "revision": self.revision,
            "max_batch_tokens": self._given_batch_tokens,
            "threads": self._given_threads,
        }
        return _loaded_again, (self.engine.checkpoint.portable_name, settings, self.fingerprint)

    def __copy__(self) -> Encoder:
        return self

    def __deepcopy__(self, _: object) -> Encoder:
        return self

    def __repr__(self) -> str:
        numbers = self.quantization or self.dtype
        return f"Encoder({self.model_id!r}, {self.dimensions} dimensions, {self.device}, {numbers})"


def _computing(device: torch.device, threads: int) -> Callable[[Callable[[], _Result]], _Result]:
    """What runs work of torch: the team's leader on the CPU (see `Team`), the caller elsewhere."""
    return team_of(threads).together if device.type == "cpu" else lambda work: work()


def _loaded(
    checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device, quantize: Quantization | None
) -> PackedNetwork:
    model = load_model(checkpoint, dtype)
    if quantize and not model.config.quantization:
        model.quantize()
    return model.to(device)


def _ahead(blocks: Iterator[_Block]) -> Iterator[_Block]:
    """The same blocks. A thread makes the next one while the caller uses the current one. Errors rise in their turn."""
    end = object()
    with ThreadPoolExecutor(1, "jina-v3-ahead") as pool:
        current = next(blocks, end)
        while current is not end:
            coming = pool.submit(next, blocks, end)
            yield current  # type: ignore[misc]  # never `end` here
            current = coming.result()


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
