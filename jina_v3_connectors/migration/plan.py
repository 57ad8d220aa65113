"""What a move will take, before anything is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from jina_v3_encoder.text_encoder import TextEncoder
from jina_v3_encoder.usage import count_usage

from ..chunking import Chunker
from ..contract import EmbeddingContract
from ..errors import DocumentError
from ..ingestion.chunked import ChunkedDocument, chunks_of
from ..ingestion.encoding import encode_apart
from .records import Source
from .state import MigrationState, Totals
from .survey import rebuilt_documents, survey
from .verification import at_random

MEASURED_SECONDS = 5.0
MEASURED_DOCUMENTS = 400
MEASURED_AT_ONCE = 16
NAMED = 20
FLOAT_BYTES = 4


@dataclass
class Plan:
    """What will be moved, what it costs, and what stands in the way."""

    layout: str
    """Whose layout the old collection has."""
    totals: Totals
    chunks: int
    """An estimate where documents are cut anew."""
    tokens: int
    """To be read by the model, an estimate from the sample. A blend reads everything twice, windows what they share."""
    seconds: float
    """To encode everything on this machine, as fast as the sample."""
    bytes_before: int
    """Vectors of the old collection."""
    bytes_after: int
    measured_documents: int
    without_text: list[str] = field(default_factory=list)
    """The first records without text."""
    with_gaps: int = 0
    """Documents of the sample whose text has gaps, longer than the end of a paragraph."""
    refused: list[str] = field(default_factory=list)
    """Documents of the sample that cannot be moved."""
    no_way_back: str | None = None
    """Why `rollback` will not be able to undo a switch. None where it will."""

    @property
    def is_possible(self) -> bool:
        """Whether nothing stands in the way, as far as was looked."""
        return not self.totals.without_text and not self.refused and self.totals.records > 0


def plan(
    source: Source,
    encoder: TextEncoder,
    contract: EmbeddingContract,
    chunker: Chunker,
    *,
    keep_cuts: bool,
    on_survey: Callable[[int], None] = lambda _: None,
) -> Plan:
    """List the old collection, and encode a sample for some seconds. Writes nothing but a temporary file.

    `contract` and `chunker` are those of the new collection.
    """
    with TemporaryDirectory(prefix="jina-v3-plan-") as folder:
        state = MigrationState(Path(folder) / "plan.sqlite", "plan")
        try:
            totals = survey(source, state, on_survey)
            return _measure(source, state, totals, encoder, contract, chunker, keep_cuts=keep_cuts)
        finally:
            state.close()


def _measure(
    source: Source,
    state: MigrationState,
    totals: Totals,
    encoder: TextEncoder,
    contract: EmbeddingContract,
    chunker: Chunker,
    *,
    keep_cuts: bool,
) -> Plan:
    result = Plan(
        layout=source.description,
        totals=totals,
        chunks=totals.records,
        tokens=0,
        seconds=0.0,
        bytes_before=totals.records * (source.dimensions or 0) * FLOAT_BYTES,
        bytes_after=0,
        measured_documents=0,
        without_text=state.without_text(NAMED),
    )
    characters = tokens = chunks = records = 0
    seconds = 0.0
    # Not the first ones: documents of one kind or language often have ids that begin alike.
    rows = iter(at_random(state.documents(), MEASURED_DOCUMENTS))
    while seconds < MEASURED_SECONDS and (part := list(islice(rows, MEASURED_AT_ONCE))):
        batch = []
        for rebuilt in rebuilt_documents(source, iter(part), keep_cuts=keep_cuts, keep_ids=True):
            try:
                if isinstance(rebuilt, DocumentError):
                    raise rebuilt
                batch.append(ChunkedDocument(rebuilt.document, chunks_of(rebuilt.document, chunker), b""))
                result.with_gaps += not rebuilt.exact
            except DocumentError as error:
                result.refused.append(str(error))
        start = time.perf_counter()
        with count_usage() as usage:
            list(encode_apart(encoder, contract, batch))
        seconds += time.perf_counter() - start
        tokens += usage.tokens
        characters += sum(len(one.document.text) for one in batch)
        chunks += sum(len(one.chunks) for one in batch)
        records += sum(len(keys) for _, keys in part)
        result.measured_documents += len(batch)
    if characters:
        share = totals.characters / characters
        result.tokens, result.seconds = round(tokens * share), seconds * share
        result.chunks = totals.records if keep_cuts else round(chunks * totals.records / max(records, 1))
    result.bytes_after = result.chunks * contract.dimensions * FLOAT_BYTES
    return result
