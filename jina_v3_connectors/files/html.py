"""HTML to text: what a browser shows of a page, without its navigation. Nothing is fetched and no script runs."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import DocumentError
from .content import Content, Headings, TextBuilder

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

HIDDEN = frozenset(
    "script style template noscript nav head svg math iframe object embed audio video canvas button select datalist "
    "textarea".split()
)
"""Elements whose content is not the text of a page."""
PARAGRAPHS = frozenset(
    "p h1 h2 h3 h4 h5 h6 ul ol dl table pre blockquote section article aside header footer figure hr form fieldset "
    "main details".split()
)
LINES = frozenset("div li tr dt dd caption figcaption address legend summary center br".split())
CELLS = frozenset(("td", "th"))
HEADINGS = {f"h{level}": level for level in range(1, 7)}
SPACES = re.compile("[ \t\n\r\f]+")
"""White space that HTML collapses. A space that must not break is another character and stays."""
CHARSET = re.compile(
    rb"""(?:<meta[^>]{0,200}?charset|<\?xml[^>]{0,200}?encoding)\s*=\s*["']?\s*([\w.:-]{1,40})""", re.I
)
CHARSET_BYTES = 4096
"""Where a page must name its encoding; the standard asks for the first 1,024 bytes."""
WIDER = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949"}
"""Encodings that browsers take for larger ones, by Python's names."""
EMPTY_ELEMENT = re.compile(r"<([a-zA-Z][\w:.-]*)((?:\s[^<>]*)?)/>")
VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
NO_TEXT = (
    "holds no text of its own: save a page that a script draws from a browser, and let OCR read pictures of text first"
)


def decoded(content: bytes, charset: str | None = None) -> str:
    """A page's characters: by its byte order mark, `charset` (what a server said), what it says itself, or UTF-8.

    Raises:
        DocumentError: the bytes are not in that encoding, or there is no such encoding.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            return _decoded(content, encoding)
    named = CHARSET.search(content[:CHARSET_BYTES])
    if charset is None and named:
        charset = named[1].decode("ascii", "replace")
        if charset.lower().startswith("utf-16"):  # it could not be read if it were
            charset = "utf-8"
    return _decoded(content, charset or "utf-8")


def _decoded(content: bytes, encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
        return content.decode(WIDER.get(name, name))
    except LookupError:
        raise DocumentError(f"says that its encoding is {encoding!r}, which is unknown: save it as UTF-8") from None
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"is not {encoding} (byte {error.start}), which it says or which pages without a charset are: save it as "
            "UTF-8, or give it the right charset"
        ) from error


def read_html(
    markup: str, *, ignore: Callable[[LexborNode], bool] = lambda _: False, no_text: str = NO_TEXT
) -> Content:
    """The text of `<main>`, or of the whole body where there is none, with the headings above each part.

    Elements that `ignore` picks are left out. `no_text` is what is told of a page without text.

    Raises:
        DocumentError: it has no text, or too much.
    """
    from selectolax.lexbor import LexborHTMLParser

    page = LexborHTMLParser(markup)
    mains = page.css("main, [role=main]")
    roots = [*(mains if len(mains) == 1 else ()), page.body]
    for root in roots:
        builder = TextBuilder()
        if root is not None:
            add_html(root, builder, Headings(), ignore=ignore)
        if builder.length:
            title = page.css_first("head > title")
            name = " ".join((title.text() if title else "").split())
            return builder.content({"title": name} if name else {})
    raise DocumentError(no_text)


def add_html(
    root: LexborNode,
    builder: TextBuilder,
    headings: Headings,
    *,
    ignore: Callable[[LexborNode], bool] = lambda _: False,
) -> None:
    """Append what stands below `root`. `headings` are those above it. No recursion: pages may be nested without end.

    Raises:
        DocumentError: the text is too long.
    """
    flow = _Flow(builder, headings)
    open_elements: list[tuple[LexborNode, str]] = []
    node: LexborNode | None = root
    while node is not None:
        child = None
        if node.is_text_node:
            flow.text(node.text_content or "")
        elif node.is_element_node:
            tag = node.tag or ""
            if tag not in HIDDEN and "hidden" not in node.attributes and not ignore(node):
                flow.enter(tag)
                child = node.first_child
                if child is None:
                    flow.leave(tag)
                else:
                    open_elements.append((node, tag))
        if child is not None:
            node = child
            continue
        if not open_elements:
            return
        following = node.next
        while following is None and open_elements:
            element, tag = open_elements.pop()
            flow.leave(tag)
            following = element.next if open_elements else None
        node = following


def without_empty_elements(markup: str) -> str:
    """XHTML whose empty elements, as `<title/>`, are written as HTML reads them."""

    def rewritten(match: re.Match[str]) -> str:
        return match[0] if match[1].lower() in VOID else f"<{match[1]}{match[2]}></{match[1]}>"

    return EMPTY_ELEMENT.sub(rewritten, markup)


class _Flow:
    """Breaks, white space and headings of a page, told as its elements begin and end."""

    def __init__(self, builder: TextBuilder, headings: Headings) -> None:
        self._builder, self._headings = builder, headings
        self._verbatim = self._lists = 0
        self._in_fresh_cell = False
        """Whether a cell of a table is open that has no text yet: then only a tab stands before it."""
        self._heading_start: int | None = None
        """Where the heading that is open now starts, once it has text."""
        self._in_heading = False

    def text(self, text: str) -> None:
        if not self._verbatim:
            text = SPACES.sub(" ", text)
            if text.startswith(" "):
                self._builder.separate(" ")
            ends_in_space = text.endswith(" ")
            text = text.strip(" ")
        else:
            ends_in_space = False
            text = text.replace("\r\n", "\n")
        if text:
            start = self._builder.add(text)
            self._in_fresh_cell = False
            if self._in_heading and self._heading_start is None:
                self._heading_start = start
        if ends_in_space:
            self._builder.separate(" ")

    def enter(self, tag: str) -> None:
        self._separate(tag)
        self._in_fresh_cell |= tag in CELLS
        self._verbatim += tag == "pre"
        self._lists += tag == "li"
        if tag in HEADINGS:
            self._in_heading, self._heading_start = True, None

    def leave(self, tag: str) -> None:
        self._in_fresh_cell &= tag not in CELLS
        self._separate(tag, at_end=True)
        self._verbatim -= tag == "pre"
        self._lists -= tag == "li"
        if tag in HEADINGS:
            if self._heading_start is not None:
                self._headings.add(HEADINGS[tag], self._builder.text(self._heading_start))
                self._builder.mark(self._heading_start, self._headings.metadata)
            self._in_heading, self._heading_start = False, None

    def _separate(self, tag: str, *, at_end: bool = False) -> None:
        if tag in CELLS:
            self._builder.separate("\t", narrow=at_end)
        elif self._in_fresh_cell and tag != "tr":
            return
        elif tag in PARAGRAPHS:
            self._builder.separate("\n" if tag in ("ul", "ol") and self._lists else "\n\n")
        elif tag in LINES:
            self._builder.separate("\n")
