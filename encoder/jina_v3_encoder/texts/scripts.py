"""Which scripts a tokenizer cannot read: their letters become the token for the unknown, so vectors say nothing."""

from __future__ import annotations

from tokenizers import Tokenizer

SAMPLES = {
    "Latin": "the house and the river",
    "Cyrillic": "привет мир как дела",
    "Greek": "γεια σου κόσμε τι κάνεις",
    "Arabic": "مرحبا بالعالم كيف حالك",
    "Hebrew": "שלום עולם מה שלומך",
    "Devanagari": "नमस्ते दुनिया आप कैसे हैं",
    "Bengali": "নমস্কার বিশ্ব কেমন আছেন",
    "Tamil": "வணக்கம் உலகம் எப்படி இருக்கிறீர்கள்",
    "Telugu": "నమస్కారం ప్రపంచం ఎలా ఉన్నారు",
    "Thai": "สวัสดี ชาวโลก วันนี้ เป็นอย่างไร",
    "Hangul": "안녕하세요 세계 오늘 어떠세요",
    "Kana": "こんにちは せかい カタカナ",
    "Han": "你好 世界 今天 怎么样",
    "Georgian": "გამარჯობა მსოფლიო როგორ ხარ",
    "Armenian": "բարեւ աշխարհ ինչպես ես",
    "Ethiopic": "ሰላም ዓለም እንዴት ነህ",
    "Khmer": "សួស្តី ពិភពលោក",
    "Burmese": "မင်္ဂလာပါ ကမ္ဘာ",
}
"""A few everyday words of each script, with spaces between them."""
UNREAD = 0.5
"""The share of words with an unknown part from which on a script counts as not read."""


def unknown_token(tokenizer: Tokenizer) -> int | None:
    """The id of the token for letters that the tokenizer does not know, None if it has none."""
    name = getattr(tokenizer.model, "unk_token", None)
    number: int | None = tokenizer.token_to_id("<unk>" if name is None else name)
    return number


def unread_scripts(tokenizer: Tokenizer) -> list[str]:
    """Names of the scripts in `SAMPLES` of whose words at least half have letters that the tokenizer does not know."""
    unknown = unknown_token(tokenizer)
    if unknown is None:
        return []

    def is_unread(sample: str) -> bool:
        words = sample.split()
        parts = tokenizer.encode_batch(words, add_special_tokens=False)
        return sum(unknown in part.ids for part in parts) >= UNREAD * len(words)

    return [script for script, sample in SAMPLES.items() if is_unread(sample)]
