"""Groups of sentences."""

from __future__ import annotations

from collections.abc import Iterator

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.texts.late_chunking import Span

from ..documents import TextFormat
from .sizes import SizedText, Sizes

DEFAULT_SENTENCES = 5


class SentenceChunker:
    """So many sentences in a chunk, fewer where they do not fit. `overlap` of them stand in the next chunk again."""

    def __init__(self, sizes: Sizes, sentences: int = DEFAULT_SENTENCES, overlap: int = 0) -> None:
        if not 0 <= overlap < sentences:
            raise InvalidInput(
                f"a chunk of {sentences} sentences cannot share {overlap} with the next one: at least one must be new"
            )
        self._sizes, self._sentences, self._overlap = sizes, sentences, overlap
        shared = f", overlap {overlap}" if overlap else ""
        self.description = f"groups of {sentences} sentences{shared}, {sizes.description}"

    def spans(self, text: str, text_format: TextFormat = "text") -> list[Span]:
        """Spans trimmed of surrounding white space; an empty or blank text has none."""
        sized = self._sizes.of(text)
        return sized.joined(self._groups(sized, sized.sentences()))

    def _groups(self, sized: SizedText, sentences: list[Span]) -> Iterator[Span]:
        first = 0
        while first < len(sentences):
            after = min(first + self._sentences, len(sentences))
            while after > first + 1 and not sized.fits(sentences[first][0], sentences[after - 1][1]):
                after -= 1
            yield sentences[first][0], sentences[after - 1][1]
            if after == len(sentences):
                return
            first = max(first + 1, after - self._overlap)
