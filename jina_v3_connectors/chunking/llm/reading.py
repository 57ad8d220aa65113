"""A document read by a model: in windows, several at once, each answered, repaired or left to the splitter."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from jina_v3_encoder.errors import InvalidInput

from .answers import Parts, parts_of, plain, question
from .background import Background
from .cache import AnswerCache
from .chat import Answer, ChatClient, UselessAnswer
from .prompts import FORM, PROMPTS, Kind

WINDOW_TOKENS = 3000
"""Small models lose count in longer lists."""
WINDOW_SENTENCES = 150
CONCURRENT = 4


@dataclass
class LlmReport:
    """What a model was asked, and what became of the answers."""

    windows: int = 0
    from_cache: int = 0
    repaired: int = 0
    fallbacks: Counter[str] = field(default_factory=Counter)
    """Windows that the splitter cut, by the reason."""
    retries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def lines(self, prices: tuple[float, float] | None = None) -> Iterator[str]:
        """For people. `prices` are those of a million tokens read and written."""
        yield (
            f"language model: {self.windows:,} windows, {self.from_cache:,} known from before, {self.repaired:,} "
            f"answers repaired, {self.fallbacks.total():,} windows left to the splitter, {self.retries:,} retries"
        )
        yield from (f"left to the splitter: {count:,} × {reason}" for reason, count in self.fallbacks.most_common())
        cost = ""
        if prices is not None:
            cost = f", cost {(self.tokens_in * prices[0] + self.tokens_out * prices[1]) / 1e6:,.4f}"
        yield f"tokens: {self.tokens_in:,} read, {self.tokens_out:,} written{cost}"


class Reader:
    """Asks a model for the parts of windows of sentences."""

    def __init__(
        self, client: ChatClient, kind: Kind, cache: AnswerCache | None = None, concurrent: int = CONCURRENT
    ) -> None:
        if concurrent < 1:
            raise InvalidInput(f"at least 1 question is asked at once, got {concurrent!r}")
        self.client, self.kind, self.report = client, kind, LlmReport()
        self._cache = AnswerCache() if cache is None else cache
        self._concurrent = concurrent
        self._lock = threading.Lock()
        self._asking: dict[int, Background] = {}

    def read(self, windows: Sequence[Sequence[str]]) -> list[Parts | None]:
        """The parts of each window, None where the splitter has to cut it.

        Raises:
            RemoteError: the endpoint cannot be reached, or refuses.
            CancelledError: `stop` was called meanwhile.
        """
        with Background("jina-v3-llm", min(self._concurrent, len(windows))) as threads:
            self._asking[threading.get_ident()] = threads
            try:
                answers = [threads.submit(partial(self._window, window)) for window in windows]
                return [answer.result() for answer in answers]
            finally:
                del self._asking[threading.get_ident()]

    def stop(self, thread: int) -> None:
        """Have `read` in this thread end with CancelledError, if it waits now. Answers that come later are not used."""
        asking = self._asking.get(thread)
        if asking is not None:
            asking.close()

    def _window(self, sentences: Sequence[str]) -> Parts | None:
        with self._lock:
            self.report.windows += 1
        asked = question(sentences)
        key = AnswerCache.key(str(FORM), self.client.url, self.client.model, PROMPTS[self.kind], asked)
        known = self._cache.get(key)
        try:
            if known is not None:
                parts = self._parts(Answer(known), sentences)
                self._note(lambda report: setattr(report, "from_cache", report.from_cache + 1))
                return parts
            answer = self.client.ask(PROMPTS[self.kind], asked, self._retried)
            with self._lock:
                self.report.tokens_in += answer.tokens_in
                self.report.tokens_out += answer.tokens_out
            parts = self._parts(answer, sentences)
        except UselessAnswer as error:
            reason = str(error)
            self._note(lambda report: report.fallbacks.update([reason]))
            return None
        if parts.repaired:
            self._note(lambda report: setattr(report, "repaired", report.repaired + 1))
        self._cache.put(key, plain(parts))
        return parts

    def _parts(self, answer: Answer, sentences: Sequence[str]) -> Parts:
        return parts_of(answer, len(sentences), summaries=self.kind == "summary")

    def _retried(self) -> None:
        self._note(lambda report: setattr(report, "retries", report.retries + 1))

    def _note(self, change: Callable[[LlmReport], object]) -> None:
        with self._lock:
            change(self.report)
