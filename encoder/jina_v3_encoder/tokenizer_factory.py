"""Makes a working tokenizer.json of XLM-RoBERTa's kind, for random checkpoints."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram

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


def write_tokenizer(path: Path, vocabulary: int) -> None:
    """Unigram over words and characters of many scripts, NFKC normalizer, Metaspace, `<s> … </s>` template.

    At most `vocabulary` tokens; characters past that become `<unk>`.
    """
    pieces = [(token, 0.0) for token in SPECIALS]
    pieces += [("\u2581", -3.0)] + [(f"\u2581{word}", -5.0 - rank / 50) for rank, word in enumerate(WORDS)]
    pieces += [(chr(code), -9.0 - code / 1e5) for start, end in RANGES for code in range(start, end)]
    tokenizer = Tokenizer(Unigram(list(dict(pieces[: vocabulary - 1]).items()), unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(" {2,}", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.save(str(path))
