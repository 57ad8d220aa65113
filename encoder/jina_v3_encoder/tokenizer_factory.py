"""Makes a working tokenizer.json of the kind that each published model has, for random checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, Unigram, WordPiece

TokenizerKind: TypeAlias = Literal["unigram", "wordpiece", "byte-level"]
"""jina-embeddings-v3 has a unigram tokenizer; v2 has WordPiece in English, and byte-level BPE in other languages."""
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
WORDS = """the of and to in is that for it was on are with as be this have from or one had by word but not what all
were we when your can said there use an each which she do how their if will up other about out many then them these so
some her would make like him into time has look two more write go see number no way could people my than first water
been call who oil its now find long down day did get come made may part over new sound take only little work know
place year live me back give most very after thing our just name good sentence man think say great where help through
much before line right too mean old any same tell boy follow came want show also around form three small set put end
document query evidence retrieving represent retrieval embedding vector lightsaber galaxy""".split()
RANGES = (
    (0x21, 0x7F),
    (0xA1, 0x180),
    (0x391, 0x3CA),
    (0x410, 0x450),
    (0x5D0, 0x5EB),
    (0x621, 0x64B),
    (0x905, 0x93A),
    (0xE01, 0xE3A),
    (0xE40, 0xE4E),
    (0x3001, 0x3003),
    (0x3041, 0x3097),
    (0x30A1, 0x30FB),
    (0x4E00, 0x5200),
    (0x6500, 0x6800),
    (0xAC00, 0xAC80),
    (0x1F600, 0x1F640),
)


BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def write_tokenizer(path: Path, vocabulary: int, kind: TokenizerKind = "unigram") -> None:
    """A tokenizer of at most `vocabulary` tokens, with one token before a text and one after it."""
    MAKERS[kind](vocabulary).save(str(path))


def unigram_tokenizer(vocabulary: int) -> Tokenizer:
    """Unigram over words and characters of many scripts, NFKC normalizer, Metaspace, `<s> … </s>` template.

    Characters past the size become `<unk>`.
    """
    pieces = [(token, 0.0) for token in SPECIALS]
    pieces += [("\u2581", -3.0)] + [(f"\u2581{word}", -5.0 - rank / 50) for rank, word in enumerate(WORDS)]
    pieces += [(chr(code), -9.0 - code / 1e5) for code in _characters()]
    tokenizer = Tokenizer(Unigram(list(dict(pieces[: vocabulary - 1]).items()), unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(" {2,}", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    return tokenizer


def wordpiece_tokenizer(vocabulary: int) -> Tokenizer:
    """BERT's, uncased: words and characters, `##` inside a word, `[CLS] … [SEP]`."""
    characters = [chr(code) for code in _characters()]
    pieces = [part for character in characters for part in (character, f"##{character}")]
    tokens = _numbered([*BERT_SPECIALS, *WORDS, *pieces], vocabulary)
    tokenizer = Tokenizer(WordPiece(tokens, unk_token=BERT_SPECIALS[1]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", tokens["[SEP]"]), ("[CLS]", tokens["[CLS]"]))
    tokenizer.add_special_tokens(list(BERT_SPECIALS))
    return tokenizer


def byte_level_tokenizer(vocabulary: int) -> Tokenizer:
    """RoBERTa's: bytes, and merges that make words of them, `<s> … </s>`."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = list(dict.fromkeys(pair for word in WORDS for pair in _merges(f"\u0120{word}")))
    merges = merges[: max(0, vocabulary - 1 - len(SPECIALS) - len(alphabet))]
    tokens = _numbered([*SPECIALS, *alphabet, *(left + right for left, right in merges)], vocabulary - 1)
    tokenizer = Tokenizer(BPE(tokens, [pair for pair in merges if pair[0] + pair[1] in tokens]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.add_special_tokens([*SPECIALS, AddedToken("<mask>", lstrip=True, special=True)])
    return tokenizer


MAKERS: Mapping[TokenizerKind, Callable[[int], Tokenizer]] = {
    "unigram": unigram_tokenizer,
    "wordpiece": wordpiece_tokenizer,
    "byte-level": byte_level_tokenizer,
}


def _characters() -> Iterator[int]:
    return (code for start, end in RANGES for code in range(start, end))


def _numbered(tokens: list[str], most: int) -> dict[str, int]:
    """The first `most` different tokens."""
    return {token: number for number, token in enumerate(islice(dict.fromkeys(tokens), most))}


def _merges(word: str) -> Iterator[tuple[str, str]]:
    """A word put together from its left end."""
    return ((word[:end], word[end]) for end in range(1, len(word)))
