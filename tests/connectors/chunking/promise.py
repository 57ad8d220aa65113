"""What every chunker promises, as one check, and texts to check it with."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from jina_v3_connectors.chunking.tokens import TokenCounter
from jina_v3_encoder.texts.late_chunking import Span

WORDS = "the and tea sea is of moon It The No Dr e.g 3.14 http://x.y/z-ä naïve Straße don't ... 100% <b> & #1".split()
WIDE = (
    "日本語のテキスト。 長城很長！ 東京？ 今日は 한국어 สวัสดี हिन्दी। مرحبا بالعالم؟ שלום 😀 👩\u200d👩\u200d👧 "
    "🏳️\u200d🌈 👍🏽 e\u0301 \u200b \u00ad \ufdfa ㍿ ﬁ \u202eabc\u202c <mask> </s> \x00 \x1c \u00a0 \u3000 \u2028"
).split(" ")
MARKDOWN = (
    "# Heading",
    "## Another one",
    "- a list",
    "  - inside",
    "1. numbered",
    "> a quote",
    "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |",
    "```python\ndef f():\n\n    return 1\n```",
    "    indented code",
    "Setext\n===",
    "***",
    "[a]: http://b",
    "![x](y) and [z](w)",
    "```",
    "<!-- note -->",
)
HTML = (
    "<h1>Title</h1>",
    "<h2 class='a>b'>Two</h2>",
    "<p>",
    "</p>",
    "<div><ul><li>one</li>",
    "<li>two",
    "<table><tr><td>1</td><td>2</td></tr></table>",
    "<table>",
    "<pre>a\n\n  b</pre>",
    "<script>if (a<b) {}</script>",
    "<!-- <h1> -->",
    "<!--",
    "<",
    '<a href="<p>">',
    "&amp;",
    "</table>",
)
CODE = (
    "def f(x):",
    "    return x",
    "class A:",
    "    def b(self):",
    "        pass",
    "}",
    "\treturn",
    "// note",
    "x = 1",
)
SPACES = (" ", " ", " ", "  ", "\n", "\n\n", " \n ", "\r\n", "\t", "\n \n", "")


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Words, scripts of many kinds, Markdown, HTML and code in any order, with any white space between them."""
    parts = st.one_of(
        st.sampled_from(WORDS),
        st.sampled_from(WIDE),
        st.sampled_from(MARKDOWN),
        st.sampled_from(HTML),
        st.sampled_from(CODE),
        st.sampled_from([f"{word}." for word in WORDS]),
        st.text(max_size=6),
    )
    pieces = draw(st.lists(st.tuples(parts, st.sampled_from(SPACES), st.integers(1, 3)), max_size=24))
    return "".join(f"{part}{space}" * times for part, space, times in pieces)


def check_promise(
    text: str, spans: Sequence[Span], counter: TokenCounter, most: int, least: int = 0, *, overlaps: bool = False
) -> None:
    """The promise of `Chunker`."""
    last = 0
    for number, (start, end) in enumerate(spans):
        assert 0 <= start < end <= len(text), "inside the text, and not empty"
        if number:
            assert start > spans[number - 1][0], "in order"
            assert overlaps or start >= last, "no overlap"
        assert not text[last:start].strip(), "nothing is left out"
        size = counter.exact(text[start:end])
        assert size <= most or end - start == 1, f"{size} tokens: {text[start:end]!r}"
        last = max(last, end)
    assert not text[last:].strip(), "nothing is left out at the end"
    counts = [counter.count(text[start:end]) for start, end in spans]
    for number in range(1, len(spans)):
        if min(counts[number - 1 : number + 1]) < max(1, least):
            joined = text[spans[number - 1][0] : spans[number][1]]
            assert counter.count(joined) > most, f"could be joined: {joined!r}"
