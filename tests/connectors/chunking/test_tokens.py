"""Counts by words are those of the tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jina_v3_connectors.chunking.counted_text import FEW, CountedText
from jina_v3_connectors.chunking.tokens import TokenCounter, counter_of
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.tokenizer_factory import TokenizerKind, write_tokenizer

from .promise import texts

KINDS: tuple[TokenizerKind, ...] = ("unigram", "wordpiece", "byte-level")


@pytest.fixture(scope="module", params=["nano", *KINDS])
def counter(request: pytest.FixtureRequest, nano: Encoder, tmp_path_factory: pytest.TempPathFactory) -> TokenCounter:
    if request.param == "nano":
        return counter_of(nano.tokenizer_file)
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(file, 3000, request.param)
    return counter_of(file)


@given(text=texts())
def test_a_text_has_as_many_tokens_as_the_tokenizer_says(counter: TokenCounter, text: str) -> None:
    counted, exact = counter.count(text), counter.exact(text)
    assert counted >= exact, "a chunk may never come out larger than it was counted"
    if "<mask>" not in text:  # it takes the space before it, which the words do not know
        assert counted == exact


@given(text=texts(), data=st.data())
def test_parts_of_a_text_have_as_many_tokens_as_when_they_stand_alone(
    counter: TokenCounter, text: str, data: st.DataObject
) -> None:
    edges = st.integers(0, len(text))
    spans = data.draw(st.lists(st.tuples(edges, edges).map(lambda pair: (min(pair), max(pair))), max_size=2 * FEW))
    wanted = [counter.count(text[start:end]) for start, end in spans]
    counted = CountedText(counter, text)
    assert counted.counts(spans) == wanted
    assert [counted.count(start, end) for start, end in spans] == wanted


@pytest.mark.parametrize("word", ["x" * 70, "長" * 70, "x" * 70 + "\n", " ", ""])
def test_long_words_are_counted_where_they_are_asked_for(counter: TokenCounter, word: str) -> None:
    text = f"{word} one {word} two {word}"
    counted = CountedText(counter, text)
    spans = [(start, end) for start in range(0, len(text), 7) for end in range(start, len(text) + 1, 5)]
    assert counted.counts(spans) == [counter.count(text[start:end]) for start, end in spans]


def test_tokenizers_that_read_across_spaces_are_asked_for_whole_texts(counter: TokenCounter, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    write_tokenizer(file, 3000, "byte-level")
    assert not counter_of(file).by_words
    assert counter_of(file) is counter_of(file)


def test_surrogates_are_no_text(counter: TokenCounter) -> None:
    with pytest.raises(InvalidInput, match="lone surrogate"):
        counter.count("a\ud800")
