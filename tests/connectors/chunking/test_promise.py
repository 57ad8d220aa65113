"""Every chunker keeps the promise of the protocol, for any text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jina_v3_connectors.chunking import Chunker
from jina_v3_connectors.chunking.names import BUILDERS, ChunkerOptions, chunker_named
from jina_v3_connectors.chunking.tokens import counter_of
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.testing import FakeEncoder
from jina_v3_encoder.tokenizer_factory import MAKERS, write_tokenizer

from .promise import check_promise, texts

NAMES = [name for name, builder in BUILDERS.items() if not builder.asks]
"""Those that ask a language model have tests of their own."""
SIZES = st.tuples(st.integers(2, 30), st.integers(0, 12)).map(lambda sizes: (sizes[0], min(sizes)))


@pytest.fixture(scope="module", params=["nano", *MAKERS])
def tokenizer_file(request: pytest.FixtureRequest, nano: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model's, and one of each kind that published models have."""
    if request.param == "nano":
        return nano.tokenizer_file
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(file, 3000, request.param)
    return file


@cache
def chunker(name: str, file: Path, most: int, least: int, overlap: int = 0) -> Chunker:
    options = ChunkerOptions(max_tokens=most, min_tokens=least, overlap=overlap, sentences=3, encoder=FakeEncoder())
    return chunker_named(name, file, options)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=120)
@given(text=texts(), sizes=SIZES)
def test_the_promise(tokenizer_file: Path, name: str, text: str, sizes: tuple[int, int]) -> None:
    most, least = sizes
    spans = chunker(name, tokenizer_file, most, least).spans(text, "markdown" if name == "markdown" else "text")
    check_promise(text, spans, counter_of(tokenizer_file), most, least)


@pytest.mark.parametrize("name", [name for name in NAMES if BUILDERS[name].overlaps])
@settings(max_examples=60)
@given(text=texts(), most=st.integers(3, 30))
def test_the_promise_with_an_overlap(tokenizer_file: Path, name: str, text: str, most: int) -> None:
    spans = chunker(name, tokenizer_file, most, 0, 2).spans(text)
    check_promise(text, spans, counter_of(tokenizer_file), most, overlaps=True)


@pytest.mark.parametrize("unit", ["word ", "長", "😀", "x", "Sentence. ", "\u0627\u0644 "], ids=range(6))
@pytest.mark.parametrize("name", [name for name in NAMES if not BUILDERS[name].reads])
def test_one_line_of_a_megabyte(nano: Encoder, name: str, unit: str) -> None:
    text = unit * (1_000_000 // len(unit.encode()))
    spans = chunker(name, nano.tokenizer_file, 200, 0).spans(text)
    check_promise(text, spans, counter_of(nano.tokenizer_file), 200)
