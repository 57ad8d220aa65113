"""Chunkers that ask a language model where a part begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from jina_v3_encoder.texts.late_chunking import Span

from ...documents import Cut, TextFormat
from ..sizes import SizedText, Sizes
from ..splitter import SemanticChunker
from .answers import Parts
from .prompts import FORM
from .reading import WINDOW_SENTENCES, WINDOW_TOKENS, LlmReport, Reader


class LlmChunker:
    """Cuts where a model says that a part begins. It answers with numbers of sentences, so that no text is lost.

    A part that is too large is cut between sentences. A window whose answer is useless is cut by the splitter, and
    counted in `report`. The same description gives the same spans as long as the cache of answers is kept.
    """

    def __init__(self, sizes: Sizes, reader: Reader) -> None:
        self._sizes, self._reader = sizes, reader
        self._splitter = SemanticChunker(sizes.counter, sizes.max_tokens, sizes.min_tokens)
        self.description = f"llm-{reader.kind} {FORM} by {reader.client.model}, {sizes.description}"

    @property
    def report(self) -> LlmReport:
        """What the model was asked so far."""
        return self._reader.report

    def stop(self, thread: int) -> None:
        """Have a call of this thread that waits for the model end with CancelledError."""
        self._reader.stop(thread)

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        """Spans trimmed of surrounding white space; an empty or blank text has none.

        Raises:
            RemoteError: the endpoint cannot be reached, or refuses.
        """
        return [span for span, _ in self.parts(text, text_format)]

    def parts(self, text: str, text_format: TextFormat = "text") -> list[tuple[Span, str]]:
        """As `spans`, with what the model said of each."""
        sized = self._sizes.of(text)
        windows = list(self._windows(sized))
        answers = self._reader.read([[text[start:end] for start, end in window] for window in windows])
        pieces = [
            piece
            for window, parts in zip(windows, answers, strict=True)
            for piece in self._pieces(sized, window, parts, text_format)
        ]
        summaries = {span[0]: summary for span, summary in pieces if summary}
        joined = sized.joined([span for span, _ in pieces])
        return [
            (span, " ".join(dict.fromkeys(said for start, said in summaries.items() if span[0] <= start < span[1])))
            for span in joined
        ]

    def _windows(self, sized: SizedText) -> Iterator[list[Span]]:
        """Sentences that are shown at once."""
        window: list[Span] = []
        size = 0
        for start, end in sized.sentences():
            tokens = sized.count(start, end)
            if window and (size + tokens > WINDOW_TOKENS or len(window) == WINDOW_SENTENCES):
                yield window
                window, size = [], 0
            window.append((start, end))
            size += tokens
        if window:
            yield window

    def _pieces(
        self, sized: SizedText, window: list[Span], parts: Parts | None, text_format: TextFormat
    ) -> Iterator[tuple[Span, str]]:
        """Chunks of a window, with what was said of the part that each is of."""
        if parts is None:
            first = window[0][0]
            for start, end in self._splitter.spans(sized.text[first : window[-1][1]], text_format):
                yield (first + start, first + end), ""
            return
        for start, after in pairwise((*parts.starts, len(window) + 1)):
            for span in sized.packed(window[start - 1 : after - 1]):
                yield span, parts.summaries.get(start, "")


class SummaryChunker:
    """As `LlmChunker`, with the model's summary of its part as the metadata `summary` of each chunk."""

    def __init__(self, sizes: Sizes, reader: Reader) -> None:
        self._chunker = LlmChunker(sizes, reader)
        self.description = self._chunker.description

    @property
    def report(self) -> LlmReport:
        """What the model was asked so far."""
        return self._chunker.report

    def stop(self, thread: int) -> None:
        """As `LlmChunker.stop`."""
        self._chunker.stop(thread)

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        """As `LlmChunker.spans`."""
        return self._chunker.spans(text, text_format)

    def cuts(self, text: str, text_format: TextFormat = "text") -> Sequence[Cut]:
        """As `spans`, with the summaries."""
        return [
            Cut(start, end, {"summary": summary} if summary else {})
            for (start, end), summary in self._chunker.parts(text, text_format)
        ]
