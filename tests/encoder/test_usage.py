"""Counting the tokens that an encoder reads."""

from __future__ import annotations

import threading

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.usage import add_tokens, count_usage

TEXTS = ["one two three", "four"]


def test_an_overlap_counts_each_time_it_is_read(encoder: Encoder) -> None:
    text = "word " * 100
    with count_usage() as whole:
        encoder.encode_spans(text, [(0, 400)])
    with count_usage() as windowed:
        encoder.encode_spans(text, [(0, 400)], window=40, overlap=10)
    assert windowed.tokens > whole.tokens


def test_blocks_nest_and_end() -> None:
    with count_usage() as outer:
        add_tokens(1)
        with count_usage() as inner:
            add_tokens(10)
        add_tokens(100)
    add_tokens(1000)
    assert (outer.tokens, inner.tokens) == (111, 10)


def test_threads_count_their_own() -> None:
    with count_usage() as usage:
        thread = threading.Thread(target=add_tokens, args=(5,))
        thread.start()
        thread.join()
    assert usage.tokens == 0
