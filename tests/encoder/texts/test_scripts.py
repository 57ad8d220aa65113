"""Scripts are found unread by words of them, whatever the kind of tokenizer."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer
from tokenizers.models import Unigram, WordPiece

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.texts.scripts import SAMPLES, unread_scripts

LATIN = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    "model",
    [
        Unigram([("<unk>", 0.0), *((letter, -1.0) for letter in LATIN)], unk_id=0),
        WordPiece(
            {
                "[UNK]": 0,
                **{
                    f"{mark}{letter}": n
                    for n, (mark, letter) in enumerate(((mark, letter) for mark in ("", "##") for letter in LATIN), 1)
                },
            },
            unk_token="[UNK]",
        ),
    ],
    ids=["unigram", "wordpiece"],
)
def test_letters_that_are_not_there(model: Unigram | WordPiece) -> None:
    assert unread_scripts(Tokenizer(model)) == [script for script in SAMPLES if script != "Latin"]


def test_a_tokenizer_that_knows_every_letter() -> None:
    letters = sorted({letter for sample in SAMPLES.values() for letter in sample})
    model = Unigram([("<unk>", 0.0), *((letter, -1.0) for letter in letters)], unk_id=0)
    assert unread_scripts(Tokenizer(model)) == []


def test_what_nano_reads(nano: Encoder) -> None:
    read = [script for script in SAMPLES if script not in nano.engine.tokenizer.unread_scripts()]
    assert read == ["Latin", "Cyrillic", "Kana", "Han"]
