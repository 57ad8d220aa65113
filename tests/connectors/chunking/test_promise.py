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

NAMES = list(BUILDERS)
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
