"""Whether a collection without a contract holds the vectors that its texts should have, and if not, what it holds.

A sample of stored texts is encoded again and compared. If the vectors do not fit, the same texts are encoded in all
the ways that are usual mistakes. The one that fits is named.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import product
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.retry import SHORT_RETRY, with_retries
from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.texts.blend import Blend, blend_of
from jina_v3_encoder.texts.late_chunking import Span, join_chunks
from jina_v3_encoder.vectors import FloatArray

from .contract import EmbeddingContract
from .documents import Chunk
from .errors import AdoptionRefused
from .filters import DocumentId
from .reassembly import reassemble
from .store import Store, StoredVector

Unchecked = Literal["unchecked"]
Adopt: TypeAlias = bool | Unchecked
"""Whether a collection without a contract is taken over. "unchecked": also if no text is stored to check it by."""
UNCHECKED: Unchecked = "unchecked"

READ = 100
"""Records that are read, since not every one may hold a text."""
SAMPLED = 32
"""Texts that are encoded again."""
DOCUMENTS = 8
"""Documents that are encoded again as a whole, for late chunking."""
CHUNKS = 512
"""A document with more chunks is not read as a whole."""
CHARACTERS = 60_000
"""Of whole documents together."""
GUESSED_TEXTS, GUESSED_DOCUMENTS, GUESSED_CHARACTERS = 8, 3, 8_000
"""What a guess encodes again, in each of many ways."""
ENOUGH = 0.99
"""The least mean cosine."""
CLEAR = 0.999
"""From here on no other way is tried: int8 against bfloat16 of one model has this mean, or a higher one."""
WORST = 0.9
"""The least single cosine. A collection that was filled in two ways may have a good mean."""
UNIT = 0.01
"""How far a length may be from 1: bfloat16 rounds it by some thousandths."""
BLANKS = (" ", "\n")
"""What a single missing character may have been."""
LARGEST_GAP = 8
"""Characters between two chunks that may be blanks. More are a part of the document that is not stored."""
REMEDY = "jina-v3 migrate makes a new collection of its texts"
Cosines = NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """A way to make the vectors of a collection."""

    task: str | None
    prompt: bool
    late_chunking: bool | Blend = False
    metadata: bool = False
    """Each text has its metadata in front, as LlamaIndex embeds a node by default."""

    def __str__(self) -> str:
        task = "no task" if self.task is None else f"task {self.task}"
        prompt = "" if self.prompt else " without its prompt"
        late = "late chunking of whole documents" if self.late_chunking else "each text alone"
        if isinstance(self.late_chunking, Blend):
            late = f"{self.late_chunking} of whole documents and texts alone"
        metadata = ", its metadata in front" if self.metadata else ""
        return f"{task}{prompt}, {late}{metadata}"


class WholeDocument(NamedTuple):
    """A document that was put together from its chunks."""

    texts: tuple[str, ...]
    """What it may have been, all of one length: blanks between chunks are not stored."""
    spans: list[Span]
    vectors: FloatArray


@dataclass(frozen=True)
class Sample:
    """Stored texts with their vectors, and documents that are stored as a whole."""

    chunks: Sequence[Chunk]
    vectors: FloatArray
    documents: Sequence[WholeDocument]

    def part(self) -> Sample:
        """A smaller one, for a guess."""
        texts = _within(self.chunks, lambda chunk: len(chunk.text), GUESSED_TEXTS)
        documents = _within(self.documents, lambda document: len(document.texts[0]), GUESSED_DOCUMENTS)
        return Sample(self.chunks[:texts], self.vectors[:texts], self.documents[:documents])


class Comparison:
    """The vectors of a sample beside those that an encoder makes of its texts."""

    def __init__(self, sample: Sample, encoder: TextEncoder, contract: EmbeddingContract) -> None:
        self.sample, self.encoder, self.contract = sample, encoder, contract
        self.way = Way(contract.passage_task, contract.prompts, contract.reading)
        self.cosines = self._cosines(sample, self.way)
        """Of each vector with the one that the contract promises. None where that cannot be made."""
        self.mean = 0.0 if self.cosines is None else float(self.cosines.mean())

    def reasons(self) -> list[str]:
        """Sentences why the collection cannot be adopted, the figures first. Empty if it can."""
        fits = self.cosines is not None and self.mean >= ENOUGH and float(self.cosines.min()) >= WORST
        lengths = _lengths(self.sample.vectors)
        if fits and not lengths and (self.mean >= CLEAR or not self._is_another_way(self.mean)):
            return []
        return [self._figures(), *lengths, self._guess(self.mean if fits else 0.0)]

    @cached_property
    def best(self) -> tuple[Way, float] | None:
        """The usual way, other than the contract's, that fits best: the first that fits clearly, if there is one."""
        part = self.sample.part()
        tried: list[tuple[Way, float]] = []
        for way in self._other_ways(part):
            with suppress(InvalidInput):  # servers cannot leave out prompts
                cosines = self._cosines(part, way)
                if cosines is not None:
                    tried.append((way, float(cosines.mean())))
            if tried and tried[-1][1] >= CLEAR:
                break
        return max(tried, key=lambda pair: pair[1], default=None)

    def _is_another_way(self, mean: float) -> bool:
        """Whether another way fits, and by so much more than `mean` that it is no chance."""
        return self.best is not None and self.best[1] >= ENOUGH and 1 - self.best[1] < (1 - mean) / 2

    def _figures(self) -> str:
        if self.cosines is None:
            return f"No document of the sample is stored as a whole, so {self.way} cannot be repeated"
        return (
            f"{len(self.cosines)} stored texts were encoded with {self.encoder.model_id}, {self.contract.dimensions} "
            f"dimensions, {self.way}: their mean cosine with the stored vectors is {self.mean:.4f}, the lowest "
            f"{self.cosines.min():.4f}; at least {ENOUGH} and {WORST} are asked for"
        )

    def _guess(self, mean: float) -> str:
        """What made the vectors, as far as it is among the usual ways, and the remedy."""
        if self.best is not None and self._is_another_way(mean):
            way, cosine = self.best
            only_late = way == replace(self.way, late_chunking=way.late_chunking)
            remedy = f"Open it with late_chunking={way.late_chunking!r}" if only_late else REMEDY
            return f"They fit {way} (mean cosine {cosine:.4f}). {remedy}"
        if mean:
            return REMEDY
        right = 0 if self.cosines is None else int((self.cosines >= ENOUGH).sum())
        if (moved := self._moved()) > right:
            return f"{moved} vectors fit the text of another record: texts and vectors were mixed up. {REMEDY}"
        if right:
            return (
                f"{right} vectors fit as they should: the others were made in another way, or their texts were changed "
                f"since. {REMEDY}"
            )
        nearest = "" if self.best is None else f" (the nearest is {self.best[0]}, mean cosine {self.best[1]:.4f})"
        return (
            f"They fit no task of this model, with or without its prompt or late chunking{nearest}: another model made "
            f"them, or they were made of other texts than those that are stored. {REMEDY}"
        )

    def _other_ways(self, sample: Sample) -> Iterator[Way]:
        tasks: Iterable[str | None] = (*self.encoder.tasks, None)
        several_chunks = any(len(document.spans) > 1 for document in sample.documents)
        late_ones: tuple[bool | Blend, ...] = (False, True, Blend()) if several_chunks else (False,)
        for late, task in product(late_ones, tasks):
            has_prompt = task is not None and bool(self.encoder.info.prompts.get(task))
            ways = [Way(task, prompt, late) for prompt in ((True, False) if has_prompt else (True,))]
            yield from (way for way in ways if way != self.way)
        if any(chunk.metadata for chunk in sample.chunks):
            yield Way(self.way.task, self.way.prompt, metadata=True)

    def _cosines(self, sample: Sample, way: Way) -> Cosines | None:
        """The cosine of each stored vector with the one that is made in this way. None if it cannot be made."""
        pair = self._encoded(sample, way)
        return None if pair is None else np.asarray((_unit(pair[0]) * _unit(pair[1])).sum(axis=1))

    def _moved(self) -> int:
        """How many stored vectors fit the text of another record."""
        pair = self._encoded(self.sample, self.way)
        if pair is None:
            return 0
        cosines = _unit(pair[1]) @ _unit(pair[0]).T
        np.fill_diagonal(cosines, 0.0)
        return int((cosines.max(axis=1) >= ENOUGH).sum())

    def _encoded(self, sample: Sample, way: Way) -> tuple[FloatArray, FloatArray] | None:
        """(made in this way, stored), row by row. None if that needs whole documents, and there are none."""
        settings: dict[str, Any] = {"task": way.task, "prompt": way.prompt, "dimensions": self.contract.dimensions}
        if not way.late_chunking:
            texts = [_with_metadata(chunk) if way.metadata else chunk.text for chunk in sample.chunks]
            return self.encoder.encode(texts, truncate=True, **settings), sample.vectors
        if not sample.documents:
            return None
        settings["blend"] = blend_of(way.late_chunking)
        if way.late_chunking == self.way.late_chunking:
            settings |= {"window": self.contract.window, "overlap": self.contract.overlap}
        rows = [self._nearest(document, settings) for document in sample.documents]
        return np.concatenate(rows), np.concatenate([document.vectors for document in sample.documents])

    def _nearest(self, document: WholeDocument, settings: Mapping[str, Any]) -> FloatArray:
        """The vectors of the text, of those that the document may have had, that is nearest to what is stored."""
        spans = [document.spans] * len(document.texts)
        tables = self.encoder.encode_documents(document.texts, spans, **settings)
        return max(tables, key=lambda rows: float((_unit(rows) * _unit(document.vectors)).sum()))


def check_adoption(
    store: Store, encoder: TextEncoder, contract: EmbeddingContract, collection: str, *, unchecked: bool
) -> None:
    """Compare a sample of stored vectors with those that `contract` and its texts give. Warn if nothing is compared.

    Args:
        store: Its collection has no contract, and `check_adoptable` found no fault.
        encoder, contract: How the caller says that it was filled.
        collection: Its name.
        unchecked: Take the caller's word where no text is stored.

    Raises:
        AdoptionRefused: the vectors do not fit; or no text is stored, and `unchecked` is off.
    """
    stored = with_retries(partial(store.sample, READ), SHORT_RETRY)
    with_text = [(chunk, vector) for chunk, vector in stored if chunk.text.strip()][:SAMPLED]
    if with_text:
        comparison = Comparison(_sample(store, with_text), encoder, contract)
        if reasons := comparison.reasons():
            raise AdoptionRefused(collection, ". ".join(reasons))
        return
    if not stored:
        return
    reason = f"none of {len(stored)} records holds a text, so nothing shows what made its vectors"
    if not unchecked:
        raise AdoptionRefused(
            collection,
            f"{reason}. If the texts are in fields of another layout, jina-v3 migrate reads them into a new "
            f"collection. If you know what made the vectors, adopt={UNCHECKED!r} (--adopt-unchecked) takes your word",
        )
    way = Way(contract.passage_task, contract.prompts, contract.reading)
    warnings.warn(
        f"collection {collection!r} is taken over on your word: {reason}. Unless {encoder.model_id} did, with "
        f"{contract.dimensions} dimensions, {way}, every search will be wrong",
        stacklevel=2,
    )


def _sample(store: Store, stored: Sequence[StoredVector]) -> Sample:
    """Records with texts, and the whole documents among theirs. A record that names no document is one."""
    documents: list[WholeDocument] = []
    size = 0
    for name, entry in {chunk.document_id: (chunk, vector) for chunk, vector in stored}.items():
        chunks = with_retries(partial(store.sample, CHUNKS, DocumentId((name,))), SHORT_RETRY)
        document = put_together(chunks or [entry])
        if document is not None and size + len(document.texts[0]) <= CHARACTERS:
            documents.append(document)
            size += len(document.texts[0])
        if len(documents) == DOCUMENTS:
            break
    return Sample([chunk for chunk, _ in stored], np.array([vector for _, vector in stored], np.float32), documents)


def check_adopt(adopt: object) -> None:
    """Raises InvalidInput for a value that `adopt` cannot have."""
    if not isinstance(adopt, bool) and adopt not in get_args(Unchecked):
        raise InvalidInput(f"adopt must be True, False or {UNCHECKED!r}, got {adopt!r:.200}")


def put_together(stored: Sequence[StoredVector]) -> WholeDocument | None:
    """A document from all of its chunks. None if some are missing.

    Chunks that do not know their place are joined by a blank.
    """
    ordered = sorted(stored, key=lambda entry: entry[0].number)
    chunks = [chunk for chunk, _ in ordered]
    texts, numbers = [chunk.text for chunk in chunks], [chunk.number for chunk in chunks]
    if not 0 < len(chunks) < CHUNKS or numbers != list(range(len(chunks))) or not all(map(str.strip, texts)):
        return None
    vectors = np.array([vector for _, vector in ordered], dtype=np.float32)
    if all(chunk.start == 0 for chunk in chunks):
        text, spans = join_chunks(texts, " ")
        return WholeDocument((text,), spans, vectors)
    spans = [(chunk.start, chunk.end) for chunk in chunks]
    documents = [reassemble(texts, spans, longest_gap=LARGEST_GAP, filler=blank) for blank in BLANKS]
    possible = dict.fromkeys(document.text for document in documents if document is not None)
    return WholeDocument(tuple(possible), spans, vectors) if possible else None


def _unit(vectors: FloatArray) -> Cosines:
    """At unit length; what has none is left zero."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0)
    return np.where(usable, vectors / np.where(usable, lengths, 1.0), 0.0)


def _lengths(vectors: FloatArray) -> list[str]:
    """A sentence about vectors that are not of unit length, none if all are."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if bool(np.all(np.abs(lengths - 1) <= UNIT)):
        return []
    what = "slices of longer vectors that were not renormalised" if lengths.max() < 1 else "they were not normalised"
    return [f"Their lengths are {lengths.min():.3f} to {lengths.max():.3f} in place of 1: {what}"]


def _with_metadata(chunk: Chunk) -> str:
    metadata: Mapping[str, Any] = chunk.metadata
    return "".join(f"{name}: {value}\n" for name, value in metadata.items()) + f"\n{chunk.text}"


def _within(values: Sequence[Any], size: Any, most: int) -> int:
    """How many of the first values are at most `most`, and hold `GUESSED_CHARACTERS` together; at least one of them."""
    total = 0
    for number, value in enumerate(values[:most]):
        total += size(value)
        if total > GUESSED_CHARACTERS:
            return max(1, number)
    return min(len(values), most)
